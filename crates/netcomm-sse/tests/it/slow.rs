//! Listeners that are slower than the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netcomm_core::{Env, Lagged, Listening, Result, Slow};
use netcomm_sse::Select;
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::io::AsyncWriteExt as _;

use crate::stage::{SECOND, Server, Step, ends, events, pass, status, stays, wire};

const EVENTS: usize = 100;

fn short(slow: Slow) -> Listening {
    Listening::default().with_items(3).with_slow(slow)
}

fn numbers() -> crate::stage::Reply {
    (0..EVENTS).fold(events(""), |reply, number| reply.give(format!("data: {number}\n\n")))
}

/// What it hears until the end; `-n` for n that are missing.
async fn heard(subscription: &mut netcomm_sse::EventSubscription) -> Vec<i64> {
    let mut heard = Vec::new();
    while let Some(event) = ends(subscription.next()).await {
        heard.push(match event {
            Ok(event) => event.data.parse().expect("a number"),
            Err(Lagged(count)) => -(count as i64),
        });
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn who_drops_is_told_how_many_and_holds_up_nobody() -> Result<()> {
    let server = Server::replies([numbers(), status(204)]);
    let source = server.builder().lazy().open()?;
    let mut oldest = source.subscribe(Select::all(), short(Slow::DropOldest));
    let mut newest = source.subscribe(Select::all(), short(Slow::DropNewest));
    let mut quick = source.subscribe(Select::all(), Listening::default());
    source.start();
    ends(source.closed()).await;
    assert_eq!(heard(&mut quick).await, (0..EVENTS as i64).collect::<Vec<_>>());
    assert_eq!(heard(&mut oldest).await, [-97, 97, 98, 99]);
    assert_eq!(heard(&mut newest).await, [0, 1, 2, -97]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_waits_misses_nothing_and_the_server_waits_too() -> Result<()> {
    let server = Server::replies([numbers().then(Step::Hang)]);
    let source = server.builder().lazy().open()?;
    let mut slow = source.subscribe(Select::all(), short(Slow::Wait));
    let quick = source.subscribe(Select::all(), Listening::default());
    source.start();
    pass(100 * SECOND).await;
    assert_eq!((slow.len(), quick.len()), (3, 3), "nobody is ahead by more than its queue");
    for number in 0..50 {
        let event = ends(slow.next()).await.expect("one").expect("none is missing");
        assert_eq!(event.data.parse::<usize>().ok(), Some(number));
    }
    pass(SECOND).await;
    assert_eq!((slow.len(), quick.len()), (3, 53));
    drop(slow);
    pass(SECOND).await;
    assert_eq!(quick.len(), EVENTS, "who leaves holds up nobody");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_who_keeps_up_is_what_came_at_once() -> Result<()> {
    let server = Server::replies([numbers().then(Step::Hang)]);
    let source = server.builder().open()?;
    let mut quick = source.subscribe(Select::all(), Listening::default());
    for number in 0..EVENTS {
        let event = ends(quick.next()).await.expect("one").expect("none is missing");
        assert_eq!((event.data.parse().ok(), quick.len()), (Some(number), 0), "each came in a chunk of its own");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn backpressure_reaches_the_wire() -> Result<()> {
    let written = Arc::new(AtomicUsize::new(0));
    let dialer = ScriptedDialer::new();
    dialer.set_buffer_bytes(4096);
    dialer.serve_all({
        let written = Arc::clone(&written);
        move |mut stream| {
            let written = Arc::clone(&written);
            async move {
                crate::http::head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await.expect("written");
                let event = format!("data: {}\n\n", "x".repeat(1000));
                while stream.write_all(event.as_bytes()).await.is_ok() {
                    written.fetch_add(event.len(), Ordering::Relaxed);
                }
            }
        }
    });
    let env = Env::new(dialer, TokioClock::new());
    let source = netcomm_sse::EventSource::builder(&env, "http://server.test/").open()?;
    let mut slow = source.subscribe(Select::all(), short(Slow::Wait));
    pass(200 * SECOND).await;
    let before = written.load(Ordering::Relaxed);
    assert!(before < 256 * 1024, "{before} bytes, of which 3 events were asked for");
    for _ in 0..1000 {
        ends(slow.next()).await.expect("one").expect("none is missing");
    }
    pass(SECOND).await;
    let after = written.load(Ordering::Relaxed);
    assert!((900_000..1_300_000).contains(&(after - before)), "{before}, {after}");
    // A reader who pauses for longer than the server may be silent finds the stream as it was.
    pass(3600 * SECOND).await;
    for _ in 0..100 {
        ends(slow.next()).await.expect("one").expect("none is missing");
    }
    assert!(matches!(source.state(), netcomm_sse::State::Open));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_stops_a_server_of_http_2_a_window_later() -> Result<()> {
    // What a stream may be ahead of its reader: its window, and what the parser was handed last.
    const AHEAD: usize = 1024 * 1024 + 64 * 1024;
    const EVENT_BYTES: usize = 1008;
    let written = Arc::new(AtomicUsize::new(0));
    let dialer = ScriptedDialer::new();
    dialer.set_alpn(b"h2");
    dialer.serve_all({
        let written = Arc::clone(&written);
        move |stream| {
            let written = Arc::clone(&written);
            async move {
                let mut connection = h2::server::handshake(stream).await.expect("a handshake");
                while let Some(Ok((_, respond))) = connection.accept().await {
                    drop(tokio::spawn(pours(respond, Arc::clone(&written))));
                }
            }
        }
    });
    let env = Env::new(dialer, TokioClock::new());
    let mut stream = netcomm_sse::EventStream::builder(&env, "https://server.test/").stream()?;
    crate::stage::data(&mut stream).await;
    pass(200 * SECOND).await;
    let before = written.load(Ordering::Relaxed);
    assert!(before <= AHEAD, "{before} bytes, of which one event was asked for");
    for _ in 0..3000 {
        assert_eq!(crate::stage::data(&mut stream).await.len(), EVENT_BYTES - "data: \n\n".len());
    }
    pass(SECOND).await;
    let after = written.load(Ordering::Relaxed);
    assert!((3000 * EVENT_BYTES..3001 * EVENT_BYTES + AHEAD).contains(&after), "{before}, {after}");
    Ok(())
}

/// Writes events of 1008 bytes for as long as there is room.
async fn pours(mut respond: h2::server::SendResponse<bytes::Bytes>, written: Arc<AtomicUsize>) {
    let answer = http::Response::builder().header("content-type", "text/event-stream");
    let mut body = respond.send_response(answer.body(()).expect("an answer"), false).expect("sent");
    let event = bytes::Bytes::from(format!("data: {}\n\n", "x".repeat(1000)));
    let mut rest = event.clone();
    body.reserve_capacity(rest.len());
    while let Some(Ok(room)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await {
        let part = rest.split_to(room.min(rest.len()));
        written.fetch_add(part.len(), Ordering::Relaxed);
        body.send_data(part, false).expect("sent");
        if rest.is_empty() {
            rest = event.clone();
        }
        body.reserve_capacity(rest.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_who_is_slow() -> Result<()> {
    let server = Server::replies([numbers().then(Step::Hang)]);
    let source = server.builder().open()?;
    let mut slow = source.subscribe(Select::all(), short(Slow::Wait));
    pass(SECOND).await;
    source.close();
    ends(source.closed()).await;
    assert_eq!(heard(&mut slow).await, [0, 1, 2]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn bytes_count_too() -> Result<()> {
    let (writer, reply) = wire();
    let server = Server::replies([reply, stays("")]);
    let source = server.builder().open()?;
    let few = Listening::default().with_bytes(100).with_slow(Slow::Wait);
    let slow = source.subscribe(Select::all(), few);
    for _ in 0..10 {
        writer.send(format!("data: {}\n\n", "x".repeat(60)).into()).expect("read");
    }
    pass(SECOND).await;
    assert_eq!(slow.len(), 2);
    Ok(())
}
