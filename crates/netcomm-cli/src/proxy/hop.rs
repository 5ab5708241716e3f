//! What a proxy changes in the fields that it passes on, and what it leaves alone: pure.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, MAX_FORWARDS, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::refusal::Refusal;

/// Fields that belong to one connection even where `Connection` does not name them (RFC 9110 §7.6.1, §11.7).
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
];

/// Fields that `Connection` cannot take out: they say where a message goes, where it ends and which way it came, and
/// whoever could take them out could hide one message in another, or a loop.
const KEPT: [HeaderName; 3] = [HOST, CONTENT_LENGTH, VIA];

/// Takes out what belongs to one connection: the fields known for it, and all that `Connection` names.
pub(super) fn strip(headers: &mut HeaderMap) {
    let options: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|option| !KEPT.contains(option))
        .collect();
    for name in HOP_BY_HOP.iter().chain(&options) {
        headers.remove(name);
    }
}

/// Makes a request's fields those that go on: what belongs to the connection is gone, but for the wish for trailers,
/// which is said anew for the next one (RFC 9110 §10.1.4). No protocol is switched: `Upgrade` is not passed on, which a
/// server may always do (§7.8). `Host` is said anew from the target.
pub(super) fn pass_on_request(headers: &mut HeaderMap, version: Version, name: &str) {
    let wants_trailers = lists(headers, &TE, "trailers");
    strip(headers);
    headers.remove(HOST);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    add_via(headers, version, name);
}

/// Makes a response's fields those that go back. `length` is that of the content, if it is known.
pub(super) fn pass_back_response(
    headers: &mut HeaderMap,
    (method, status): (&Method, StatusCode),
    version: Version,
    name: &str,
    length: Option<u64>,
) {
    strip(headers);
    // RFC 9110 §8.6: without content the field tells of the content that there would have been.
    let length = match (status, method) {
        (StatusCode::NO_CONTENT, _) => None,
        (StatusCode::NOT_MODIFIED, _) | (_, &Method::HEAD) => announced_length(headers),
        _ => length,
    };
    headers.remove(CONTENT_LENGTH);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    add_via(headers, version, name);
}

/// Whether a response to that method, of that status, has content (RFC 9110 §6.4.1).
pub(super) fn has_content(method: &Method, status: StatusCode) -> bool {
    !(method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED))
}

/// The length that a response announces, if it announces one.
fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let mut all = headers.get_all(CONTENT_LENGTH).iter();
    let first = all.next()?;
    if all.any(|other| other != first) {
        return None;
    }
    first.to_str().ok()?.parse().ok()
}

/// Says that the message came this way (RFC 9110 §7.6.3).
fn add_via(headers: &mut HeaderMap, version: Version, name: &str) {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    let entry = HeaderValue::try_from(format!("{version} {name}")).expect("the name is a token");
    headers.append(VIA, entry);
}

/// Whether a request has come this way before.
///
/// # Errors
///
/// 508, if it has.
pub(super) fn check_loop(headers: &HeaderMap, name: &str) -> Result<(), Refusal> {
    let entries = headers.get_all(VIA).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    for entry in entries {
        let mut words = entry.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        if words.nth(1) == Some(name.as_bytes()) {
            return Err(Refusal::new(StatusCode::LOOP_DETECTED, "the request came this way before"));
        }
    }
    Ok(())
}

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// The next server.
    Next,
    /// This proxy: the request must go no further.
    Here,
}

/// Counts `Max-Forwards` down (RFC 9110 §7.6.2), which only `TRACE` and `OPTIONS` have.
///
/// # Errors
///
/// 400 for something else than one number.
pub(super) fn count_down(method: &Method, headers: &mut HeaderMap) -> Result<Answers, Refusal> {
    if !matches!(*method, Method::TRACE | Method::OPTIONS) || !headers.contains_key(MAX_FORWARDS) {
        return Ok(Answers::Next);
    }
    let mut all = headers.get_all(MAX_FORWARDS).iter();
    let number = all.next().and_then(|value| value.to_str().ok()).filter(|_| all.next().is_none());
    let digits = number.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(digits) = digits else { return Err(Refusal::bad("a Max-Forwards that is not one number")) };
    // What is too large to count is as good as without end.
    match digits.parse::<u64>().unwrap_or(u64::MAX) {
        0 => Ok(Answers::Here),
        number => {
            headers.insert(MAX_FORWARDS, (number - 1).into());
            Ok(Answers::Next)
        }
    }
}

