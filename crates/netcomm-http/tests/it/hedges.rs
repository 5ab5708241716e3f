//! Safe calls that are slow are sent a second time, and the better of two answers counts.

use std::time::Duration;

use netcomm_core::{Budget, ErrorKind, Event};
use netcomm_http::testing::{Gate, Reply, Script, ScriptedServer};
use netcomm_http::{Client, Hedge, Reason};

use crate::stage::{Stage, soon, stage, timed};

const MILLI: Duration = Duration::from_millis(1);

/// Answers that take that many milliseconds, one after the other; a 0 is a connection cut.
fn taking(millis: &[u32]) -> Stage {
    let replies = millis.iter().enumerate().map(|(nth, millis)| match millis {
        0 => Script::new().reset(),
        millis => Reply::status(200).body(nth.to_string()).delayed(*millis * MILLI).into(),
    });
    stage(ScriptedServer::builder().route_each("/", replies.collect::<Vec<Script>>()))
}

fn hedging(stage: &Stage) -> Client {
    stage.builder().hedge(Hedge::after(50 * MILLI)).build().expect("client")
}

#[tokio::test(start_paused = true)]
async fn a_quick_call_is_sent_once() {
    let stage = taking(&[40, 40]);
    let (response, took) = timed(hedging(&stage).get("http://a.example/").send()).await;
    assert_eq!((response.expect("a response").attempts().len(), took), (1, 40 * MILLI));
    tokio::time::sleep(1000 * MILLI).await;
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_counts_and_the_other_request_is_dropped() {
    for (millis, took, text, reason) in [([1000, 100], 150, "1", Reason::Hedge), ([120, 1000], 120, "0", Reason::First)]
    {
        let stage = taking(&millis);
        let client = hedging(&stage);
        let (response, waited) = timed(client.get("http://a.example/").send()).await;
        let response = response.expect("a response");
        assert_eq!(waited, took * MILLI);
        let told: Vec<_> =
            response.attempts().iter().map(|attempt| (attempt.reason, attempt.started.as_millis())).collect();
        assert_eq!(told, [(Reason::First, 0), (Reason::Hedge, 50)]);
        for attempt in response.attempts() {
            let expected =
                if attempt.reason == reason { Ok(200.try_into().unwrap()) } else { Err(ErrorKind::Canceled) };
            assert_eq!(attempt.outcome, expected);
        }
        assert_eq!(response.text().await.expect("a body"), text);
        assert_eq!(stage.seen.count(|event| matches!(event, Event::Hedged { .. })), 1);
        tokio::time::sleep(1000 * MILLI).await;
        assert_eq!(stage.dialer.open_connections(), 1, "the connection of the other request is closed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_leaves_the_other() {
    for (millis, text) in [([100, 0], "0"), ([1000, 0], "0")] {
        let stage = taking(&millis);
        let response = soon(hedging(&stage).get("http://a.example/").send()).await.expect("a response");
        assert_eq!(response.text().await.expect("a body"), text);
    }
    let gate = Gate::new();
    let server = ScriptedServer::builder().route_each(
        "/",
        [Script::new().wait_for(&gate).reset(), Reply::status(200).body("second").delayed(100 * MILLI).into()],
    );
    let stage = stage(server);
    let call = tokio::spawn(hedging(&stage).get("http://a.example/").send());
    stage.server.until_requests(2).await;
    gate.open();
    let response = soon(call).await.expect("no panic").expect("a response");
    assert_eq!(response.text().await.expect("a body"), "second");
}

#[tokio::test(start_paused = true)]
async fn if_both_fail_the_first_is_told() {
    let server = ScriptedServer::builder()
        .route_each("/", [Reply::status(502).delayed(200 * MILLI), Reply::status(503).delayed(10 * MILLI)]);
    let stage = stage(server);
    let response = soon(hedging(&stage).get("http://a.example/").send()).await.expect("a response");
    assert_eq!((response.status().as_u16(), response.attempts().len()), (502, 2));
}

#[tokio::test(start_paused = true)]
async fn unsafe_calls_and_bodies_that_can_be_sent_once_are_not_hedged() {
    for (method, hedges) in [("POST", false), ("PUT", false), ("DELETE", false), ("HEAD", true), ("OPTIONS", true)] {
        let stage = taking(&[100, 100]);
        let method = method.parse().expect("a method");
        soon(hedging(&stage).request(method, "http://a.example/").send()).await.expect("a response");
        assert_eq!(stage.server.request_count(), 1 + usize::from(hedges));
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_live_on_the_budget_of_repetitions() {
    let stage = taking(&[100; 8]);
    let budget = Budget::NONE.with_reserve(2);
    let client = stage.builder().hedge(Hedge::after(50 * MILLI)).budget(budget).build().expect("client");
    for _ in 0..4 {
        soon(client.get("http://a.example/").send()).await.expect("a response");
    }
    assert_eq!(stage.server.request_count(), 4 + 2);
}

#[tokio::test(start_paused = true)]
async fn calls_pay_for_hedges_where_nothing_is_tried_again() {
    let stage = taking(&[100; 16]);
    let budget = Budget::NONE.with_reserve(1).with_percent(50);
    let client = stage.builder().hedge(Hedge::after(50 * MILLI)).budget(budget).build().expect("client");
    for _ in 0..6 {
        soon(client.get("http://a.example/").send()).await.expect("a response");
    }
    assert_eq!(stage.server.request_count(), 6 + 3, "one was saved up, and two calls pay for another");
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_learned_from_traffic() {
    let stage = stage(ScriptedServer::builder().handler(|request| {
        Reply::status(200).delayed(if request.query() == Some("slow") { 1000 * MILLI } else { 20 * MILLI })
    }));
    let client = stage.builder().hedge(Hedge::percentile(90).min_samples(10)).build().expect("client");
    soon(client.get("http://a.example/?slow").send()).await.expect("a response");
    assert_eq!(stage.server.request_count(), 1, "nothing is known yet");
    for _ in 0..20 {
        soon(client.get("http://a.example/").send()).await.expect("a response");
    }
    assert_eq!(stage.server.request_count(), 21, "nobody was slower than usual");
    let response = soon(client.get("http://a.example/?slow").send()).await.expect("a response");
    assert_eq!(response.attempts().len(), 2);
    let after = response.attempts()[1].started;
    assert!((20 * MILLI..25 * MILLI).contains(&after), "{after:?}");
    let response = soon(client.get("http://b.example/?slow").send()).await.expect("a response");
    assert_eq!(response.attempts().len(), 1, "of another origin nothing is known");
}

#[tokio::test(start_paused = true)]
async fn a_request_can_do_without_or_with() {
    let stage = taking(&[100; 3]);
    soon(hedging(&stage).get("http://a.example/").hedge(None).send()).await.expect("a response");
    assert_eq!(stage.server.request_count(), 1);
    let hedge = Some(Hedge::after(50 * MILLI));
    soon(stage.client().get("http://a.example/").hedge(hedge).send()).await.expect("a response");
    assert_eq!(stage.server.request_count(), 3);
}
