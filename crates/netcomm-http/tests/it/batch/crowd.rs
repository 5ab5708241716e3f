//! Many callers, coming and going: each gets its own answer, and nobody waits for ever.

use std::collections::HashSet;

use netcomm_core::{Env, ErrorKind};
use netcomm_http::Client;
use netcomm_http::batch::{Batcher, JsonRpc};
use netcomm_http::testing::{Gate, ReceivedRequest, ScriptedServer};
use netcomm_tests::{ScriptedDialer, TokioClock};
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use serde_json::{Value, json};

use super::{answers, ask_all, batcher, echoing, end, json as reply, received, settle};
use crate::stage::stage;

#[tokio::test(start_paused = true)]
async fn ten_thousand_callers() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder);
    let got = answers(ask_all(&batcher, 0..10_000)).await;
    assert_eq!(got, Vec::from_iter(0..10_000));
    let requests = received(&stage);
    assert_eq!(requests.len(), 100);
    let items: HashSet<u32> = requests.concat().into_iter().collect();
    assert_eq!((items.len(), requests.concat().len()), (10_000, 10_000));
    assert!(stage.dialer.dials() <= 8, "{}", stage.dialer.dials());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads_with_some_that_leave() {
    let server = ScriptedServer::builder().handler(|request: &ReceivedRequest| reply(request.body.clone())).offline();
    let dialer = ScriptedDialer::new();
    dialer.serve_all(move |stream| server.serve(stream));
    let client = Client::builder(&Env::new(dialer, TokioClock::new())).build().unwrap();
    let batcher = Batcher::builder(&client, super::URL, netcomm_http::batch::JsonArray::new())
        .max_calls(7)
        .max_in_flight(3)
        .build()
        .unwrap();
    for round in 0..20 {
        let calls = ask_all(&batcher, 0..100);
        for (at, call) in calls.iter().enumerate() {
            if (at + round) % 3 == 0 {
                call.abort();
            }
        }
        for (item, call) in calls.into_iter().enumerate() {
            match call.await {
                Ok(answer) => assert_eq!(answer.unwrap() as usize, item),
                Err(left) => assert!(left.is_cancelled()),
            }
        }
    }
}

/// What the server does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    Refused,
    Forgotten,
    AnsweredTwice,
    Garbled,
}

/// When its caller leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stay {
    LeavesBefore,
    LeavesAfter,
    Stays,
}

fn crowd() -> impl Strategy<Value = Vec<(Fate, Stay)>> {
    use Fate::{Answered, AnsweredTwice, Forgotten, Garbled, Refused};
    use Stay::{LeavesAfter, LeavesBefore, Stays};
    let fate = proptest::sample::select(vec![Answered, Answered, Answered, Refused, Forgotten, AnsweredTwice, Garbled]);
    let stay = proptest::sample::select(vec![LeavesBefore, LeavesAfter, Stays, Stays, Stays]);
    proptest::collection::vec((fate, stay), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn everybody_gets_exactly_what_is_theirs(callers in crowd(), max_calls in 1_usize..12, order in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(callers, max_calls, order));
    }
}

async fn play(callers: Vec<(Fate, Stay)>, max_calls: usize, order: u64) {
    let gate = Gate::new();
    let (held, plan) = (gate.clone(), callers.clone());
    let stage = stage(ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
        let mut answers: Vec<Value> = calls_of(request).iter().flat_map(|call| answer(call, &plan)).collect();
        if !answers.is_empty() {
            let turn = usize::try_from(order % answers.len() as u64).expect("small");
            answers.rotate_left(turn);
        }
        reply(Value::from(answers).to_string()).held_by(&held)
    }));
    let batcher = Batcher::builder(&stage.client(), super::URL, JsonRpc::new())
        .max_calls(max_calls)
        .max_in_flight(100)
        .build()
        .expect("a batcher");
    let calls: Vec<_> = (0..callers.len())
        .map(|item| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.request::<usize>("echo", &[item]).await })
        })
        .collect();
    let leave = |when: Stay| {
        calls.iter().zip(&callers).filter(|(_, (_, stay))| *stay == when).for_each(|(call, _)| call.abort());
    };
    // Aborted before they were polled for the first time, or while they wait: full batches are sent meanwhile.
    if order.is_multiple_of(2) {
        settle().await;
    }
    leave(Stay::LeavesBefore);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    leave(Stay::LeavesAfter);
    settle().await;
    gate.open();
    for (item, (call, (fate, stay))) in calls.into_iter().zip(callers).enumerate() {
        if stay != Stay::Stays {
            assert!(call.await.expect_err("it left").is_cancelled());
            continue;
        }
        match (end(call).await, fate) {
            (Ok(answer), Fate::Answered) => assert_eq!(answer, item),
            (Err(error), Fate::Refused) => assert_eq!(error.kind(), ErrorKind::Status),
            (Err(error), Fate::Forgotten | Fate::AnsweredTwice | Fate::Garbled) => {
                assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
            }
            (outcome, fate) => panic!("{outcome:?} for {fate:?}"),
        }
    }
    let mut seen = HashSet::new();
    for request in stage.server.take_requests() {
        for call in calls_of(&request) {
            assert!(seen.insert(call["params"][0].as_u64()), "sent twice: {call}");
        }
    }
}

fn calls_of(request: &ReceivedRequest) -> Vec<Value> {
    match serde_json::from_slice(&request.body).expect("json") {
        Value::Array(calls) => calls,
        call => vec![call],
    }
}

fn answer(call: &Value, plan: &[(Fate, Stay)]) -> Vec<Value> {
    let (id, item) = (&call["id"], &call["params"][0]);
    let good = json!({"jsonrpc": "2.0", "id": id, "result": item});
    let foreign = json!({"jsonrpc": "2.0", "id": id.as_u64().map(|id| id + 1_000_000), "result": "not yours"});
    let at = usize::try_from(item.as_u64().expect("a number")).expect("small");
    match plan[at].0 {
        Fate::Answered => vec![good],
        Fate::Refused => vec![json!({"id": id, "error": {"code": 1, "message": "no"}})],
        Fate::Forgotten => vec![foreign],
        Fate::AnsweredTwice => vec![good.clone(), good],
        Fate::Garbled => vec![json!([id, item]), json!(17)],
    }
}
