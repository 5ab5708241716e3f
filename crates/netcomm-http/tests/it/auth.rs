//! Tokens: fetched when needed, once for all, and never for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netcomm_core::{Body, Clock, Error, ErrorKind, Result};
use netcomm_http::testing::{Gate, ReceivedRequest, Reply, ScriptedServer};
use netcomm_http::{Client, Credentials, ProvideToken, Token};
use netcomm_tests::TokioClock;

use crate::stage::{CANARY, Stage, shown, stage};

/// Gives `t0`, `t1`, …, each at the gate.
#[derive(Clone)]
struct Numbered {
    asked: Arc<AtomicUsize>,
    gate: Gate,
    fails: bool,
    life: Option<Duration>,
}

impl Numbered {
    fn new() -> Self {
        let gate = Gate::new();
        gate.open();
        Self { asked: Arc::default(), gate, fails: false, life: None }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl ProvideToken for Numbered {
    async fn token(&self, rejected: Option<&Token>) -> Result<Token> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // The number of those that were given before: a call that was called off has given none.
        let number = rejected.map_or(0, |token| {
            let last: usize = token.secret().expose()[1..].parse().expect("a token of ours");
            last + 1
        });
        self.gate.opened().await;
        if self.fails {
            return Err(Error::new(ErrorKind::Connect, "fetch token"));
        }
        let token = Token::new(format!("t{number}"));
        Ok(match self.life {
            Some(life) => token.with_expiry(TokioClock::new().now() + life),
            None => token,
        })
    }
}

/// Lets in whoever has one of those tokens.
fn guarded(good: &'static [&'static str]) -> Stage {
    stage(ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
        let token = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match token.is_some_and(|token| good.contains(&token)) {
            true => Reply::status(200).body("in"),
            false => Reply::status(401).body("out"),
        }
    }))
}

fn client(stage: &Stage, provider: &Numbered) -> Client {
    let credentials = Credentials::provider(provider.clone());
    stage.builder().credentials("http://a.example", credentials).build().expect("client")
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_before_the_first_request_and_kept() {
    let (stage, provider) = (guarded(&["t0"]), Numbered::new());
    let client = client(&stage, &provider);
    for _ in 0..3 {
        assert_eq!(client.get("http://a.example/").send().await.unwrap().status(), 200);
    }
    client.get("http://b.example/").send().await.unwrap();
    assert_eq!((provider.asked(), stage.server.request_count()), (1, 4));
    assert_eq!(stage.server.requests()[3].header("authorization"), None);
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_that_are_refused_at_once_fetch_one_token() {
    let (stage, provider) = (guarded(&["t1"]), Numbered::new());
    let client = client(&stage, &provider);
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(client.get("http://a.example/").send())).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(provider.asked(), 2, "the first, and one in its place");
    assert_eq!(stage.server.request_count(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_sent_again_with_its_body() {
    let (stage, provider) = (guarded(&["t1"]), Numbered::new());
    let response = client(&stage, &provider).post("http://a.example/").body("body").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 2));
    assert!(stage.server.requests().iter().all(|seen| seen.text() == "body"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_can_be_sent_once_gets_its_401_and_the_next_call_a_fresh_token() {
    let (stage, provider) = (guarded(&["t1"]), Numbered::new());
    let client = client(&stage, &provider);
    let stream = Body::from_reader(&b"streamed"[..], None);
    let response = client.post("http://a.example/").body(stream).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(client.get("http://a.example/").send().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn refused_twice_is_the_answer() {
    let (stage, provider) = (guarded(&[]), Numbered::new());
    let response = client(&stage, &provider).get("http://a.example/").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (401, 2));
    assert_eq!(response.text().await.unwrap(), "out");
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_that_is_refused_is_not_sent_again() {
    let stage = guarded(&[]);
    let bearer = Credentials::bearer(&"fixed".into()).unwrap();
    let client = stage.builder().credentials("http://a.example", bearer).build().unwrap();
    assert_eq!(client.get("http://a.example/").send().await.unwrap().status(), 401);
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_replaced_before_it_is_sent() {
    let stage = guarded(&["t0", "t1"]);
    let provider = Numbered { life: Some(Duration::from_secs(10)), ..Numbered::new() };
    let client = client(&stage, &provider);
    for (wait, token) in [(0, "t0"), (9, "t0"), (1, "t1"), (9, "t1")] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(client.get("http://a.example/").send().await.unwrap().status(), 200);
        let seen = stage.server.take_requests().remove(0);
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {token}").as_str()));
    }
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent() {
    let stage = guarded(&["t0"]);
    let provider = Numbered { fails: true, ..Numbered::new() };
    let error = client(&stage, &provider).get("http://a.example/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(shown(&error).contains("fetch token"), "the cause is told: {}", shown(&error));
    assert_eq!(stage.dialer.dials(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_token_share_its_failure() {
    let stage = guarded(&["t0"]);
    let provider = Numbered { fails: true, gate: Gate::new(), ..Numbered::new() };
    let client = client(&stage, &provider);
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(client.get("http://a.example/").send())).collect();
    while provider.asked() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    provider.gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Auth);
    }
    assert_eq!(provider.asked(), 1, "a provider that is down is not asked ten times in a row");
    client.get("http://a.example/").send().await.unwrap_err();
    assert_eq!(provider.asked(), 2, "a later call asks again");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_called_off_while_it_fetches_hands_over() {
    let stage = guarded(&["t0", "t1"]);
    let provider = Numbered { gate: Gate::new(), ..Numbered::new() };
    let client = client(&stage, &provider);
    let leader = tokio::spawn(client.get("http://a.example/").send());
    while provider.asked() == 0 {
        tokio::task::yield_now().await;
    }
    let follower = tokio::spawn(client.get("http://a.example/").send());
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    provider.gate.open();
    assert_eq!(follower.await.unwrap().unwrap().status(), 200);
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_shown_to_nobody() {
    struct Canary;
    impl ProvideToken for Canary {
        async fn token(&self, _: Option<&Token>) -> Result<Token> {
            Ok(Token::new(format!("{CANARY}\n")))
        }
    }
    let stage = guarded(&[]);
    let credentials = Credentials::provider(Canary);
    let client = stage.builder().credentials("http://a.example", credentials.clone()).build().unwrap();
    let error = client.get("http://a.example/").send().await.unwrap_err();
    let text = format!("{client:?} {credentials:?} {} {:?}", shown(&error), Token::new(CANARY));
    assert!(!text.contains(CANARY), "{text}");
    assert!(!stage.seen.debug_text().contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_token_counts_into_the_whole_call() {
    let stage = guarded(&["t0"]);
    let provider = Numbered { gate: Gate::new(), ..Numbered::new() };
    let call = client(&stage, &provider).get("http://a.example/").timeout(Duration::from_secs(2));
    let (outcome, took) = crate::stage::timed(call.send()).await;
    crate::stage::assert_timeout(&outcome.unwrap_err(), netcomm_core::Phase::Total, "total");
    assert_eq!(took, Duration::from_secs(2));
}
