//! Header maps laid over each other.

use http::{HeaderMap, HeaderName};
use netcomm_core::is_secret_header;

/// Fields that are added to a request after its defaults.
const ROOM: usize = 3;

/// The fields that are no secret, by their mark or their name.
pub(crate) fn harmless(headers: &HeaderMap) -> HeaderMap {
    let fields = headers.iter().filter(|(name, value)| !value.is_sensitive() && !is_secret_header(name));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Marks the values of these names as secret, so that nothing shows them and no other origin sees them.
pub(crate) fn mark(headers: &mut HeaderMap, secret: &[HeaderName]) {
    for name in secret {
        if let http::header::Entry::Occupied(mut entry) = headers.entry(name) {
            entry.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

/// Every field of `new` takes the place of all fields of its name.
pub(crate) fn replace(headers: &mut HeaderMap, new: HeaderMap) {
    let mut last = None;
    for (name, value) in new {
        match (name, &last) {
            (Some(name), _) => {
                headers.insert(name.clone(), value);
                last = Some(name);
            }
            // The map names a field once and leaves its further values without a name.
            (None, Some(last)) => {
                headers.append(last.clone(), value);
            }
            (None, None) => {}
        }
    }
}

/// A copy with room for what the way adds: Host, cookies, credentials.
pub(crate) fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::with_capacity(headers.len() + ROOM);
    for (name, value) in headers {
        copy.append(name.clone(), value.clone());
    }
    copy
}

/// Every field of `defaults` of which `headers` has none is added.
pub(crate) fn fill(headers: &mut HeaderMap, defaults: &HeaderMap) {
    if headers.is_empty() {
        *headers = copied(defaults);
        return;
    }
    for name in defaults.keys() {
        if !headers.contains_key(name) {
            for value in defaults.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_fields_are_neither_marked_nor_named_as_secret() {
        let mut headers = map(&[("a", "1"), ("a", "2"), ("x-api-key", "s"), ("x-own", "s")]);
        mark(&mut headers, &[HeaderName::from_static("x-own"), HeaderName::from_static("x-absent")]);
        assert!(headers["x-own"].is_sensitive());
        assert_eq!(harmless(&headers), map(&[("a", "1"), ("a", "2")]));
    }

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().expect(value));
        }
        map
    }

    #[test]
    fn replaced_and_filled() {
        let mut headers = map(&[("a", "1"), ("a", "2"), ("b", "1")]);
        replace(&mut headers, map(&[("a", "3"), ("a", "4"), ("c", "1")]));
        assert_eq!(headers, map(&[("a", "3"), ("a", "4"), ("b", "1"), ("c", "1")]));
        fill(&mut headers, &map(&[("a", "x"), ("d", "1"), ("d", "2")]));
        assert_eq!(headers, map(&[("a", "3"), ("a", "4"), ("b", "1"), ("c", "1"), ("d", "1"), ("d", "2")]));
        let mut empty = HeaderMap::new();
        fill(&mut empty, &map(&[("a", "x")]));
        assert_eq!(empty, map(&[("a", "x")]));
    }
}
