//! Rates and concurrency, of origins and of scopes, around whole calls.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netcomm_core::{Backoff, ErrorKind, Event, Jitter, Phase, Rate, Stage, Timeouts};
use netcomm_http::testing::{Gate, Reply, Script, ScriptedServer};
use netcomm_http::{Concurrency, Hedge, Retry, Scope};
use nonzero_ext::nonzero;

use crate::stage::{friendly, soon, stage, timed};

const SECOND: Duration = Duration::from_secs(1);
const TEN: NonZeroU32 = nonzero!(10_u32);
const TWO: NonZeroUsize = nonzero!(2_usize);

#[tokio::test(start_paused = true)]
async fn calls_of_an_origin_are_spread_over_time() {
    let stage = friendly();
    let rate = Rate::per_second(TEN).with_burst(nonzero!(1_u32));
    let client = stage.builder().rate(rate).build().expect("client");
    let (_, took) = timed(async {
        for _ in 0..11 {
            client.get("http://a.example/").send().await.expect("a response");
        }
    })
    .await;
    assert!((SECOND..SECOND + SECOND / 50).contains(&took), "{took:?}");
    let (_, took) = timed(client.get("http://b.example/").send()).await;
    assert_eq!(took, Duration::ZERO, "another origin has a rate of its own");
    let held = stage.seen.count(|event| matches!(event, Event::Held { stage: Stage::Limit, passed: true, .. }));
    assert_eq!(held, 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_make_it_fails_at_once_and_says_when() {
    let stage = friendly();
    let rate = Rate::per_minute(nonzero!(1_u32));
    let client = stage.builder().rate(rate).build().expect("client");
    let start = tokio::time::Instant::now().into_std();
    client.get("http://a.example/").send().await.expect("a response");
    for request in [client.get("http://a.example/").timeout(10 * SECOND), client.get("http://a.example/")] {
        let (outcome, took) = timed(request.send()).await;
        let error = outcome.expect_err("too early");
        assert_eq!(
            (error.kind(), error.stage(), error.phase()),
            (ErrorKind::Busy, Some(Stage::Limit), Some(Phase::Blocked))
        );
        assert_eq!((took, error.attempts()), (Duration::ZERO, 0));
        let at = error.retry_at().expect("it is known when there is room") - start;
        assert!((59 * SECOND..=61 * SECOND).contains(&at), "{at:?}");
        assert!(error.is_unsent() && error.to_string().contains("rate limit"), "{error}");
    }
    let timeouts = Timeouts::default().with_blocked(90 * SECOND);
    let (outcome, took) = timed(client.get("http://a.example/").timeouts(timeouts).send()).await;
    assert_eq!(outcome.expect("its turn comes").status().as_u16(), 200);
    assert!(took >= 59 * SECOND, "{took:?}");
}

/// Counts how many requests are being answered at the same time.
fn busy(bound: Arc<AtomicUsize>) -> ScriptedServer {
    let now = Arc::new(AtomicUsize::new(0));
    ScriptedServer::builder()
        .handler(move |_| {
            let count = now.fetch_add(1, Ordering::Relaxed) + 1;
            bound.fetch_max(count, Ordering::Relaxed);
            let leaving = Arc::clone(&now);
            Script::from(Reply::status(200).delayed(SECOND).body("x")).then(Script::new().generate(move |_| {
                leaving.fetch_sub(1, Ordering::Relaxed);
                None
            }))
        })
        .offline()
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_under_way_than_may_be() {
    for count in [1_usize, 8] {
        let most = Arc::new(AtomicUsize::new(0));
        let server = busy(Arc::clone(&most));
        let dialer = netcomm_tests::ScriptedDialer::new();
        dialer.serve_all(move |stream| server.serve(stream));
        let env = netcomm_core::Env::new(dialer, netcomm_tests::TokioClock::new());
        let limit = Concurrency::fixed(NonZeroUsize::new(count).expect("not zero"));
        let patient = Timeouts::default().with_blocked(3600 * SECOND);
        let client = netcomm_http::Client::builder(&env).concurrency(limit).timeouts(patient).build().expect("client");
        let calls: Vec<_> = (0..40).map(|_| tokio::spawn(client.get("http://a.example/").send())).collect();
        let (_, took) = timed(async {
            for call in calls {
                call.await.expect("no panic").expect("a response");
            }
        })
        .await;
        assert_eq!(most.load(Ordering::Relaxed), count);
        assert_eq!(took.as_secs() as usize, 40 / count);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_held_until_the_body_has_ended_or_is_dropped() {
    let gate = Gate::new();
    let server = ScriptedServer::builder().route(
        "/long",
        Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").wait_for(&gate).send("cd"),
    );
    let stage = stage(server.handler(|_| Reply::status(200)));
    let client = stage.builder().concurrency(Concurrency::fixed(nonzero!(1_usize))).build().expect("client");
    for is_read in [true, false] {
        let first = client.get("http://a.example/long").send().await.expect("a head");
        let error = soon(client.get("http://a.example/").timeout(SECOND).send()).await.expect_err("no place");
        assert_eq!(error.stage(), Some(Stage::Limit), "{error}");
        if is_read {
            gate.open();
            assert_eq!(soon(first.text()).await.expect("a body"), "abcd");
            gate.shut();
        } else {
            drop(first);
        }
        let (outcome, took) = timed(client.get("http://a.example/").send()).await;
        assert_eq!((outcome.expect("a place").status().as_u16(), took), (200, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_goes_on_after_a_break_does_not_wait_for_itself() {
    let head = "HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 4\r\n\r\nab";
    let rest = Reply::status(206).header("content-range", "bytes 2-3/4").header("etag", "\"a\"").body("cd");
    let server = ScriptedServer::builder().route_each("/", [Script::new().send(head).close(), Script::from(rest)]);
    let stage = stage(server);
    let client = stage.builder().concurrency(Concurrency::fixed(nonzero!(1_usize))).resume(1).build().expect("client");
    let response = client.get("http://a.example/").send().await.expect("a head");
    let (text, took) = timed(response.text()).await;
    assert_eq!((text.expect("the whole"), took), ("abcd".to_owned(), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_scope_has_limits_of_its_own_over_all_origins_and_all_its_handles() {
    let stage = friendly();
    let client = stage.client();
    let scope = Scope::builder("plugin").allow_all().rate(Rate::per_minute(nonzero!(2_u32))).build();
    let (one, two) = (client.scoped(scope.clone()), stage.client().scoped(scope));
    one.get("http://a.example/").send().await.expect("the first");
    two.get("http://b.example/").send().await.expect("the second");
    let error = soon(one.get("http://c.example/").timeout(SECOND).send()).await.expect_err("the third");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Busy, Some(Stage::Limit)));
    assert!(error.to_string().contains("scope \"plugin\""), "{error}");
    client.get("http://a.example/").send().await.expect("the application itself is not limited");
    let narrow = Scope::builder("narrow").allow_all().concurrency(TWO).build();
    let error = soon(one.scoped(narrow).get("http://c.example/").timeout(SECOND).send()).await.expect_err("still");
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_holds_for_all_calls_to_it() {
    let limited = Reply::status(429).header("retry-after", "20");
    let stage = stage(ScriptedServer::builder().route_each("/", [limited, Reply::status(200), Reply::status(200)]));
    let client = stage.builder().rate(Rate::per_second(TEN)).build().expect("client");
    assert_eq!(client.get("http://a.example/").send().await.expect("a response").status().as_u16(), 429);
    let error = soon(client.get("http://a.example/").timeout(5 * SECOND).send()).await.expect_err("left alone");
    assert_eq!((error.kind(), stage.server.request_count()), (ErrorKind::Busy, 1));
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_eq!((outcome.expect("later").status().as_u16(), took), (200, 20 * SECOND));
    let deferred = stage.seen.count(|event| matches!(event, Event::Deferred { wait, .. } if *wait == 20 * SECOND));
    assert_eq!(deferred, 1);
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_shrinks_with_overload_and_grows_with_success() {
    let overloaded = Arc::new(AtomicUsize::new(1));
    let told = Arc::clone(&overloaded);
    let server = ScriptedServer::builder()
        .handler(move |_| Reply::status(if told.load(Ordering::Relaxed) > 0 { 503 } else { 200 }).delayed(SECOND));
    let stage = stage(server);
    let client = stage.builder().concurrency(Concurrency::adaptive()).build().expect("client");
    let round = async |count: usize| {
        let calls: Vec<_> =
            (0..count).map(|_| tokio::spawn(client.get("http://a.example/").timeout(SECOND * 3 / 2).send())).collect();
        let mut sent = 0;
        for call in calls {
            sent += usize::from(call.await.expect("no panic").is_ok());
        }
        sent
    };
    assert_eq!(round(40).await, 16, "what it begins with");
    let mut least = 16;
    for _ in 0..20 {
        least = least.min(round(40).await);
    }
    assert_eq!(least, 1);
    overloaded.store(0, Ordering::Relaxed);
    for _ in 0..6 {
        round(40).await;
    }
    assert!(round(40).await >= 6);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_a_place_of_its_own_or_is_not_made() {
    for (places, hedges) in [(1, 0), (2, 1)] {
        let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).delayed(SECOND)));
        let limit = Concurrency::fixed(NonZeroUsize::new(places).expect("not zero"));
        let client = stage.builder().concurrency(limit).hedge(Hedge::after(SECOND / 2)).build().expect("client");
        let (outcome, took) = timed(client.get("http://a.example/").send()).await;
        assert_eq!((outcome.expect("a response").status().as_u16(), took), (200, SECOND));
        assert_eq!(stage.server.request_count(), 1 + hedges);
    }
}

#[tokio::test(start_paused = true)]
async fn each_try_takes_its_turn() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(503)));
    let rate = Rate::per_second(nonzero!(1_u32));
    let backoff = Backoff::new(Duration::from_millis(1), SECOND).with_jitter(Jitter::None);
    let client =
        stage.builder().rate(rate).retry(Retry::default().attempts(4).backoff(backoff)).build().expect("client");
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    assert_eq!(outcome.expect("a response").attempts().len(), 4);
    assert!(took >= 3 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_at_once_keep_the_limits() {
    let most = Arc::new(AtomicUsize::new(0));
    let server = busy(Arc::clone(&most));
    let dialer = netcomm_tests::ScriptedDialer::new();
    dialer.serve_all(move |stream| server.serve(stream));
    let env = netcomm_core::Env::new(dialer, netcomm_tests::TokioClock::new());
    let patient = Timeouts::default().with_blocked(24 * 3600 * SECOND);
    let client = netcomm_http::Client::builder(&env)
        .concurrency(Concurrency::fixed(nonzero!(50_usize)))
        .rate(Rate::per_second(nonzero!(40_u32)).with_burst(nonzero!(1_u32)))
        .timeouts(patient)
        .build()
        .expect("client");
    let calls: Vec<_> = (0..10_000).map(|_| tokio::spawn(client.get("http://a.example/").send())).collect();
    let (_, took) = timed(async {
        for call in calls {
            call.await.expect("no panic").expect("a response");
        }
    })
    .await;
    assert!(most.load(Ordering::Relaxed) <= 50);
    assert!((249..=252).contains(&took.as_secs()), "10000 calls at 40/s: {took:?}");
}
