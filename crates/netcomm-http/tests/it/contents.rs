//! What an observer that asks for contents is told: heads as the wire has them, bodies as they go and as they are read.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use netcomm_core::{Body, CallId, Event, Interest};
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Client, Retry};
use netcomm_tests::CollectingObserver;

use crate::stage::{CANARY, Stage, redirect, stage};

/// One thing that was told, its fields in short: names in order.
fn told(seen: &CollectingObserver) -> Vec<String> {
    let names = |headers: &HeaderMap| headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(" ");
    let short = |event: Event| match event {
        Event::RequestHead { number, method, url, headers, .. } => {
            Some(format!("> {number} {method} {url} [{}]", names(&headers)))
        }
        Event::RequestBody { number, data } => Some(format!("> {number} {}", String::from_utf8_lossy(&data))),
        Event::ResponseHead { number, status, .. } => Some(format!("< {number} {}", status.as_u16())),
        Event::ResponseBody { data } => Some(format!("< {}", String::from_utf8_lossy(&data))),
        _ => None,
    };
    seen.take().into_iter().filter_map(|seen| short(seen.event)).collect()
}

/// Who asks for contents and for nothing else.
fn heard(stage: &Stage) -> (CollectingObserver, netcomm_core::Env) {
    let seen = CollectingObserver::with_interest(Interest::CONTENT);
    let env = stage.env.with_tap(seen.tap());
    (seen, env)
}

#[tokio::test(start_paused = true)]
async fn heads_are_told_as_the_wire_has_them() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).header("x-answer", "1").body("hello")));
    let (seen, env) = heard(&stage);
    let client = Client::builder(&env).default_header("x-api-key", CANARY).build().unwrap();
    let mut marked = HeaderValue::from_static(CANARY);
    marked.set_sensitive(true);
    for body in [Body::empty(), Body::from("abc"), Body::from_reader(&b"abc"[..], None)] {
        let call = client.post(format!("http://user:{CANARY}@a.example/x?token={CANARY}"));
        call.bearer_auth(CANARY)
            .header("x-marked", marked.clone())
            .body(body)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let request = stage.server.requests().pop().unwrap();
        let events = seen.take();
        let head = events.iter().find_map(|seen| match &seen.event {
            Event::RequestHead { number: 1, method, url, headers, .. } => Some((method, url, headers)),
            _ => None,
        });
        let (method, url, headers) = head.expect("a head");
        assert_eq!((method.as_str(), url.as_str()), ("POST", &*format!("http://a.example/x?token={CANARY}")));
        let mut told: Vec<_> = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text_of(value))).collect();
        let mut sent: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        told.sort_unstable();
        sent.sort_unstable();
        assert_eq!(told, sent);
        assert!(headers["authorization"].is_sensitive() && headers["x-marked"].is_sensitive());
        assert!(events.iter().all(|seen| seen.call == events[0].call && seen.call > CallId(0)));
        let answer = events.iter().find_map(|seen| match &seen.event {
            Event::ResponseHead { number: 1, headers, .. } => Some(headers["x-answer"].clone()),
            _ => None,
        });
        assert_eq!(answer.expect("an answer"), "1");
    }
}

fn text_of(value: &HeaderValue) -> String {
    value.to_str().expect("text").to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_attempt_and_each_hop_has_its_heads_and_only_the_answer_a_body() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/go", redirect(307, "/end?q=1"))
            .route_each("/end", [Reply::status(503).body("later"), Reply::status(200).chunked(["he", "llo"])]),
    );
    let (seen, env) = heard(&stage);
    let client = Client::builder(&env).retry(Retry::default()).build().unwrap();
    client.put("http://a.example/go").body("abc").send().await.unwrap().bytes().await.unwrap();
    let lines = told(&seen);
    let lines: Vec<_> = lines.iter().map(|line| line.split(" [").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "> 1 PUT http://a.example/go",
            "> 1 abc",
            "< 1 307",
            "> 2 PUT http://a.example/end?q=1",
            "> 2 abc",
            "< 2 503",
            "> 3 PUT http://a.example/end?q=1",
            "> 3 abc",
            "< 3 200",
            "< he",
            "< llo",
        ]
    );
}

#[cfg(all(feature = "gzip", feature = "brotli", feature = "zstd", feature = "json"))]
#[tokio::test(start_paused = true)]
async fn a_body_is_told_decoded_and_as_it_is_read() {
    let coded = crate::codings::coded("gzip", "hello ".repeat(1000).as_bytes()).await;
    let stage = stage(
        ScriptedServer::builder()
            .handler(move |_| Reply::status(200).header("content-encoding", "gzip").body(coded.clone())),
    );
    let (seen, env) = heard(&stage);
    let client = Client::builder(&env).build().unwrap();
    let mut response = client.get("http://a.example/").send().await.unwrap();
    assert!(told(&seen).iter().all(|line| !line.contains("hello")), "nothing was read");
    while response.chunk().await.unwrap().is_some() {}
    assert_eq!(told(&seen).iter().map(|line| line.len() - 2).sum::<usize>(), 6000);
}

#[cfg(feature = "cache")]
#[tokio::test(start_paused = true)]
async fn an_answer_from_store_has_a_head_of_number_0() {
    let stage = stage(ScriptedServer::builder().handler(|seen| match seen.header("if-none-match") {
        Some(_) => Reply::status(304).header("cache-control", "max-age=60"),
        None => Reply::status(200).header("cache-control", "max-age=60").header("etag", "\"a\"").body("kept"),
    }));
    let (seen, env) = heard(&stage);
    let client = Client::builder(&env).cache(netcomm_http::cache::Cache::memory(1 << 20)).build().unwrap();
    let get = || async { client.get("http://a.example/").send().await.unwrap().bytes().await.unwrap() };
    let mut lines = Vec::new();
    for wait in [0, 1, 100] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        get().await;
        let short = |line: String| line.split(" [").next().unwrap().to_owned();
        lines.extend(told(&seen).into_iter().map(short));
    }
    let url = "http://a.example/";
    let request = format!("> 1 GET {url}");
    let expected: [&str; 9] =
        [&request, "< 1 200", "< kept", "< 0 200", "< kept", &request, "< 1 304", "< 0 200", "< kept"];
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn all_else_asks_for_no_contents() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).chunked(["a", "b"])));
    stage.client().post("http://a.example/").body("abc").send().await.unwrap().bytes().await.unwrap();
    let text = stage.seen.debug_text();
    for name in ["RequestHead", "RequestBody", "ResponseHead", "ResponseBody"] {
        assert!(!text.contains(name), "{name}");
    }
}
