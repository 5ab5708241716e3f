//! Text from parts of bytes that may end anywhere.

use netcomm_core::Text;
use simdutf8::basic::from_utf8;

use super::text::COPIED_BYTES;

/// So much memory may stay for what comes next.
const SPARE_BYTES: usize = 1024;

/// Text so far, with U+FFFD for each malformed sequence. A part is looked at when it comes: it is near then.
#[derive(Debug, Default)]
pub(super) struct Gather {
    text: String,
    /// The beginning of a character that is cut.
    cut: [u8; 4],
    cut_len: usize,
    /// As they came from the wire.
    bytes: usize,
}

impl Gather {
    /// Bytes so far, as they came from the wire.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    pub(super) fn push(&mut self, part: &[u8]) {
        self.bytes += part.len();
        let mut rest = part;
        while self.cut_len > 0
            && let Some((&byte, after)) = rest.split_first()
        {
            self.cut[self.cut_len] = byte;
            match std::str::from_utf8(&self.cut[..=self.cut_len]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.cut_len = 0;
                }
                Err(error) if error.error_len().is_none() => self.cut_len += 1,
                // The byte is no part of it, and is looked at for itself.
                Err(_) => {
                    self.end_cut();
                    continue;
                }
            }
            rest = after;
        }
        match from_utf8(rest) {
            Ok(text) => self.text.push_str(text),
            Err(_) => self.push_mixed(rest),
        }
    }

    #[cold]
    fn push_mixed(&mut self, part: &[u8]) {
        let mut chunks = part.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let is_cut =
                chunks.peek().is_none() && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if is_cut {
                self.cut[..invalid.len()].copy_from_slice(invalid);
                self.cut_len = invalid.len();
            } else if !invalid.is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// What is cut stays cut.
    fn end_cut(&mut self) {
        if std::mem::take(&mut self.cut_len) > 0 {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// All of it; a small one as a copy, so that its memory serves again.
    pub(super) fn take(&mut self) -> Text {
        self.end_cut();
        self.bytes = 0;
        if self.text.len() <= COPIED_BYTES {
            let text = Text::from(self.text.as_str());
            self.clear();
            return text;
        }
        let mut text = std::mem::take(&mut self.text);
        // Whoever keeps the event shall not keep what a guess was too large.
        if text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
        text.into()
    }

    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.cut_len = 0;
        self.text.clear();
        self.text.shrink_to(SPARE_BYTES);
    }

    /// Bytes that are allocated.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.text.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_if_it_came_at_once(
            parts in vec(prop_oneof![
                vec(any::<u8>(), 0..5),
                "\\PC{0,3}".prop_map(String::into_bytes),
                vec(prop::sample::select(vec![0xf0u8, 0x9f, 0x92, 0xa9, 0xe2, 0xed, 0xa0, 0xc3, b'a']), 0..4),
            ], 0..20),
        ) {
            let mut gather = Gather::default();
            for part in &parts {
                gather.push(part);
            }
            let whole = parts.concat();
            prop_assert_eq!(gather.len(), whole.len());
            prop_assert_eq!(&*gather.take(), String::from_utf8_lossy(&whole));
            prop_assert_eq!(gather.len(), 0);
            gather.push(b"next");
            prop_assert_eq!(&*gather.take(), "next");
        }
    }
}
