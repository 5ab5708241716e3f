//! What an observer is told: everything that happens, in order, once, without a secret.

use std::time::Duration;

use http::{Method, Version};
use netcomm_core::{Error, ErrorKind, Event};
use netcomm_http::testing::{Reply, ScriptedServer};

use crate::stage::{CANARY, Stage, redirect, stage};

/// The events in short.
fn story(stage: &Stage) -> Vec<String> {
    let short = |event: Event| match event {
        Event::CallStarted { method, url } => format!("call {method} {url}"),
        Event::CallEnded { status, error, received_bytes, .. } => {
            format!("end {:?} {error:?} {received_bytes}", status.map(|status| status.as_u16()))
        }
        Event::Redirected { status, to, crossed_origin } => {
            format!("redirect {} {to} {crossed_origin}", status.as_u16())
        }
        Event::AttemptStarted { number, origin } => format!("attempt {number} {origin}"),
        Event::AttemptEnded { number, status, error, reused, .. } => {
            format!("attempt end {number} {:?} {error:?} {reused}", status.map(|status| status.as_u16()))
        }
        Event::Connected { origin, .. } => format!("connected {origin}"),
        Event::Disconnected { origin, .. } => format!("disconnected {origin}"),
        Event::ConnectFailed { origin, error } => format!("connect failed {origin} {error:?}"),
        other => format!("{other:?}"),
    };
    let is_piece = |event: &Event| matches!(event, Event::BodyReceived { .. } | Event::ConnectionTaken { .. });
    stage.seen.take().into_iter().map(|seen| seen.event).filter(|event| !is_piece(event)).map(short).collect()
}

fn ends(stage: &Stage) -> Vec<String> {
    story(stage).into_iter().filter(|line| line.starts_with("end")).collect()
}

