//! The server's half of the handshake (RFC 6455 §4.2): pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tungstenite::handshake::derive_accept_key;

use super::VERSION;
use super::head::RequestHead;
use super::token::{has, is_token, list};

/// What a server has to offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// Most wanted first.
    pub(crate) subprotocols: &'a [String],
}

/// What to answer, and with what the connection goes on.
#[derive(Debug)]
pub(crate) enum Judged<T> {
    /// It is open.
    Open {
        /// The bytes of the answer.
        answer: Vec<u8>,
        /// What was chosen of what the client asked for.
        subprotocol: Option<String>,
        /// What was agreed on of extensions.
        extensions: T,
    },
    /// It is not.
    Refuse(Refusal),
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: StatusCode, why: &'static str) -> Self {
        Self { status, why }
    }

    /// The bytes of the answer.
    pub(crate) fn to_answer(&self) -> Vec<u8> {
        let more = match self.status {
            // RFC 6455 §4.4 and RFC 9110 §15.5.22: what would do.
            StatusCode::UPGRADE_REQUIRED => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            StatusCode::METHOD_NOT_ALLOWED => "Allow: GET\r\n",
            _ => "",
        };
        let connection = if self.status == StatusCode::UPGRADE_REQUIRED { "upgrade, close" } else { "close" };
        let (status, why) = (self.status, self.why);
        format!(
            "HTTP/1.1 {} {}\r\n{more}Connection: {connection}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{why}",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
            why.len()
        )
        .into_bytes()
    }
}

/// Judges a request. `extensions` is told its fields and says what to answer, and what is agreed on by that.
pub(crate) fn judge<T>(
    head: &RequestHead,
    terms: Terms<'_>,
    extensions: impl FnOnce(&HeaderMap) -> (Option<HeaderValue>, T),
) -> Judged<T> {
    let key = match check(head) {
        Ok(key) => key,
        Err(refusal) => return Judged::Refuse(refusal),
    };
    let asked: Vec<_> = list(&head.headers, &SEC_WEBSOCKET_PROTOCOL).collect();
    let subprotocol = terms.subprotocols.iter().find(|own| asked.contains(&own.as_str())).cloned();
    let (chosen, extensions) = extensions(&head.headers);
    let mut answer =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            .to_vec();
    answer.extend_from_slice(derive_accept_key(key).as_bytes());
    let subprotocol_bytes = subprotocol.as_deref().map(str::as_bytes);
    let chosen_bytes = chosen.as_ref().map(HeaderValue::as_bytes);
    for (name, value) in [("Sec-WebSocket-Protocol", subprotocol_bytes), ("Sec-WebSocket-Extensions", chosen_bytes)] {
        if let Some(value) = value {
            for part in [b"\r\n", name.as_bytes(), b": ", value] {
                answer.extend_from_slice(part);
            }
        }
    }
    answer.extend_from_slice(b"\r\n\r\n");
    Judged::Open { answer, subprotocol, extensions }
}

/// The key of a request that is as it must be (RFC 6455 §4.2.1).
fn check(head: &RequestHead) -> Result<&[u8], Refusal> {
    let headers = &head.headers;
    let bad = |why| Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    if head.method != Method::GET {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a handshake is a GET"));
    }
    if !head.is_modern {
        return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "a handshake needs HTTP/1.1"));
    }
    let alone = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    if alone(&HOST).is_none() {
        return bad("one Host is needed");
    }
    if headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(|value| value != "0") {
        return bad("a handshake has no body");
    }
    if !has(headers, &UPGRADE, "websocket") {
        return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, "here is nothing but a WebSocket server"));
    }
    if !has(headers, &CONNECTION, "upgrade") {
        return bad("Connection does not name Upgrade");
    }
    if alone(&SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, "only version 13 is spoken"));
    }
    let key = alone(&SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let Some(key) = key.filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)) else {
        return bad("Sec-WebSocket-Key is not 16 bytes in base64");
    };
    if !list(headers, &SEC_WEBSOCKET_PROTOCOL).all(is_token) {
        return bad("Sec-WebSocket-Protocol is no list of tokens");
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn go(text: &str, names: &[&str]) -> Judged<u8> {
        let head = RequestHead::parse(text.as_bytes(), 20).expect(text);
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        judge(&head, Terms { subprotocols: &names }, |_| (Some(HeaderValue::from_static("x; y")), 7))
    }

    #[test]
    fn the_answer_of_rfc_6455_1_3() {
        let Judged::Open { answer, subprotocol, extensions } = go(GOOD, &["superchat", "chat"]) else {
            panic!("a good request");
        };
        assert_eq!((subprotocol.as_deref(), extensions), (Some("superchat"), 7), "the server's own order counts");
        assert_eq!(
            String::from_utf8(answer).expect("text"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: superchat\r\n\
             Sec-WebSocket-Extensions: x; y\r\n\r\n"
        );
        for names in [&[][..], &["other"]] {
            let Judged::Open { subprotocol, .. } = go(GOOD, names) else { panic!("a good request") };
            assert_eq!(subprotocol, None);
        }
        for good in [GOOD.replace("websocket", "h2c, WebSocket"), GOOD.replace(": Upgrade", ": keep-alive, Upgrade")] {
            assert!(matches!(go(&good, &[]), Judged::Open { .. }), "{good}");
        }
    }

    #[test]
    fn bad_requests() {
        for (old, new, status) in [
            ("GET", "POST", 405),
            ("HTTP/1.1", "HTTP/1.0", 505),
            ("Host: server.example.com\r\n", "", 400),
            ("Host: server.example.com\r\n", "Host: a\r\nHost: b\r\n", 400),
            ("Upgrade: websocket\r\n", "", 426),
            ("Upgrade: websocket", "Upgrade: h2c", 426),
            ("Connection: Upgrade\r\n", "", 400),
            ("Connection: Upgrade", "Connection: close", 400),
            ("Version: 13", "Version: 8", 426),
            ("Sec-WebSocket-Version: 13\r\n", "", 426),
            ("Version: 13", "Version: 13, 8", 426),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", 400),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
            ("Sec-WebSocket-Key", "X", 400),
            ("chat, superchat", "a b", 400),
            ("Host:", "Content-Length: 5\r\nHost:", 400),
            ("Host:", "Transfer-Encoding: chunked\r\nHost:", 400),
        ] {
            let text = GOOD.replacen(old, new, 1);
            let Judged::Refuse(refusal) = go(&text, &[]) else { panic!("{text}") };
            assert_eq!(refusal.status.as_u16(), status, "{text}");
            let answer = String::from_utf8(refusal.to_answer()).expect("text");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(refusal.why), "{answer}");
            assert_eq!(answer.contains("Sec-WebSocket-Version: 13\r\n"), status == 426, "{answer}");
        }
    }
}
