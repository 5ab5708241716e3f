//! What is exported is HAR 1.2, and says what happened.

mod readers;
mod schema;

use std::time::Duration;

use netcomm_http::cache::Cache;
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Client, Hedge, Retry};
use netcomm_monitor::Detail;
use netcomm_ws::{AcceptOptions, Message, Socket};
use serde_json::Value;

use crate::recording::{Stage, stage};

/// The entries, each of which is as HAR 1.2 wants it.
fn entries(stage: &Stage) -> Vec<Value> {
    let text = stage.recorder.to_har();
    let har: Value = serde_json::from_str(&text).expect("JSON");
    schema::check(&har);
    har["log"]["entries"].as_array().expect("a list").clone()
}

/// A server with a bit of everything, and what a client does to it.
pub(crate) async fn world() -> Stage {
    let server = ScriptedServer::builder()
        .route("/go", Reply::status(302).header("location", "/end?page=1&page=2"))
        .route_each("/end", [Reply::status(503).body("later"), Reply::status(200).chunked(["he", "llo"])])
        .route("/kept", Reply::status(200).header("cache-control", "max-age=60").body("kept"))
        .route(
            "/binary",
            Reply::status(200)
                .header("content-type", "image/png")
                .header("set-cookie", "a=b; Path=/; HttpOnly; Expires=Sun, 06 Nov 1994 08:49:37 GMT")
                .body(vec![0x89, b'P', 0xff, 0]),
        )
        .route("/events", Reply::status(200).header("content-type", "text/event-stream").body("data: x\n\n"));
    let stage = stage(server, |builder| builder);
    let client = Client::builder(&stage.env).cache(Cache::memory(1 << 20)).retry(Retry::default());
    let client = client.build().expect("a client");
    client.get("http://a.example/go").send().await.expect("an answer").bytes().await.expect("a body");
    for _ in 0..2 {
        client.get("http://a.example/kept").send().await.expect("an answer").bytes().await.expect("a body");
    }
    let post = client.post("http://a.example/binary?q=1%202").header("cookie", "x=1; y=2");
    let post = post.header("content-type", "application/x-www-form-urlencoded").body("name=me&password=hunter2");
    post.send().await.expect("an answer").bytes().await.expect("a body");
    stage.dialer.fail_next(netcomm_core::ErrorKind::Connect);
    client.get("http://b.example/").retry(Retry::never()).send().await.expect_err("no connection");
    let mut stream = netcomm_sse::EventStream::builder(&stage.env, "http://a.example/events")
        .transport(client.clone())
        .stream()
        .expect("a stream");
    stream.next().await.expect("an event").expect("good");
    drop(stream);
    let far = stage.env.with_tap(netcomm_core::Tap::off());
    stage.dialer.serve_next(move |io| async move {
        let mut socket = Socket::accept(io, &AcceptOptions::new(&far)).await.expect("open");
        while let Ok(Some(message)) = socket.recv().await {
            drop(socket.send(message).await);
        }
    });
    let mut socket = Socket::builder(&stage.env, "ws://c.example/live").connect().await.expect("open");
    socket.send("text").await.expect("sent");
    tokio::time::advance(Duration::from_secs(2)).await;
    socket.send(Message::binary(vec![0_u8, 255])).await.expect("sent");
    for _ in 0..2 {
        socket.recv().await.expect("received");
    }
    drop(socket);
    stage
}

