//! The client's half of the handshake: pure.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::{Error, ErrorKind, Result};

use super::token::is_token;
use super::{KEEP_ALIVE, PROXY_CONNECTION, VERSION};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// Host and port as they stand in the URL.
    pub(crate) authority: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The caller's own fields, checked by [`check_headers`].
    pub(crate) headers: &'a HeaderMap,
    /// Most wanted first, checked by [`check_subprotocols`].
    pub(crate) subprotocols: &'a [String],
    /// What is offered of extensions.
    pub(crate) extensions: Option<&'a HeaderValue>,
}

/// Whether the caller's own fields leave those of the handshake alone. `Host` may be another.
///
/// # Errors
///
/// `Invalid` naming the field.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<()> {
    let refuse = |name: &HeaderName, why: &str| {
        Err(Error::new(ErrorKind::Invalid, "build handshake").with_detail(format!("{name}: {why}")))
    };
    for name in headers.keys() {
        if name.as_str().starts_with("sec-websocket-") {
            return refuse(name, "belongs to the handshake and is set by it");
        }
        let is_ours = [UPGRADE, CONNECTION, KEEP_ALIVE, PROXY_CONNECTION].contains(name);
        if is_ours || [CONTENT_LENGTH, TRANSFER_ENCODING, TE, TRAILER, EXPECT].contains(name) {
            return refuse(name, "would fight with the handshake");
        }
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return refuse(&HOST, "there can be but one");
    }
    Ok(())
}

/// Whether these may be asked for: tokens, each once (RFC 6455 §4.1).
///
/// # Errors
///
/// `Invalid` naming the one that is wrong.
pub(crate) fn check_subprotocols(subprotocols: &[String]) -> Result<()> {
    for (at, name) in subprotocols.iter().enumerate() {
        let why = match (is_token(name), subprotocols[..at].contains(name)) {
            (false, _) => "is no token",
            (true, true) => "stands there twice",
            (true, false) => continue,
        };
        return Err(
            Error::new(ErrorKind::Invalid, "build handshake").with_detail(format!("subprotocol {name:?} {why}"))
        );
    }
    Ok(())
}

