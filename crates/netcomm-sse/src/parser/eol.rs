//! Where a line ends.

use memchr::memchr2;

/// So far a line is looked at a word at a time.
const NEAR: usize = 32;
const WORD: usize = 8;
/// In each byte of a word: 14, the byte after a carriage return; and the highest bit.
const BELOW: u64 = u64::from_le_bytes([b'\r' + 1; WORD]);
const HIGH: u64 = u64::from_le_bytes([0x80; WORD]);

/// The place of the first CR or LF.
#[inline]
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let found = search(bytes);
    #[cfg(test)]
    tests::count(found.map_or(bytes.len(), |at| at + 1));
    found
}

/// Most lines are short: to go through words costs less than to call a search that is made for long ones.
#[inline]
fn search(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while from < NEAR
        && let Some(word) = bytes[from..].first_chunk::<WORD>()
    {
        let word = u64::from_le_bytes(*word);
        // The lowest bit stands in the first byte that is below 14; those above it may be wrong.
        let low = word.wrapping_sub(BELOW) & !word & HIGH;
        if low != 0 {
            let found = from + low.trailing_zeros() as usize / 8;
            if matches!(bytes[found], b'\n' | b'\r') {
                return Some(found);
            }
            // A tab, or what nobody writes.
            from = found + 1;
            break;
        }
        from += WORD;
    }
    memchr2(b'\n', b'\r', &bytes[from..]).map(|at| from + at)
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
            assert_eq!(find(bytes), end, "{bytes:?}");
        }
        let long = [b'x'; 1000];
        assert_eq!(find(&long), None);
    }

    proptest! {
        #[test]
        fn as_byte_by_byte(bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'\t'), 1 => Just(b'\n')], 0..200)) {
            prop_assert_eq!(find(&bytes), bytes.iter().position(|b| matches!(b, b'\n' | b'\r')));
        }
    }
}
