//! Which responses are stored, and what of them (RFC 9111 §3).

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, EXPIRES, HeaderName,
    HeaderValue, RANGE, VARY,
};
use http::{HeaderMap, Method, StatusCode};

use crate::cache::directives::{RequestDirectives, ResponseDirectives};
use crate::cache::field;
use crate::cache::fields::Fields;
use crate::cache::freshness::{Rules, is_heuristically_cacheable};

/// Whether a field belongs to one connection, and never to a stored response (RFC 9111 §3.1, RFC 9110 §7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    // Told apart by their lengths first: with each response that is stored, each of its names is asked for.
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "trailer"
    )
}

/// A response, and the request that it answers.
pub(crate) struct Arrived<'a> {
    pub(crate) method: &'a Method,
    /// Whether `Content-Location` names the URI of the request.
    pub(crate) names_itself: bool,
    pub(crate) request: &'a HeaderMap,
    /// Whether its fields have nothing to say to a cache.
    pub(crate) is_plain: bool,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// Whether the caller gave it a time to live.
    pub(crate) ttl: bool,
}

/// What a head says about being stored, found out in one walk over its fields.
#[derive(Default)]
pub(crate) struct Said {
    told: ResponseDirectives,
    /// Whether it names fields of the request that select it.
    pub(crate) varies: bool,
    /// Whether it may name fields of its connection.
    names_fields: bool,
    expires: bool,
}

impl Said {
    pub(crate) fn of(headers: &HeaderMap, rules: &Rules) -> Self {
        let mut said = Self::default();
        if let Some(targeted) = ResponseDirectives::of_targets(headers, &rules.targets) {
            said.told = targeted;
        }
        for (name, value) in headers {
            if *name == CACHE_CONTROL {
                if !said.told.targeted {
                    said.told.read(value);
                }
            } else if *name == VARY {
                said.varies = true;
            } else if *name == CONNECTION {
                said.names_fields = true;
            } else if *name == EXPIRES {
                said.expires = true;
            }
        }
        said
    }

    fn is_explicit(&self, rules: &Rules) -> bool {
        self.told.max_age.is_some()
            || (rules.shared && self.told.s_maxage.is_some())
            || (!self.told.targeted && self.expires)
    }
}

