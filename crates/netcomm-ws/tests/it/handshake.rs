//! How a connection is opened, or is not.

use std::error::Error as _;

use http::StatusCode;
use netcomm_core::{Env, Error, ErrorKind};
use netcomm_tests::{ManualClock, ScriptedDialer};
use netcomm_ws::{AcceptOptions, Deflate, Refused, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What becomes of a connection to a server that answers every request with that text.
async fn answered(answer: &'static str) -> Error {
    let dialer = ScriptedDialer::new();
    dialer.serve_all(move |mut stream| async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a request"));
        }
        stream.write_all(answer.as_bytes()).await.expect("sent");
    });
    let env = Env::new(dialer, ManualClock::new());
    Socket::builder(&env, "ws://server.test/chat?token=hidden").connect().await.expect_err(answer)
}

#[tokio::test]
async fn an_answer_to_another_key_opens_nothing() {
    let error = answered(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    .await;
    assert_eq!((error.kind(), error.url()), (ErrorKind::Protocol, Some("ws://server.test/chat")));
    assert!(error.to_string().contains("sec-websocket-accept") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_refusal_is_had_with_all_that_it_says() {
    let error = answered(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nSet-Cookie: id=hidden\r\nContent-Length: 4\r\n\r\nslow",
    )
    .await;
    let refused = error.source().and_then(|source| source.downcast_ref::<Refused>()).expect("its source");
    assert_eq!((refused.status, &refused.body[..]), (StatusCode::TOO_MANY_REQUESTS, &b"slow"[..]));
    assert_eq!(error.status(), Some(refused.status));
    assert!(error.retry_at().is_some() && error.is_retryable());
    assert!(!format!("{error:?} {error}").contains("hidden"));
}

#[tokio::test]
async fn both_ends_choose_what_both_have() {
    let dialer = ScriptedDialer::new();
    let env = Env::new(dialer.clone(), ManualClock::new());
    let server = AcceptOptions::new(&env).subprotocols(["v3", "v2"]).check(|request| {
        let is_ours = request.headers().get("origin").is_some_and(|origin| origin == "https://app.test");
        if is_ours { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
    });
    dialer.serve_all(move |stream| {
        let server = server.clone();
        async move {
            if let Ok(mut socket) = Socket::accept(stream, &server).await {
                drop(socket.recv().await);
            }
        }
    });
    let client = Socket::builder(&env, "ws://server.test/").subprotocols(["v1", "v2"]);
    let error = client.connect().await.expect_err("another origin");
    assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
    let client = client.header("origin", "https://app.test");
    for (deflate, is_compressed) in [(Some(Deflate::default()), true), (None, false)] {
        let socket = client.clone().deflate(deflate).connect().await.expect("open");
        assert_eq!((socket.subprotocol(), socket.is_compressed()), (Some("v2"), is_compressed));
    }
    let strict = client.subprotocols(["v1"]).require_subprotocol(true);
    assert_eq!(strict.connect().await.expect_err("none in common").kind(), ErrorKind::Protocol);
}
