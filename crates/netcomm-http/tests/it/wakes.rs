//! Who is woken, and when: whoever waits for a connection hears of all that comes on it, and of nothing else.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use netcomm_core::Body;
use netcomm_http::testing::{Gate, Reply, Script, ScriptedServer};
use tokio::sync::mpsc;

use crate::stage::{friendly, scripted, stage, timed};

/// The output of a future, and how often it was polled.
async fn counted<T>(future: impl Future<Output = T>) -> (T, usize) {
    let (mut future, mut polls) = (pin!(future), 0);
    let output = poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    })
    .await;
    (output, polls)
}

/// A body that gives what is sent, as it comes.
struct Sent(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_polled_when_it_starts_and_when_its_answer_is_there() {
    let stage = friendly();
    let client = stage.client();
    client.get("http://a.example/").send().await.unwrap().bytes().await.unwrap();
    for _ in 0..3 {
        let (response, polls) = counted(client.get("http://a.example/").send()).await;
        assert_eq!(polls, 2);
        let (body, polls) = counted(response.unwrap().bytes()).await;
        assert_eq!((body.unwrap(), polls), (Bytes::from_static(b"ok"), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_crowd_calls_give_way_once_and_all_come_through() {
    const CALLS: usize = 20;
    let gate = Gate::new();
    let stage = stage(ScriptedServer::builder().route("/", Reply::status(200).body("ok").held_by(&gate)));
    let client = stage.client();
    for gives_way in [false, true] {
        gate.shut();
        let calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { counted(client.get("http://a.example/").send()).await })
            })
            .collect();
        while gate.waiting() < CALLS {
            tokio::task::yield_now().await;
        }
        gate.open();
        let story = async {
            let mut polls = Vec::new();
            for call in calls {
                let (response, polled) = call.await.unwrap();
                assert_eq!(response.unwrap().text().await.unwrap(), "ok");
                polls.push(polled);
            }
            polls
        };
        let (polls, took) = timed(story).await;
        assert_eq!(took, Duration::ZERO);
        // The first eight find a quiet place, also among connections that have been used.
        let quiet = polls.iter().filter(|polls| **polls == 2).count();
        assert_eq!(quiet, if gives_way { 8 } else { quiet }, "{polls:?}");
        assert!(!gives_way || polls.iter().all(|polls| *polls <= 3), "{polls:?}");
    }
    assert_eq!(stage.dialer.dials(), CALLS);
}

#[tokio::test(start_paused = true)]
async fn every_piece_of_a_body_wakes_whoever_waits_for_it_wherever_it_is_read() {
    let gates: Vec<Gate> = (0..4).map(|_| Gate::new()).collect();
    let mut script = Script::new().request().send("HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n");
    for gate in &gates {
        script = script.wait_for(gate).send(vec![b'x'; 10_000]);
    }
    let stage = scripted(script);
    let mut response = stage.client().get("http://a.example/").send().await.unwrap();
    for gate in gates {
        // Asked for here, and then awaited by another task: it is that one that must be woken.
        assert!(pin!(response.chunk()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let reader = tokio::spawn(async move {
            let mut left = 10_000;
            while left > 0 {
                left -= response.chunk().await.unwrap().unwrap().len();
            }
            response
        });
        tokio::task::yield_now().await;
        gate.open();
        let (outcome, took) = timed(reader).await;
        response = outcome.unwrap();
        assert_eq!(took, Duration::ZERO, "woken by a piece, not by a timeout");
    }
    assert!(response.chunk().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_is_taken_wakes_nobody() {
    let pieces = "5\r\nfirst\r\n6\r\nsecond\r\n5\r\nthird\r\n";
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let stage = scripted(Script::new().request().send(format!("{head}{pieces}")).stall());
    let mut response = stage.client().get("http://a.example/").send().await.unwrap();
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    for expected in ["first", "second", "third"] {
        let Poll::Ready(piece) = pin!(response.chunk()).poll(&mut Context::from_waker(&waker)) else {
            panic!("{expected} is there");
        };
        assert_eq!(piece.unwrap().unwrap(), expected);
    }
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_wakes_the_task_that_polled_last() {
    let gate = Gate::new();
    let stage = stage(ScriptedServer::builder().route("/", Reply::status(200).body("ok").held_by(&gate)));
    let client = stage.client();
    let mut call = Box::pin(async move { client.get("http://a.example/").send().await.unwrap().text().await });
    while gate.waiting() == 0 {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        tokio::task::yield_now().await;
    }
    let call = tokio::spawn(call);
    tokio::task::yield_now().await;
    gate.open();
    let (outcome, took) = timed(call).await;
    assert_eq!(outcome.unwrap().unwrap(), "ok");
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_upload_moves_on_while_the_head_is_awaited_and_while_the_answer_is_read() {
    let stage = stage(ScriptedServer::builder().handler(|request| {
        let length = request.body.len().to_string();
        Reply::status(200).body(length)
    }));
    let (pieces, source) = mpsc::unbounded_channel();
    let call = stage.client().post("http://a.example/").body(Body::new(Sent(source)));
    let call = tokio::spawn(async move { call.send().await.unwrap().text().await.unwrap() });
    let sender = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            pieces.send(Bytes::from_static(b"0123456789")).unwrap();
        }
        drop(pieces);
        call.await.unwrap()
    };
    let (answer, took) = timed(sender).await;
    assert_eq!((answer.as_str(), took), ("50", Duration::from_secs(5)));

    // The answer begins before the request has ended, and ends after it.
    let (begin, end) = (Gate::new(), Gate::new());
    let script = Script::new()
        .head()
        .send("HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n")
        .wait_for(&begin)
        .send(vec![b'x'; 20_000])
        .wait_for(&end)
        .send(vec![b'x'; 20_000]);
    let stage = scripted(script);
    let (pieces, source) = mpsc::unbounded_channel();
    let request = stage.client().post("http://a.example/").body(Body::new(Sent(source)));
    let mut response = request.send().await.unwrap();
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            count += chunk.len();
        }
        count
    });
    let story = async {
        for gate in [begin, end] {
            tokio::task::yield_now().await;
            pieces.send(Bytes::from_static(b"0123456789")).unwrap();
            tokio::task::yield_now().await;
            gate.open();
        }
        reader.await.unwrap()
    };
    let (count, took) = timed(story).await;
    assert_eq!((count, took), (40_000, Duration::ZERO));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_on_a_connection_wakes_nobody_once_its_call_has_ended() {
    let gate = Gate::new();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let stage = scripted(Script::new().request().send(answer).wait_for(&gate).send("unasked").close());
    let client = stage.client();
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    let mut call = pin!(client.get("http://a.example/").send());
    let response = loop {
        match call.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(response) => break response.unwrap(),
            Poll::Pending => tokio::task::yield_now().await,
        }
    };
    let before = woken.0.load(Ordering::Relaxed);
    assert_eq!(client.pool().snapshot().idle, 1);
    gate.open();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(woken.0.load(Ordering::Relaxed), before);
    assert_eq!(response.text().await.unwrap(), "ok");
}
