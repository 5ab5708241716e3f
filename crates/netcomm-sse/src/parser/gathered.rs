//! Data of several lines or chunks, put together.

use netcomm_core::Text;

use super::text::{self, SPARE_BYTES};

/// So many bytes are worth a look of their own when they come: they are near then, and will not be later.
const LARGE_BYTES: usize = 512;
/// So much is copied rather than given away: the next event needs the memory.
const COPIED_BYTES: usize = 2 * 1024;
/// The same of bytes that nobody looked at: to see whether they are text is several times as fast as to see it of bytes that
/// become a `Text` in place.
const COPIED_RAW_BYTES: usize = 64 * 1024;

/// Bytes as they came from the wire, of which the first are known to be text. What a filter may drop is not looked at before
/// it is taken.
#[derive(Default)]
pub(super) struct Gathered {
    text: String,
    /// What follows: small parts, a character that is cut, all from where something was no text, and all there is if it is
    /// not to be looked at.
    raw: Vec<u8>,
    /// No more is looked at.
    is_raw: bool,
    /// How long the last was, and whether it was text by itself: the next is often the same.
    hint: usize,
    was_text: bool,
}

impl Gathered {
    /// Begins anew, with so many bytes to come, or more. `is_raw`: they may be dropped unseen.
    pub(super) fn begin(&mut self, known: usize, is_raw: bool) {
        self.text.clear();
        self.raw.clear();
        self.is_raw = is_raw;
        let expected = known.max(self.hint);
        if self.was_text && !is_raw {
            self.text.reserve(expected);
        } else {
            self.raw.reserve(expected);
        }
    }