fn served() -> Stage {
    stage(
        ScriptedServer::builder()
            .route("/ok", Reply::status(200).body("hello"))
            .route("/empty", Reply::status(204))
            .route("/chunks", Reply::status(200).chunked(["a", "bc"]))
            .route("/go", redirect(302, "http://b.example/ok?token=hunter2"))
            .route("/near", redirect(307, "/ok"))
            .route("/cut", Reply::status(200).header("content-length", "10").body("half").then_close())
            .route("/large", Reply::status(200).body(vec![b'x'; 1_000_000]))
            .route("/garbage", Reply::raw("nonsense\r\n\r\n")),
    )
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_from_beginning_to_end() {
    let stage = served();
    let client = stage.client();
    for reused in [false, true] {
        client.get("http://a.example/ok?q=1").send().await.unwrap().text().await.unwrap();
        let mut expected = vec!["call GET http://a.example/ok", "attempt 1 http://a.example:80"];
        if !reused {
            expected.push("connected http://a.example:80");
        }
        let attempt_end = format!("attempt end 1 Some(200) None {reused}");
        expected.push(&attempt_end);
        expected.push("end Some(200) None 5");
        assert_eq!(story(&stage), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_once_for_who_heard_of_its_beginning() {
    let stage = served();
    let client = stage.client();
    let connections = || -> Vec<_> { story(&stage).into_iter().filter(|line| line.contains("connected")).collect() };
    client.get("http://a.example/cut").send().await.unwrap().bytes().await.unwrap_err();
    assert_eq!(connections(), ["connected http://a.example:80", "disconnected http://a.example:80"]);
    client.get("http://a.example/ok").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(connections(), ["connected http://a.example:80"]);
    drop(client);
    assert_eq!(connections(), ["disconnected http://a.example:80"]);
}

#[tokio::test(start_paused = true)]
async fn every_piece_of_a_body_is_counted_as_it_comes() {
    let stage = served();
    let client = stage.client();
    for (path, expected) in [("ok", 5), ("chunks", 3), ("empty", 0), ("large", 1_000_000)] {
        client.get(format!("http://a.example/{path}")).send().await.unwrap().bytes().await.unwrap();
        let pieces = stage.seen.take().into_iter().filter_map(|seen| match seen.event {
            Event::BodyReceived { bytes } => Some(bytes),
            _ => None,
        });
        assert_eq!(pieces.sum::<u64>(), expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_names_its_origin_method_and_version() {
    let stage = served();
    stage.client().post("http://a.example/ok").send().await.unwrap();
    let ended = stage.seen.take().into_iter().find_map(|seen| match seen.event {
        Event::AttemptEnded { origin, method, version, wait, .. } => Some((origin, method, version, wait)),
        _ => None,
    });
    let expected = ("http://a.example:80".to_owned(), Method::POST, Some(Version::HTTP_11), Some(Duration::ZERO));
    assert_eq!(ended, Some(expected));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_tells_which_connection_it_has() {
    let stage = served();
    let client = stage.client();
    for reused in [false, true] {
        client.get("http://a.example/ok").send().await.unwrap().bytes().await.unwrap();
        let taken = stage.seen.take().into_iter().filter_map(|seen| match seen.event {
            Event::ConnectionTaken { number, reused, .. } => Some((seen.call.0 > 0, number, reused)),
            _ => None,
        });
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken, [(true, 1, reused)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirected_call_from_beginning_to_end() {
    let stage = served();
    let client = stage.client();
    client.post("http://a.example/go").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(
        story(&stage),
        [
            "call POST http://a.example/go",
            "attempt 1 http://a.example:80",
            "connected http://a.example:80",
            "attempt end 1 Some(302) None false",
            "redirect 302 http://b.example/ok true",
            "attempt 2 http://b.example:80",
            "connected http://b.example:80",
            "attempt end 2 Some(200) None false",
            "end Some(200) None 5",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_connection_from_beginning_to_end() {
    let stage = served();
    stage.dialer.fail_all(ErrorKind::Dns);
    stage.client().get("http://a.example/ok").send().await.unwrap_err();
    assert_eq!(
        story(&stage),
        [
            "call GET http://a.example/ok",
            "attempt 1 http://a.example:80",
            "connect failed http://a.example:80 Dns",
            "attempt end 1 None Some(Dns) false",
            "end None Some(Dns) 0",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_ends_as_one() {
    let stage = served();
    stage.dialer.hang_all();
    let call = stage.client().get("http://a.example/ok").send();
    tokio::time::timeout(Duration::from_millis(700), call).await.expect_err("it hangs");
    assert_eq!(
        story(&stage),
        [
            "call GET http://a.example/ok",
            "attempt 1 http://a.example:80",
            "attempt end 1 None Some(Canceled) false",
            "end None Some(Canceled) 0",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_once_whichever_way_it_ends() {
    let stage = served();
    let client = stage.client();
    let get = |path: &str| client.get(format!("http://a.example/{path}")).send();
    assert_eq!(get("ok").await.unwrap().bytes().await.unwrap(), "hello");
    assert_eq!(ends(&stage), ["end Some(200) None 5"]);
    get("empty").await.unwrap();
    assert_eq!(ends(&stage), ["end Some(204) None 0"]);
    client.head("http://a.example/ok").send().await.unwrap();
    assert_eq!(ends(&stage), ["end Some(200) None 0"]);
    let mut response = get("chunks").await.unwrap();
    while response.chunk().await.unwrap().is_some() {}
    drop(response);
    assert_eq!(ends(&stage), ["end Some(200) None 3"]);
    assert_eq!(get("near").await.unwrap().bytes().await.unwrap(), "hello");
    assert_eq!(ends(&stage), ["end Some(200) None 5"]);
    let error = get("cut").await.unwrap().bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(ends(&stage), ["end Some(200) Some(Incomplete) 4"]);
    get("garbage").await.unwrap_err();
    assert_eq!(ends(&stage), ["end None Some(Protocol) 0"]);
    client.get("http://a.example/ok").timeout(Duration::ZERO).send().await.unwrap_err();
    assert_eq!(ends(&stage), ["end None Some(Timeout) 0"]);
    drop(get("large").await.unwrap());
    let dropped = ends(&stage);
    assert_eq!(dropped.len(), 1);
    assert!(dropped[0].starts_with("end Some(200) Some(Canceled)"), "{dropped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_its_answer_has_ended_too() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).delayed(Duration::from_secs(100))));
    let client = stage.client();
    let call = tokio::spawn(client.get("http://a.example/").send());
    stage.server.until_requests(1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(ends(&stage), ["end None Some(Canceled) 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_sent_again_with_a_fresh_token_ends_once() {
    struct Tokens;
    impl netcomm_http::ProvideToken for Tokens {
        async fn token(&self, rejected: Option<&netcomm_http::Token>) -> Result<netcomm_http::Token, Error> {
            Ok(netcomm_http::Token::new(if rejected.is_some() { "new" } else { "old" }))
        }
    }
    let stage = stage(ScriptedServer::builder().handler(|seen| match seen.header("authorization") {
        Some("Bearer new") => Reply::status(200).body("in"),
        _ => Reply::status(401).body("out"),
    }));
    let tokens = netcomm_http::Credentials::provider(Tokens);
    let client = stage.builder().credentials("http://a.example", tokens).build().unwrap();
    client.get("http://a.example/").send().await.unwrap().bytes().await.unwrap();
    let story = story(&stage);
    let ends: Vec<_> = story.iter().filter(|line| line.starts_with("end")).collect();
    assert_eq!(ends, ["end Some(200) None 2"], "{story:?}");
    assert_eq!(story.iter().filter(|line| line.starts_with("TokenRefreshed")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_observation_holds_a_secret() {
    let stage = served();
    let client = stage.builder().default_header("x-api-key", CANARY).build().unwrap();
    for path in ["ok", "go", "cut", "garbage"] {
        let url = format!("http://user:{CANARY}@a.example/{path}?token={CANARY}#{CANARY}");
        let call = client.post(url).bearer_auth(CANARY).header("cookie", CANARY).body(CANARY);
        if let Ok(response) = call.send().await {
            drop(response.bytes().await);
        }
    }
    assert!(stage.seen.observations().len() > 15);
    let text = stage.seen.debug_text();
    assert!(!text.contains(CANARY), "{text}");
}

#[tokio::test(start_paused = true)]
async fn observations_are_timed_by_the_clock_of_the_environment() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).delayed(Duration::from_secs(3))));
    stage.client().get("http://a.example/").send().await.unwrap();
    let seen = stage.seen.observations();
    let took = seen.last().unwrap().at - seen.first().unwrap().at;
    assert_eq!(took, Duration::from_secs(3));
    let end = seen.iter().find_map(|seen| match seen.event {
        Event::CallEnded { took, .. } => Some(took),
        _ => None,
    });
    assert_eq!(end, Some(Duration::from_secs(3)));
}
