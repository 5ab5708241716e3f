//! nginx over HTTP/2, agreed on by ALPN or known beforehand.

use http::{StatusCode, Version};
use netcomm_core::ErrorKind;
use netcomm_http::{Client, Http2};
use netcomm_tests::TestCa;
use tokio::task::JoinSet;

use super::nginx::{start, tls};
use super::process::{Folder, Peer};
use super::{client, client_trusting, noise};

/// What nginx says under `/many`, which takes several frames.
const MANY_BYTES: usize = 100_000;

/// nginx with TLS and HTTP/2, and a client that trusts it.
async fn secure(program: &std::path::Path, more: &str) -> (Peer, Client) {
    let (folder, ca) = (Folder::new(), TestCa::new());
    folder.write("www/many", noise(MANY_BYTES));
    let server = format!("{}{more}", tls(&folder, &ca, "ssl http2"));
    let nginx = start(program, folder, &server).await;
    (nginx, client_trusting(&ca).build().expect("a client"))
}

/// Asks `count` times at once; every answer is checked. Gives the numbers of the connections.
async fn crowd(client: &Client, nginx: &Peer, count: usize) -> Vec<u64> {
    let content = noise(MANY_BYTES);
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let (client, url, content) = (client.clone(), nginx.secure_url("/many"), content.clone());
        drop(calls.spawn(async move {
            let response = client.get(url).send().await.expect("an answer");
            assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
            let connection = response.connection().expect("a connection");
            assert!(response.bytes().await.expect("a body") == content, "the bytes differ");
            connection
        }));
    }
    calls.join_all().await
}

#[tokio::test]
async fn a_crowd_shares_one_connection() {
    let program = program_or_skip!("nginx");
    let (nginx, client) = secure(&program, "").await;
    let connections = crowd(&client, &nginx, 50).await;
    assert!(connections.iter().all(|connection| *connection == 1), "{connections:?}");
    assert_eq!(client.pool().snapshot().open, 1);
}

#[tokio::test]
async fn a_limit_on_concurrent_streams_fails_no_call() {
    let program = program_or_skip!("nginx");
    for most in [1, 2, 10] {
        let (nginx, client) = secure(&program, &format!("http2_max_concurrent_streams {most};")).await;
        crowd(&client, &nginx, 30).await;
        crowd(&client, &nginx, 30).await;
    }
}

#[tokio::test]
async fn connections_that_go_away_after_a_number_of_requests_fail_no_call() {
    let program = program_or_skip!("nginx");
    for most in [1, 3, 20] {
        let (nginx, client) = secure(&program, &format!("keepalive_requests {most};")).await;
        for _ in 0..30 {
            crowd(&client, &nginx, 1).await;
        }
        let last = crowd(&client, &nginx, 1).await[0];
        assert!(last > 1, "nginx has sent no GOAWAY");
    }
}

#[tokio::test]
async fn connections_that_go_away_under_a_crowd_fail_no_call() {
    let program = program_or_skip!("nginx");
    let (nginx, client) = secure(&program, "keepalive_requests 20;").await;
    let connections = crowd(&client, &nginx, 40).await;
    assert!(connections.iter().max() > Some(&1), "nginx has sent no GOAWAY: {connections:?}");
}

/// What a graceful GOAWAY leaves out was not processed (RFC 9113 §6.8): it may be asked for as often as it takes, as long
/// as each connection serves some of the crowd.
#[tokio::test]
async fn connections_that_go_away_under_a_crowd_again_and_again_fail_no_call() {
    let program = program_or_skip!("nginx");
    let (nginx, client) = secure(&program, "keepalive_requests 3;").await;
    crowd(&client, &nginx, 15).await;
}

#[tokio::test]
async fn large_files_come_whole_beside_each_other() {
    const LARGE_BYTES: usize = 6 * 1024 * 1024;
    let program = program_or_skip!("nginx");
    let (nginx, client) = secure(&program, "").await;
    let content = noise(LARGE_BYTES);
    nginx.folder().write("www/large", &content);
    let load = || async {
        let response = client.get(nginx.secure_url("/large")).send().await.expect("an answer");
        assert_eq!(response.content_length(), Some(LARGE_BYTES as u64));
        assert!(response.bytes().await.expect("a body") == content, "the bytes differ");
    };
    tokio::join!(load(), load(), load());
}

#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_counts() {
    let program = program_or_skip!("nginx");
    let (nginx, client) =
        secure(&program, "client_max_body_size 8m; location = /upload { return 200 $content_length; }").await;
    let response = client.post(nginx.secure_url("/upload")).body(noise(4_000_000)).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.text().await.expect("a body"), "4000000");
    let response = client.post(nginx.secure_url("/upload")).body(noise(9_000_000)).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(crowd(&client, &nginx, 1).await.len(), 1);
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer() {
    let program = program_or_skip!("nginx");
    let (nginx, client) = secure(&program, "location = /nothing { return 444; }").await;
    let error = client.get(nginx.secure_url("/nothing")).send().await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(crowd(&client, &nginx, 3).await.len(), 3);
}

#[tokio::test]
async fn prior_knowledge_in_the_clear() {
    let program = program_or_skip!("nginx");
    let nginx = start(&program, Folder::new(), "listen 127.0.0.1:PORT http2;").await;
    let client = client().http2(Http2::Always).build().expect("a client");
    let response = client.get(nginx.url("/hello.txt")).send().await.expect("an answer");
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
}

#[tokio::test]
async fn who_wants_http_1_gets_it() {
    let program = program_or_skip!("nginx");
    let (folder, ca) = (Folder::new(), TestCa::new());
    let server = tls(&folder, &ca, "ssl http2");
    let nginx = start(&program, folder, &server).await;
    let client = client_trusting(&ca).http2(Http2::Never).build().expect("a client");
    let response = client.get(nginx.secure_url("/hello.txt")).send().await.expect("an answer");
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
}
