//! Conditional requests, from the user and to the origin (RFC 9110 §13, RFC 9111 §4.3).

use std::sync::Arc;

use http::header::{DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};

use crate::cache::entry::{Entry, EntryParts};
use crate::cache::field;

/// Whether the request's own conditions say that it wants no more than "not modified" (RFC 9110 §13.2.2).
pub(crate) fn not_modified(request: &HeaderMap, stored: &EntryParts) -> bool {
    if !stored.status.is_success() {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        let etag = stored.headers.as_map().get(ETAG).map(HeaderValue::as_bytes);
        return field::members(request, &IF_NONE_MATCH)
            .any(|tag| tag == b"*" || etag.is_some_and(|etag| weakly_equal(tag, etag)));
    }
    let Some(since) = field::only_date(request, &IF_MODIFIED_SINCE) else { return false };
    // RFC 9111 §4.3.2: without a modification date its own date counts, else the time of its arrival.
    let modified = field::only_date(stored.headers.as_map(), &LAST_MODIFIED)
        .or_else(|| field::only_date(stored.headers.as_map(), &DATE))
        .unwrap_or(stored.received_at);
    modified <= since
}

/// Whether a request carries conditions of its own that a cache can answer.
pub(crate) fn is_conditional(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Whether a range counts under the request's `If-Range` (RFC 9110 §13.1.5).
pub(crate) fn range_counts(request: &HeaderMap, stored: &EntryParts) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    let condition = condition.as_bytes();
    if condition.starts_with(b"\"") || condition.starts_with(b"W/") {
        return is_strong(condition)
            && stored.headers.as_map().get(ETAG).is_some_and(|etag| etag.as_bytes() == condition);
    }
    stored.headers.as_map().get(LAST_MODIFIED).is_some_and(|modified| modified.as_bytes() == condition)
}

/// What makes sure that two parts are of one representation: a strong entity tag.
pub(crate) fn strong_validator(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ETAG).filter(|etag| is_strong(etag.as_bytes()))
}

fn is_strong(etag: &[u8]) -> bool {
    etag.len() >= 2 && etag.starts_with(b"\"") && etag.ends_with(b"\"")
}

/// RFC 9110 §8.8.3.2; entity tags without quotes are compared as they are.
fn weakly_equal(a: &[u8], b: &[u8]) -> bool {
    fn opaque(tag: &[u8]) -> &[u8] {
        tag.strip_prefix(b"W/").unwrap_or(tag)
    }
    opaque(a) == opaque(b)
}

/// Makes a request conditional on the candidates (RFC 9111 §4.3.1). `false` if they have no validator, or if the
/// request has conditions that do not go with it: then it is sent as it is.
pub(crate) fn make_conditional(request: &mut HeaderMap, candidates: &[Arc<Entry>]) -> bool {
    let mut tags: Vec<&HeaderValue> = Vec::new();
    for candidate in candidates {
        if let Some(etag) = candidate.headers().get(ETAG)
            && !tags.contains(&etag)
        {
            tags.push(etag);
        }
    }
    let modified = match candidates {
        [only] => only.headers().get(LAST_MODIFIED).cloned(),
        _ => None,
    };
    if !tags.is_empty() {
        let mut all: Vec<Vec<u8>> = tags.iter().map(|tag| tag.as_bytes().to_vec()).collect();
        for tag in field::members(request, &IF_NONE_MATCH) {
            if tag == b"*" {
                return false;
            }
            if !all.iter().any(|known| known == tag) {
                all.push(tag.to_vec());
            }
        }
        let Ok(value) = HeaderValue::from_bytes(&all.join(&b", "[..])) else { return false };
        request.insert(IF_NONE_MATCH, value);
    } else if modified.is_none() || request.contains_key(IF_NONE_MATCH) {
        return false;
    }
    match modified {
        Some(modified) => request.insert(IF_MODIFIED_SINCE, modified),
        None => request.remove(IF_MODIFIED_SINCE),
    };
    true
}

