//! What a server's answer must say (RFC 6455 §4.1, RFC 8441 §5): pure.

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::{Error, Result};
use tungstenite::handshake::derive_accept_key;

use super::head::Head;
use super::token::{has, list};
use super::{protocol, shown};

/// What was asked for, as far as the answer has to fit to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) subprotocols: &'a [String],
    /// Whether none of them is an error. RFC 6455 §4.1 leaves that to the client.
    pub(crate) require_subprotocol: bool,
}

/// What both sides agree on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Agreed<T> {
    pub(crate) subprotocol: Option<String>,
    pub(crate) extensions: T,
}

/// Checks a 101 over HTTP/1.1. `extensions` is told the fields and says what was agreed on, or what is wrong with it.
///
/// # Errors
///
/// `Protocol` naming the field and what was found.
pub(crate) fn check_upgrade<T>(
    head: &Head,
    key: &str,
    asked: Asked<'_>,
    extensions: impl FnOnce(&HeaderMap) -> Result<T, String>,
) -> Result<Agreed<T>> {
    let headers = &head.headers;
    if !head.is_modern {
        return Err(protocol("101 over HTTP/1.0, which cannot switch protocols"));
    }
    let mut upgrades = list(headers, &UPGRADE);
    let is_websocket = upgrades.next().is_some_and(|member| member.eq_ignore_ascii_case("websocket"));
    if !is_websocket || upgrades.next().is_some() {
        return Err(wrong(headers, &UPGRADE, "websocket"));
    }
    if !has(headers, &CONNECTION, "upgrade") {
        return Err(wrong(headers, &CONNECTION, "Upgrade"));
    }
    let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    let is_ours = accepts.next().is_some_and(|value| value.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
    if !is_ours || accepts.next().is_some() {
        return Err(wrong(headers, &SEC_WEBSOCKET_ACCEPT, "the answer to our key"));
    }
    // RFC 9110 §8.6 and RFC 9112 §6.1: no body follows. A length of nothing is what some servers add to every answer.
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(wrong(headers, &TRANSFER_ENCODING, "none"));
    }
    if headers.get_all(CONTENT_LENGTH).iter().any(|value| value != "0") {
        return Err(wrong(headers, &CONTENT_LENGTH, "none"));
    }
    check(headers, asked, extensions)
}

/// Checks what holds over every version of HTTP: subprotocol and extensions.
///
/// # Errors
///
/// As [`check_upgrade`].
pub(crate) fn check<T>(
    headers: &HeaderMap,
    asked: Asked<'_>,
    extensions: impl FnOnce(&HeaderMap) -> Result<T, String>,
) -> Result<Agreed<T>> {
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let subprotocol = match (chosen.next(), chosen.next()) {
        (None, _) if asked.require_subprotocol && !asked.subprotocols.is_empty() => {
            return Err(wrong(headers, &SEC_WEBSOCKET_PROTOCOL, "one of those asked for"));
        }
        (None, _) => None,
        (Some(one), None) => {
            let own = asked.subprotocols.iter().find(|own| one.as_bytes() == own.as_bytes());
            let own = own.ok_or_else(|| wrong(headers, &SEC_WEBSOCKET_PROTOCOL, "one of those asked for"))?;
            Some(own.clone())
        }
        (Some(_), Some(_)) => return Err(wrong(headers, &SEC_WEBSOCKET_PROTOCOL, "one alone")),
    };
    let extensions = extensions(headers).map_err(|why| protocol(format!("{SEC_WEBSOCKET_EXTENSIONS}: {why}")))?;
    Ok(Agreed { subprotocol, extensions })
}

/// For a client that has offered no extension.
///
/// # Errors
///
/// What the server chose, in words.
#[cfg(test)]
pub(crate) fn no_extensions(headers: &HeaderMap) -> Result<(), String> {
    match list(headers, &SEC_WEBSOCKET_EXTENSIONS).next() {
        None => Ok(()),
        Some(first) => Err(format!("{} was not offered", shown(first.as_bytes()))),
    }
}

