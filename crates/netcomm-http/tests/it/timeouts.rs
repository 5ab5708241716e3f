//! Every wait has an end, at the moment that was set, with an error that says which it was.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use netcomm_core::{Body, ConnectInfo, Error, ErrorKind, HttpTransport, Io, MinRate, Phase, Result, Timeouts};
use netcomm_http::testing::{Gate, ReceivedRequest, Reply, Script, ScriptedServer};
use netcomm_http::{Client, PoolLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::stage::{Stage, assert_timeout, friendly, scripted, soon, stage, timed};

const SECOND: Duration = Duration::from_secs(1);

/// Long waits all around, so that a test sees the one that it sets.
fn patient() -> Timeouts {
    let long = 3600 * SECOND;
    Timeouts::default().with_blocked(long).with_connect(long).with_header(long).with_idle_body(long).with_min_rate(None)
}

/// One chunk of `bytes` after each `pause`, `count` times; then silence if `count` is used up and `ends` is false.
struct Paced {
    chunk: Bytes,
    pause: Duration,
    left: usize,
    ends: bool,
    sleep: Pin<Box<Sleep>>,
}

fn paced(bytes: usize, pause: Duration, count: usize, ends: bool) -> Paced {
    let sleep = Box::pin(sleep_until(Instant::now() + pause));
    Paced { chunk: vec![b'x'; bytes].into(), pause, left: count, ends, sleep }
}

impl Stream for Paced {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return if self.ends { Poll::Ready(None) } else { Poll::Pending };
        }
        std::task::ready!(self.sleep.as_mut().poll(cx));
        let next = self.sleep.deadline() + self.pause;
        self.sleep.as_mut().reset(next);
        self.left -= 1;
        Poll::Ready(Some(Ok(self.chunk.clone())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_does_not_end_is_given_up() {
    let stage = friendly();
    stage.dialer.hang_all();
    let client = stage.builder().timeouts(patient().with_connect(5 * SECOND)).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    let error = outcome.unwrap_err();
    assert_timeout(&error, Phase::Connect, "connect");
    assert!(error.is_connect() && error.is_unsent());
    assert!(took >= 5 * SECOND && took <= 6 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_become_free_is_given_up_at_the_limit_set() {
    let gate = Gate::new();
    let stage = stage(ScriptedServer::builder().route("/", Reply::status(200).held_by(&gate)));
    let mut limits = PoolLimits::default();
    limits.per_origin = 1;
    // The other waits keep their defaults: a wait for a free connection is not one for a new one.
    let timeouts = Timeouts::default().with_blocked(SECOND);
    let client = stage.builder().pool(limits).timeouts(timeouts).build().unwrap();
    let first = tokio::spawn(client.get("http://a.example/").send());
    stage.server.until_requests(1).await;
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    let error = outcome.unwrap_err();
    assert_timeout(&error, Phase::Blocked, "blocked");
    assert!(error.is_unsent());
    assert_eq!(took, SECOND);
    assert_eq!(client.pool().snapshot().waiting, 0);
    gate.open();
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let stage = scripted(Script::new().request().stall());
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    let error = outcome.unwrap_err();
    assert_timeout(&error, Phase::Wait, "header");
    assert!(!error.is_unsent());
    assert_eq!(took, 3 * SECOND);
    stage.dialer.until_open(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_reads_or_answers_is_given_up() {
    let stage = scripted(Script::new().stall());
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Wait, "header");
    assert_eq!(took, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_given_up_as_a_whole() {
    let head = "HTTP/1.1 200 OK\r\nx-long: abcdefghijklmnopqrstuvwxyz\r\n\r\n";
    let drip = Script::new().request().send_in_pieces(head, 1, Duration::from_millis(200)).stall();
    let stage = scripted(drip);
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Wait, "header");
    assert_eq!(took, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn interim_responses_do_not_prolong_the_wait() {
    let early = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10);
    let stage = scripted(Script::new().request().send_in_pieces(early, 28, SECOND).stall());
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Wait, "header");
    assert_eq!(took, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_silence_inside_the_body_is_an_error_of_receiving() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nsome";
    let stage = scripted(Script::new().request().send(start).stall());
    let client = stage.builder().timeouts(patient().with_idle_body(7 * SECOND)).build().unwrap();
    let mut response = client.get("http://a.example/").send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "some");
    // Only time in which somebody waits for data counts.
    tokio::time::sleep(100 * SECOND).await;
    let (outcome, took) = timed(response.chunk()).await;
    let error = outcome.unwrap_err();
    assert_timeout(&error, Phase::Receive, "idle_body");
    assert_eq!(error.url(), Some("http://a.example/"));
    assert_eq!(took, 7 * SECOND);
    stage.dialer.until_open(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_small_body_that_does_not_come_is_timed_too() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome";
    let stage = scripted(Script::new().request().send(start).stall());
    let client = stage.builder().timeouts(patient().with_idle_body(7 * SECOND)).build().unwrap();
    let response = client.get("http://a.example/").send().await.unwrap();
    let (outcome, took) = timed(response.bytes()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Receive, "idle_body");
    assert_eq!(took, 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_falls_under_the_least_rate() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    let body = vec![b'x'; 1000];
    let stage = scripted(Script::new().request().send(head).send_in_pieces(body, 1, SECOND).stall());
    let rate = MinRate { bytes: 20, window: 10 * SECOND };
    let client = stage.builder().timeouts(patient().with_min_rate(Some(rate))).build().unwrap();
    let response = client.get("http://a.example/").send().await.unwrap();
    let (outcome, took) = timed(response.bytes()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Receive, "min_rate");
    assert!(took >= 10 * SECOND && took <= 12 * SECOND, "{took:?}");
    let slow_enough = MinRate { bytes: 10, window: 10 * SECOND };
    let timeouts = patient().with_min_rate(Some(slow_enough)).with_idle_body(2 * SECOND);
    let mut response = client.get("http://a.example/").timeouts(timeouts).send().await.unwrap();
    for _ in 0..100 {
        response.chunk().await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_a_drip_of_a_byte_a_second_ends_within_a_minute() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    let body = vec![b'x'; 1000];
    let stage = scripted(Script::new().request().send(head).send_in_pieces(body, 1, SECOND).stall());
    let response = stage.client().get("http://a.example/").send().await.unwrap();
    let (outcome, took) = timed(response.bytes()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Receive, "min_rate");
    assert!(took <= 60 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_whole_call_ends_in_time_before_the_head_and_inside_the_body() {
    let dripping = Reply::status(200).body(vec![b'x'; 1000]).in_pieces(50, SECOND);
    let stage = stage(
        ScriptedServer::builder()
            .route("/silent", Reply::status(200).then_stall().delayed(1000 * SECOND))
            .route("/drip", dripping),
    );
    let client = stage.builder().timeouts(patient().with_total(Some(4 * SECOND))).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/silent").send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Total, "total");
    assert_eq!(took, 4 * SECOND);
    let whole = async { client.get("http://a.example/drip").send().await?.bytes().await };
    let (outcome, took) = timed(whole).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Total, "total");
    assert_eq!(took, 4 * SECOND);
    // A request's own limit goes first.
    let own = client.get("http://a.example/drip").timeout(100 * SECOND).send();
    assert_eq!(own.await.unwrap().bytes().await.unwrap().len(), 1000);
    let own = stage.client().get("http://a.example/silent").timeout(2 * SECOND).send();
    assert_eq!(timed(own).await.1, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn redirects_and_connecting_count_into_the_whole() {
    let builder = ScriptedServer::builder()
        .handler(|seen: &ReceivedRequest| crate::stage::redirect(302, format!("{}x", seen.path())).delayed(SECOND));
    let stage = stage(builder);
    let call = stage.client().get("http://a.example/").timeout(Duration::from_millis(3500));
    let (outcome, took) = timed(call.send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Total, "total");
    assert_eq!(took, Duration::from_millis(3500));
    stage.dialer.hang_all();
    let call = stage.client().get("http://b.example/").timeout(SECOND);
    let (outcome, took) = timed(call.send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Total, "total");
    assert_eq!(took, SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_the_server_does_not_take_is_an_error_of_sending() {
    let stage = scripted(Script::new().head().stall());
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let call = client.post("http://a.example/").body(vec![b'x'; 10_000_000]);
    let (outcome, took) = timed(call.send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Send, "header");
    assert_eq!(took, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_source_falls_silent_is_an_error_of_sending() {
    let stage = friendly();
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let body = Body::from_stream(paced(10, SECOND, 2, false));
    let (outcome, took) = timed(client.post("http://a.example/").body(body).send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Send, "header");
    assert_eq!(took, 5 * SECOND, "3 s after the last piece");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_moves_slowly_is_not_given_up() {
    let stage = friendly();
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let body = Body::from_stream(paced(10, 2 * SECOND, 50, true));
    let (outcome, took) = timed(client.post("http://a.example/").body(body).send()).await;
    assert_eq!(outcome.unwrap().status(), 200);
    assert_eq!(took, 100 * SECOND);
    assert_eq!(stage.server.requests()[0].body_bytes, 500);
}

/// Every connection takes 16 KiB a second and answers once it has taken so many bytes.
fn slow_lines(stage: &Stage, bytes: usize) {
    stage.dialer.with_all(move |_| async move {
        let (near, mut far) = tokio::io::duplex(16 * 1024);
        drop(tokio::spawn(async move {
            let (mut seen, mut buffer) = (0, vec![0; 16 * 1024]);
            while seen < bytes {
                tokio::time::sleep(SECOND).await;
                seen += far.read(&mut buffer).await.expect("a request");
            }
            far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("a reader");
        }));
        Ok(Io::new(near, ConnectInfo::default()))
    });
}

#[tokio::test(start_paused = true)]
async fn an_upload_over_a_slow_line_is_not_given_up_while_it_moves() {
    const BYTES: usize = 1024 * 1024;
    let stage = friendly();
    slow_lines(&stage, BYTES);
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    for body in [Body::from(vec![b'x'; BYTES]), Body::from_stream(paced(BYTES / 16, Duration::ZERO, 16, true))] {
        let response = soon(client.post("http://a.example/").body(body).send()).await.unwrap();
        assert_eq!(response.status(), 204);
        let timing = response.timing();
        // What the connection was handed last it had yet to take, and the line holds one second of it.
        assert!(timing.send >= 60 * SECOND && timing.wait <= 3 * SECOND, "{timing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_slow_upload_the_wait_for_the_head_begins_anew() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).delayed(1000 * SECOND)));
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let body = Body::from_stream(paced(10, 2 * SECOND, 5, true));
    let (outcome, took) = timed(client.post("http://a.example/").body(body).send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Wait, "header");
    assert_eq!(took, 13 * SECOND);
}

/// A transport that takes every request and answers none.
struct Mute;

impl HttpTransport for Mute {
    async fn send(&self, _: http::Request<Body>) -> Result<http::Response<Body>> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_transport_that_never_answers_is_given_up() {
    let stage = friendly();
    let timeouts = patient().with_header(3 * SECOND);
    let client: Client = stage.builder().timeouts(timeouts).transport(Mute).build().unwrap();
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_timeout(&outcome.unwrap_err(), Phase::Wait, "header");
    assert_eq!(took, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_closes_the_connection_and_the_next_call_gets_another() {
    let stage = stage(
        ScriptedServer::builder().route_each("/", [Reply::status(200).delayed(100 * SECOND), Reply::status(200)]),
    );
    let client = stage.builder().timeouts(patient().with_header(3 * SECOND)).build().unwrap();
    let error = soon(client.get("http://a.example/").send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let response = client.get("http://a.example/").send().await.unwrap();
    assert_eq!(response.connection(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn waits_that_no_clock_can_tell_are_waits_without_an_end() {
    let stage = friendly();
    let most = Duration::MAX;
    let timeouts = Timeouts::default()
        .with_blocked(most)
        .with_connect(most)
        .with_header(most)
        .with_idle_body(most)
        .with_total(Some(most));
    let client = stage
        .builder()
        .timeouts(timeouts)
        .retry(netcomm_http::Retry::default().elapsed(most).max_wait(most))
        .hedge(netcomm_http::Hedge::after(most))
        .build()
        .unwrap();
    assert_eq!(soon(client.get("http://a.example/").send()).await.unwrap().text().await.unwrap(), "ok");
}