/// Whether a response is stored; if not, why, in a word.
pub(crate) fn permits(arrived: &Arrived<'_>, rules: &Rules) -> Result<(), &'static str> {
    permits_by(arrived, &Said::of(arrived.headers, rules), rules)
}

/// The same where it is known what the head says.
pub(crate) fn permits_by(arrived: &Arrived<'_>, said: &Said, rules: &Rules) -> Result<(), &'static str> {
    let &Arrived { method, names_itself, request, is_plain, status, headers: _, ttl } = arrived;
    if !is_plain && RequestDirectives::of(request).no_store {
        return Err("request-no-store");
    }
    if matches!(status.as_u16(), 100..=199 | 304 | 416) {
        return Err("status");
    }
    let told = &said.told;
    match *method {
        Method::GET => {}
        // RFC 9110 §9.3.3: with explicit freshness, and only as the answer to a later GET of the same URI.
        Method::POST if names_itself && status.is_success() && said.is_explicit(rules) => {}
        _ => return Err("method"),
    }
    if status == StatusCode::PARTIAL_CONTENT && !request.contains_key(RANGE) {
        return Err("unasked-part");
    }
    if rules.shared {
        if told.private.is_whole() {
            return Err("private");
        }
        // RFC 9111 §3.5.
        if request.contains_key(AUTHORIZATION) && !(told.public || told.must_revalidate || told.s_maxage.is_some()) {
            return Err("authorization");
        }
    }
    // The caller's word is about time: it gives nobody the response of another user.
    if ttl {
        return if status.is_success() || is_heuristically_cacheable(status) { Ok(()) } else { Err("status") };
    }
    // RFC 9111 §5.2.2.3: `must-understand` overrides `no-store` where the status is understood.
    if told.must_understand {
        if !is_understood(status) {
            return Err("status");
        }
    } else if told.no_store {
        return Err("no-store");
    }
    let reason = told.public
        || (!rules.shared && !told.private.is_absent())
        || said.is_explicit(rules)
        || is_heuristically_cacheable(status);
    if reason { Ok(()) } else { Err("nothing-allows") }
}

/// The final statuses whose caching requirements are known here (RFC 9111 §3).
fn is_understood(status: StatusCode) -> bool {
    is_heuristically_cacheable(status) || matches!(status.as_u16(), 302 | 303 | 307 | 400 | 403 | 500 | 502 | 503 | 504)
}

/// The header fields of a response as they are stored, packed: without those of its connection, and in a shared cache
/// without those that are private. `Content-Length` and `Content-Range` of a part go too: they are made anew with each
/// answer. A head without a date gets that of its arrival. With `body`, that comes back with a copy of the whole body, in
/// the same piece of memory, if there is a piece of that size.
pub(crate) fn packed_fields(
    headers: &HeaderMap,
    said: &Said,
    is_part: bool,
    rules: &Rules,
    now: SystemTime,
    body: Option<&[u8]>,
) -> (Fields, Option<Bytes>) {
    let date = || field::dated_value(now);
    // Most heads name no field that goes.
    if !said.names_fields && !rules.shared && !is_part {
        return Fields::packed(headers, |name| !is_hop_by_hop(name), date, body);
    }
    let gone = not_stored(headers, is_part, rules);
    Fields::packed(headers, |name| !is_hop_by_hop(name) && gone.iter().all(|gone| gone != name), date, body)
}

/// The same as a map, and without a date of our own.
pub(crate) fn stored_fields(headers: &HeaderMap, is_part: bool, rules: &Rules) -> HeaderMap {
    let mut stored = own(headers);
    let came = stored.len();
    for name in not_stored(headers, is_part, rules) {
        stored.remove(name);
    }
    for name in headers.keys().filter(|name| is_hop_by_hop(name.as_str())) {
        stored.remove(name);
    }
    if stored.len() == came { stored } else { exact(&stored) }
}

/// The fields that are not stored, beside those that never are.
fn not_stored(headers: &HeaderMap, is_part: bool, rules: &Rules) -> Vec<HeaderName> {
    let mut gone: Vec<_> =
        field::members(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    if rules.shared {
        gone.extend_from_slice(ResponseDirectives::of(headers, &rules.targets).private.fields());
    }
    if is_part {
        gone.extend([CONTENT_RANGE, CONTENT_LENGTH]);
    }
    gone
}

/// A copy of the fields that keeps nothing else in memory. All its values lie in one piece of their own: as they came they
/// are views of a receive buffer, 8 KiB and more, and each of them would keep it for as long as the response is stored.
/// Names are copies already.
fn own(headers: &HeaderMap) -> HeaderMap {
    let mut text = Vec::with_capacity(headers.values().map(HeaderValue::len).sum());
    for value in headers.values() {
        text.extend_from_slice(value.as_bytes());
    }
    let text = Bytes::from(text);
    // Taken over as it is, the index of the names need not be made anew.
    let mut copy = exact(headers);
    let mut at = 0;
    for value in copy.values_mut() {
        let end = at + value.len();
        let own = HeaderValue::from_maybe_shared(text.slice(at..end));
        let mut own = own.expect("the bytes of a value make a value");
        own.set_sensitive(value.is_sensitive());
        *value = own;
        at = end;
    }
    copy
}

/// The same fields with no more room than they need, as [`Entry::weight`](crate::cache::Entry::weight) takes it: a clone has
/// none, a map that grew or shrank may have as much again.
pub(crate) fn exact(headers: &HeaderMap) -> HeaderMap {
    headers.clone()
}

/// The stored fields after a confirmation (RFC 9111 §3.2): each field of the new head takes the place of the stored one
/// of its name, but for those that describe the stored bytes.
pub(crate) fn updated_fields(stored: &HeaderMap, new: &HeaderMap, rules: &Rules) -> HeaderMap {
    static OF_THE_BYTES: [HeaderName; 6] = [
        CONTENT_LENGTH,
        http::header::CONTENT_ENCODING,
        CONTENT_RANGE,
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("content-digest"),
        http::header::ETAG,
    ];
    let mut fresh = stored_fields(new, false, rules);
    for name in &OF_THE_BYTES {
        if stored.contains_key(name) || *name != http::header::ETAG {
            fresh.remove(name);
        }
    }
    let mut updated = own(stored);
    // The age belongs to the moment when the head came (RFC 9111 §4.2.3).
    updated.remove(http::header::AGE);
    crate::headers::replace(&mut updated, fresh);
    exact(&updated)
}

/// Whether a `Content-Location` names the URI itself.
pub(crate) fn names_itself(headers: &HeaderMap, uri: &http::Uri) -> bool {
    headers
        .get(CONTENT_LOCATION)
        .and_then(|value| crate::cache::invalidation::resolved(uri, value))
        .is_some_and(|named| named == *uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(shared: bool) -> Rules {
        Rules { shared, ..Rules::default() }
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect(value))).collect()
    }

    #[test]
    fn what_is_stored() {
        let get = &Method::GET;
        let none: &[(&'static str, &str)] = &[];
        let cc = |value: &'static str| vec![("cache-control", value)];
        // Method, request, status, response; private and shared.
        for (method, request, status, response, private, shared) in [
            (get, none, 200, vec![], Ok(()), Ok(())),
            (get, none, 201, vec![], Err("nothing-allows"), Err("nothing-allows")),
            (get, none, 201, cc("max-age=1"), Ok(()), Ok(())),
            (get, none, 201, cc("s-maxage=1"), Err("nothing-allows"), Ok(())),
            (get, none, 201, vec![("expires", "0")], Ok(()), Ok(())),
            (get, none, 201, cc("public"), Ok(()), Ok(())),
            (get, none, 201, cc("private"), Ok(()), Err("private")),
            (get, none, 201, cc("private=\"a\", max-age=1"), Ok(()), Ok(())),
            (get, none, 200, cc("no-store, max-age=1"), Err("no-store"), Err("no-store")),
            (get, none, 200, cc("no-store, max-age=1, must-understand"), Ok(()), Ok(())),
            (get, none, 599, cc("max-age=1, must-understand"), Err("status"), Err("status")),
            (get, none, 599, cc("max-age=1"), Ok(()), Ok(())),
            (get, none, 304, cc("max-age=1"), Err("status"), Err("status")),
            (get, none, 416, cc("max-age=1"), Err("status"), Err("status")),
            (get, none, 206, cc("max-age=1"), Err("unasked-part"), Err("unasked-part")),
            (get, &[("range", "bytes=0-1")], 206, cc("max-age=1"), Ok(()), Ok(())),
            (get, &[("cache-control", "no-store")], 200, vec![], Err("request-no-store"), Err("request-no-store")),
            (get, &[("authorization", "x")], 200, cc("max-age=1"), Ok(()), Err("authorization")),
            (get, &[("authorization", "x")], 200, cc("max-age=1, must-revalidate"), Ok(()), Ok(())),
            (get, &[("authorization", "x")], 200, cc("s-maxage=1"), Ok(()), Ok(())),
            (&Method::PUT, none, 200, cc("max-age=1"), Err("method"), Err("method")),
            (&Method::POST, none, 200, cc("max-age=1"), Err("method"), Err("method")),
        ] {
            for (is_shared, expected) in [(false, private), (true, shared)] {
                let (request, headers) = (headers(request), headers(&response));
                let status = StatusCode::from_u16(status).expect("a status");
                let arrived = Arrived {
                    method,
                    names_itself: false,
                    request: &request,
                    is_plain: crate::cache::is_plain(&request),
                    status,
                    headers: &headers,
                    ttl: false,
                };
                let verdict = permits(&arrived, &rules(is_shared));
                assert_eq!(verdict, expected, "{method} {request:?} {status} {headers:?}, shared: {is_shared}");
            }
        }
    }

    #[test]
    fn a_post_answers_a_later_get_if_it_says_so() {
        let uri: http::Uri = "http://a.example/x".parse().expect("a URI");
        for (location, explicit, expected) in [("/x", true, true), ("/y", true, false), ("/x", false, false)] {
            let mut headers = headers(&[("content-location", location)]);
            if explicit {
                headers.insert("cache-control", "max-age=9".parse().expect("a value"));
            }
            let arrived = Arrived {
                method: &Method::POST,
                names_itself: names_itself(&headers, &uri),
                request: &HeaderMap::new(),
                is_plain: true,
                status: StatusCode::OK,
                headers: &headers,
                ttl: false,
            };
            assert_eq!(permits(&arrived, &rules(false)).is_ok(), expected, "{location} {explicit}");
        }
    }

    #[test]
    fn fields_of_the_connection_are_not_stored() {
        let came = headers(&[
            ("connection", "close, a"),
            ("a", "1"),
            ("keep-alive", "timeout=1"),
            ("proxy-authenticate", "x"),
            ("upgrade", "x"),
            ("b", "1"),
            ("set-cookie", "s"),
            ("cache-control", "private=\"set-cookie\""),
        ]);
        let names = |headers: HeaderMap| {
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(stored_fields(&came, false, &rules(false))), ["b", "cache-control", "set-cookie"]);
        assert_eq!(names(stored_fields(&came, false, &rules(true))), ["b", "cache-control"]);
    }

    #[test]
    fn stored_fields_take_no_more_room_than_those_that_came() {
        let came = headers(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]);
        assert_eq!(stored_fields(&came, false, &rules(false)).capacity(), came.capacity());
    }

    #[test]
    fn a_confirmation_updates_all_but_what_describes_the_bytes() {
        let stored = headers(&[
            ("a", "1"),
            ("b", "1"),
            ("age", "9"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("etag", "\"1\""),
        ]);
        let new = headers(&[
            ("a", "2"),
            ("content-length", "0"),
            ("content-encoding", "br"),
            ("etag", "\"2\""),
            ("content-type", "t"),
            ("connection", "c"),
            ("c", "1"),
        ]);
        let updated = updated_fields(&stored, &new, &rules(false));
        let expected = headers(&[
            ("a", "2"),
            ("b", "1"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("etag", "\"1\""),
            ("content-type", "t"),
        ]);
        assert_eq!(updated, expected);
    }
}
