//! A line that does not lie in one chunk.

use super::field::{Field, NAME_BYTES};
use super::text::SPARE_BYTES;

/// How far a line is that goes on in the next chunk: no byte of it is looked at again.
#[derive(Debug, Default)]
pub(super) struct Cut {
    at: At,
    /// Bytes of the line so far.
    pub(super) seen: usize,
    /// The value of a field that has to be read as a whole, also after its end. Data has its own place.
    pub(super) value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// No line is cut.
    #[default]
    Nowhere,
    /// Before its colon.
    Name { bytes: [u8; NAME_BYTES], len: usize },
    /// After it; before the space that may follow, or not.
    Value { field: Field, is_first: bool },
}

impl Cut {
    #[inline]
    pub(super) fn is_some(&self) -> bool {
        !matches!(self.at, At::Nowhere)
    }

    /// Whether what comes next is data, without a space to be looked for.
    #[inline]
    pub(super) fn is_in_data(&self) -> bool {
        matches!(self.at, At::Value { field: Field::Data, is_first: false })
    }

    /// Whether its colon is still to come.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.at, At::Name { .. })
    }

    /// A line has begun that has no end in its chunk.
    pub(super) fn begin(&mut self) {
        self.at = At::Name { bytes: [0; NAME_BYTES], len: 0 };
        self.seen = 0;
        self.value.clear();
    }

    /// The same of data, of which so much was seen, up to a part of its value.
    pub(super) fn begin_data(&mut self, seen: usize) {
        self.at = At::Value { field: Field::Data, is_first: false };
        self.seen = seen;
        self.value.clear();
    }

    /// The rest of the line says nothing.
    pub(super) fn ignore(&mut self) {
        self.at = At::Value { field: Field::Unknown, is_first: false };
        self.drop_value();
    }

    /// Memory goes that is not needed now.
    pub(super) fn rest(&mut self) {
        if !self.is_some() {
            self.drop_value();
        }
    }

    /// The name, once it is whole in the next part: what the line is, and where its value begins there. Until then, nothing.
    pub(super) fn name(&mut self, part: &[u8]) -> Option<(Field, usize)> {
        let At::Name { bytes, len } = &mut self.at else { return None };
        for (index, &byte) in part.iter().enumerate() {
            if byte == b':' {
                let field = Field::of(&bytes[..*len]);
                self.at = At::Value { field, is_first: field.strips_space() };
                return Some((field, index + 1));
            }
            let Some(place) = bytes.get_mut(*len) else {
                self.ignore();
                return None;
            };
            *place = byte;
            *len += 1;
        }
        None
    }

    /// What the line is, and that part of its value. Nothing where no colon was seen.
    pub(super) fn value_in<'a>(&mut self, part: &'a [u8]) -> Option<(Field, &'a [u8])> {
        let At::Value { field, is_first } = &mut self.at else { return None };
        let mut value = part;
        if *is_first && let Some(&byte) = part.first() {
            *is_first = false;
            value = &part[usize::from(byte == b' ')..];
        }
        Some((*field, value))
    }

    /// The line is over: what it was, and whether it had no colon.
    pub(super) fn end(&mut self) -> (Field, bool) {
        match std::mem::take(&mut self.at) {
            // A line without bytes is never cut, so this is no comment.
            At::Name { bytes, len } => (Field::of(&bytes[..len]), true),
            At::Value { field, .. } => (field, false),
            At::Nowhere => (Field::Unknown, false),
        }
    }

    fn drop_value(&mut self) {
        self.value.clear();
        self.value.shrink_to(SPARE_BYTES);
    }
}
