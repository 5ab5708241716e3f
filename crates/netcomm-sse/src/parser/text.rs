//! Bytes of a stream as text.

use bytes::Bytes;
use netcomm_core::Text;

/// A view of that part of the chunk. Where it is not UTF-8, a copy with U+FFFD for each malformed sequence: to decode the
/// parts gives what decoding the whole stream first would give, since all that stands between them is ASCII.
#[inline]
pub(super) fn part(chunk: &Bytes, start: usize, end: usize) -> Text {
    Text::try_from(chunk.slice(start..end)).unwrap_or_else(|_| lossy(&chunk[start..end]))
}

/// The same as a copy.
pub(super) fn copy(bytes: &[u8]) -> Text {
    std::str::from_utf8(bytes).map_or_else(|_| lossy(bytes), Text::from)
}

/// The same of bytes of one's own.
pub(super) fn own(bytes: Vec<u8>) -> Text {
    String::from_utf8(bytes).map_or_else(|malformed| lossy(malformed.as_bytes()), Text::from)
}

#[cold]
fn lossy(bytes: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(bytes).into_owned())
}
