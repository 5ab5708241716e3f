//! Bytes of a stream as text.

use bytes::Bytes;
use netcomm_core::Text;
use simdutf8::basic::from_utf8;

/// So much is copied: that costs less than to count one more holder of a chunk, and keeps no chunk for a few bytes.
pub(super) const COPIED_BYTES: usize = 256;

/// That part of the chunk, as a view unless it is small. Where it is not UTF-8, a copy with U+FFFD for each malformed sequence: to decode the
/// parts gives what decoding the whole stream first would give, since all that stands between them is ASCII.
pub(super) fn part(chunk: &Bytes, start: usize, end: usize) -> Text {
    if end - start <= COPIED_BYTES {
        return copy(&chunk[start..end]);
    }
    Text::try_from(chunk.slice(start..end)).unwrap_or_else(|_| lossy(&chunk[start..end]))
}

/// The same as a copy.
pub(super) fn copy(bytes: &[u8]) -> Text {
    from_utf8(bytes).map_or_else(|_| lossy(bytes), Text::from)
}

#[cold]
fn lossy(bytes: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(bytes).into_owned())
}
