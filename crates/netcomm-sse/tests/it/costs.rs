//! What an event costs, and an idle stream.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::{AllocationInfo, measure};
use netcomm_core::{Listening, Slow};
use netcomm_sse::Select;

use crate::stage::{Server, events, wire};

const EVENTS: u64 = 1000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("built")
}

/// What it takes to read so many events that have all arrived in one chunk.
fn reading(event: &str, is_lent: bool) -> AllocationInfo {
    let runtime = runtime();
    let _guard = runtime.enter();
    // One before them, so that the stream is open.
    let server =
        Server::replies([events("data: first\n\n").give(event.repeat(EVENTS as usize)).then(crate::stage::Step::Hang)]);
    let mut stream = server.stream();
    runtime.block_on(async { stream.next().await.expect("one").expect("no error") });
    measure(|| {
        runtime.block_on(async {
            for _ in 0..EVENTS {
                if is_lent {
                    stream.next_ref().await.expect("one").expect("no error");
                } else {
                    stream.next().await.expect("one").expect("no error");
                }
            }
        });
    })
}

#[test]
fn an_event_without_an_observer_costs_its_data_at_most_and_nothing_if_it_is_lent() {
    let large = "x".repeat(300);
    for (event, each) in [
        // A small one is a copy, a larger one a view of its chunk.
        ("data: hello\n\n".to_owned(), 1),
        ("event: tick\ndata: hello\n\n".to_owned(), 1),
        (format!("data: {large}\n\n"), 0),
        // And so is its id.
        (format!("event: tick\nid: 7\ndata: {large}\n\n"), 1),
        ("event: tick\nid: 7\ndata: hello\n\n".to_owned(), 2),
        // Lines that are joined have to be copied.
        (format!("data: {large}\ndata: {large}\n\n"), 1),
    ] {
        for (each, is_lent) in [(each, false), (0, true)] {
            let info = reading(&event, is_lent);
            // What a chunk costs, once for all of them: the timer of silence and its like.
            assert!(info.count_total <= each * EVENTS + 20, "{} for {EVENTS} of {event:?}", info.count_total);
        }
    }
}

#[test]
fn a_lent_event_costs_nothing_in_a_chunk_of_its_own() {
    let runtime = runtime();
    let _guard = runtime.enter();
    let (writer, reply) = wire();
    let mut stream = Server::replies([reply]).stream();
    let mut read = |count: u64| {
        runtime.block_on(async {
            for _ in 0..count {
                stream.next_ref().await.expect("one").expect("no error");
            }
        });
    };
    let send = |count| (0..count).for_each(|_| writer.send("data: x\n\n".into()).expect("read"));
    send(10);
    read(10);
    send(EVENTS);
    let info = measure(|| read(EVENTS));
    assert!(info.count_total <= EVENTS / 8, "{} for {EVENTS}", info.count_total);
}

/// What it takes a listener to hear so many events, eight at a time.
fn hearing(is_lent: bool) -> AllocationInfo {
    let runtime = runtime();
    let _guard = runtime.enter();
    let (writer, reply) = wire();
    let server = Server::replies([reply]);
    let source = server.builder().open().expect("opened");
    let eight = Listening::default().with_items(8).with_slow(Slow::Wait);
    let mut listener = source.subscribe(Select::all(), eight);
    let mut hear = |count: u64| {
        runtime.block_on(async {
            for _ in 0..count {
                if is_lent {
                    listener.next_ref().await.expect("one").expect("none is missing");
                } else {
                    listener.next().await.expect("one").expect("none is missing");
                }
            }
        });
    };
    writer.send("data: x\n\n".repeat(100).into()).expect("read");
    hear(100);
    writer.send("data: x\n\n".repeat(EVENTS as usize).into()).expect("read");
    measure(|| hear(EVENTS))
}

#[test]
fn an_event_costs_a_listener_its_data_at_most_and_nothing_if_it_is_lent() {
    for (each, is_lent) in [(1, false), (0, true)] {
        let info = hearing(is_lent);
        // For each eight, which go to this one together: their text, their places, and the sender's wait.
        assert!(info.count_total <= each * EVENTS + 3 * EVENTS / 8 + 20, "{} for {EVENTS}", info.count_total);
    }
}

#[test]
fn an_idle_stream_is_small() {
    let runtime = runtime();
    let _guard = runtime.enter();
    let held = |said: &str| {
        let mut stream = Server::replies([crate::stage::stays(said)]).stream();
        runtime.block_on(async {
            stream.next().await.expect("one").expect("no error");
        });
        assert!(matches!(pin!(stream.next()).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        -measure(|| drop(stream)).bytes_current
    };
    let small = held("id: 1\ndata: x\n\n");
    let after_large = held(&format!("id: 1\nevent: a\ndata: {}\n\n", "x\ndata: y".repeat(100_000)));
    // With its server, which is part of it here, and what that remembers of the request.
    assert!((0..6 * 1024).contains(&small), "{small}");
    assert!((after_large - small).abs() < 512, "{after_large}, {small}");
}

#[test]
fn coming_back_a_thousand_times_leaves_nothing_behind() {
    let runtime = runtime();
    let _guard = runtime.enter();
    let server = Forgetful;
    let mut stream = netcomm_sse::EventStream::builder(&crate::stage::env(), crate::stage::URL)
        .transport(server)
        .stream()
        .expect("a stream");
    let mut come_back = |times: u64| {
        runtime.block_on(async {
            for _ in 0..times {
                stream.next().await.expect("one").expect("no error");
            }
        });
    };
    come_back(10);
    let memory = measure(|| come_back(1000));
    assert!(memory.bytes_current.abs() < 1024, "{}", memory.bytes_current);
}

/// A server that keeps no book of what it was asked.
struct Forgetful;

impl netcomm_core::HttpTransport for Forgetful {
    async fn send(
        &self,
        _request: http::Request<netcomm_core::Body>,
    ) -> netcomm_core::Result<http::Response<netcomm_core::Body>> {
        let answer = http::Response::builder().header("content-type", "text/event-stream");
        Ok(answer.body("id: 1\ndata: x\n\n".into()).expect("an answer"))
    }
}
