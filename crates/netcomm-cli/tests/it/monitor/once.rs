//! The first verdict, and its exit code.

use netcomm::http::testing::{Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::stage::{Ended, netcomm, start};

/// How the command ends that probes a server which answers so; in an environment that has no paths.
async fn probe(reply: Reply, options: &str) -> Ended {
    let server = start(ScriptedServer::builder().route("/", reply)).await;
    netcomm(&format!("monitor --once --ignore-paths --probe {} {options}", server.url("/"))).await
}

#[tokio::test]
async fn a_good_answer_is_online() {
    let ended = probe(Reply::status(204), "").await.expect_code(0);
    assert!(ended.text().starts_with("online: a probe succeeded; probe: IPv4 good in "), "{ended:?}");
    assert_eq!(ended.stderr, "");
    let verdict = probe(Reply::status(204), "--json").await.expect_code(0).json();
    for (name, expected) in
        [("kind", json!("verdict")), ("reach", json!("online")), ("path", Value::Null), ("quality", Value::Null)]
    {
        assert_eq!(verdict[name], expected, "{name}");
    }
    assert_eq!(verdict["probe"]["answers"], json!({ "ipv4": "good" }));
    assert!(verdict["at"].as_f64().is_some_and(|at| at > 1_600_000_000.0), "{verdict}");
}

#[tokio::test]
async fn all_else_is_not() {
    let portal = || Reply::status(302).header("location", "http://login.example/?token=hunter2");
    let ended = probe(portal(), "").await.expect_code(1);
    assert!(ended.text().starts_with("captive: a portal answers; "), "{ended:?}");
    let verdict = probe(portal(), "--json").await.expect_code(1).json();
    assert_eq!((&verdict["reach"], &verdict["probe"]["portal"]), (&json!("captive"), &json!("http://login.example/")));
    let ended = probe(Reply::status(204), "--challenge").await.expect_code(1);
    assert!(ended.text().starts_with("captive: "), "a word that was not repeated: {ended:?}");
    let ended = netcomm("monitor --once --ignore-paths --probe http://127.0.0.1:1/").await.expect_code(1);
    assert!(ended.text().starts_with("offline: a probe failed; "), "{ended:?}");
}

#[tokio::test]
async fn a_challenge_that_is_met_is_online() {
    let server = ScriptedServer::builder().handler(|request| {
        let word = request.header("x-netcomm-challenge");
        Reply::status(204).header("x-netcomm-response", format!("response {}", word.unwrap_or_default()))
    });
    let server = start(server).await;
    let line = format!("monitor --once --ignore-paths --challenge --probe {}", server.url("/"));
    netcomm(&line).await.expect_code(0);
}

#[tokio::test]
async fn urls_are_asked_for_the_quality() {
    let server = start(ScriptedServer::builder().handler(|_| Reply::status(200).body("hello"))).await;
    let line =
        format!("monitor --once --ignore-paths --private-hosts --json {} {}", server.url("/a"), server.url("/b"));
    let verdict = netcomm(&line).await.expect_code(0).json();
    assert_eq!((&verdict["reason"], &verdict["quality"]["failures"]), (&json!("traffic succeeds"), &json!(0.0)));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn what_means_nothing_is_said_at_once() {
    for words in [
        "example.com",
        "ftp://a.example/",
        "--once ftp://a.example/",
        "--probe ftp://a.example/",
        "--probe probe.example",
        "--challenge",
        "--every 0",
        "--every soon",
        "--proxy 192.0.2.1:0",
    ] {
        let ended = netcomm(&format!("monitor --ignore-paths {words}")).await.expect_code(2);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{words}: {ended:?}");
    }
    netcomm("monitor --cacert /no/such/file").await.expect_code(18);
}