    /// How many bytes there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.raw.len()
    }

    /// The end of a line that another follows.
    #[inline]
    pub(super) fn push_line_end(&mut self) {
        self.raw.push(b'\n');
    }

    /// How many bytes there were the last time.
    pub(super) fn hint(&self) -> usize {
        self.hint
    }

    /// It was no good guess.
    pub(super) fn forget_hint(&mut self) {
        self.hint = 0;
    }

    /// Adds a part.
    #[inline]
    pub(super) fn push(&mut self, part: &[u8]) {
        if part.len() < LARGE_BYTES || self.is_raw {
            self.raw.extend_from_slice(part);
        } else {
            self.push_large(part);
        }
    }

    /// Adds a part that is looked at here and now.
    #[inline]
    fn push_large(&mut self, part: &[u8]) {
        let part = if self.raw.is_empty() { part } else { self.complete(part) };
        let (whole, cut) = part.split_at(part.len() - text::unfinished(part));
        if !self.is_raw
            && let Some(whole) = text::check(whole)
        {
            self.text.push_str(whole);
            self.raw.extend_from_slice(cut);
        } else {
            self.is_raw = true;
            self.raw.extend_from_slice(part);
        }
    }

    /// Looks at what waited for it, up to the end of the character that it may be cut in; returns what remains of the part
    /// where that ends.
    #[inline(never)]
    fn complete<'a>(&mut self, part: &'a [u8]) -> &'a [u8] {
        let (end, rest) = part.split_at(text::continued(part));
        self.raw.extend_from_slice(end);
        match text::check(&self.raw) {
            Some(raw) => {
                self.text.push_str(raw);
                self.raw.clear();
            }
            None => self.is_raw = true,
        }
        rest
    }

    /// All of it, as text which lies where it came to be, else in `repaired`.
    pub(super) fn lend<'a>(&'a mut self, repaired: &'a mut String) -> &'a str {
        self.learn();
        if self.text.is_empty() {
            return text::lend(&self.raw, repaired);
        }
        self.settle();
        &self.text
    }

    /// All of it, as text.
    pub(super) fn take(&mut self) -> Text {
        self.learn();
        if self.text.is_empty() {
            return self.take_raw();
        }
        self.settle();
        if self.text.len() <= COPIED_BYTES {
            return Text::from(self.text.as_str());
        }
        let mut text = std::mem::take(&mut self.text);
        // Whoever keeps the event shall not keep what a guess was too large.
        if text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
        text.into()
    }

    fn take_raw(&mut self) -> Text {
        if self.raw.len() <= COPIED_RAW_BYTES {
            return text::copy(&self.raw);
        }
        let mut raw = std::mem::take(&mut self.raw);
        if raw.capacity() / 2 > raw.len() {
            raw.shrink_to_fit();
        }
        let raw = raw.into();
        text::part(&raw, 0, raw.len())
    }

    fn learn(&mut self) {
        self.hint = self.len();
        self.was_text = !self.text.is_empty();
    }

    /// What was not looked at becomes text.
    fn settle(&mut self) {
        if !self.raw.is_empty() {
            text::push(&self.raw, &mut self.text);
            self.raw.clear();
        }
    }

    /// Nothing of it is needed any more.
    pub(super) fn rest(&mut self) {
        self.text.clear();
        self.raw.clear();
        // Given back, not shrunk: allocators learn from what is freed that the next may be as large.
        if self.capacity() > SPARE_BYTES {
            self.text = String::new();
            self.raw = Vec::new();
        }
    }

    /// How much memory it has.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity() + self.raw.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::cut;
    use crate::parser::text::tests::checked;

    fn of(bytes: &[u8], part_bytes: usize, is_raw: bool) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.begin(0, is_raw);
        bytes.chunks(part_bytes).for_each(|part| gathered.push(part));
        gathered
    }

    #[test]
    fn large_parts_are_looked_at_once_and_as_they_come() {
        for text in ["x".repeat(10_000), "κόσμε, \u{1f4a9}…".repeat(500)] {
            for part_bytes in LARGE_BYTES..LARGE_BYTES + 20 {
                checked();
                let mut gathered = of(text.as_bytes(), part_bytes, false);
                assert!(gathered.raw.len() < LARGE_BYTES + 3 && !gathered.is_raw);
                assert_eq!(gathered.lend(&mut String::new()), text);
                assert_eq!(checked(), text.len());
            }
        }
    }

    #[test]
    fn small_parts_and_what_may_be_dropped_are_not_looked_at_before_they_are_taken() {
        let text = "é".repeat(5_000);
        for (part_bytes, is_raw) in [(LARGE_BYTES - 1, false), (LARGE_BYTES, true), (usize::MAX, true)] {
            checked();
            let mut gathered = of(text.as_bytes(), part_bytes, is_raw);
            assert_eq!(checked(), 0);
            assert_eq!(gathered.lend(&mut String::new()), text);
            assert_eq!(checked(), text.len());
        }
    }

    #[test]
    fn nothing_is_looked_at_from_what_is_no_text_on() {
        checked();
        let bytes = [&b"x".repeat(1000)[..], &b"\xffx".repeat(500), &b"x".repeat(100_000)].concat();
        let mut gathered = of(&bytes, 1000, false);
        assert_eq!(checked(), 2000);
        assert_eq!(gathered.take(), &*String::from_utf8_lossy(&bytes));
        gathered.begin(0, false);
        gathered.push(&bytes[..1000]);
        assert_eq!(gathered.text.len(), 1000, "the next may be text");
    }

    #[test]
    fn what_is_large_is_given_away() {
        for (bytes, is_given) in [(COPIED_BYTES, false), (COPIED_BYTES + 1, true)] {
            let mut gathered = of(&b"x".repeat(bytes), 1000, false);
            gathered.settle();
            let place = gathered.text.as_ptr();
            assert_eq!(gathered.take().as_ptr() == place, is_given, "{bytes}");
        }
    }

    #[test]
    fn the_next_is_expected_to_be_alike() {
        for part_bytes in [1000, 100] {
            let mut gathered = of(&b"x".repeat(10_000), part_bytes, false);
            gathered.take();
            gathered.rest();
            gathered.begin(0, false);
            let expected = gathered.capacity();
            (0..10_000 / part_bytes).for_each(|_| gathered.push(&b"x".repeat(part_bytes)));
            assert_eq!((gathered.len(), gathered.capacity()), (10_000, expected));
        }
    }

    /// Text with what is none here and there.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            20 => "[a-zκ—\u{1f4a9}]{1,300}".prop_map(String::into_bytes),
            1 => vec(any::<u8>(), 1..4),
        ];
        vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn as_all_of_it_at_once(
            events in vec((bytes(), any::<bool>(), any::<bool>()), 1..4),
            sizes in vec(1..1500u16, 1..8),
        ) {
            let (mut gathered, mut repaired) = (Gathered::default(), String::new());
            for (bytes, is_raw, is_lent) in events {
                gathered.begin(0, is_raw);
                cut(&bytes, &sizes).iter().for_each(|part| gathered.push(part));
                prop_assert_eq!(gathered.len(), bytes.len());
                let whole = String::from_utf8_lossy(&bytes);
                if is_lent {
                    prop_assert_eq!(gathered.lend(&mut repaired), whole);
                } else {
                    prop_assert_eq!(gathered.take(), &*whole);
                }
            }
        }
    }
}
