//! What a recorder keeps of real calls, and how little that is.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use netcomm_core::{CallId, ErrorKind};
use netcomm_http::cache::Cache;
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Client, Retry};
use netcomm_monitor::{Decided, Detail, Entry, Redactor};
use netcomm_ws::{AcceptOptions, Socket};

use crate::recording::{CANARY, stage};

fn last(entries: Vec<Entry>) -> Entry {
    entries.into_iter().next_back().expect("an entry")
}

fn friendly() -> netcomm_http::testing::ScriptedServerBuilder {
    ScriptedServer::builder().handler(|_| Reply::status(200).header("content-type", "text/plain").body("hello"))
}

#[tokio::test(start_paused = true)]
async fn a_call_from_beginning_to_end() {
    let stage = stage(friendly(), |builder| builder);
    let client = stage.client();
    for reused in [false, true] {
        let call = client.post("http://a.example/x?page=2&token=hunter2").header("x-one", "1").body("abc");
        let response = call.send().await.expect("an answer");
        let id = response.call();
        response.bytes().await.expect("a body");
        let entry = stage.recorder.entry(id).expect("kept");
        assert_eq!((entry.method.clone(), &*entry.url), (Method::POST, "http://a.example/x?page=2&token=***"));
        assert_eq!((entry.status(), entry.error()), (Some(StatusCode::OK), None));
        assert_eq!((entry.body.data(), entry.body.content_type()), (&b"hello"[..], Some("text/plain")));
        let [attempt] = &entry.attempts[..] else { panic!("{entry:?}") };
        assert_eq!((attempt.number, &*attempt.origin), (1, "http://a.example:80"));
        assert_eq!(attempt.connection.expect("a connection").reused, reused);
        assert_eq!(attempt.request.as_ref().expect("a head").headers["x-one"], "1");
        assert_eq!(attempt.request_body.data(), b"abc");
        assert_eq!(attempt.response.as_ref().expect("a head").status, Some(StatusCode::OK));
        let ended = entry.ended.expect("an end");
        assert_eq!((ended.received_bytes, ended.error), (5, None));
    }
    assert_eq!(stage.recorder.len(), 2);
    assert_eq!(stage.recorder.dropped(), Default::default());
}

#[tokio::test(start_paused = true)]
async fn the_times_of_each_part_are_known() {
    let second = Duration::from_secs(1);
    let stage = stage(
        ScriptedServer::builder().handler(|_| Reply::status(200).delayed(Duration::from_secs(3)).body("abcd")),
        |builder| builder,
    );
    let before = stage.env.clock().wall();
    tokio::time::advance(second).await;
    stage.client().get("http://a.example/").send().await.expect("an answer").bytes().await.expect("a body");
    let entry = last(stage.recorder.entries());
    assert_eq!(entry.started_at.duration_since(before).expect("later"), second);
    let timings = entry.attempts[0].timings();
    assert_eq!(timings.wait, Some(3 * second));
    assert_eq!(timings.send, Some(Duration::ZERO));
    let took = entry.ended.expect("an end").took;
    assert_eq!(timings.total(), took, "{timings:?}");
}

