//! The chunk that is being read.

use std::ops::Deref;

use bytes::Bytes;
use netcomm_core::Text;

use super::text::{self, COPIED_BYTES};

/// To look at a smaller one as a whole does not pay.
const SMALL_BYTES: usize = 512;

/// Bytes, and the same as text once a part of them is asked for as text: to look whether all is UTF-8 costs a fraction of
/// looking at each part.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Bytes,
    /// All but what belongs to characters that are cut.
    text: Text,
    /// Where that begins.
    from: usize,
    is_looked_at: bool,
}

impl Chunk {
    /// `as_whole`: parts are likely to be asked for as text, all over it.
    pub(super) fn new(bytes: Bytes, as_whole: bool) -> Self {
        let is_looked_at = !as_whole || bytes.len() < SMALL_BYTES;
        Self { bytes, text: Text::default(), from: 0, is_looked_at }
    }

    /// That part as text. Where it is not UTF-8, with U+FFFD for each malformed sequence.
    #[inline]
    pub(super) fn text(&mut self, start: usize, end: usize) -> Text {
        self.look_once();
        match self.part(start, end) {
            Some(part) if part.len() <= COPIED_BYTES => Text::from(part),
            Some(part) => self.text.slice_ref(part),
            None => text::part(&self.bytes, start, end),
        }
    }

    /// The same where it lies, else in `repaired`.
    #[inline]
    pub(super) fn lend<'a>(&'a mut self, start: usize, end: usize, repaired: &'a mut String) -> &'a str {
        self.look_once();
        match self.part(start, end) {
            Some(part) => part,
            None => text::lend(&self.bytes[start..end], repaired),
        }
    }

    /// Parts are not likely to be asked for as text any more.
    pub(super) fn look_at_parts(&mut self) {
        self.is_looked_at = true;
    }

    #[inline]
    fn look_once(&mut self) {
        if !self.is_looked_at {
            self.look();
        }
    }

    /// That part, if it is known to be text.
    #[inline]
    fn part(&self, start: usize, end: usize) -> Option<&str> {
        self.text.as_str().get(start.wrapping_sub(self.from)..end.wrapping_sub(self.from))
    }

    #[cold]
    fn look(&mut self) {
        self.is_looked_at = true;
        let from = text::continued(&self.bytes);
        // No line ends in these.
        let to = self.bytes.iter().rposition(u8::is_ascii).map_or(from, |last| last + 1);
        #[cfg(test)]
        text::tests::count(self.bytes.len());
        if let Ok(text) = Text::try_from(self.bytes.slice(from..to.max(from))) {
            self.text = text;
            self.from = from;
        }
    }

    /// That part, whatever it is.
    pub(super) fn slice(&self, start: usize, end: usize) -> Bytes {
        self.bytes.slice(start..end)
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
