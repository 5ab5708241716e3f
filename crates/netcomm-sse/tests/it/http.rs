//! Over the client of netcomm-http: an hour of silence, equal sources, large streams, codings, HTTP/2.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use netcomm_core::{Env, ErrorKind, Limits, Result, Scope, Timeouts};
use netcomm_http::Client;
use netcomm_http::cache::Cache;
use netcomm_sse::EventStream;
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::stage::{SECOND, data, ends, fails, pass, story};

const URL: &str = "http://server.test/events";

fn world() -> (ScriptedDialer, Env) {
    let dialer = ScriptedDialer::new();
    let env = Env::new(dialer.clone(), TokioClock::new());
    (dialer, env)
}

/// Reads the head of a request.
pub(crate) async fn head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(head).expect("text").to_lowercase()
}

/// Answers with an event stream of chunks; gives the request.
async fn opens(stream: &mut DuplexStream, fields: &str) -> String {
    let head = head(stream).await;
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{fields}\r\n");
    stream.write_all(answer.as_bytes()).await.expect("sent");
    head
}

async fn chunk(stream: &mut DuplexStream, bytes: &[u8]) {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    stream.write_all(&framed).await.expect("sent");
}

#[tokio::test(start_paused = true)]
async fn a_day_of_silence_breaks_nothing() -> Result<()> {
    let (dialer, env) = world();
    dialer.serve_all(|mut stream| async move {
        opens(&mut stream, "").await;
        chunk(&mut stream, b"data: a\n\n").await;
        pass(24 * 3600 * SECOND).await;
        chunk(&mut stream, b"data: b\n\n").await;
        stream.read_u8().await.expect_err("its end");
    });
    let mut stream = EventStream::builder(&env, URL).idle_timeout(None).stream()?;
    assert_eq!((data(&mut stream).await, data(&mut stream).await), ("a".to_owned(), "b".to_owned()));
    assert_eq!((dialer.dials(), stream.counts().attempts), (1, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_bounds_of_a_client_for_answers_are_none_for_streams() -> Result<()> {
    let (dialer, env) = world();
    dialer.serve_all(|mut stream| async move {
        opens(&mut stream, "").await;
        for _ in 0..300 {
            pass(SECOND).await;
            chunk(&mut stream, b"data: x\n\n").await;
        }
        chunk(&mut stream, b"data: [DONE]\n\n").await;
        stream.read_u8().await.expect_err("its end");
    });
    let timeouts = Timeouts::default().with_total(Some(10 * SECOND)).with_idle_body(Duration::from_millis(100));
    let client = Client::builder(&env).limits(Limits::default().with_body_bytes(100)).timeouts(timeouts).build()?;
    let mut stream = EventStream::builder(&env, URL).transport(client).done_when("[DONE]").stream()?;
    assert_eq!(story(&mut stream).await.last().map(String::as_str), Some("closed Sentinel"));
    assert_eq!((dialer.dials(), stream.counts().events), (1, 300));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn equal_sources_have_streams_of_their_own_and_nothing_is_stored() -> Result<()> {
    let (dialer, env) = world();
    let count = Arc::new(AtomicUsize::new(0));
    dialer.serve_all({
        let count = Arc::clone(&count);
        move |mut stream| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move {
                opens(&mut stream, "cache-control: max-age=1000\r\n").await;
                chunk(&mut stream, format!("data: {number}\n\n").as_bytes()).await;
                pass(10 * SECOND).await;
                stream.write_all(b"0\r\n\r\n").await.expect("sent");
                while stream.read_u8().await.is_ok() {}
            }
        }
    });
    let cache = Cache::memory(1 << 20);
    let client = Client::builder(&env).cache(cache).deduplicate(true).build()?;
    let source = || EventStream::builder(&env, URL).transport(client.clone()).stream();
    let (mut one, mut two) = (source()?, source()?);
    let (first, second) = tokio::join!(data(&mut one), data(&mut two));
    assert_ne!(first, second);
    assert_eq!(dialer.dials(), 2);
    // Both end; what comes next is no answer from before.
    pass(11 * SECOND).await;
    let mut three = source()?;
    assert!(tokio::time::timeout(SECOND, three.next()).await.is_err() || count.load(Ordering::Relaxed) > 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_compressed_stream_gives_each_event_as_it_is_flushed() -> Result<()> {
    let (dialer, env) = world();
    dialer.serve_all(|mut stream| async move {
        let head = opens(&mut stream, "content-encoding: gzip\r\n").await;
        assert!(head.contains("accept-encoding: ") && head.contains("gzip"), "{head}");
        let mut coder = GzEncoder::new(Vec::new(), Compression::default());
        for number in 0..50 {
            // A repetition that hardly takes a byte on the wire.
            write!(coder, "data: {number}\n: {}\n\n", "padding ".repeat(500)).expect("written");
            coder.flush().expect("flushed");
            let bytes = std::mem::take(coder.get_mut());
            chunk(&mut stream, &bytes).await;
            pass(10 * SECOND).await;
        }
        while stream.read_u8().await.is_ok() {}
    });
    let mut stream = EventStream::builder(&env, URL).stream()?;
    let start = tokio::time::Instant::now();
    for number in 0..50 {
        assert_eq!(data(&mut stream).await, number.to_string());
        assert_eq!(start.elapsed(), number * 10 * SECOND, "not a flush later");
    }
    assert_eq!(dialer.dials(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_said_again_and_again_is_no_bomb() -> Result<()> {
    let (dialer, env) = world();
    let state = "x".repeat(30_000);
    dialer.serve_all({
        let state = state.clone();
        move |mut stream| {
            let state = state.clone();
            async move {
                opens(&mut stream, "content-encoding: gzip\r\n").await;
                let mut coder = GzEncoder::new(Vec::new(), Compression::best());
                for _ in 0..500 {
                    write!(coder, "data: {state}\n\n").expect("written");
                    coder.flush().expect("flushed");
                    chunk(&mut stream, &std::mem::take(coder.get_mut())).await;
                }
                while stream.read_u8().await.is_ok() {}
            }
        }
    });
    let mut stream = EventStream::builder(&env, URL).stream()?;
    for _ in 0..500 {
        assert_eq!(data(&mut stream).await.len(), state.len());
    }
    assert_eq!(dialer.dials(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_breaks_is_taken_up_behind_the_last_event() -> Result<()> {
    let (dialer, env) = world();
    let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
    for said in [&b"id: 1\ndata: a\n\nid: 2\nda"[..], b"id: 2\ndata: b\n\n"] {
        let heads = Arc::clone(&heads);
        dialer.serve_next(move |mut stream| async move {
            let head = opens(&mut stream, "").await;
            heads.lock().expect("held shortly").push(head);
            chunk(&mut stream, said).await;
        });
    }
    let mut stream = EventStream::builder(&env, URL).stream()?;
    assert_eq!((data(&mut stream).await, data(&mut stream).await), ("a".to_owned(), "b".to_owned()));
    let heads = heads.lock().expect("held shortly").clone();
    assert!(!heads[0].contains("last-event-id") && heads[1].contains("\r\nlast-event-id: 1\r\n"), "{heads:?}");
    assert!(!heads[1].contains("range"), "it is no download");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_closed_stream_closes_its_connection() -> Result<()> {
    let (dialer, env) = world();
    dialer.serve_all(|mut stream| async move {
        opens(&mut stream, "").await;
        chunk(&mut stream, b"data: a\n\n").await;
        while stream.read_u8().await.is_ok() {}
    });
    let mut stream = EventStream::builder(&env, URL).stream()?;
    data(&mut stream).await;
    assert_eq!(dialer.open_connections(), 1);
    stream.close();
    ends(dialer.until_open(0)).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_scope_is_revoked_asks_for_nothing_more() -> Result<()> {
    let (dialer, env) = world();
    dialer.serve_all(|mut stream| async move {
        opens(&mut stream, "").await;
        chunk(&mut stream, b"data: a\n\n").await;
        pass(10 * SECOND).await;
    });
    let scope = Scope::builder("feed").allow_all().build();
    let client = Client::builder(&env).build()?.scoped(scope.clone());
    let mut stream = EventStream::builder(&env, URL).transport(client).stream()?;
    assert_eq!(data(&mut stream).await, "a");
    scope.revoke();
    let error = fails(&mut stream).await;
    assert_eq!(error.kind(), ErrorKind::Canceled, "{error}");
    assert!(error.to_string().contains(r#"scope "feed" was revoked"#), "{error}");
    assert_eq!((dialer.dials(), stream.counts().attempts), (1, 2), "refused before anything was dialled, and once");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn many_streams_share_a_connection_of_http_2() -> Result<()> {
    let (dialer, env) = world();
    dialer.set_alpn(b"h2");
    dialer.serve_all(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.expect("a handshake");
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let name = request.uri().path().to_owned();
            drop(tokio::spawn(async move {
                let answer = http::Response::builder().header("content-type", "text/event-stream");
                let mut body = respond.send_response(answer.body(()).expect("an answer"), false).expect("sent");
                for number in 0..3 {
                    body.send_data(format!("data: {name} {number}\n\n").into(), false).expect("sent");
                    pass(100 * SECOND).await;
                }
                body.send_data("data: [DONE]\n\n".into(), true).expect("sent");
            }));
        }
    });
    let client = Client::builder(&env).build()?;
    let mut streams = Vec::new();
    for name in ["a", "b", "c"] {
        let url = format!("https://server.test/{name}");
        streams.push((name, EventStream::builder(&env, url).transport(client.clone()).done_when("[DONE]").stream()?));
    }
    for number in 0..3 {
        for (name, stream) in &mut streams {
            assert_eq!(data(stream).await, format!("/{name} {number}"));
        }
    }
    for (_, stream) in &mut streams {
        assert!(ends(stream.next()).await.is_none());
    }
    assert_eq!(dialer.dials(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_http_2_that_is_reset_goes_on_behind_its_last_event() -> Result<()> {
    let (dialer, env) = world();
    dialer.set_alpn(b"h2");
    dialer.serve_all(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.expect("a handshake");
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            drop(tokio::spawn(async move {
                let id = request
                    .headers()
                    .get("last-event-id")
                    .map_or(0, |id| id.to_str().expect("text").parse::<u64>().expect("a number") + 1);
                let answer = http::Response::builder().header("content-type", "text/event-stream");
                let mut body = respond.send_response(answer.body(()).expect("an answer"), false).expect("sent");
                body.send_data(format!("id: {id}\ndata: {id}\n\nid: never\n").into(), false).expect("sent");
                pass(SECOND).await;
                body.send_reset(
                    [h2::Reason::INTERNAL_ERROR, h2::Reason::CANCEL, h2::Reason::NO_ERROR][id as usize % 3],
                );
            }));
        }
    });
    let mut stream = EventStream::builder(&env, "https://server.test/").last_event_id("1").stream()?;
    for id in 2..9 {
        assert_eq!(data(&mut stream).await, id.to_string());
    }
    Ok(())
}
