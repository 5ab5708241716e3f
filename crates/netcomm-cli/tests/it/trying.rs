//! Calls that are tried again, hedged and held back.

use netcomm::http::testing::{Gate, ReceivedRequest, Reply, Script, ScriptedServer};
use serde_json::{Value, json};

use crate::stage::{Ended, command, netcomm, run, run_with_stdin, start};

/// Fails twice, at `/late` by asking for a pause of an hour; then it answers with what it was sent.
async fn shaky() -> ScriptedServer {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
        match (request.path(), count.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
            ("/late", _) => Reply::status(429).header("retry-after", "3600"),
            // On a connection that was kept, an end would be a stale connection and no failure.
            (_, 0) => Reply::status(503).header("retry-after", "0").header("connection", "close"),
            (_, 1) => Reply::raw("").then_close(),
            _ => Reply::status(200).body(format!("got {}", request.text())),
        }
    });
    start(server).await
}

fn told(got: &Value) -> Vec<String> {
    let attempts = got["attempts"].as_array().expect("a list").iter();
    attempts
        .map(|one| match one["status"].as_u64() {
            Some(status) => format!("{} {status}", one["reason"].as_str().unwrap_or_default()),
            None => {
                format!("{} {}", one["reason"].as_str().unwrap_or_default(), one["error"].as_str().unwrap_or_default())
            }
        })
        .collect()
}

#[tokio::test]
async fn a_call_is_tried_again_only_if_that_is_said() {
    let server = shaky().await;
    let got = netcomm(&format!("get {} --json", server.url("/"))).await.expect_code(0).json();
    assert_eq!((told(&got), &got["gave_up"]), (vec!["first 503".to_owned()], &Value::Null));

    let server = shaky().await;
    let got = netcomm(&format!("get {} --json --retry 3", server.url("/"))).await.expect_code(0).json();
    assert_eq!(told(&got), ["first 503", "retry closed", "retry 200"]);
    assert_eq!((&got["status"], &got["gave_up"], &got["body"]["text"]), (&json!(200), &Value::Null, &json!("got ")));
    let started: Vec<_> =
        got["attempts"].as_array().expect("a list").iter().map(|one| one["started"].as_f64()).collect();
    assert!(started.is_sorted() && started.iter().all(Option::is_some), "{started:?}");

    let server = shaky().await;
    let got = netcomm(&format!("get {} --json --retry 1", server.url("/"))).await.expect_code(0).json();
    assert_eq!((told(&got).len(), &got["status"]), (1, &json!(503)));
    for wrong in ["--retry 0", "--retry x", "--retry-max-time 5", "--rate 5", "--concurrency 0"] {
        netcomm(&format!("get http://a.example/ {wrong}")).await.expect_code(2);
    }
}

#[tokio::test]
async fn why_no_more_is_tried_is_told() {
    let server = shaky().await;
    let ended = netcomm(&format!("get {} --json --fail --retry 2", server.url("/"))).await.expect_code(9);
    let error = &ended.json()["error"];
    assert_eq!((&error["kind"], &error["attempts"]), (&json!("closed"), &json!(2)));
    assert_eq!((&error["gave_up"], &error["stage"]), (&json!("attempts"), &json!("attempt")));
    assert!(error["elapsed"].as_f64() > Some(0.0), "{error}");

    let server = shaky().await;
    let got = netcomm(&format!("get {} --json --fail --retry 5", server.url("/late"))).await.expect_code(22).json();
    assert_eq!((&got["gave_up"], &got["error"]["gave_up"]), (&json!("retry_after"), &json!("retry_after")));
    for left in [&got["retry_in"], &got["error"]["retry_in"]] {
        assert!(left.as_f64().is_some_and(|left| left > 3_000_000.0 && left <= 3_600_000.0), "{got}");
    }
    let line = format!("get {} --fail --retry 5 --retry-max-time 7200 --timeout 30", server.url("/late"));
    let ended = netcomm(&line).await.expect_code(22);
    assert!(ended.stderr.contains("; the deadline is too near\n"), "what a server asks for is borne: {ended:?}");
}