/// The request over HTTP/1.1 (RFC 6455 §4.1).
pub(crate) fn over_h1(ask: &Ask<'_>, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    for part in ["GET ", ask.target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    // RFC 9112 §3.2: the host comes first.
    let host = ask.headers.get(HOST).map_or(ask.authority.as_bytes(), HeaderValue::as_bytes);
    field(&mut out, "Host", host);
    field(&mut out, "Upgrade", b"websocket");
    field(&mut out, "Connection", b"Upgrade");
    field(&mut out, "Sec-WebSocket-Version", VERSION.as_bytes());
    field(&mut out, "Sec-WebSocket-Key", key.as_bytes());
    if !ask.subprotocols.is_empty() {
        field(&mut out, "Sec-WebSocket-Protocol", ask.subprotocols.join(", ").as_bytes());
    }
    if let Some(extensions) = ask.extensions {
        field(&mut out, "Sec-WebSocket-Extensions", extensions.as_bytes());
    }
    for (name, value) in ask.headers.iter().filter(|(name, _)| *name != HOST) {
        field(&mut out, &capitalized(name), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The fields of [`over_h1`], for observers of contents.
pub(crate) fn fields_over_h1(ask: &Ask<'_>, key: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    };
    add(HOST, ask.headers.get(HOST).map_or(ask.authority.as_bytes(), HeaderValue::as_bytes));
    add(UPGRADE, b"websocket");
    add(CONNECTION, b"Upgrade");
    add(SEC_WEBSOCKET_VERSION, VERSION.as_bytes());
    add(SEC_WEBSOCKET_KEY, key.as_bytes());
    if !ask.subprotocols.is_empty() {
        add(SEC_WEBSOCKET_PROTOCOL, ask.subprotocols.join(", ").as_bytes());
    }
    if let Some(extensions) = ask.extensions {
        headers.append(SEC_WEBSOCKET_EXTENSIONS, extensions.clone());
    }
    for (name, value) in ask.headers.iter().filter(|(name, _)| *name != HOST) {
        headers.append(name, value.clone());
    }
    headers
}

/// The fields of the request over HTTP/2 (RFC 8441 §5): the version, and no key, since nothing caches a CONNECT.
#[cfg_attr(not(any(feature = "http2", test)), expect(dead_code, reason = "for HTTP/2 alone"))]
pub(crate) fn over_h2(ask: &Ask<'_>) -> Result<HeaderMap> {
    let mut headers = ask.headers.clone();
    headers.remove(HOST);
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    if !ask.subprotocols.is_empty() {
        let value = HeaderValue::from_str(&ask.subprotocols.join(", ")).map_err(|error| {
            Error::new(ErrorKind::Invalid, "build handshake").with_detail("subprotocols").with_source(error)
        })?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    if let Some(extensions) = ask.extensions {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, extensions.clone());
    }
    Ok(headers)
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// As people write it: there are servers that tell `Origin` and `origin` apart, though they must not.
fn capitalized(name: &HeaderName) -> String {
    let mut begins = true;
    let capital = |c: char| {
        let c = if begins { c.to_ascii_uppercase() } else { c };
        begins = c == '-';
        c
    };
    name.as_str().chars().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_request_of_rfc_6455_1_2() {
        let headers = headers(&[("origin", "http://example.com"), ("x-b3-id", "7")]);
        let offer = HeaderValue::from_static("permessage-deflate");
        let subprotocols = ["chat".to_owned(), "superchat".to_owned()];
        let ask = Ask {
            authority: "server.example.com:81",
            target: "/chat?x=1",
            headers: &headers,
            subprotocols: &subprotocols,
            extensions: Some(&offer),
        };
        let text = String::from_utf8(over_h1(&ask, "dGhlIHNhbXBsZSBub25jZQ==")).expect("text");
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "GET /chat?x=1 HTTP/1.1",
                "Host: server.example.com:81",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Protocol: chat, superchat",
                "Sec-WebSocket-Extensions: permessage-deflate",
                "Origin: http://example.com",
                "X-B3-Id: 7",
                "",
                ""
            ]
        );
        let told = fields_over_h1(&ask, "dGhlIHNhbXBsZSBub25jZQ==");
        let told: Vec<_> = told
            .iter()
            .map(|(name, value)| format!("{}: {}", capitalized(name), value.to_str().expect("text")))
            .collect();
        let sent: Vec<_> =
            lines[1..lines.len() - 2].iter().map(|line| line.replace("WebSocket", "Websocket")).collect();
        assert_eq!(told, sent, "observers are told what is sent");
        let second = over_h2(&ask).expect("fields");
        let mut names: Vec<_> = second.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["origin", "sec-websocket-extensions", "sec-websocket-protocol", "sec-websocket-version", "x-b3-id"]
        );
    }

    #[test]
    fn another_host_takes_the_place_of_ours() {
        let headers = headers(&[("host", "inner.example")]);
        let ask = Ask { authority: "a.example", target: "/", headers: &headers, subprotocols: &[], extensions: None };
        let text = String::from_utf8(over_h1(&ask, "k")).expect("text");
        assert!(text.contains("\r\nHost: inner.example\r\n") && text.matches("Host").count() == 1, "{text}");
        assert!(!text.contains("Protocol") && !text.contains("Extensions"), "{text}");
        assert!(!over_h2(&ask).expect("fields").contains_key(HOST));
    }

    #[test]
    fn fields_that_fight_are_named() {
        for name in [
            "upgrade",
            "connection",
            "keep-alive",
            "proxy-connection",
            "content-length",
            "transfer-encoding",
            "te",
            "trailer",
            "expect",
            "sec-websocket-key",
            "sec-websocket-version",
            "sec-websocket-protocol",
            "sec-websocket-extensions",
            "sec-websocket-accept",
        ] {
            let error = check_headers(&headers(&[(name, "x")])).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
            assert!(error.detail().is_some_and(|detail| detail.starts_with(name)), "{error}");
        }
        assert!(check_headers(&headers(&[("host", "a"), ("origin", "b"), ("authorization", "c")])).is_ok());
        assert!(check_headers(&headers(&[("host", "a"), ("host", "b")])).is_err());
    }

    #[test]
    fn subprotocols_are_tokens_and_each_there_once() {
        let check = |names: &[&str]| check_subprotocols(&names.iter().map(|name| (*name).into()).collect::<Vec<_>>());
        assert!(check(&[]).is_ok() && check(&["chat", "Chat", "v2.stomp"]).is_ok());
        for names in [&["a b"][..], &[""], &["a,b"], &["chat", "chat"], &["é"]] {
            assert_eq!(check(names).expect_err("no token").kind(), ErrorKind::Invalid, "{names:?}");
        }
    }
}
