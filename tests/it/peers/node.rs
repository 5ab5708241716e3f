//! Node: its HTTP/2 server with all that a server may do to a connection, and its HTTP/1.1 server.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body as _;
use netcomm_core::{ErrorKind, Limits};
use netcomm_http::{Client, Response};
use netcomm_tests::TestCa;
use tokio::task::JoinSet;

use super::process::{Folder, Peer};
use super::{client, client_trusting, in_pieces, noise};

const HELLO: &str = "hello from node\n";

async fn start(program: &Path, folder: Folder, kind: &str, options: &str) -> Peer {
    let script = folder.write("server.js", include_str!("server.js"));
    let mut command = Command::new(program);
    command.arg(script).args([kind, options]);
    Peer::start(folder, command).await
}

/// Node with HTTP/2, and a client that trusts it.
async fn http2(program: &Path, options: &str) -> (Peer, Client) {
    let (folder, ca) = (Folder::new(), TestCa::new());
    let identity = ca.server(&["127.0.0.1"]);
    folder.write("server.pem", identity.pem());
    folder.write("server.key", identity.key_pem());
    let node = start(program, folder, "http2", options).await;
    (node, client_trusting(&ca).build().expect("a client"))
}

async fn http1(program: &Path, options: &str) -> (Peer, Client) {
    (start(program, Folder::new(), "http1", options).await, client().build().expect("a client"))
}

async fn get(client: &Client, url: &str) -> Response {
    let response = client.get(url).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    response
}

async fn hello(client: &Client, url: &str) -> u64 {
    let response = get(client, url).await;
    let connection = response.connection().expect("a connection");
    assert_eq!(response.text().await.expect("a body"), HELLO);
    connection
}

/// How many requests the server has seen, this one included.
async fn asked(client: &Client, url: &str) -> String {
    client.get(url).send().await.expect("an answer").text().await.expect("a body")
}

/// The length of the body and its trailers.
async fn with_trailers(response: Response) -> (usize, HeaderMap) {
    let mut body = response.into_body();
    let (mut bytes, mut trailers) = (0, HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.expect("a frame").into_data() {
            Ok(data) => bytes += data.len(),
            Err(frame) => trailers = frame.into_trailers().expect("data or trailers"),
        }
    }
    (bytes, trailers)
}

#[tokio::test]
async fn http_2_is_agreed_on_and_its_authority_named() {
    let program = program_or_skip!("node");
    let (node, client) = http2(&program, "{}").await;
    let response = get(&client, &node.secure_url("/hello")).await;
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.headers()["x-authority"], node.address().to_string());
    assert_eq!(response.text().await.expect("a body"), HELLO);
    let head = client.head(node.secure_url("/hello")).send().await.expect("an answer");
    assert_eq!(head.headers()["x-method"], "HEAD");
    assert_eq!(head.bytes().await.expect("no body"), "");
}

#[tokio::test]
async fn early_hints_do_not_pass_for_the_answer() {
    let program = program_or_skip!("node");
    let (node, client) = http2(&program, "{}").await;
    let (old_node, old_client) = http1(&program, "{}").await;
    for (client, url) in [(&client, node.secure_url("/hints")), (&old_client, old_node.url("/hints"))] {
        let response = get(client, &url).await;
        assert_eq!(response.headers().get("link"), None);
        assert_eq!(response.text().await.expect("a body"), "after the hints");
    }
    let one = Limits::default().with_interim(1);
    let error = old_client.get(old_node.url("/hints")).limits(one).send().await.expect_err("two hints");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn trailers_come_after_the_body() {
    let program = program_or_skip!("node");
    let (node, client) = http2(&program, "{}").await;
    let (old_node, old_client) = http1(&program, "{}").await;
    for (client, url) in [(&client, node.secure_url("/trailers")), (&old_client, old_node.url("/trailers"))] {
        let (bytes, trailers) = with_trailers(get(client, &url).await).await;
        assert_eq!((bytes, &trailers["x-sum"]), (100_000, &"42".parse().expect("a value")), "{url}");
        assert_eq!(get(client, &url).await.bytes().await.expect("a body").len(), 100_000);
    }
}

#[tokio::test]
async fn uploads_pass_by_the_windows_of_flow_control() {
    let program = program_or_skip!("node");
    let (node, client) = http2(&program, "{}").await;
    let (old_node, old_client) = http1(&program, "{}").await;
    let content = noise(3_000_000);
    for (client, url) in [(&client, node.secure_url("/upload")), (&old_client, old_node.url("/upload"))] {
        let whole = client.post(&url).body(content.clone()).send().await.expect("an answer");
        assert_eq!(whole.text().await.expect("a body"), "3000000", "{url}");
        let streamed = client.post(&url).body(in_pieces(&content, 10_000)).send().await.expect("an answer");
        assert_eq!(streamed.text().await.expect("a body"), "3000000", "{url}");
    }
}

/// Each call is answered only when all of them have arrived.
async fn meet(client: &Client, node: &Peer, count: usize) -> Vec<u64> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let (client, url) = (client.clone(), node.secure_url(&format!("/meet?{count}")));
        drop(calls.spawn(async move {
            let response = get(&client, &url).await;
            let connection = response.connection().expect("a connection");
            assert_eq!(response.text().await.expect("a body"), "met");
            connection
        }));
    }
    let mut connections = calls.join_all().await;
    connections.sort_unstable();
    connections
}

