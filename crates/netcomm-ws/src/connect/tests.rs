//! Handshakes over connections in memory, on a clock that stands still.

#[cfg(feature = "http2")]
mod h2;
mod redirects;
mod terms;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use netcomm_core::{Env, Error, ErrorKind, Phase, Refused, Result};
use netcomm_tests::{ManualClock, ScriptedDialer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tungstenite::handshake::derive_accept_key;

use super::{Connect, Opened};
use crate::handshake::no_extensions;

pub(super) struct World {
    pub(super) dialer: ScriptedDialer,
    pub(super) clock: ManualClock,
    pub(super) env: Env,
}

impl World {
    pub(super) fn new() -> Self {
        let (dialer, clock) = (ScriptedDialer::new(), ManualClock::new());
        Self { env: Env::new(dialer.clone(), clock.clone()), dialer, clock }
    }

    pub(super) fn connect(&self) -> Connect {
        Connect::new(&self.env, "ws://a.example/chat")
    }

    /// Opens a connection to a server that answers with that text, in which `{accept}` stands for the answer to the key.
    pub(super) async fn answered(&self, answer: impl Into<String>) -> Result<Opened<()>> {
        let answer = answer.into();
        self.dialer.serve_next(|stream| async move { drop(reply(stream, &answer).await) });
        self.connect().open(no_extensions).await
    }
}

pub(super) const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n";

/// Reads a request, and gives its lines.
pub(super) async fn request(stream: &mut DuplexStream) -> Vec<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(text).expect("text").split("\r\n").map(str::to_owned).collect()
}

pub(super) fn value<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Reads a request, answers it, and gives the request and the connection.
pub(super) async fn reply(mut stream: DuplexStream, answer: &str) -> (Vec<String>, DuplexStream) {
    let lines = request(&mut stream).await;
    let accept = derive_accept_key(value(&lines, "Sec-WebSocket-Key").expect("a key").as_bytes());
    // Whoever has read enough may be gone.
    drop(stream.write_all(answer.replace("{accept}", &accept).as_bytes()).await);
    (lines, stream)
}

pub(super) fn refusal(error: &Error) -> &Refused {
    std::error::Error::source(error).and_then(|source| source.downcast_ref()).expect("a refusal")
}

#[tokio::test]
async fn what_comes_behind_the_head_is_kept_and_nothing_else_is() {
    let world = World::new();
    let opened = world.answered(GOOD).await.expect("open");
    assert_eq!((opened.status.as_u16(), opened.rest.capacity(), opened.subprotocol), (101, 0, None));
    assert_eq!((opened.uri.to_string().as_str(), opened.headers.len()), ("ws://a.example/chat", 3));
    drop(opened.io);
    let opened = world.answered(format!("{GOOD}\u{1}early")).await.expect("open");
    assert_eq!(&opened.rest[..], b"\x01early");
    assert!(opened.rest.capacity() < 64, "the head is gone");
    assert_eq!(world.dialer.open_connections(), 1, "and the first one is closed");
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let world = World::new();
    world.dialer.serve_next(|mut stream| async move {
        let lines = request(&mut stream).await;
        let accept = derive_accept_key(value(&lines, "Sec-WebSocket-Key").expect("a key").as_bytes());
        for byte in GOOD.replace("{accept}", &accept).bytes().chain(*b"x") {
            stream.write_all(&[byte]).await.expect("sent");
            tokio::task::yield_now().await;
        }
    });
    let opened = world.connect().open(no_extensions).await.expect("open");
    assert!(opened.rest.len() <= 1);
}

#[tokio::test]
async fn interim_answers_are_skipped_and_a_flood_of_them_is_an_error() {
    let world = World::new();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    assert!(world.answered(format!("{interim}{GOOD}")).await.is_ok());
    let error = world.answered(format!("{}{GOOD}", interim.repeat(9))).await.expect_err("a flood");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("interim"), "{error}");
}

