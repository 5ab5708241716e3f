//! Where a line ends.

use memchr::memchr2;

/// An end is near up to here.
pub(super) const NEAR_BYTES: usize = 2 * 1024;
/// So far a line is looked at a word at a time, and then so far a block at a time.
const BY_WORDS: usize = 24;
const BY_BLOCKS: usize = 128;
const WORD: usize = 8;
const BLOCK: usize = 32;
/// The byte after a carriage return.
const BELOW: u8 = b'\r' + 1;
/// In each byte of a word: that, and the highest bit.
const BELOWS: u64 = u64::from_le_bytes([BELOW; WORD]);
const HIGHS: u64 = u64::from_le_bytes([0x80; WORD]);

/// The place of the first CR or LF, if it is near.
#[inline]
pub(super) fn find_near(bytes: &[u8]) -> Option<usize> {
    let found = search(bytes);
    #[cfg(test)]
    tests::count(found.map_or_else(|| bytes.len().min(NEAR_BYTES), |at| at + 1));
    found
}

/// The place of the first of them, however far it is.
#[inline]
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    // Where one was found before, it is asked for once more.
    let is_here = matches!(bytes, [b'\n' | b'\r', ..]);
    let found = if is_here { Some(0) } else { memchr2(b'\n', b'\r', bytes) };
    #[cfg(test)]
    tests::count(found.map_or(bytes.len(), |at| at + 1));
    found
}

/// Most lines are short: to go through words and blocks costs less than to call a search that is made for long ones.
#[inline]
fn search(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < BY_WORDS
        && let Some(word) = bytes[at..].first_chunk::<WORD>()
    {
        if let Some(low) = low_in(*word) {
            return end_from(bytes, at + low);
        }
        at += WORD;
    }
    search_far(bytes, at)
}

#[inline(never)]
fn search_far(bytes: &[u8], mut at: usize) -> Option<usize> {
    while at < BY_BLOCKS
        && let Some(block) = bytes[at..].first_chunk::<BLOCK>()
    {
        // Without a way out in between, so that it is done by few wide instructions.
        if block.iter().fold(false, |is, &byte| is | (byte < BELOW)) {
            let (words, _) = block.as_chunks::<WORD>();
            let low = (0..).zip(words).find_map(|(index, word)| Some(index * WORD + low_in(*word)?));
            return end_from(bytes, at + low.unwrap_or(0));
        }
        at += BLOCK;
    }
    end_from(bytes, at)
}

/// The place of the first byte that is as low as a line end.
#[inline]
fn low_in(word: [u8; WORD]) -> Option<usize> {
    let word = u64::from_le_bytes(word);
    // The lowest bit stands in the first of them; those above it may be wrong.
    let low = word.wrapping_sub(BELOWS) & !word & HIGHS;
    (low != 0).then(|| low.trailing_zeros() as usize / 8)
}

/// The first end from there on. It is likely to be there; what else is as low is a tab, or what nobody writes.
#[inline]
fn end_from(bytes: &[u8], at: usize) -> Option<usize> {
    if let Some(b'\n' | b'\r') = bytes.get(at) {
        return Some(at);
    }
    search_on(bytes, at)
}

#[inline(never)]
fn search_on(bytes: &[u8], from: usize) -> Option<usize> {
    memchr2(b'\n', b'\r', &bytes[from..bytes.len().min(NEAR_BYTES)]).map(|at| from + at)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(bytes: usize) {
        LOOKED_AT.set(LOOKED_AT.get() + bytes);
    }

    /// How many bytes this thread has looked at since it asked.
    pub(in super::super) fn looked_at() -> usize {
        LOOKED_AT.take()
    }

    #[test]
    fn the_first_end_counts() {
        for (bytes, end) in [
            (&b""[..], None),
            (b"\n", Some(0)),
            (b"data: 1\r\n", Some(7)),
            (b"data:\t\t1\n", Some(8)),
            (b"a\0\x0b\x0c\x0e\n123456", Some(5)),
            (b"\x8a\x8d\xff\xfe\x80\x0e\x7f \n", Some(8)),
        ] {
            assert_eq!((find_near(bytes), find(bytes)), (end, end), "{bytes:?}");
        }
        let mut long = [b'x'; NEAR_BYTES + 100];
        assert_eq!((find_near(&long), find(&long)), (None, None));
        for at in 0..long.len() {
            long[at] = b'\r';
            assert_eq!(find_near(&long), Some(at).filter(|&at| at < NEAR_BYTES));
            assert_eq!(find(&long), Some(at));
            long[at] = if at % 100 == 99 { b'\t' } else { b'x' };
        }
    }

    proptest! {
        #[test]
        fn as_byte_by_byte(bytes in prop::collection::vec(prop_oneof![30 => any::<u8>(), 1 => Just(b'\t'), 1 => Just(b'\n')], 0..700)) {
            prop_assert_eq!(find_near(&bytes), bytes.iter().position(|b| matches!(b, b'\n' | b'\r')));
        }
    }
}
