//! Groups of stored responses, invalidated together (RFC 9875).

use http::HeaderMap;
use http::header::HeaderName;
use sfv::{BareItem, List, ListEntry, Parser};

use crate::cache::field;

/// The field that says so.
pub(crate) const FIELD: &str = "cache-groups";

const CACHE_GROUPS: HeaderName = HeaderName::from_static(FIELD);
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The most groups read from one field; RFC 9875 §2 asks for 32 at least.
const MOST_GROUPS: usize = 128;

/// The groups that a response says it belongs to (RFC 9875 §2).
pub(crate) fn of(headers: &HeaderMap) -> Vec<String> {
    strings(headers, &CACHE_GROUPS)
}

/// The groups that the response to an unsafe request invalidates (RFC 9875 §3).
pub(crate) fn invalidated_by(headers: &HeaderMap) -> Vec<String> {
    strings(headers, &CACHE_GROUP_INVALIDATION)
}

/// A list of strings. A field that is malformed anywhere is ignored as a whole (RFC 9651 §4.2), a member that is no
/// string is ignored.
fn strings(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let Some(text) = field::joined(headers, name) else { return Vec::new() };
    let Ok(list) = Parser::new(&text).parse::<List>() else { return Vec::new() };
    let names = list.into_iter().filter_map(|member| match member {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::String(name) => Some(name.as_str().to_owned()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    });
    names.take(MOST_GROUPS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_strings() {
        for (text, expected) in [
            (r#""scripts", "news""#, ["scripts", "news"].as_slice()),
            (r#""a";x=1, token, 3, "b""#, &["a", "b"]),
            (r#""a", "open"#, &[]),
            ("", &[]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cache-groups", text.parse().expect(text));
            assert_eq!(of(&headers), expected, "{text}");
            assert!(invalidated_by(&headers).is_empty());
        }
        let headers = HeaderMap::from_iter([(CACHE_GROUP_INVALIDATION, http::HeaderValue::from_static("\"a\""))]);
        assert_eq!(invalidated_by(&headers), ["a"]);
    }
}