#[tokio::test]
async fn answers_that_are_none() {
    let world = World::new();
    let without = |line: &str| GOOD.replace(line, "");
    let with = |line: &str| GOOD.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1);
    for (answer, kind, why) in [
        (GOOD.replace("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), ErrorKind::Protocol, "sec-websocket-accept"),
        (without("Sec-WebSocket-Accept: {accept}\r\n"), ErrorKind::Protocol, "sec-websocket-accept: nothing"),
        (without("Upgrade: websocket\r\n"), ErrorKind::Protocol, "upgrade: nothing"),
        (without("Connection: Upgrade\r\n"), ErrorKind::Protocol, "connection: nothing"),
        (with("Sec-WebSocket-Protocol: chat"), ErrorKind::Protocol, "sec-websocket-protocol"),
        (with("Sec-WebSocket-Extensions: permessage-deflate"), ErrorKind::Protocol, "sec-websocket-extensions"),
        (with("Content-Length: 10"), ErrorKind::Protocol, "content-length"),
        (GOOD.replace("HTTP/1.1", "HTTP/1.0"), ErrorKind::Protocol, "HTTP/1.0"),
        (GOOD.replace("\r\n", "\n"), ErrorKind::Protocol, "bare LF"),
        (with("X: a\r\n b"), ErrorKind::Protocol, "cannot be read"),
        (with("X : a"), ErrorKind::Protocol, "cannot be read"),
        (with(&format!("X: {}", "x".repeat(70_000))), ErrorKind::TooLarge, "header_bytes"),
        (with(&"X: y\r\n".repeat(101)).replace("\r\n\r\n\r\n", "\r\n\r\n"), ErrorKind::TooLarge, "headers"),
        (String::new(), ErrorKind::Closed, "without an answer"),
        ("HTTP/1.1 101 Switching Prot".into(), ErrorKind::Closed, "after 27 bytes of a head"),
        (without("\r\n\r\n"), ErrorKind::Closed, "of a head"),
        ("SSH-2.0-x\r\n\r\n".into(), ErrorKind::Protocol, "cannot be read"),
    ] {
        let error = world.answered(answer.clone()).await.expect_err(&answer);
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!(error.url(), Some("ws://a.example/chat"));
    }
    assert_eq!(world.dialer.open_connections(), 0);
}

#[tokio::test]
async fn a_head_without_end_costs_no_more_than_its_limit() {
    let world = World::new();
    world.dialer.set_buffer_bytes(1024);
    world.dialer.serve_next(|mut stream| async move {
        drop(request(&mut stream).await);
        let mut sent = 0;
        while stream.write_all(&[b'x'; 512]).await.is_ok() {
            sent += 512;
        }
        assert!(sent < 128 * 1024, "{sent} bytes were taken");
    });
    let error = world.connect().open(no_extensions).await.expect_err("endless");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    world.dialer.finish().await;
}

#[tokio::test]
async fn a_refusal_tells_what_the_server_said() {
    let world = World::new();
    let long = "x".repeat(5000);
    for (answer, status, body) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!!more".to_owned(), 403, "no!!"),
        ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end".to_owned(), 404, "until the end"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n".to_owned(),
            200,
            "hello",
        ),
        (format!("HTTP/1.1 500 x\r\nContent-Length: 5000\r\n\r\n{long}"), 500, &long[..4096]),
        (format!("HTTP/1.1 500 x\r\nContent-Length: 5000\r\n\r\n{}", &long[..10]), 500, &long[..10]),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_owned(), 302, ""),
        ("HTTP/1.1 204 No Content\r\n\r\nx".to_owned(), 204, ""),
    ] {
        let error = world.answered(answer.clone()).await.expect_err("refused");
        assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Status, Some(status)));
        assert_eq!(refusal(&error).body, body, "{answer:?}");
    }
    let error =
        world.answered("HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").await.expect_err("refused");
    let at = netcomm_core::Clock::now(&world.clock) + Duration::from_secs(7);
    assert_eq!((error.retry_at(), error.is_retryable()), (Some(at), true));
    let date = "HTTP/1.1 503 x\r\nRetry-After: Thu, 01 Jan 2026 00:00:09 GMT\r\nContent-Length: 0\r\n\r\n";
    let error = world.answered(date).await.expect_err("refused");
    assert_eq!(error.retry_at(), Some(at + Duration::from_secs(2)), "by the civil time of the clock");
}

