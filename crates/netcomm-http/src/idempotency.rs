//! Keys by which an origin knows a repetition when it sees one (draft-ietf-httpapi-idempotency-key-header).

use http::{HeaderName, HeaderValue};
use netcomm_core::Random;

/// The field, §2.1.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A key of 128 bits of chance, as a string of RFC 9651 §3.3.3.
pub(crate) fn made(random: &Random) -> HeaderValue {
    let text = format!("\"{:016x}{:016x}\"", random.next_u64(), random.next_u64());
    HeaderValue::try_from(text).expect("hexadecimal digits in quotes are visible ASCII")
}
