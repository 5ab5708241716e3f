//! An origin that fails is left alone, and asked again when it may be back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netcomm_core::{Backoff, ErrorKind, Event, Jitter, Stage};
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Breaker, Client, Retry};

use crate::stage::{Stage as Scene, friendly, soon, stage, timed};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    let pause = Backoff::new(10 * SECOND, 40 * SECOND).with_jitter(Jitter::None);
    Breaker::default().min_calls(4).pause(pause).trials(1)
}

/// An origin that fails while it is told to.
fn flaky() -> (Scene, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&fails);
    let server =
        ScriptedServer::builder().handler(move |_| Reply::status(if told.load(Ordering::Relaxed) { 500 } else { 200 }));
    (stage(server), fails)
}

fn client(stage: &Scene) -> Client {
    stage.builder().breaker(breaker()).build().expect("client")
}

async fn status(client: &Client, url: &str) -> Result<u16, netcomm_core::Error> {
    Ok(soon(client.get(url).send()).await?.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn it_opens_refuses_tries_and_closes() {
    let (stage, fails) = flaky();
    let client = client(&stage);
    let start = tokio::time::Instant::now().into_std();
    for _ in 0..4 {
        assert_eq!(status(&client, "http://a.example/").await.expect("a response"), 500);
    }
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    let error = outcome.expect_err("refused");
    assert_eq!((error.kind(), error.stage(), error.attempts()), (ErrorKind::Unavailable, Some(Stage::Breaker), 0));
    assert_eq!((error.retry_at(), took), (Some(start + 10 * SECOND), Duration::ZERO));
    assert!(error.is_unsent() && error.is_retryable());
    assert_eq!(stage.server.request_count(), 4);
    assert_eq!(status(&client, "http://b.example/").await.expect("another origin"), 500);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(status(&client, "http://a.example/").await.expect("a trial"), 500);
    let error = status(&client, "http://a.example/").await.expect_err("refused");
    assert_eq!(error.retry_at(), Some(start + 30 * SECOND), "for longer than before");
    fails.store(false, Ordering::Relaxed);
    tokio::time::sleep(20 * SECOND).await;
    for _ in 0..3 {
        assert_eq!(status(&client, "http://a.example/").await.expect("it is back"), 200);
    }
    let turns: Vec<_> = stage
        .seen
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::BreakerTurned { origin, until } => Some((origin, until.map(|until| (until - start).as_secs()))),
            _ => None,
        })
        .collect();
    let origin = || "http://a.example:80".to_owned();
    assert_eq!(turns, [(origin(), Some(10)), (origin(), Some(30)), (origin(), None)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_origins_doing_does_not_count() {
    let stage = stage(
        ScriptedServer::builder().handler(|request| Reply::status(request.path()[1..].parse().expect("a status"))),
    );
    let client = client(&stage);
    for path in [429, 404, 401, 501, 400, 408].repeat(3) {
        assert_eq!(status(&client, &format!("http://a.example/{path}")).await.expect("an answer"), path);
    }
    // Calls that their callers give up.
    stage.dialer.hang_all();
    for _ in 0..8 {
        let call = tokio::spawn(client.get("http://b.example/").send());
        tokio::time::sleep(SECOND).await;
        call.abort();
    }
    let error = client.get("http://b.example/").send();
    let error = soon(error).await.expect_err("no connection");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_never_answers_within_the_callers_time_has_failed() {
    let stage = friendly();
    stage.dialer.hang_all();
    let client = client(&stage);
    for _ in 0..4 {
        let error = soon(client.get("http://a.example/").timeout(SECOND).send()).await.expect_err("too late");
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    let error = soon(client.get("http://a.example/").timeout(SECOND).send()).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn one_trial_at_a_time_and_one_that_is_dropped_makes_room() {
    let (stage, fails) = flaky();
    let client = client(&stage);
    for _ in 0..4 {
        assert_eq!(status(&client, "http://a.example/").await.expect("a response"), 500);
    }
    tokio::time::sleep(10 * SECOND).await;
    fails.store(false, Ordering::Relaxed);
    stage.dialer.hang_next();
    client.pool().evict_all();
    let trial = tokio::spawn(client.get("http://a.example/").send());
    tokio::time::sleep(SECOND).await;
    assert_eq!(status(&client, "http://a.example/").await.expect_err("refused").kind(), ErrorKind::Unavailable);
    trial.abort();
    tokio::time::sleep(SECOND).await;
    assert_eq!(status(&client, "http://a.example/").await.expect("the next trial"), 200);
}

#[tokio::test(start_paused = true)]
async fn retries_come_back_when_the_breaker_lets_a_trial_through() {
    let (stage, fails) = flaky();
    let backoff = Backoff::new(6 * SECOND, 6 * SECOND).with_jitter(Jitter::None);
    let client = stage
        .builder()
        .breaker(breaker())
        .retry(Retry::default().attempts(5).backoff(backoff))
        .build()
        .expect("client");
    let plain = Retry::never();
    for _ in 0..4 {
        soon(client.get("http://a.example/").retry(plain.clone()).send()).await.expect("a response");
    }
    fails.store(false, Ordering::Relaxed);
    let (response, took) = timed(client.post("http://a.example/").body("x").send()).await;
    let response = response.expect("what was refused here was not sent, so that it may be tried again");
    assert_eq!((response.status().as_u16(), took), (200, 16 * SECOND));
    assert_eq!(stage.server.request_count(), 5);
    assert_eq!(stage.seen.count(|event| matches!(event, Event::Retrying { .. })), 1, "one wait, of the right length");
}

#[cfg(feature = "cache")]
#[tokio::test(start_paused = true)]
async fn what_is_stored_stands_in_for_an_origin_that_is_left_alone() {
    let server = ScriptedServer::builder()
        .route_each("/", [Reply::status(200).header("cache-control", "max-age=1").body("old"), Reply::status(500)]);
    let stage = stage(server);
    let cache = netcomm_http::cache::Cache::memory(1 << 20);
    let client = stage.builder().breaker(breaker().min_calls(2)).cache(cache).build().expect("client");
    assert_eq!(status(&client, "http://a.example/").await.expect("a response"), 200);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(status(&client, "http://a.example/").await.expect("a response"), 500);
    let response = soon(client.get("http://a.example/").send()).await.expect("a stale response");
    assert_eq!(response.text().await.expect("a body"), "old");
}
