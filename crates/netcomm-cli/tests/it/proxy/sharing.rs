//! Equal requests that are under way at the same time.

use netcomm::http::testing::{Gate, ReceivedRequest, Reply, ScriptedServer};

use super::{Answer, Proxy, get};
use crate::stage::start;

/// Two equal downloads at once through a proxy with these options, and how many requests came of them.
async fn downloads(options: &str) -> (Vec<Answer>, usize) {
    let gate = Gate::new();
    let reply = Reply::status(200).header("cache-control", "max-age=60").body(vec![b'x'; 300_000]).held_by(&gate);
    let server = start(ScriptedServer::builder().handler(move |_: &ReceivedRequest| reply.clone())).await;
    let proxy = Proxy::start(&format!("--to {} {options}", server.url(""))).await;
    let (mut one, mut other) = (proxy.connect().await, proxy.connect().await);
    one.say(get("/large")).await;
    server.until_requests(1).await;
    // The proxy answers the first of these itself, and then turns to the second one on that connection.
    let own = "OPTIONS * HTTP/1.1\r\nHost: outer.example\r\n\r\n";
    other.say([own.to_owned(), get("/large")].concat()).await;
    assert_eq!(other.answer().await.status, 200);
    if options.is_empty() {
        server.until_requests(2).await;
    }
    // It has answered all these after that.
    let mut third = proxy.connect().await;
    for _ in 0..20 {
        third.say(own).await;
        assert_eq!(third.answer().await.status, 200);
    }
    gate.open();
    (vec![one.answer().await, other.answer().await], server.request_count())
}

#[tokio::test]
async fn equal_requests_are_sent_once_if_that_is_wanted() {
    for (options, requests) in [("", 2), ("--deduplicate", 1), ("--deduplicate --cache memory", 1)] {
        let (mut answers, mut sent) = downloads(options).await;
        // That the second one is on its way is not to be seen from here: on a busy machine it may come too late to share.
        for _ in 0..4 {
            if sent != requests {
                (answers, sent) = downloads(options).await;
            }
        }
        assert_eq!(sent, requests, "{options}");
        for answer in &answers {
            assert_eq!((answer.status, answer.body.len(), answer.complete), (200, 300_000, true), "{options}");
        }
        if options.contains("cache") {
            let told: Vec<_> = answers.iter().map(|answer| answer.field("cache-status").expect("a field")).collect();
            assert_eq!(told, ["me; fwd=uri-miss; stored", "me; fwd=uri-miss; stored; collapsed"]);
        }
    }
}