/// Which of the candidates a 304 confirms (RFC 9111 §4.3.4). `None`: none of them, it answers the user's own condition.
pub(crate) fn confirmed<'c>(
    candidates: &'c [Arc<Entry>],
    request: &HeaderMap,
    response: &HeaderMap,
) -> Option<&'c Arc<Entry>> {
    if let Some(etag) = response.get(ETAG) {
        return candidates
            .iter()
            .find(|candidate| {
                candidate.headers().get(ETAG).is_some_and(|stored| weakly_equal(stored.as_bytes(), etag.as_bytes()))
            })
            // A tag that is not the stored one is the head of something else (RFC 9111 §4.3.4).
            .or_else(|| sole(candidates, request).filter(|only| !only.headers().contains_key(ETAG)));
    }
    if let Some(modified) = response.get(LAST_MODIFIED)
        && let Some(candidate) =
            candidates.iter().find(|candidate| candidate.headers().get(LAST_MODIFIED) == Some(modified))
    {
        return Some(candidate);
    }
    sole(candidates, request)
}

/// The only candidate, if the user's own conditions cannot be what was met.
fn sole<'c>(candidates: &'c [Arc<Entry>], users: &HeaderMap) -> Option<&'c Arc<Entry>> {
    let [only] = candidates else { return None };
    let own = !is_conditional(users) || not_modified(users, only.parts());
    own.then_some(only)
}