/// Takes out the expectation (RFC 9110 §10.1.1): the proxy says itself that the content may come, once the next server
/// takes it.
///
/// # Errors
///
/// 417 for an expectation that nobody knows.
pub(super) fn take_expectation(headers: &mut HeaderMap, version: Version) -> Result<(), Refusal> {
    let met = headers.get_all(EXPECT).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    headers.remove(EXPECT);
    // HTTP/1.0 knows none, so that there is none to fail.
    if met || version == Version::HTTP_10 {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::EXPECTATION_FAILED, "an expectation other than 100-continue"))
}

/// Says for whom the request is forwarded (RFC 7239), behind what others have said. `host` is what the client asked for.
pub(super) fn add_forwarded(headers: &mut HeaderMap, client: IpAddr, host: Option<&str>) {
    let mut text = match client.to_canonical() {
        IpAddr::V4(v4) => format!("for={v4}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
    };
    if let Some(host) = host.filter(|host| !host.contains(['"', '\\'])) {
        text.push_str(";host=\"");
        text.push_str(host);
        text.push('"');
    }
    text.push_str(";proto=http");
    if let Ok(entry) = HeaderValue::try_from(text) {
        headers.append(FORWARDED, entry);
    }
}

fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let mut entries = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    entries.any(|entry| entry.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect(line);
            map.append(HeaderName::from_bytes(name.as_bytes()).expect(line), value.parse().expect(line));
        }
        map
    }

    #[test]
    fn what_belongs_to_one_connection_is_taken_out() {
        for (lines, left) in [
            (&["connection: close", "a: 1"][..], &["a: 1"][..]),
            (&["connection: X-One , keep-alive,, x-two", "x-one: 1", "x-two: 2", "x-three: 3"], &["x-three: 3"]),
            (&["connection: a", "connection: b", "a: 1", "b: 1", "b: 2", "c: 1"], &["c: 1"]),
            (&["connection: not a token, a", "a: 1", "b: 1"], &["b: 1"]),
            (&["keep-alive: timeout=5", "proxy-connection: keep-alive", "te: gzip", "trailer: t"], &["trailer: t"]),
            (&["transfer-encoding: chunked", "upgrade: h2c", "http2-settings: x"], &[]),
            (&["proxy-authorization: Basic x", "proxy-authenticate: Basic", "authorization: y"], &["authorization: y"]),
            // RFC 9110 §7.6.1 names them as what must not be listed; they decide about framing and loops.
            (
                &["connection: content-length, host, via", "content-length: 5", "host: a", "via: 1.1 b"],
                &["content-length: 5", "host: a", "via: 1.1 b"],
            ),
            (
                &["set-cookie: a=1", "set-cookie: b=2", "cookie: c"],
                &["set-cookie: a=1", "set-cookie: b=2", "cookie: c"],
            ),
        ] {
            let mut headers = map(lines);
            strip(&mut headers);
            assert_eq!(headers, map(left), "{lines:?}");
        }
    }

    #[test]
    fn requests() {
        for (lines, version, passed) in [
            (&["host: proxy", "a: 1"][..], Version::HTTP_11, &["a: 1", "via: 1.1 me"][..]),
            (&["via: 1.1 other"], Version::HTTP_10, &["via: 1.1 other", "via: 1.0 me"]),
            (
                &["te: gzip, Trailers", "connection: te"],
                Version::HTTP_11,
                &["te: trailers", "connection: te", "via: 1.1 me"],
            ),
            (
                &["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"],
                Version::HTTP_11,
                &["sec-websocket-version: 13", "via: 1.1 me"],
            ),
            (&["content-length: 5"], Version::HTTP_11, &["content-length: 5", "via: 1.1 me"]),
        ] {
            let mut headers = map(lines);
            pass_on_request(&mut headers, version, "me");
            assert_eq!(headers, map(passed), "{lines:?}");
        }
    }

    #[test]
    fn responses() {
        let (get, head) = (Method::GET, Method::HEAD);
        for (method, status, lines, length, passed) in [
            (&get, 200, &["content-length: 5"][..], Some(5), &["content-length: 5"][..]),
            // What the client read is what is sent on, whatever else was announced beside it.
            (&get, 200, &["content-length: 3", "transfer-encoding: chunked"], None, &[]),
            (&get, 200, &["content-length: 5", "content-length: 5"], Some(5), &["content-length: 5"]),
            (&get, 200, &["connection: close"], Some(2), &["content-length: 2"]),
            (&get, 200, &["connection: x", "x: 1", "date: d"], None, &["date: d"]),
            (&get, 204, &["content-length: 5"], Some(0), &[]),
            (&get, 304, &["content-length: 5", "etag: \"x\""], Some(0), &["content-length: 5", "etag: \"x\""]),
            (&head, 200, &["content-length: 5"], Some(0), &["content-length: 5"]),
            (&head, 200, &["content-length: 5", "content-length: 6"], Some(0), &[]),
            (&head, 200, &["content-length: x"], Some(0), &[]),
            (&head, 200, &["transfer-encoding: chunked"], Some(0), &[]),
        ] {
            let (mut headers, status) = (map(lines), StatusCode::from_u16(status).expect("status"));
            pass_back_response(&mut headers, (method, status), Version::HTTP_2, "me", length);
            let mut expected = map(passed);
            expected.append(VIA, HeaderValue::from_static("2 me"));
            assert_eq!(headers, expected, "{lines:?}");
        }
        let status = StatusCode::OK;
        assert!(has_content(&get, status) && !has_content(&head, status));
        assert!(!has_content(&get, StatusCode::NO_CONTENT) && !has_content(&get, StatusCode::NOT_MODIFIED));
    }

    #[test]
    fn loops() {
        for (lines, loops) in [
            (&[][..], false),
            (&["via: 1.1 me"][..], true),
            (&["via: 1.0 other, HTTP/1.1  me (a comment)"], true),
            (&["via: 1.1 other", "via: 1.1\tme"], true),
            (&["via: 1.1 other (me)", "via: 1.1 men", "via: me"], false),
        ] {
            let status = check_loop(&map(lines), "me").err().map(|refusal| refusal.status.as_u16());
            assert_eq!(status, loops.then_some(508), "{lines:?}");
        }
    }

    #[test]
    fn forwards_are_counted() {
        for (method, value, expected) in [
            (Method::OPTIONS, "0", Some((Answers::Here, "0"))),
            (Method::TRACE, "00", Some((Answers::Here, "00"))),
            (Method::OPTIONS, "1", Some((Answers::Next, "0"))),
            (Method::TRACE, "010", Some((Answers::Next, "9"))),
            (Method::OPTIONS, "99999999999999999999999", Some((Answers::Next, "18446744073709551614"))),
            (Method::GET, "0", Some((Answers::Next, "0"))),
            (Method::OPTIONS, "-1", None),
            (Method::OPTIONS, "x", None),
        ] {
            let mut headers = map(&[&format!("max-forwards: {value}")]);
            let answers = count_down(&method, &mut headers).ok();
            assert_eq!(answers, expected.map(|(answers, _)| answers), "{method} {value}");
            if let Some((_, left)) = expected {
                assert_eq!(headers[MAX_FORWARDS], left);
            }
        }
        assert_eq!(count_down(&Method::TRACE, &mut HeaderMap::new()), Ok(Answers::Next));
        assert!(count_down(&Method::TRACE, &mut map(&["max-forwards: 1", "max-forwards: 2"])).is_err());
    }

    #[test]
    fn expectations() {
        for (value, version, met) in [
            ("100-Continue", Version::HTTP_11, true),
            ("payment", Version::HTTP_11, false),
            ("payment", Version::HTTP_10, true),
        ] {
            let mut headers = map(&[&format!("expect: {value}")]);
            assert_eq!(take_expectation(&mut headers, version).is_ok(), met, "{value}");
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn for_whom() {
        let mut headers = map(&["forwarded: for=1.2.3.4"]);
        add_forwarded(&mut headers, "127.0.0.1".parse().expect("address"), Some("a.example:81"));
        add_forwarded(&mut headers, "::ffff:10.0.0.1".parse().expect("address"), Some("a\"b"));
        add_forwarded(&mut headers, "::1".parse().expect("address"), None);
        let all: Vec<_> = headers.get_all(FORWARDED).iter().map(|value| value.to_str().expect("text")).collect();
        assert_eq!(
            all,
            [
                "for=1.2.3.4",
                "for=127.0.0.1;host=\"a.example:81\";proto=http",
                "for=10.0.0.1;proto=http",
                "for=\"[::1]\";proto=http",
            ]
        );
    }
}
