//! Calls that fail are tried again where that is safe and of use, no more often than allowed, and say what became of them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use netcomm_core::{Backoff, Body, Budget, ErrorKind, Event, GaveUp, Jitter, Phase, Reach, Stage};
use netcomm_http::testing::{Reply, Script, ScriptedServer};
use netcomm_http::{Client, Reason, Retry, Verdict};
use netcomm_tests::ManualConnectivity;

use crate::stage::{Stage as Scene, friendly, soon, stage, timed};

const SECOND: Duration = Duration::from_secs(1);

/// Three tries, one and two seconds apart.
fn thrice() -> Retry {
    Retry::default().attempts(3).backoff(Backoff::new(SECOND, 60 * SECOND).with_jitter(Jitter::None))
}

fn answers(statuses: &[u16]) -> Scene {
    stage(ScriptedServer::builder().route_each("/", statuses.iter().map(|status| Reply::status(*status).body("x"))))
}

fn client(stage: &Scene, retry: Retry) -> Client {
    stage.builder().retry(retry).build().expect("client")
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_tried_again_and_every_attempt_is_told() {
    let stage = answers(&[503, 500, 200]);
    let (response, took) = timed(client(&stage, thrice()).get("http://a.example/").send()).await;
    let response = response.expect("a response");
    assert_eq!((response.status().as_u16(), took), (200, 3 * SECOND));
    let told: Vec<_> = response
        .attempts()
        .iter()
        .map(|attempt| (attempt.reason, attempt.started.as_secs(), attempt.outcome.map(|status| status.as_u16())))
        .collect();
    assert_eq!(told, [(Reason::First, 0, Ok(503)), (Reason::Retry, 1, Ok(500)), (Reason::Retry, 3, Ok(200))]);
    assert_eq!((response.gave_up(), response.retry_at(), response.timing().attempt), (None, None, 3));
    let waits: Vec<_> = stage
        .seen
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Retrying { tries, wait } => Some((*tries, wait.as_secs())),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [(1, 1), (2, 2)]);
    assert_eq!(stage.dialer.dials(), 1, "answers that came whole leave their connection to the next try");
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_nothing_is_tried_again() {
    let stage = answers(&[503]);
    let response = stage.client().get("http://a.example/").send().await.expect("a response");
    assert_eq!((response.status().as_u16(), response.attempts().len(), response.gave_up()), (503, 1, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_a_failure_at_the_end_is_returned_with_the_reason() {
    for (statuses, retry, sent, why) in [
        (&[503, 503, 503, 503][..], thrice(), 3, GaveUp::Attempts),
        (&[503, 503, 503, 503], thrice().elapsed(2 * SECOND), 2, GaveUp::Elapsed),
        (&[503, 503], Retry::never(), 1, GaveUp::Attempts),
    ] {
        let stage = answers(statuses);
        let response = soon(client(&stage, retry).get("http://a.example/").send()).await.expect("a response");
        assert_eq!((response.status().as_u16(), stage.server.request_count()), (503, sent));
        if sent > 1 {
            assert_eq!(response.gave_up(), Some(why));
            assert_eq!(stage.seen.count(|event| matches!(event, Event::GaveUp { .. })), 1);
        }
        let error = response.error_for_status().expect_err("a failure");
        assert_eq!((error.kind(), error.attempts() as usize), (ErrorKind::Status, sent));
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_that_time_does_not_mend_are_answers() {
    for status in [200, 204, 400, 401, 404, 409, 422, 501, 505] {
        let stage = answers(&[status, 200]);
        let response = client(&stage, thrice()).get("http://a.example/").send().await.expect("a response");
        assert_eq!((response.status().as_u16(), stage.server.request_count()), (status, 1));
        assert_eq!(response.gave_up(), None, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_tried_again_and_tell_how_often_and_how_long() {
    let stage = friendly();
    stage.dialer.fail_all(ErrorKind::Connect);
    let (outcome, took) = timed(client(&stage, thrice()).get("http://a.example/").send()).await;
    let error = outcome.expect_err("no connection");
    assert_eq!((error.kind(), error.stage(), error.attempts()), (ErrorKind::Connect, Some(Stage::Attempt), 3));
    assert_eq!((error.gave_up(), error.elapsed(), took), (Some(GaveUp::Attempts), Some(3 * SECOND), 3 * SECOND));
    assert!(error.to_string().ends_with(" after 3 attempts in 3.0s; all attempts made"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_have_been_acted_on_is_not_sent_twice_without_permission() {
    let cut = || Script::new().request().close();
    let post = |client: &Client| client.post("http://a.example/").body("x");
    // The answer is lost: the server may have acted.
    let stage = stage(ScriptedServer::builder().on_connect([cut(), cut(), cut(), cut()]));
    let client = client(&stage, thrice());
    let error = soon(post(&client).send()).await.expect_err("no answer");
    assert_eq!((error.gave_up(), stage.server.request_count()), (Some(GaveUp::Unsafe), 1));
    let error = soon(post(&client).idempotent(true).send()).await.expect_err("no answer");
    assert_eq!((error.gave_up(), stage.server.request_count()), (Some(GaveUp::Attempts), 4));
}

#[tokio::test(start_paused = true)]
async fn a_status_does_not_make_a_post_safe_but_a_key_does() {
    let stage = answers(&[503, 503, 503, 200]);
    let client = client(&stage, thrice());
    let response = soon(client.post("http://a.example/").body("x").send()).await.expect("a response");
    assert_eq!((response.gave_up(), stage.server.request_count()), (Some(GaveUp::Unsafe), 1));
    let response = soon(client.post("http://a.example/").body("x").new_idempotency_key().send()).await.expect("one");
    assert_eq!((response.status().as_u16(), stage.server.request_count()), (200, 4));
    let requests = stage.server.requests();
    let keys: Vec<_> = requests.iter().filter_map(|request| request.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "each try has the same key: {keys:?}");
    assert!(keys[0].starts_with('"') && keys[0].len() == 34, "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_method_can_be_said_not_to_be() {
    let stage = answers(&[503, 200]);
    let request = client(&stage, thrice()).put("http://a.example/").body("x").idempotent(false);
    let response = soon(request.send()).await.expect("a response");
    assert_eq!((response.gave_up(), stage.server.request_count()), (Some(GaveUp::Unsafe), 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_quoted_and_what_is_none_is_refused() {
    let stage = friendly();
    let client = stage.client();
    client.post("http://a.example/").idempotency_key(r#"a"b\c"#).send().await.expect("a response");
    let requests = stage.server.requests();
    assert_eq!(requests[0].header("idempotency-key"), Some(r#""a\"b\\c""#));
    let error = client.post("http://a.example/").idempotency_key("é").send().await.expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn what_was_surely_not_sent_is_tried_again_whatever_it_is() {
    let stage = friendly();
    stage.dialer.fail_next(ErrorKind::Connect);
    let body = stream(&["ab", "cd"]);
    let response = soon(client(&stage, thrice()).post("http://a.example/").body(body).send()).await.expect("one");
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 2));
    assert_eq!(stage.server.requests()[0].text(), "abcd", "a stream that nobody has touched is still whole");
}

/// A body of chunks that can be sent once.
fn stream(chunks: &[&'static str]) -> Body {
    struct Chunks(VecDeque<&'static str>);
    impl Stream for Chunks {
        type Item = netcomm_core::Result<Bytes>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))))
        }
    }
    Body::from_stream(Chunks(chunks.iter().copied().collect()))
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_sent_is_sent_again_only_if_it_can_be_made_again_or_was_kept() {
    for (body, retry, status, why) in [
        (stream(&["ab", "cd"]), thrice(), 503, Some(GaveUp::BodySpent)),
        (stream(&["ab", "cd"]), thrice().spool(4), 200, None),
        (stream(&["ab", "cd"]), thrice().spool(3), 503, Some(GaveUp::BodySpent)),
        (Body::replayable(|| stream(&["ab", "cd"])), thrice(), 200, None),
    ] {
        let stage = answers(&[503, 200]);
        let request = client(&stage, retry).put("http://a.example/").body(body);
        let response = soon(request.send()).await.expect("a response");
        assert_eq!((response.status().as_u16(), response.gave_up()), (status, why));
        for request in stage.server.requests() {
            assert_eq!(request.text(), "abcd");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_up_to_the_cap() {
    let limited = |seconds: &str| Reply::status(429).header("retry-after", seconds);
    for (reply, took, status, why) in [
        (limited("7"), 7..=8, 200, None),
        (limited("0"), 0..=1, 200, None),
        (limited("11"), 0..=0, 429, Some(GaveUp::RetryAfter)),
        (Reply::status(503).header("ratelimit", "\"q\";r=0;t=9"), 9..=10, 200, None),
        (limited("soon"), 1..=1, 200, None),
    ] {
        let stage = stage(ScriptedServer::builder().route_each("/", [reply, Reply::status(200)]));
        let start = tokio::time::Instant::now();
        let (response, waited) =
            timed(client(&stage, thrice().max_wait(10 * SECOND)).get("http://a.example/").send()).await;
        let response = response.expect("a response");
        assert_eq!((response.status().as_u16(), response.gave_up()), (status, why));
        assert!(took.contains(&waited.as_secs()), "{waited:?} is not in {took:?}");
        let asked = why.map(|_| start.into_std() + 11 * SECOND);
        assert_eq!(response.retry_at(), asked, "the caller is told when to come back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_not_waited_for_in_vain() {
    let stage = answers(&[503, 503, 503]);
    let request = client(&stage, thrice()).get("http://a.example/").timeout(2 * SECOND);
    let (response, took) = timed(request.send()).await;
    assert_eq!(response.expect("the failure itself").gave_up(), Some(GaveUp::Deadline));
    assert_eq!((took, stage.server.request_count()), (SECOND, 2), "the third would come after three seconds");
}

#[tokio::test(start_paused = true)]
async fn repetitions_of_all_calls_live_on_one_budget_for_each_origin() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(503)));
    let budget = Budget::NONE.with_reserve(3).with_percent(50);
    let client = stage.builder().retry(thrice().attempts(100)).budget(budget).build().expect("client");
    let mut gave_up = Vec::new();
    for _ in 0..4 {
        gave_up.push(soon(client.get("http://a.example/").send()).await.expect("a response").gave_up());
    }
    assert_eq!(gave_up, [Some(GaveUp::Budget); 4]);
    // 4 calls, the reserve, and half of what the calls but the first paid in: the purse was full.
    assert_eq!(stage.server.request_count(), 4 + 3 + 1);
    let other = soon(client.get("http://b.example/").send()).await.expect("a response");
    assert_eq!(other.attempts().len(), 4, "another origin has a purse of its own");
}

#[tokio::test(start_paused = true)]
async fn a_classifier_sees_the_response_and_has_the_last_word_but_on_safety() {
    let seen = Arc::new(AtomicUsize::new(0));
    let retry = {
        let seen = Arc::clone(&seen);
        thrice().classify(move |tried| {
            seen.fetch_add(1, Ordering::Relaxed);
            match tried.outcome {
                Ok((status, headers)) if status == 200 && headers.contains_key("x-not-yet") => {
                    Verdict::AgainAfter(5 * SECOND)
                }
                Ok((status, _)) if status == 404 => Verdict::Again,
                Ok((status, _)) if status == 503 => Verdict::Final,
                _ => Verdict::Default,
            }
        })
    };
    let run = async |replies: Vec<Reply>, method: &str| {
        let stage = stage(ScriptedServer::builder().route_each("/", replies));
        let method = method.parse().expect("a method");
        let request = client(&stage, retry.clone()).request(method, "http://a.example/");
        let (response, took) = timed(request.send()).await;
        (response.expect("a response").status().as_u16(), stage.server.request_count(), took.as_secs())
    };
    let not_yet = || Reply::status(200).header("x-not-yet", "1");
    let (plain, unavailable) = (|| Reply::status(200), || Reply::status(503));
    assert_eq!(run(vec![not_yet(), plain()], "GET").await, (200, 2, 6), "five seconds and the backoff");
    assert_eq!(run(vec![Reply::status(404), plain()], "GET").await, (200, 2, 1));
    assert_eq!(run(vec![unavailable(), plain()], "GET").await, (503, 1, 0));
    assert_eq!(run(vec![not_yet(), plain()], "POST").await, (200, 1, 0), "not safe to send twice");
    assert_eq!(seen.load(Ordering::Relaxed), 2 + 2 + 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_overrides_its_client() {
    let stage = answers(&[503, 503, 200]);
    let client = client(&stage, thrice());
    let response = soon(client.get("http://a.example/").retry(Retry::never()).send()).await.expect("a response");
    assert_eq!((response.status().as_u16(), response.attempts().len()), (503, 1));
    let response = soon(stage.client().get("http://a.example/").retry(thrice()).send()).await.expect("a response");
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_as_soon_as_the_network_is_back() {
    let stage = friendly();
    let network = ManualConnectivity::online();
    let env = stage.env.with_connectivity(network.shared());
    let retry = Retry::default().attempts(2).backoff(Backoff::new(30 * SECOND, 30 * SECOND).with_jitter(Jitter::None));
    let client = Client::builder(&env).retry(retry).build().expect("client");
    let gone = network.clone();
    stage.dialer.with_next(move |_| {
        gone.set_reach(Reach::Offline);
        async { Err(netcomm_core::Error::new(ErrorKind::Connect, "dial")) }
    });
    let call = tokio::spawn(async move { timed(client.get("http://a.example/").send()).await });
    tokio::time::sleep(2 * SECOND).await;
    network.set_reach(Reach::Online);
    let (response, took) = soon(call).await.expect("no panic");
    assert_eq!(response.expect("a response").status().as_u16(), 200);
    assert!(took <= 2 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn each_hop_of_a_redirect_has_its_own_tries() {
    let stage = stage(
        ScriptedServer::builder()
            .route_each("/", [Reply::status(503), Reply::status(302).header("location", "http://b.example/next")])
            .route_each("/next", [Reply::status(502), Reply::status(200)]),
    );
    let response = soon(client(&stage, thrice().attempts(2)).get("http://a.example/").send()).await.expect("one");
    let reasons: Vec<_> = response.attempts().iter().map(|attempt| attempt.reason).collect();
    assert_eq!(reasons, [Reason::First, Reason::Retry, Reason::First, Reason::Retry]);
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_the_pool_is_an_attempt_that_was_not_sent() {
    let stage = friendly();
    stage.dialer.hang_all();
    let client = client(&stage, thrice().attempts(2));
    let error = soon(client.post("http://a.example/").body("x").send()).await.expect_err("no connection");
    assert_eq!((error.kind(), error.phase(), error.attempts()), (ErrorKind::Timeout, Some(Phase::Connect), 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_sends_nothing_more() {
    let stage = answers(&[503, 200]);
    let client = client(&stage, thrice());
    let call = tokio::spawn(client.get("http://a.example/").send());
    stage.server.until_requests(1).await;
    tokio::time::sleep(SECOND / 2).await;
    call.abort();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(stage.server.request_count(), 1);
}
