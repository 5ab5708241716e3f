//! Bytes of a stream as text. Malformed sequences become U+FFFD: to decode the parts gives what decoding the whole stream
//! first would give, since all that stands between them is ASCII.

use bytes::Bytes;
use netcomm_core::Text;

/// So much is copied: that costs less than to count one more holder of a chunk, and keeps no chunk for a few bytes.
pub(super) const COPIED_BYTES: usize = 256;
/// So much memory may stay in a buffer for what comes next.
pub(super) const SPARE_BYTES: usize = 1024;

/// The bytes, if they are text.
#[inline]
pub(super) fn check(bytes: &[u8]) -> Option<&str> {
    #[cfg(test)]
    tests::count(bytes.len());
    simdutf8::basic::from_utf8(bytes).ok()
}

/// How many bytes at the end may be a character that goes on behind them.
#[inline]
pub(super) fn unfinished(bytes: &[u8]) -> usize {
    // Of four bytes at most, the last is not there.
    for (index, &byte) in bytes.iter().rev().take(3).enumerate() {
        let character = match byte {
            ..0x80 => return 0,
            0x80..0xc0 => continue,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        return if index + 1 < character { index + 1 } else { 0 };
    }
    0
}

/// How many bytes at the beginning may belong to a character that begins before them.
pub(super) fn continued(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80).count()
}

/// That part, as a view unless it is small.
pub(super) fn part(bytes: &Bytes, start: usize, end: usize) -> Text {
    if end - start <= COPIED_BYTES {
        return copy(&bytes[start..end]);
    }
    Text::try_from(bytes.slice(start..end)).unwrap_or_else(|_| lossy(&bytes[start..end]))
}

/// All of it, as a copy.
pub(super) fn copy(bytes: &[u8]) -> Text {
    check(bytes).map_or_else(|| lossy(bytes), Text::from)
}

#[cold]
fn lossy(bytes: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(bytes).into_owned())
}

/// The bytes themselves, or what is made of them in `repaired`.
#[inline]
pub(super) fn lend<'a>(bytes: &'a [u8], repaired: &'a mut String) -> &'a str {
    check(bytes).unwrap_or_else(|| repair(bytes, repaired))
}

#[cold]
fn repair<'a>(bytes: &[u8], repaired: &'a mut String) -> &'a str {
    repaired.clear();
    push(bytes, repaired);
    repaired
}

/// Appends it.
pub(super) fn push(bytes: &[u8], text: &mut String) {
    match check(bytes) {
        Some(part) => text.push_str(part),
        None => push_repaired(bytes, text),
    }
}

#[cold]
fn push_repaired(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    thread_local! {
        static CHECKED: Cell<usize> = const { Cell::new(0) };
    }

    pub(in super::super) fn count(bytes: usize) {
        CHECKED.set(CHECKED.get() + bytes);
    }

    /// Of how many bytes this thread has seen whether they are text since it asked.
    pub(in super::super) fn checked() -> usize {
        CHECKED.take()
    }

    #[test]
    fn what_is_malformed_is_repaired() {
        for bytes in [&b"\xf0\x9f\x92"[..], b"a\xff\xf0\x9f\x92\xa9\xed\xa0\x80b\xc3!", b"", b"\xe2\x82\xac"] {
            let whole = String::from_utf8_lossy(bytes);
            let (mut repaired, mut pushed) = ("before".to_owned(), ">".to_owned());
            assert_eq!(super::lend(bytes, &mut repaired), whole);
            super::push(bytes, &mut pushed);
            assert_eq!(pushed, format!(">{whole}"));
            assert_eq!(super::copy(bytes), *whole);
            let large = bytes.repeat(200).into();
            assert_eq!(super::part(&large, 0, large.len()), whole.repeat(200).as_str());
        }
    }
}
