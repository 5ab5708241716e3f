//! What is tried again for a client, what is refused on behalf of an origin, and what is said then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netcomm::http::testing::{Gate, ReceivedRequest, Reply, Script, ScriptedServer};

use super::{Proxy, get};
use crate::stage::start;

/// Answers 503 to so many requests, then with what it was sent.
async fn shaky(failures: usize) -> ScriptedServer {
    let count = AtomicUsize::new(0);
    let server = ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
        match count.fetch_add(1, Ordering::SeqCst) < failures {
            true => Reply::status(503).header("retry-after", "0").body("no"),
            false => Reply::status(200).body(format!("got {} bytes", request.body.len())),
        }
    });
    start(server).await
}

async fn before(server: &ScriptedServer, options: &str) -> Proxy {
    Proxy::start(&format!("--to {} {options}", server.url(""))).await
}

fn sent(method: &str, content: &str, fields: &str) -> String {
    format!("{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n{content}", content.len())
}

#[tokio::test]
async fn what_is_safe_is_tried_again_and_nothing_without_the_word() {
    let long = "x".repeat((64 << 10) + 1);
    for (options, request, status, requests) in [
        ("", get("/x"), 503, 1),
        ("--retry 3", get("/x"), 200, 3),
        ("--retry 2", get("/x"), 503, 2),
        ("--retry 3", sent("PUT", "hello", ""), 200, 3),
        ("--retry 3", sent("POST", "hello", ""), 503, 1),
        ("--retry 3", sent("POST", "hello", "Idempotency-Key: \"k\"\r\n"), 200, 3),
        ("--retry 3", sent("PUT", &long, ""), 503, 1),
    ] {
        let server = shaky(2).await;
        let answer = before(&server, options).await.ask(&request).await;
        let what = format!("{options}, {}", request.lines().next().unwrap_or_default());
        assert_eq!((answer.status, server.request_count()), (status, requests), "{what}: {answer:?}");
        if status == 200 && !request.starts_with("GET") {
            assert_eq!(answer.text(), "got 5 bytes", "{what}");
        }
    }
}

#[tokio::test]
async fn the_line_of_a_request_tells_how_often_it_was_sent() {
    let server = shaky(1).await;
    let proxy = before(&server, "--retry 3 -v").await;
    assert_eq!(proxy.ask(get("/x")).await.status, 200);
    assert_eq!(proxy.ask(get("/y")).await.status, 200);
    let told = proxy.told().await;
    let lines: Vec<_> = told.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with(" ms [2 attempts]") && lines[1].ends_with(" ms"), "{told}");
}

#[tokio::test]
async fn an_origin_that_fails_is_left_alone_and_clients_are_told_when_to_come_back() {
    let server = shaky(usize::MAX).await;
    let proxy = before(&server, "--breaker").await;
    let mut talk = proxy.connect().await;
    for number in 1..=20 {
        talk.say(get("/x")).await;
        let answer = talk.answer().await;
        assert_eq!((answer.status, answer.text()), (503, "no"), "{number}");
    }
    talk.say(get("/x")).await;
    let answer = talk.answer().await;
    assert_eq!((answer.status, server.request_count()), (503, 20), "{answer:?}");
    assert_eq!(answer.fields("proxy-status"), ["me; error=destination_unavailable"]);
    let wait = answer.field("retry-after").and_then(|wait| wait.parse::<u64>().ok());
    assert!(wait.is_some_and(|wait| (1..=2).contains(&wait)), "{answer:?}");
    assert!(answer.text().contains("circuit breaker"), "{answer:?}");
}

#[tokio::test]
async fn a_rate_refuses_whose_turn_comes_too_late() {
    let server = shaky(0).await;
    let proxy = before(&server, "--rate 1/m --concurrency 8").await;
    assert_eq!(proxy.ask(get("/x")).await.status, 200);
    let answer = proxy.ask(get("/x")).await;
    assert_eq!((answer.status, server.request_count()), (503, 1), "{answer:?}");
    let wait = answer.field("retry-after").and_then(|wait| wait.parse::<u64>().ok());
    assert!(wait.is_some_and(|wait| (1..=60).contains(&wait)), "{answer:?}");
}

#[tokio::test]
async fn so_many_at_a_time_and_the_others_wait() {
    let handler = |_: &ReceivedRequest| Reply::status(200).delayed(Duration::from_millis(5)).body("ok");
    let server = start(ScriptedServer::builder().handler(handler)).await;
    let proxy = before(&server, "--concurrency 1").await;
    let mut talks = Vec::new();
    for _ in 0..20 {
        let mut talk = proxy.connect().await;
        talk.say(get("/x")).await;
        talks.push(talk);
    }
    for mut talk in talks {
        assert_eq!(talk.answer().await.status, 200);
    }
    assert_eq!((server.request_count(), server.connections()), (20, 1));
}

#[tokio::test]
async fn a_slow_answer_is_overtaken_by_a_second_one() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let server = ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let reply = Reply::status(200).body(format!("answer {number}"));
        Script::from(if number == 0 { reply.held_by(&held) } else { reply })
    });
    let server = start(server).await;
    let proxy = before(&server, "--hedge=0.05").await;
    assert_eq!(proxy.ask(get("/x")).await.text(), "answer 1");
    gate.open();
    // Nothing is known yet of what is slow.
    let proxy = before(&server, "--hedge").await;
    assert_eq!(proxy.ask(get("/x")).await.text(), "answer 2");
}