fn settings(most: usize) -> String {
    format!(r#"{{"settings": {{"maxConcurrentStreams": {most}}}}}"#)
}

#[tokio::test]
async fn more_calls_than_streams_allowed_share_several_connections() {
    let program = program_or_skip!("node");
    for most in [1, 2] {
        let (node, client) = http2(&program, &settings(most)).await;
        hello(&client, &node.secure_url("/hello")).await;
        let mut connections = meet(&client, &node, 6).await;
        connections.dedup();
        assert_eq!(connections.len(), 6 / most, "{connections:?}");
    }
}

#[tokio::test]
async fn a_crowd_that_comes_first_learns_how_many_streams_are_allowed() {
    let program = program_or_skip!("node");
    for most in [1, 2] {
        let (node, client) = http2(&program, &settings(most)).await;
        let mut connections = meet(&client, &node, 6).await;
        connections.dedup();
        assert_eq!(connections.len(), 6 / most, "{connections:?}");
    }
}

#[tokio::test]
async fn after_goaway_what_was_begun_ends_and_the_next_call_has_a_new_connection() {
    let program = program_or_skip!("node");
    for path in ["/goaway", "/close"] {
        let (node, client) = http2(&program, "{}").await;
        let first = hello(&client, &node.secure_url("/hello")).await;
        let response = get(&client, &node.secure_url(path)).await;
        assert_eq!(response.connection(), Some(first));
        assert_eq!(response.bytes().await.expect("a body").len(), 100_000, "{path}");
        let mut calls = JoinSet::new();
        for _ in 0..5 {
            let (client, url) = (client.clone(), node.secure_url("/hello"));
            drop(calls.spawn(async move { hello(&client, &url).await }));
        }
        let connections = calls.join_all().await;
        assert!(connections.iter().all(|connection| *connection > first), "{path}: {connections:?}");
    }
}

#[tokio::test]
async fn a_refused_stream_is_asked_for_again_whatever_its_method() {
    let program = program_or_skip!("node");
    for method in [Method::GET, Method::POST] {
        let (node, client) = http2(&program, "{}").await;
        let request = client.request(method.clone(), node.secure_url("/refuse-first")).body("once");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.attempts().len(), 2, "{method}");
        assert_eq!(response.text().await.expect("a body"), "2");
    }
}

#[tokio::test]
async fn a_broken_stream_breaks_its_call_and_no_other() {
    let program = program_or_skip!("node");
    let (node, client) = http2(&program, "{}").await;
    let first = hello(&client, &node.secure_url("/hello")).await;
    let error = client.post(node.secure_url("/break")).body("x").send().await.expect_err("a reset");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Closed, false));
    assert_eq!(asked(&client, &node.secure_url("/count")).await, "3", "a POST that was processed is sent once");
    let error = get(&client, &node.secure_url("/break-body")).await.bytes().await.expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(hello(&client, &node.secure_url("/hello")).await, first, "the connection is as good as before");
}

#[tokio::test]
async fn a_connection_that_is_gone_does_not_take_a_post_along_twice() {
    type Url<'a> = &'a dyn Fn(&str) -> String;
    let program = program_or_skip!("node");
    let (node, client) = http2(&program, "{}").await;
    let (old_node, old_client) = http1(&program, "{}").await;
    let secure = |path: &str| node.secure_url(path);
    let plain = |path: &str| old_node.url(path);
    let both: [(&Client, Url<'_>); 2] = [(&client, &secure), (&old_client, &plain)];
    for (client, url) in both {
        hello(client, &url("/hello")).await;
        let error = client.post(url("/destroy")).body("x").send().await.expect_err("no answer");
        assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Closed, false), "{}", url(""));
        assert_eq!(asked(client, &url("/count")).await, "3", "{}", url(""));
    }
}

#[tokio::test]
async fn connections_that_the_server_lets_go_early_fail_no_call() {
    let program = program_or_skip!("node");
    let (node, client) = http1(&program, r#"{"keepAliveTimeout": 10, "connectionsCheckingInterval": 10}"#).await;
    for pause in 0..30 {
        // Growing pauses bring calls right before, into and after the moment at which the server closes.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        hello(&client, &node.url("/hello")).await;
    }
}
