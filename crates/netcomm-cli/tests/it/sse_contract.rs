//! `netcomm sse-contract-service` before a small harness: what it is asked for, and what it tells.

use std::process::Stdio;

use http::Method;
use http::header::LOCATION;
use netcomm::http::Client;
use netcomm::http::testing::{Reply, Script, ScriptedServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::stage::{LIMIT, command};

/// A stream that begins so.
fn stream(text: &str) -> Script {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";
    Script::new().send(format!("{head}{text}"))
}

/// The service, and a harness that gives it streams and hears what it tells.
struct Harness {
    service: Child,
    url: String,
    client: Client,
    server: ScriptedServer,
    told: mpsc::UnboundedReceiver<(String, Value)>,
}

impl Harness {
    /// With these streams, one for each time that they are asked for.
    async fn start(streams: impl IntoIterator<Item = Script>) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let server = ScriptedServer::builder()
            .route_each("/stream", streams)
            .handler(move |request| {
                let told = serde_json::from_slice(&request.body).unwrap_or_default();
                // What is told after the end of a test nobody hears.
                drop(tell.send((request.target.clone(), told)));
                Reply::status(202)
            })
            .start()
            .await
            .expect("a port");
        let mut command = command(["sse-contract-service", "--port", "0"]);
        let mut service = command.stderr(Stdio::inherit()).spawn().expect("a process");
        let mut first = String::new();
        let mut stdout = BufReader::new(service.stdout.take().expect("stdout"));
        timeout(LIMIT, stdout.read_line(&mut first)).await.expect("a line").expect("text");
        let client = Client::builder(&netcomm::env()).build().expect("a client");
        Self { service, url: first.trim_end().to_owned(), client, server, told }
    }

    /// Asks the service, and gives status, place and content of the answer.
    async fn ask(&self, method: Method, url: &str, body: impl Into<String>) -> (u16, String, Value) {
        let asked = self.client.request(method, url).body(body.into()).send();
        let answer = timeout(LIMIT, asked).await.expect("an answer").expect("an answer");
        let place = answer.headers().get(LOCATION).map(|place| place.to_str().expect("text").to_owned());
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("text");
        (status, place.unwrap_or_default(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// Has a source made, with more wishes than the usual ones; gives its place.
    async fn create(&self, more: Value) -> String {
        let (status, place, _) = self.ask(Method::POST, &self.url, self.wish(&more)).await;
        assert_eq!(status, 201);
        assert!(place.starts_with(&self.url), "{place}");
        place
    }

    fn wish(&self, more: &Value) -> String {
        let mut wish = json!({
            "streamUrl": self.server.url("/stream"),
            "callbackUrl": self.server.url("/told"),
            "tag": "a test",
            "initialDelayMs": 0,
        });
        for (name, value) in more.as_object().expect("an object") {
            wish[name] = value.clone();
        }
        wish.to_string()
    }

    async fn order(&self, place: &str, order: Value) {
        assert_eq!(self.ask(Method::POST, place, order.to_string()).await.0, 202, "{order}");
    }

    /// The next callback, which has to have that number.
    async fn told(&mut self, number: u32) -> Value {
        let (target, told) = timeout(LIMIT, self.told.recv()).await.expect("a callback").expect("a callback");
        assert_eq!(target, format!("/told/{number}"), "{told}");
        told
    }

    async fn told_event(&mut self, number: u32, event_type: &str, data: &str, id: &str) {
        let event = json!({"kind": "event", "event": {"type": event_type, "data": data, "id": id}});
        assert_eq!(self.told(number).await, event);
    }

    async fn told_error(&mut self, number: u32) {
        let told = self.told(number).await;
        assert_eq!(told["kind"], "error", "{told}");
        assert!(told["error"].as_str().is_some_and(|error| !error.is_empty()), "{told}");
    }

    /// Requests for streams so far.
    fn asked(&self) -> Vec<netcomm::http::testing::ReceivedRequest> {
        self.server.requests().into_iter().filter(|request| request.target == "/stream").collect()
    }

    /// Has the service quit, and waits until it has.
    async fn quit(mut self) {
        assert_eq!(self.ask(Method::DELETE, &self.url, "").await.0, 204);
        let status = timeout(LIMIT, self.service.wait()).await.expect("an end").expect("a process");
        assert_eq!(status.code(), Some(0));
        assert!(self.told.try_recv().is_err(), "nothing more is told");
    }
}

#[tokio::test]
async fn what_happens_is_told_in_order() {
    let mut harness = Harness::start([
        stream(":  hello\nid: 1\ndata: a\n\nevent: add\ndata: nobody listens\n\ndata: b\ndata: c\n\n").stall(),
        stream("event: add\ndata: now they do\n\n").close(),
        Reply::status(204).into(),
    ])
    .await;
    let place = harness.create(json!({})).await;
    assert_eq!(harness.told(1).await, json!({"kind": "comment", "comment": "  hello"}));
    harness.told_event(2, "message", "a", "1").await;
    harness.told_event(3, "message", "b\nc", "1").await;

    harness.order(&place, json!({"command": "listen", "listen": {"type": "add"}})).await;
    harness.order(&place, json!({"command": "restart"})).await;
    harness.told_error(4).await;
    harness.told_event(5, "add", "now they do", "1").await;
    harness.told_error(6).await;
    // 204 ends it without a word. Callbacks came to six, streams to three.
    timeout(LIMIT, harness.server.until_requests(9)).await.expect("a third request");
    let asked = harness.asked();
    let ids: Vec<_> = asked.iter().map(|request| request.header("last-event-id")).collect();
    assert_eq!(ids, [None, Some("1"), Some("1")]);
    // It is still there, and can be woken.
    harness.order(&place, json!({"command": "restart"})).await;
    timeout(LIMIT, harness.server.until_requests(10)).await.expect("a fourth request");

    assert_eq!(harness.ask(Method::DELETE, &place, "").await.0, 204);
    assert_eq!(harness.ask(Method::DELETE, &place, "").await.0, 404);
    assert_eq!(harness.ask(Method::POST, &place, r#"{"command":"restart"}"#).await.0, 404);
    harness.quit().await;
}

#[tokio::test]
async fn what_is_wished_is_sent_with_each_request() {
    let mut harness = Harness::start([
        Reply::status(503).into(),
        stream("id: 8\ndata: then silence\n\n").stall(),
        stream("data: again\n\n").stall(),
    ])
    .await;
    let place = harness
        .create(json!({
            "method": "REPORT",
            "body": "<all/>",
            "headers": {"X-One": "1", "content-type": "text/xml"},
            "lastEventId": "7",
            "readTimeoutMs": 100,
        }))
        .await;
    harness.told_error(1).await;
    harness.told_event(2, "message", "then silence", "8").await;
    harness.told_error(3).await;
    harness.told_event(4, "message", "again", "8").await;
    assert_eq!(harness.ask(Method::DELETE, &place, "").await.0, 204);
    let asked = harness.asked();
    for (request, id) in asked.iter().zip(["7", "7", "8"]) {
        assert_eq!((request.method.as_str(), request.text().as_str()), ("REPORT", "<all/>"));
        assert_eq!((request.header("x-one"), request.header("content-type")), (Some("1"), Some("text/xml")));
        assert_eq!(request.header("last-event-id"), Some(id));
    }
    assert!(asked.len() >= 3);
}

#[tokio::test]
async fn an_end_for_good_is_one_error() {
    let mut harness = Harness::start([Script::from(Reply::status(404))]).await;
    harness.create(json!({})).await;
    harness.told_error(1).await;
    assert_eq!(harness.asked().len(), 1);
    harness.quit().await;
}

#[tokio::test]
async fn what_means_nothing_is_refused() {
    let harness = Harness::start([stream("").stall()]).await;
    let (status, _, said) = harness.ask(Method::GET, &harness.url, "").await;
    let capabilities = json!([
        "bom",
        "comments",
        "event-type-listeners",
        "headers",
        "last-event-id",
        "post",
        "read-timeout",
        "report",
        "restart",
        "server-directed-shutdown-request",
    ]);
    assert_eq!((status, said), (200, json!({ "capabilities": capabilities })));

    for wish in [
        String::new(),
        "{}".to_owned(),
        harness.wish(&json!({"callbackUrl": null})),
        harness.wish(&json!({"callbackUrl": "nowhere"})),
        harness.wish(&json!({"streamUrl": "ftp://127.0.0.1/"})),
        harness.wish(&json!({"method": "a b"})),
        harness.wish(&json!({"headers": {"a b": "c"}})),
        harness.wish(&json!({"headers": {"a": "b\nc"}})),
        harness.wish(&json!({"initialDelayMs": "soon"})),
    ] {
        assert_eq!(harness.ask(Method::POST, &harness.url, wish.as_str()).await.0, 400, "{wish}");
    }
    let place = harness.create(json!({})).await;
    for order in ["", "{}", r#"{"command":"sing"}"#, r#"{"command":"listen"}"#] {
        assert_eq!(harness.ask(Method::POST, &place, order).await.0, 400, "{order}");
    }
    for path in ["/x", "/sources/", "/sources/99", "/sources/x"] {
        let url = format!("{}{path}", harness.url);
        assert_eq!(harness.ask(Method::DELETE, &url, "").await.0, 404, "{path}");
        assert_eq!(harness.ask(Method::POST, &url, r#"{"command":"restart"}"#).await.0, 404, "{path}");
    }
    assert_eq!(harness.ask(Method::PUT, &place, "").await.0, 405);
    harness.quit().await;
}

#[tokio::test]
async fn it_is_not_in_the_help() {
    let help = crate::stage::netcomm("--help").await.expect_code(0);
    assert!(help.text().contains("proxy") && !help.text().contains("contract"));
}