#[tokio::test]
async fn a_refusal_does_not_wait_long_for_its_body() {
    let world = World::new();
    world.dialer.serve_next(|stream| async move {
        let (_, mut stream) = reply(stream, "HTTP/1.1 403 x\r\nContent-Length: 9\r\n\r\nno").await;
        drop(stream.read_u8().await);
    });
    let late = async {
        // One deadline for the answer, and then that of the body alone.
        while world.clock.next_sleep() != Some(Duration::from_secs(1)) {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(1));
    };
    let connect = world.connect();
    let (outcome, ()) = tokio::join!(connect.open(no_extensions), late);
    assert_eq!(refusal(&outcome.expect_err("refused")).body, "no");
}

#[tokio::test]
async fn one_deadline_for_dial_and_handshake() {
    let world = World::new();
    world.dialer.hang_next();
    let pass = async |wait| {
        world.clock.until_sleeping(1).await;
        world.clock.advance(wait);
    };
    let late = pass(Duration::from_millis(10_250));
    let connect = world.connect();
    let (outcome, ()) = tokio::join!(connect.open(no_extensions), late);
    let error = outcome.expect_err("no connection");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Connect)));
    assert_eq!(world.dialer.targets()[0].timeout, Duration::from_secs(10));

    world.dialer.serve_next(|mut stream| async move {
        drop(request(&mut stream).await);
        drop(stream.read_u8().await);
    });
    let late = pass(Duration::from_secs(3));
    let connect = connect.timeout(Duration::from_secs(3));
    let (outcome, ()) = tokio::join!(connect.open(no_extensions), late);
    let error = outcome.expect_err("no answer");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Wait)));
    assert!(error.to_string().contains("3s"), "{error}");
    assert_eq!((world.dialer.open_connections(), world.clock.pending_sleeps()), (0, 0));
}

#[tokio::test]
async fn a_handshake_that_is_dropped_closes_its_connection() {
    let world = World::new();
    world.dialer.serve_next(|mut stream| async move {
        drop(request(&mut stream).await);
        assert!(stream.read_u8().await.is_err(), "closed");
    });
    let connect = world.connect();
    tokio::select! {
        biased;
        _ = connect.open(no_extensions) => panic!("there was no answer"),
        () = world.dialer.until_open(1) => {}
    }
    world.dialer.until_open(0).await;
}

#[tokio::test]
async fn what_was_agreed_on_is_given() {
    let world = World::new();
    let answer = GOOD.replacen("\r\n", "\r\nSec-WebSocket-Protocol: v2\r\nSec-WebSocket-Extensions: x-own; a=1\r\n", 1);
    world.dialer.serve_all(move |stream| {
        let answer = answer.clone();
        async move {
            let (lines, _stream) = reply(stream, &answer).await;
            let offer = value(&lines, "Sec-WebSocket-Extensions");
            assert!(
                cfg!(not(feature = "deflate")) || offer.is_some_and(|offer| offer.starts_with("permessage-deflate"))
            );
        }
    });
    let connect = world.connect().subprotocols(["v1", "v2"]);
    let read = |headers: &HeaderMap| Ok::<_, String>(headers.get("sec-websocket-extensions").cloned());
    let opened = connect.open(read).await.expect("open");
    assert_eq!(
        (opened.subprotocol.as_deref(), opened.extensions),
        (Some("v2"), Some("x-own; a=1".parse().expect("value")))
    );
    let error = connect.open(|_| Err::<(), _>("a=1 was not offered".into())).await.expect_err("not agreed");
    assert!(error.to_string().contains("sec-websocket-extensions: a=1 was not offered"), "{error}");
    world.dialer.serve_all(|stream| async move { drop(reply(stream, GOOD).await) });
    assert!(world.connect().subprotocols(["v1"]).open(no_extensions).await.is_ok());
    let error = world.connect().subprotocols(["v1"]).require_subprotocol(true).open(no_extensions).await;
    assert_eq!(error.expect_err("none was chosen").kind(), ErrorKind::Protocol);
}

#[test]
fn a_builder_shows_no_secret_and_travels() {
    fn travels<T: Send + Sync + Clone>(_: &T) {}
    let world = World::new();
    let connect = Connect::new(&world.env, "wss://u:hidden@a.example/x?token=hidden").header("x-api-key", "hidden");
    travels(&connect);
    let shown = format!("{connect:?}");
    assert!(shown.contains("wss://a.example/x") && !shown.contains("hidden"), "{shown}");
    drop(Arc::new(connect));
}