#[tokio::test]
async fn what_may_not_be_sent_twice_is_not_but_with_a_key() {
    let server = shaky().await;
    let got = netcomm(&format!("post {} --json -d x --retry 3", server.url("/"))).await.expect_code(0).json();
    assert_eq!((told(&got), &got["gave_up"]), (vec!["first 503".to_owned()], &json!("unsafe")));

    let server = shaky().await;
    let got = netcomm(&format!("post {} --json -d x --retry 3 --idempotency-key=k1", server.url("/"))).await;
    assert_eq!(got.expect_code(0).json()["body"]["text"], "got x");
    let keys = |server: &ScriptedServer| -> Vec<_> {
        server.take_requests().iter().map(|request| request.header("idempotency-key").map(str::to_owned)).collect()
    };
    assert_eq!(keys(&server), vec![Some("\"k1\"".to_owned()); 3]);

    let server = shaky().await;
    netcomm(&format!("post --idempotency-key --retry 3 {} -d x", server.url("/"))).await.expect_code(0);
    let seen = keys(&server);
    assert!(seen.len() == 3 && seen[0].as_ref().is_some_and(|key| key.len() == 34), "{seen:?}");
    assert!(seen.iter().all(|key| *key == seen[0]), "one act, one key: {seen:?}");
}

#[tokio::test]
async fn what_comes_from_stdin_is_kept_up_to_a_bound() {
    let of = |server: &ScriptedServer| command(["put", &server.url("/"), "--json", "-d", "-", "--retry", "3"]);
    let server = shaky().await;
    let got = run_with_stdin(of(&server), "hello").await.expect_code(0).json();
    assert_eq!(got["body"]["text"], "got hello");
    let server = shaky().await;
    let got = run_with_stdin(of(&server), &"x".repeat((64 << 10) + 1)).await.expect_code(0).json();
    assert_eq!((&got["status"], &got["gave_up"]), (&json!(503), &json!("body_spent")));
}

#[tokio::test]
async fn a_slow_answer_is_overtaken_by_a_second_one() {
    let (gate, count) = (Gate::new(), std::sync::atomic::AtomicUsize::new(0));
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        let reply = Reply::status(200).body("ok");
        match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Script::from(reply.held_by(&held)),
            _ => Script::from(reply),
        }
    });
    let server = start(server).await;
    let got = netcomm(&format!("get {} --json --hedge 0.05", server.url("/"))).await.expect_code(0).json();
    assert_eq!((told(&got), &got["status"]), (vec!["first canceled".to_owned(), "hedge 200".to_owned()], &json!(200)));
    gate.open();
}

#[tokio::test]
async fn more_requests_than_a_rate_allows_are_refused_with_the_time_to_come_back() {
    let server = ScriptedServer::builder()
        .route("/old", Reply::status(302).header("location", "/new"))
        .route("/new", Reply::status(200).body("ok"));
    let server = start(server).await;
    let line = format!("get {} --json --rate 1/m --concurrency 1", server.url("/old"));
    let got = netcomm(&line).await.expect_code(15).json();
    let error = &got["error"];
    assert_eq!((&error["kind"], &error["stage"]), (&json!("busy"), &json!("limit")));
    assert!(error["retry_in"].as_f64().is_some_and(|left| left > 0.0 && left <= 60_000.0), "{error}");
    assert_eq!(server.request_count(), 1);
    for pace in ["1/m,2", "90/s"] {
        let line = format!("get {} --rate {pace} --concurrency adaptive", server.url("/old"));
        assert_eq!(netcomm(&line).await.expect_code(0).text(), "ok", "{pace}");
    }
}

#[tokio::test]
async fn people_are_told_of_more_than_one_attempt() {
    let server = shaky().await;
    let url = server.url("/");
    let Ended { stderr, .. } = run(command(["get", &url, "--retry", "3", "--timing", "-v"])).await.expect_code(0);
    for piece in ["  try 1 failed, the next one in ", " ms  first   503 after ", " ms  retry   closed after "] {
        assert!(stderr.contains(piece), "{piece} in {stderr}");
    }
    let ended = netcomm(&format!("get {url} --timing")).await.expect_code(0);
    assert!(!ended.stderr.contains(" first "), "one needs no list: {}", ended.stderr);
}
