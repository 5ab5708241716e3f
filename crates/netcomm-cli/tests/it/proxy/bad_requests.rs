//! Clients that break HTTP/1.1: each is told so, its connection ends, and no byte of it reaches the server.

use netcomm::http::testing::{Reply, ScriptedServer};

use super::{Proxy, get};
use crate::stage::{friendly, start};

/// Requests that no server may see, and the status of the answer.
fn rows() -> Vec<(&'static str, Vec<u8>, u16)> {
    let post = |lines: &str| format!("POST /evil HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\nhello").into_bytes();
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: y")).collect::<Vec<_>>().join("\r\n");
    vec![
        ("two equal Content-Length", post("Content-Length: 5\r\nContent-Length: 5"), 400),
        ("two different Content-Length", post("Content-Length: 5\r\nContent-Length: 6"), 400),
        ("two lengths in one field", post("Content-Length: 5, 5"), 400),
        ("Content-Length with a plus", post("Content-Length: +5"), 400),
        ("negative Content-Length", post("Content-Length: -5"), 400),
        ("Content-Length of 23 digits", post("Content-Length: 99999999999999999999999"), 400),
        ("Content-Length before chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
        ("Content-Length after chunked", post("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400),
        ("unknown Transfer-Encoding", post("Transfer-Encoding: banana"), 501),
        ("chunked and more", post("Transfer-Encoding: chunked, identity"), 501),
        ("chunked in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 501),
        ("hidden chunked", post("Transfer-Encoding: \u{b}chunked"), 400),
        ("chunked in HTTP/1.0", b"POST /evil HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), 400),
        ("101 header fields", post(&many(100)), 431),
        ("one header of 300 KB", post(&format!("x: {}", "y".repeat(300 * 1024))), 431),
        (
            "a target of 300 KB",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(300 * 1024)).into_bytes(),
            414,
        ),
        ("NUL in a value", post("X-Odd: a\0b"), 400),
        ("bare CR in a value", post("X-Odd: a\rb"), 400),
        ("bare LF in a value", post("X-Odd: a\nX-Evil: b"), 400),
        ("bare LF at the end", b"GET /evil HTTP/1.1\r\nHost: a\r\n\n".to_vec(), 400),
        ("a head with bare LF", b"GET /evil HTTP/1.1\nHost: a\n\n".to_vec(), 400),
        ("folded header", post("X-Odd: a\r\n b"), 400),
        ("folded first header", b"GET /evil HTTP/1.1\r\n Host: a\r\n\r\n".to_vec(), 400),
        ("space before the colon", post("X-Odd : a"), 400),
        ("space before the colon of a length", post("Content-Length : 5"), 400),
        ("empty header name", post(": a"), 400),
        ("a field without a colon", post("X-Odd"), 400),
        ("no Host", b"GET /evil HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("two Hosts", post("Host: b"), 400),
        ("a Host that is none", b"GET /evil HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec(), 400),
        ("a Host beside another target", b"GET http://b/evil HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("user information in the target", b"GET http://u:p@a/evil HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("a fragment in the target", b"GET /evil#x HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("a space in the target", b"GET /e vil HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("a byte beyond ASCII in the target", b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        ("HTTP/0.9", b"GET /evil\r\n\r\n".to_vec(), 400),
        ("HTTP/2 as text", b"GET /evil HTTP/2\r\nHost: a\r\n\r\n".to_vec(), 505),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 505),
        ("a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("TRACE with content", b"TRACE /evil HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_vec(), 400),
    ]
}

#[tokio::test]
async fn bad_heads_are_refused_and_end_the_connection() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    for (name, request, status) in rows() {
        let mut talk = proxy.connect().await;
        talk.try_say([&request[..], get("/second").as_bytes()].concat()).await;
        let answer = talk.answer().await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        assert!(answer.text().starts_with("me: ") && answer.text().ends_with('\n'), "{name}: {answer:?}");
        assert_eq!(answer.field("connection").as_deref(), Some("close"), "{name}");
        assert!(talk.has_ended().await, "{name}");
        assert_eq!(server.request_count(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_bad_head_after_a_good_request_is_answered_in_its_turn() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let mut talk = proxy.connect().await;
    talk.say(format!("{}GET /evil HTTP/1.1\r\nHost : a\r\n\r\n{}", get("/good"), get("/third"))).await;
    assert_eq!(talk.answer().await.text(), "ok");
    assert_eq!(talk.answer().await.status, 400);
    assert!(talk.has_ended().await);
    assert_eq!(server.take_requests().iter().map(|request| request.path().to_owned()).collect::<Vec<_>>(), ["/good"]);
}

#[tokio::test]
async fn bad_chunks_are_refused_and_the_server_never_sees_an_end() {
    let server = friendly().await;
    let proxy = Proxy::before(&server).await;
    let trailers: String = (0..5000).map(|number| format!("t{number}: x\r\n")).collect();
    for (name, chunks) in [
        ("chunk size ZZ", "ZZ\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("negative chunk size", "-5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("empty chunk size", "\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("chunk size with space", "5 \r\nhello\r\n0\r\n\r\n".to_owned()),
        ("chunk longer than its size", "2\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("chunk size overflow", "FFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("chunk lines with bare LF", "5\nhello\n0\n\n".to_owned()),
        ("extension with bare LF", "5;x\nhello\r\n0\r\n\r\n".to_owned()),
        ("200 KB of chunk extensions", format!("5;x={}\r\nhello\r\n0\r\n\r\n", "y".repeat(200 * 1024))),
        ("5000 trailers", format!("5\r\nhello\r\n0\r\n{trailers}\r\n")),
        ("trailer with bare LF", "5\r\nhello\r\n0\r\nx: y\n\r\n".to_owned()),
        ("bad after good", "5\r\nhello\r\nZZ\r\n\r\n".to_owned()),
    ] {
        let mut talk = proxy.connect().await;
        talk.try_say(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{}",
            get("/evil")
        ))
        .await;
        let answer = talk.answer().await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert!(talk.has_ended().await, "{name}");
        assert!(server.take_requests().iter().all(|request| !request.complete), "{name}");
    }
}

#[tokio::test]
async fn content_that_breaks_off_never_comes_to_an_end_at_the_server() {
    let server = start(ScriptedServer::builder().handler(|_| Reply::status(200).body("ok"))).await;
    let proxy = Proxy::before(&server).await;
    for head in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut talk = proxy.connect().await;
        talk.say(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}")).await;
        tokio::time::timeout(crate::stage::LIMIT, server.until_connections(1)).await.expect("a connection");
        drop(talk);
        tokio::time::timeout(crate::stage::LIMIT, server.until_open(0)).await.expect("an end");
        assert!(server.take_requests().iter().all(|request| !request.complete));
    }
}