/// Whether the head of a `HEAD` response is one of the stored representation (RFC 9111 §4.3.5).
pub(crate) fn same_representation(stored: &EntryParts, head: &HeaderMap) -> bool {
    let same = |name| head.get(&name).is_none_or(|value| stored.headers.as_map().get(&name) == Some(value));
    let length = head.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    same(ETAG) && same(LAST_MODIFIED) && length.is_none_or(|length| stored.length.is_none_or(|stored| stored == length))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderName, StatusCode};

    use super::*;
    use crate::cache::entry::Selecting;
    use crate::cache::few::Few;

    const EARLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATE: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect(value))).collect()
    }

    fn entry(fields: &[(&'static str, &str)]) -> Arc<Entry> {
        Arc::new(Entry::new(EntryParts {
            status: StatusCode::OK,
            headers: headers(fields).into(),
            selecting: Selecting::default(),
            requested_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            ttl: None,
            length: Some(5),
            segments: Few::default(),
        }))
    }

    #[test]
    fn conditions_of_requests() {
        for (request, stored, expected) in [
            ([("if-none-match", "\"a\"")].as_slice(), [("etag", "\"a\"")].as_slice(), true),
            (&[("if-none-match", "\"x\", W/\"a\"")], &[("etag", "\"a\"")], true),
            (&[("if-none-match", "\"a\"")], &[("etag", "W/\"a\"")], true),
            (&[("if-none-match", "*")], &[], true),
            (&[("if-none-match", "\"b\"")], &[("etag", "\"a\"")], false),
            (&[("if-none-match", "\"a\"")], &[], false),
            (&[("if-none-match", "\"b\""), ("if-modified-since", LATE)], &[("last-modified", EARLY)], false),
            (&[("if-modified-since", EARLY)], &[("last-modified", EARLY)], true),
            (&[("if-modified-since", LATE)], &[("last-modified", EARLY)], true),
            (&[("if-modified-since", EARLY)], &[("last-modified", LATE)], false),
            (&[("if-modified-since", LATE)], &[("date", EARLY)], true),
            (&[("if-modified-since", EARLY)], &[("date", LATE)], false),
            (&[("if-modified-since", LATE)], &[], false),
            (&[("if-modified-since", "yesterday")], &[("last-modified", EARLY)], false),
            (&[], &[("etag", "\"a\"")], false),
        ] {
            assert_eq!(not_modified(&headers(request), entry(stored).parts()), expected, "{request:?} {stored:?}");
        }
    }

    #[test]
    fn ranges_count_only_for_the_same_representation() {
        for (condition, stored, expected) in [
            ("\"a\"", [("etag", "\"a\"")], true),
            ("\"b\"", [("etag", "\"a\"")], false),
            ("W/\"a\"", [("etag", "W/\"a\"")], false),
            (EARLY, [("last-modified", EARLY)], true),
            (LATE, [("last-modified", EARLY)], false),
        ] {
            let request = headers(&[("if-range", condition)]);
            assert_eq!(range_counts(&request, entry(&stored).parts()), expected, "{condition} {stored:?}");
        }
        assert!(range_counts(&HeaderMap::new(), entry(&[]).parts()));
    }

    #[test]
    fn validators_go_to_the_origin() {
        let both = entry(&[("etag", "\"a\""), ("last-modified", EARLY)]);
        for (request, candidates, expected) in [
            (
                [].as_slice(),
                vec![both.clone()],
                Some(headers(&[("if-none-match", "\"a\""), ("if-modified-since", EARLY)])),
            ),
            (
                &[("if-none-match", "\"b\", \"a\""), ("if-modified-since", LATE)],
                vec![both.clone()],
                Some(headers(&[("if-none-match", "\"a\", \"b\""), ("if-modified-since", EARLY)])),
            ),
            (&[], vec![entry(&[("etag", "unquoted")])], Some(headers(&[("if-none-match", "unquoted")]))),
            (&[], vec![entry(&[("last-modified", EARLY)])], Some(headers(&[("if-modified-since", EARLY)]))),
            (&[], vec![both.clone(), entry(&[("etag", "\"b\"")])], Some(headers(&[("if-none-match", "\"a\", \"b\"")]))),
            (&[], vec![entry(&[])], None),
            (&[("if-none-match", "\"b\"")], vec![entry(&[("last-modified", EARLY)])], None),
            (&[("if-none-match", "*")], vec![both], None),
        ] {
            let mut conditional = headers(request);
            let made = make_conditional(&mut conditional, &candidates);
            assert_eq!(made, expected.is_some(), "{request:?}");
            if let Some(expected) = expected {
                assert_eq!(conditional, expected, "{request:?}");
            }
        }
    }

    #[test]
    fn what_a_304_confirms() {
        let candidates = [entry(&[("etag", "\"a\"")]), entry(&[("etag", "\"b\""), ("last-modified", EARLY)])];
        let none = HeaderMap::new();
        let at = |response: &[(&'static str, &str)]| {
            let found = confirmed(&candidates, &none, &headers(response))?;
            candidates.iter().position(|candidate| Arc::ptr_eq(candidate, found))
        };
        assert_eq!(at(&[("etag", "\"b\"")]), Some(1));
        assert_eq!(at(&[("etag", "W/\"a\"")]), Some(0));
        assert_eq!(at(&[("etag", "\"c\"")]), None);
        assert_eq!(at(&[("last-modified", EARLY)]), Some(1));
        assert_eq!(at(&[]), None);
        assert!(confirmed(&candidates[..1], &none, &none).is_some());
        // The user's own condition may be what was met.
        let users = headers(&[("if-none-match", "\"mine\"")]);
        assert!(confirmed(&candidates[..1], &users, &none).is_none());
        assert!(confirmed(&candidates[..1], &users, &headers(&[("etag", "\"mine\"")])).is_none());
    }

    #[test]
    fn heads_of_the_stored_representation() {
        let stored = entry(&[("etag", "\"a\""), ("last-modified", EARLY)]);
        for (head, expected) in [
            ([].as_slice(), true),
            (&[("etag", "\"a\"")], true),
            (&[("etag", "\"b\"")], false),
            (&[("last-modified", LATE)], false),
            (&[("content-length", "5")], true),
            (&[("content-length", "6")], false),
        ] {
            assert_eq!(same_representation(stored.parts(), &headers(head)), expected, "{head:?}");
        }
    }
}
