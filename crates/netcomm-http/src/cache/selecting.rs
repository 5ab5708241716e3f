//! Which stored response goes with a request (RFC 9111 §4.1): `Vary`, and the normal form of what it names.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, HeaderName, VARY};

use crate::cache::entry::{EntryParts, Selecting};
use crate::cache::field;

/// The most fields that a response may vary by; one that names more is not stored.
const MOST_FIELDS: usize = 32;

/// What selects a response with these header fields for a request with those. `None` if nothing does: `Vary: *`, a
/// name that is none, too many names.
pub(crate) fn of(response: &HeaderMap, request: &HeaderMap, identity: Option<u64>) -> Option<Selecting> {
    let mut fields: Vec<(HeaderName, Option<Bytes>)> = Vec::new();
    if !response.contains_key(VARY) {
        return Some(Selecting { fields, identity });
    }
    for member in field::members(response, &VARY) {
        let name = HeaderName::from_bytes(member).ok().filter(|name| name != "*")?;
        if fields.iter().any(|(known, _)| *known == name) {
            continue;
        }
        if fields.len() == MOST_FIELDS {
            return None;
        }
        let value = normal(request, &name);
        fields.push((name, value));
    }
    // `Vary` is a set: in another order it is the same one.
    fields.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Some(Selecting { fields, identity })
}

/// Whether a stored response goes with a request.
pub(crate) fn matches(parts: &EntryParts, request: &HeaderMap, identity: Option<u64>) -> bool {
    let Selecting { fields, identity: stored } = &parts.selecting;
    *stored == identity
        && fields.iter().all(|(name, value)| {
            normal(request, name) == *value || (name == ACCEPT_LANGUAGE && speaks(parts.headers.as_map(), request))
        })
}

/// A field's value in normal form: white space around commas has no meaning, nor has the line in which a member
/// stands; where the members carry weights, their order has none either (RFC 9110 §12.5).
fn normal(headers: &HeaderMap, name: &HeaderName) -> Option<Bytes> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let weighted = name == ACCEPT_LANGUAGE || name == ACCEPT_ENCODING || name == ACCEPT;
    if !weighted && values.next().is_none() && !first.as_bytes().contains(&b',') {
        return Some(Bytes::copy_from_slice(first.as_bytes().trim_ascii()));
    }
    let mut members: Vec<Vec<u8>> = field::members(headers, name).map(<[u8]>::to_vec).collect();
    if weighted {
        for member in &mut members {
            let parameters = member.iter().position(|byte| *byte == b';').unwrap_or(member.len());
            // The case of parameters may have a meaning, and in a quoted string white space has one.
            member[..parameters].make_ascii_lowercase();
            if !member.contains(&b'"') {
                member.retain(|byte| !byte.is_ascii_whitespace());
            }
        }
        members.sort();
    }
    Some(members.join(&b","[..]).into())
}

/// Whether the stored response is in the one language that the request likes best: a server that has it would select
/// it.
fn speaks(stored: &HeaderMap, request: &HeaderMap) -> bool {
    let mut languages = field::members(stored, &CONTENT_LANGUAGE);
    let (Some(language), None) = (languages.next(), languages.next()) else { return false };
    let mut best: Option<(&[u8], u16)> = None;
    let mut alone = false;
    for member in field::members(request, &ACCEPT_LANGUAGE) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let range = parts.next().unwrap_or_default();
        let Some(weight) = parts.next().map_or(Some(1000), weight) else { return false };
        match best {
            Some((_, most)) if weight < most => {}
            Some((_, most)) if weight == most => alone = false,
            _ => (best, alone) = (Some((range, weight)), true),
        }
    }
    alone && best.is_some_and(|(range, weight)| weight > 0 && range.eq_ignore_ascii_case(language))
}

/// `q=0.5` in thousandths (RFC 9110 §12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(parameter).ok()?;
    let value = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))?;
    let weight: f32 = value.parse().ok()?;
    (value.len() <= "0.123".len() && (0.0..=1.0).contains(&weight)).then_some((weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::StatusCode;

    use super::*;
    use crate::cache::few::Few;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect(value));
        }
        headers
    }

    fn goes(
        response: &[(&'static str, &str)],
        first: &[(&'static str, &str)],
        second: &[(&'static str, &str)],
    ) -> bool {
        let response = headers(response);
        let selecting = of(&response, &headers(first), None).expect("a response that something selects");
        let parts = EntryParts {
            status: StatusCode::OK,
            headers: response.into(),
            selecting,
            requested_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH,
            ttl: None,
            length: None,
            segments: Few::default(),
        };
        matches(&parts, &headers(second), None)
    }

    #[test]
    fn nothing_selects_a_response_that_varies_by_everything() {
        for vary in [["*"].as_slice(), &["*, *"], &["*", "*"], &[", *"], &["", "*"], &["*, Foo"], &["Foo, *"], &["a b"]]
        {
            let response: HeaderMap = vary.iter().map(|value| (VARY, value.parse().expect(value))).collect();
            let mut lines = HeaderMap::new();
            vary.iter().for_each(|value| {
                lines.append(VARY, value.parse().expect(value));
            });
            assert_eq!(of(&lines, &HeaderMap::new(), None), None, "{response:?}");
        }
        let many = (0..40).map(|n| format!("f{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(of(&headers(&[("vary", &many)]), &HeaderMap::new(), None), None);
    }

    #[test]
    fn requests_that_go_with_a_stored_response() {
        let foo = [("vary", "Foo")].as_slice();
        let two = [("vary", "Foo, Bar, foo")].as_slice();
        let language = [("vary", "Accept-Language"), ("content-language", "de")].as_slice();
        let one = [("foo", "1")].as_slice();
        for (response, first, second, expected) in [
            (foo, one, one, true),
            (foo, one, &[("foo", "2")], false),
            (foo, one, &[], false),
            (foo, &[], one, false),
            (foo, &[], &[("other", "1")], true),
            (two, one, one, true),
            (two, one, &[("foo", "1"), ("bar", "")], false),
            (foo, &[("foo", "1, 2")], &[("foo", "1"), ("foo", "2")], true),
            (foo, &[("foo", "1,2")], &[("foo", " 1, 2 ")], true),
            (foo, &[("foo", "1,2")], &[("foo", "2,1")], false),
            (foo, &[("foo", "a")], &[("foo", "A")], false),
            (language, &[("accept-language", "en, de")], &[("accept-language", "de, en")], true),
            (language, &[("accept-language", "en, de")], &[("accept-language", "EN ,de")], true),
            (language, &[("accept-language", "en, de")], &[("accept-language", "fr;q=0.5, de;q=1.0")], true),
            (language, &[("accept-language", "en, de")], &[("accept-language", "fr, de")], false),
            (language, &[("accept-language", "en, de")], &[("accept-language", "fr, de;q=0.9")], false),
            (language, &[("accept-language", "en, de")], &[("accept-language", "de;q=x")], false),
            (language, &[("accept-language", "en, de")], &[("accept-language", "de;q=0")], false),
        ] {
            assert_eq!(goes(response, first, second), expected, "{response:?}: {first:?}, {second:?}");
        }
    }
}
