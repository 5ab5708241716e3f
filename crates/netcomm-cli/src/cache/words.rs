//! What the cache did for a call, in words: pure.

use netcomm::http::cache::{CacheStatus, Forwarded};

/// What it did, as observations tell it.
pub(crate) fn words(hit: bool, forwarded: Option<&str>, stored: bool, detail: Option<&str>) -> String {
    let mut text = match (hit, forwarded) {
        (true, _) => "answered from store".to_owned(),
        (false, Some(why)) => format!("asked the origin ({why})"),
        (false, None) => "had no answer".to_owned(),
    };
    if stored {
        text.push_str(", answer stored");
    }
    if let Some(detail) = detail {
        text.push_str(", ");
        text.push_str(detail);
    }
    text
}

/// The same in one line for people, with how fresh the answer is.
pub(crate) fn line(status: &CacheStatus) -> String {
    let words = words(status.hit, status.forwarded.map(Forwarded::as_str), status.stored, status.detail);
    let by = status.forwarded_status.map(|status| format!(", which said {}", status.as_u16())).unwrap_or_default();
    let fresh = match status.ttl {
        None => String::new(),
        Some(ttl) if ttl > 0 => format!(", fresh for {ttl} s"),
        Some(ttl) => format!(", stale for {} s", ttl.unsigned_abs()),
    };
    format!("cache {words}{by}{fresh}\n")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn what_it_did() {
        let mut status = CacheStatus::default();
        status.hit = true;
        status.ttl = Some(59);
        assert_eq!(line(&status), "cache answered from store, fresh for 59 s\n");
        (status.ttl, status.detail) = (Some(-7), Some("offline"));
        assert_eq!(line(&status), "cache answered from store, offline, stale for 7 s\n");
        let mut status = CacheStatus::default();
        (status.forwarded, status.stored) = (Some(Forwarded::Stale), true);
        status.forwarded_status = Some(StatusCode::NOT_MODIFIED);
        assert_eq!(line(&status), "cache asked the origin (stale), answer stored, which said 304\n");
        assert_eq!(words(false, None, false, Some("only-if-cached")), "had no answer, only-if-cached");
    }
}