fn wrong(headers: &HeaderMap, name: &HeaderName, expected: &str) -> Error {
    let found: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let found = if found.is_empty() { "nothing".into() } else { shown(&found.join(&b", "[..])) };
    protocol(format!("{name}: {found}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use netcomm_core::ErrorKind;

    use super::*;

    /// RFC 6455 §1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn go(fields: &str, asked: Asked<'_>) -> Result<Agreed<()>> {
        let head = Head::parse(format!("HTTP/1.1 101 x\r\n{fields}\r\n").as_bytes(), 20).expect(fields);
        check_upgrade(&head, KEY, asked, no_extensions)
    }

    const NONE: Asked<'_> = Asked { subprotocols: &[], require_subprotocol: false };

    #[test]
    fn good_answers() {
        for fields in [
            GOOD.to_owned(),
            GOOD.to_ascii_lowercase().replace("s3pplmbitxaq9kygzzhzrbk+xoo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            GOOD.replace(": websocket", ": WebSocket").replace(": Upgrade", ": keep-alive, upgrade"),
            GOOD.replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: UPGRADE"),
            format!("{GOOD}Content-Length: 0\r\nServer: x\r\n"),
            format!("{GOOD}Sec-WebSocket-Extensions: \r\n"),
        ] {
            assert_eq!(go(&fields, NONE).expect(&fields), Agreed { subprotocol: None, extensions: () });
        }
    }

    #[test]
    fn bad_answers_are_errors_that_name_the_field() {
        let with = |more: &str| format!("{GOOD}{more}\r\n");
        let instead = |old: &str, new: &str| GOOD.replace(old, new);
        for (fields, field) in [
            (instead("Upgrade: websocket\r\n", ""), "upgrade: nothing"),
            (instead(": websocket", ": h2c"), "upgrade: \"h2c\""),
            (instead(": websocket", ": websocket, h2c"), "upgrade"),
            (instead(": websocket", ": websocket2"), "upgrade"),
            (instead("Connection: Upgrade\r\n", ""), "connection: nothing"),
            (instead(": Upgrade", ": close"), "connection: \"close\""),
            (instead("s3pP", "S3pP"), "sec-websocket-accept: \"S3pP"),
            (instead("xOo=", "xOo"), "sec-websocket-accept"),
            (instead("Sec-WebSocket-Accept", "X"), "sec-websocket-accept: nothing"),
            (with("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "sec-websocket-accept"),
            (with("Sec-WebSocket-Protocol: chat"), "sec-websocket-protocol: \"chat\""),
            (with("Sec-WebSocket-Protocol:"), "sec-websocket-protocol"),
            (with("Sec-WebSocket-Extensions: permessage-deflate"), "sec-websocket-extensions: \"permessage-deflate\""),
            (with("Sec-WebSocket-Extensions: x-own; a=b"), "sec-websocket-extensions"),
            (with("Transfer-Encoding: chunked"), "transfer-encoding"),
            (with("Content-Length: 5"), "content-length: \"5\""),
            (with("Content-Length: 0\r\nContent-Length: 1"), "content-length"),
        ] {
            let error = go(&fields, NONE).expect_err(&fields);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{fields}");
            assert!(error.detail().is_some_and(|detail| detail.starts_with(field)), "{field}: {error}");
        }
        let head = Head::parse(format!("HTTP/1.0 101 x\r\n{GOOD}\r\n").as_bytes(), 20).expect("a head");
        assert!(check_upgrade(&head, KEY, NONE, no_extensions).is_err(), "HTTP/1.0 has no 101");
    }

    #[test]
    fn what_was_found_is_shown_in_bounds() {
        let error =
            go(&GOOD.replace(": websocket", &format!(": \u{e9}{}", "x".repeat(5000))), NONE).expect_err("no upgrade");
        assert!(error.to_string().len() < 200 && error.to_string().is_ascii(), "{error}");
    }

    #[test]
    fn a_subprotocol_is_one_of_those_asked_for() {
        let names = ["chat".to_owned(), "v2".to_owned()];
        let asked = Asked { subprotocols: &names, require_subprotocol: false };
        let strict = Asked { require_subprotocol: true, ..asked };
        let with = |value: &str| format!("{GOOD}Sec-WebSocket-Protocol: {value}\r\n");
        let chosen = |fields: &str, asked| go(fields, asked).map(|agreed| agreed.subprotocol);
        assert_eq!(chosen(&with("v2"), asked).expect("asked for").as_deref(), Some("v2"));
        assert_eq!(chosen(GOOD, asked).expect("RFC 6455 permits none"), None);
        for fields in [with("Chat"), with("chat, v2"), with("chat") + &with("chat"), with("v3")] {
            assert!(chosen(&fields, asked).is_err(), "{fields}");
        }
        let error = chosen(GOOD, strict).expect_err("one is required");
        assert!(error.detail().is_some_and(|detail| detail.starts_with("sec-websocket-protocol: nothing")), "{error}");
        assert!(chosen(GOOD, Asked { subprotocols: &[], ..strict }).is_ok(), "none was asked for");
        assert!(chosen(&with("chat"), strict).is_ok());
    }

    #[test]
    fn over_http_2_subprotocol_and_extensions_are_all() {
        let names = ["chat".to_owned()];
        let asked = Asked { subprotocols: &names, require_subprotocol: false };
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        let agreed = check(&headers("sec-websocket-protocol", "chat"), asked, |_| Ok(7)).expect("good");
        assert_eq!(agreed, Agreed { subprotocol: Some("chat".into()), extensions: 7 });
        assert!(check(&headers("sec-websocket-protocol", "v2"), asked, no_extensions).is_err());
        assert!(check(&headers("sec-websocket-extensions", "v2"), asked, no_extensions).is_err());
    }
}