#[tokio::test(start_paused = true)]
async fn each_exchange_is_an_entry() {
    let stage = world().await;
    let entries = entries(&stage);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            format!("{} {} {}", entry["request"]["method"], entry["request"]["url"], entry["response"]["status"])
        })
        .map(|line| line.replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "GET http://a.example/go 302",
            "GET http://a.example/end?page=1&page=2 503",
            "GET http://a.example/end?page=1&page=2 200",
            "GET http://a.example/kept 200",
            "GET http://a.example/kept 200",
            "POST http://a.example/binary?q=1%202 200",
            "GET http://b.example/ 0",
            "GET http://a.example/events 200",
            "GET ws://c.example/live 101",
        ]
    );
    let call = |at: usize| entries[at]["_netcomm"]["call"].as_str().expect("a call").to_owned();
    assert!(call(0) == call(1) && call(1) == call(2) && call(2) != call(3));
    assert_eq!(entries[0]["response"]["redirectURL"], "/end?page=1&page=2");
    assert_eq!(entries[1]["request"]["queryString"][1]["value"], "2");
    assert_eq!(entries[1]["response"]["content"]["text"], Value::Null, "nobody read it");
    assert_eq!(entries[2]["response"]["content"]["text"], "hello");
    let decisions = entries[2]["_netcomm"]["decisions"].as_array().expect("a list");
    let whats: Vec<_> = decisions.iter().filter_map(|decision| decision["what"].as_str()).collect();
    assert!(whats.contains(&"redirect") && whats.contains(&"retry") && whats.contains(&"cache"), "{whats:?}");
    assert_eq!((&entries[3]["_fromCache"], &entries[4]["_fromCache"]), (&Value::Null, &"memory".into()));
    assert_eq!(entries[4]["response"]["content"]["text"], "kept");
    assert_eq!(entries[6]["response"]["_error"], "Connect");
    assert_eq!(entries[7]["_resourceType"], "eventsource");
    assert_eq!(entries[7]["_netcomm"]["events"]["events"], 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_side_by_side_the_better_one_has_the_body() {
    let second = Duration::from_secs(1);
    for (slow, expected) in [([2, 100], ["first", ""]), ([100, 2], ["", "second"])] {
        let reply = |at: usize, body: &'static str| Reply::status(200).delayed(slow[at] * second).body(body);
        let stage =
            stage(ScriptedServer::builder().route_each("/", [reply(0, "first"), reply(1, "second")]), |builder| {
                builder
            });
        let client = Client::builder(&stage.env).hedge(Hedge::after(second)).build().expect("a client");
        client.get("http://a.example/").send().await.expect("an answer").bytes().await.expect("a body");
        let entries = entries(&stage);
        let texts: Vec<_> =
            entries.iter().map(|entry| entry["response"]["content"]["text"].as_str().unwrap_or_default()).collect();
        assert_eq!(texts, expected);
        assert_eq!(entries[1]["_netcomm"]["decisions"][0]["what"], "hedge");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_and_cookies_are_written_as_browsers_read_them() {
    let stage = world().await;
    let entries = entries(&stage);
    let (request, response) = (&entries[5]["request"], &entries[5]["response"]);
    assert_eq!(request["postData"]["text"], "name=me&password=***");
    assert_eq!(request["postData"]["mimeType"], "application/x-www-form-urlencoded");
    assert_eq!(request["queryString"][0]["value"], "1 2");
    assert_eq!(request["cookies"][1]["name"], "y");
    assert_eq!(
        (&response["content"]["text"], &response["content"]["encoding"]),
        (&"iVD/AA==".into(), &"base64".into())
    );
    assert_eq!(response["content"]["size"], 4);
    assert_eq!(response["cookies"][0]["expires"], "1994-11-06T08:49:37.000Z");
    assert_eq!(response["cookies"][0]["value"], "***");
}

#[tokio::test(start_paused = true)]
async fn messages_are_written_as_browsers_read_them() {
    let stage = world().await;
    let entries = entries(&stage);
    let socket = entries.last().expect("the last");
    assert_eq!(socket["_resourceType"], "websocket");
    let messages = socket["_webSocketMessages"].as_array().expect("a list");
    let told: Vec<_> = messages
        .iter()
        .map(|one| format!("{} {} {}", one["type"], one["opcode"], one["data"]).replace('"', ""))
        .collect();
    assert_eq!(told, ["send 1 text", "send 2 AP8=", "receive 1 text", "receive 2 AP8="]);
    let time = |at: usize| messages[at]["time"].as_f64().expect("seconds");
    assert!((time(1) - time(0) - 2.0).abs() < 0.01);
    assert!(time(0) > 1e9, "seconds since 1970");
}

#[tokio::test(start_paused = true)]
async fn without_heads_it_is_har_too() {
    let stage = stage(ScriptedServer::builder().handler(|_| Reply::status(200).body("x")), |builder| {
        builder.detail(Detail::Calls)
    });
    stage.client().get("http://a.example/x?q=1").send().await.expect("an answer").bytes().await.expect("a body");
    let entries = entries(&stage);
    assert_eq!(entries[0]["request"]["url"], "http://a.example/x");
    assert_eq!((&entries[0]["response"]["status"], &entries[0]["response"]["bodySize"]), (&200.into(), &1.into()));
}