#[tokio::test(start_paused = true)]
async fn redirects_and_repetitions_are_told_with_their_reasons() {
    let server = ScriptedServer::builder()
        .route("/go", Reply::status(302).header("location", "http://b.example/end?sig=hunter2"))
        .route_each("/end", [Reply::status(503).body("later"), Reply::status(200).body("here")]);
    let stage = stage(server, |builder| builder);
    let client = Client::builder(&stage.env).retry(Retry::default()).build().expect("a client");
    client.get("http://a.example/go").send().await.expect("an answer").bytes().await.expect("a body");
    let entry = last(stage.recorder.entries());
    let statuses: Vec<_> = entry.attempts.iter().map(|attempt| attempt.status.map(|status| status.as_u16())).collect();
    assert_eq!(statuses, [Some(302), Some(503), Some(200)]);
    assert_eq!(entry.attempts[0].redirected_to.as_deref(), Some("http://b.example/end"));
    let urls: Vec<_> = entry.attempts.iter().filter_map(|attempt| attempt.request.as_ref()?.url.as_deref()).collect();
    assert_eq!(urls, ["http://a.example/go", "http://b.example/end?sig=***", "http://b.example/end?sig=***"]);
    let location = &entry.attempts[0].response.as_ref().expect("a head").headers["location"];
    assert_eq!(location, "http://b.example/end?sig=***");
    let decided: Vec<_> = entry.decisions.iter().map(|decision| &decision.what).collect();
    assert!(
        matches!(
            decided[..],
            [
                Decided::Redirected { crossed_origin: true, .. },
                Decided::Retried { tries: 1, status: Some(StatusCode::SERVICE_UNAVAILABLE), error: None, .. }
            ]
        ),
        "{decided:?}"
    );
    assert_eq!(entry.body.data(), b"here");
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_store_is_told_as_one() {
    let stage = stage(
        ScriptedServer::builder().handler(|_| Reply::status(200).header("cache-control", "max-age=60").body("kept")),
        |builder| builder,
    );
    let client = Client::builder(&stage.env).cache(Cache::memory(1 << 20)).build().expect("a client");
    for is_from_store in [false, true] {
        client.get("http://a.example/").send().await.expect("an answer").bytes().await.expect("a body");
        let entry = last(stage.recorder.entries());
        assert_eq!(entry.is_from_store(), is_from_store);
        assert_eq!(entry.attempts.is_empty(), is_from_store);
        assert_eq!(entry.response().expect("a head").headers["cache-control"], "max-age=60");
        assert_eq!(entry.body.data(), b"kept");
        assert!(matches!(entry.decisions[0].what, Decided::Cache { hit, .. } if hit == is_from_store));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_says_why() {
    let stage = stage(friendly(), |builder| builder);
    stage.dialer.fail_all(ErrorKind::Dns);
    stage.client().get("http://a.example/").send().await.expect_err("no name");
    let entry = last(stage.recorder.entries());
    assert_eq!((entry.status(), entry.error()), (None, Some(ErrorKind::Dns)));
    assert_eq!(entry.attempts[0].error, Some(ErrorKind::Dns));
    assert!(entry.attempts[0].request.is_none(), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn detail_says_how_much_is_kept() {
    let stage = stage(friendly(), |builder| builder.detail(Detail::Calls));
    let client = stage.client();
    let seen = async |detail| {
        stage.recorder.set_detail(detail);
        let call = client.post("http://a.example/x?page=2").body("abc");
        call.send().await.expect("an answer").bytes().await.expect("a body");
        let entry = last(stage.recorder.entries());
        let sizes = (entry.body.data().len(), entry.body.bytes(), entry.attempts[0].request_body.bytes());
        (entry.url.clone(), entry.attempts[0].request.is_some(), sizes)
    };
    assert_eq!(seen(Detail::Calls).await, ("http://a.example/x".into(), false, (0, 0, 0)));
    assert_eq!(seen(Detail::Heads).await, ("http://a.example/x?page=2".into(), true, (0, 5, 3)));
    assert_eq!(seen(Detail::Bodies).await, ("http://a.example/x?page=2".into(), true, (5, 5, 3)));
}

#[tokio::test(start_paused = true)]
async fn old_entries_leave_and_are_counted_unless_they_were_read() {
    let stage = stage(friendly(), |builder| builder.entries(2));
    let client = stage.client();
    let ask = async |count| {
        for number in 0..count {
            let call = client.get(format!("http://a.example/{number}"));
            call.send().await.expect("an answer").bytes().await.expect("a body");
        }
    };
    ask(5).await;
    let urls: Vec<_> = stage.recorder.entries().into_iter().map(|entry| entry.url).collect();
    assert_eq!(urls, ["http://a.example/3", "http://a.example/4"]);
    assert_eq!(stage.recorder.dropped().entries, 3);
    ask(2).await;
    assert_eq!(stage.recorder.dropped().entries, 3, "those that left had been read");
    stage.recorder.clear();
    assert!(stage.recorder.is_empty());
    stage.recorder.pause();
    ask(1).await;
    assert!(stage.recorder.is_empty() && stage.recorder.is_paused());
    stage.recorder.resume();
    ask(1).await;
    assert_eq!(stage.recorder.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_and_large_bodies_cut() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).body(vec![b'x'; 300_000])), |builder| {
        builder.bytes(250_000).body_bytes(100_000)
    });
    let client = stage.client();
    for _ in 0..5 {
        let call = client.post("http://a.example/").body(vec![b'y'; 200_000]);
        call.send().await.expect("an answer").bytes().await.expect("a body");
    }
    let entries = stage.recorder.entries();
    assert_eq!(entries.len(), 1, "two together would weigh too much");
    let entry = last(entries);
    assert_eq!((entry.body.data().len(), entry.body.bytes(), entry.body.is_cut()), (100_000, 300_000, true));
    let sent = &entry.attempts[0].request_body;
    assert_eq!((sent.data().len(), sent.bytes()), (100_000, 200_000));
    assert_eq!(stage.recorder.dropped().body_bytes, 5 * 300_000);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_outlives_who_has_ended() {
    let stage = stage(friendly(), |builder| builder.entries(3));
    let far = stage.env.clone();
    stage.dialer.serve_next(move |io| async move {
        let mut socket =
            Socket::accept(io, &AcceptOptions::new(&far.with_tap(netcomm_core::Tap::off()))).await.expect("open");
        while let Ok(Some(message)) = socket.recv().await {
            socket.send(message).await.expect("sent");
        }
    });
    let mut socket = Socket::builder(&stage.env, "ws://a.example/live?token=hunter2").connect().await.expect("open");
    let client = stage.client();
    for _ in 0..5 {
        client.get("http://a.example/").send().await.expect("an answer").bytes().await.expect("a body");
        socket.send("ping").await.expect("sent");
        socket.recv().await.expect("received");
    }
    let first = stage.recorder.entries().swap_remove(0);
    assert_eq!((first.method.clone(), &*first.url), (Method::GET, "ws://a.example/live?token=***"));
    assert_eq!(first.status(), Some(StatusCode::SWITCHING_PROTOCOLS));
    let open = first.socket.as_ref().expect("a socket");
    assert_eq!((open.sent, open.received, open.messages.len()), ((5, 20), (5, 20), 10));
    assert!(first.ended.is_none());
    assert_eq!(first.attempts.len(), 1, "{first:?}");
    assert!(first.attempts[0].connection.is_some() && first.attempts[0].request.is_some());
    drop(socket);
    let first = stage.recorder.entry(first.call).expect("kept");
    assert!(first.ended.is_some() && first.socket.expect("a socket").closed.is_some());
}

#[tokio::test(start_paused = true)]
async fn messages_are_bounded_and_the_oldest_leave() {
    let stage = stage(friendly(), |builder| builder.messages(3));
    let far = stage.env.with_tap(netcomm_core::Tap::off());
    stage.dialer.serve_next(move |io| async move {
        let mut socket = Socket::accept(io, &AcceptOptions::new(&far)).await.expect("open");
        while let Ok(Some(_)) = socket.recv().await {}
    });
    let mut socket = Socket::builder(&stage.env, "ws://a.example/").connect().await.expect("open");
    for number in 0..10 {
        socket.send(format!("{number}")).await.expect("sent");
    }
    let open = last(stage.recorder.entries()).socket.expect("a socket");
    let said: Vec<_> = open.messages.iter().map(|message| message.body.data()).collect();
    assert_eq!(said, [b"7", b"8", b"9"]);
    assert_eq!((open.left_out, open.count()), (7, 10));
    assert_eq!(stage.recorder.dropped().messages, 7);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_stream_are_counted_with_its_call() {
    let stage = stage(
        ScriptedServer::builder().handler(|_| {
            Reply::status(200).header("content-type", "text/event-stream").body("data: one\n\ndata: three\n\n")
        }),
        |builder| builder,
    );
    let transport = netcomm_core::AnyTransport::new(stage.client());
    let mut stream = netcomm_sse::EventStream::builder(&stage.env, "http://a.example/events")
        .transport(transport)
        .stream()
        .expect("a stream");
    for expected in ["one", "three"] {
        let event = stream.next().await.expect("an event").expect("good");
        assert_eq!(&*event.data, expected);
    }
    let entry = stage.recorder.entries().swap_remove(0);
    let events = entry.events.expect("an event stream");
    assert_eq!((events.events, events.bytes), (2, 8));
    assert!(entry.call > CallId(0));
}

#[tokio::test(start_paused = true)]
async fn ones_own_names_and_function_are_heeded() {
    let redactor = Redactor::new()
        .with_headers([HeaderName::from_static("x-own")])
        .with_queries(["seat"])
        .with_bodies(|_, body| if body.starts_with(b"hello") { "gone".into() } else { body });
    let stage = stage(friendly(), |builder| builder.redactor(redactor));
    let call = stage.client().get("http://a.example/?seat=hunter2").header("x-own", CANARY);
    call.send().await.expect("an answer").bytes().await.expect("a body");
    let entry = last(stage.recorder.entries());
    assert_eq!(entry.url, "http://a.example/?seat=***");
    assert_eq!(entry.attempts[0].request.as_ref().expect("a head").headers["x-own"], "***");
    assert_eq!(entry.body.data(), b"gone");
    assert_eq!(stage.recorder.entries()[0].body.data(), b"gone", "each time");
}
