//! What is shown of a response.

use std::process::Stdio;

use netcomm::http::testing::{Gate, Reply, ScriptedServer};

use crate::stage::{command, netcomm, run, start};

#[tokio::test]
async fn the_body_goes_to_stdout_and_nothing_else() {
    let server = start(ScriptedServer::builder().handler(|_| Reply::status(404).body("no such thing"))).await;
    let ended = netcomm(&format!("get {}", server.url("/"))).await.expect_code(0);
    assert_eq!((ended.text(), ended.stderr.as_str()), ("no such thing", ""));
    let ended = netcomm(&format!("get {} --fail", server.url("/"))).await.expect_code(22);
    assert_eq!(ended.text(), "");
    assert!(ended.stderr.starts_with("netcomm: call: unsuccessful status: 404 Not Found"), "{}", ended.stderr);
}

#[tokio::test]
async fn binary_goes_through_a_pipe() {
    let bytes: Vec<u8> = (0..=255).collect();
    let body = bytes.clone();
    let server = start(ScriptedServer::builder().handler(move |_| Reply::status(200).body(body.clone()))).await;
    let ended = netcomm(&format!("get {} -o -", server.url("/"))).await.expect_code(0);
    assert_eq!(ended.stdout, bytes);
}

#[tokio::test]
async fn the_head_on_request_and_for_head() {
    let server = ScriptedServer::builder().handler(|_| Reply::status(200).header("x-a", "b\x07").body("body"));
    let server = start(server).await;
    for line in ["get -i", "head"] {
        let ended = netcomm(&format!("{line} {}", server.url("/"))).await;
        // A control character in a field is no HTTP.
        ended.expect_code(10);
    }
    let server = start(ScriptedServer::builder().handler(|_| Reply::status(200).header("x-a", "b").body("body"))).await;
    let ended = netcomm(&format!("get -i {}", server.url("/"))).await.expect_code(0);
    assert_eq!(ended.text(), "HTTP/1.1 200 OK\nx-a: b\ncontent-length: 4\n\nbody");
    let ended = netcomm(&format!("head {}", server.url("/"))).await.expect_code(0);
    assert_eq!(ended.text(), "HTTP/1.1 200 OK\nx-a: b\ncontent-length: 4\n\n");
}

#[tokio::test]
async fn redirects_are_followed_or_not() {
    let server = ScriptedServer::builder()
        .route("/old", Reply::status(301).header("location", "/new").body("moved"))
        .route("/new", Reply::status(200).body("here"));
    let server = start(server).await;
    let url = server.url("/old");
    assert_eq!(netcomm(&format!("get {url}")).await.expect_code(0).text(), "here");
    assert_eq!(netcomm(&format!("get {url} --no-redirects")).await.expect_code(0).text(), "moved");
}

#[tokio::test]
async fn timing_and_observations_go_to_stderr() {
    let server = ScriptedServer::builder()
        .route("/old", Reply::status(302).header("location", "/new"))
        .route("/new", Reply::status(200).body("here"));
    let server = start(server).await;
    let ended = netcomm(&format!("get {} --timing -v", server.url("/old"))).await.expect_code(0);
    assert_eq!(ended.text(), "here");
    for piece in ["call GET http://", "redirected by 302 to", "reused connection", "\nwait ", "\ntotal ", "attempt 2"] {
        assert!(ended.stderr.contains(piece), "{piece} in {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_quietly() {
    let gate = Gate::new();
    let held = gate.clone();
    let server =
        ScriptedServer::builder().handler(move |_| Reply::status(200).held_by(&held).body("x".repeat(1_000_000)));
    let server = start(server).await;
    let mut child = command(["get", &server.url("/")]).spawn().expect("a process");
    drop(child.stdout.take());
    gate.open();
    let output = child.wait_with_output().await.expect("an end");
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_it() {
    let server = start(ScriptedServer::builder().handler(|_| Reply::status(200).held_by(&Gate::new()))).await;
    let child = command(["get", &server.url("/")]).spawn().expect("a process");
    server.until_requests(1).await;
    let id = child.id().expect("it runs").to_string();
    let kill = std::process::Command::new("kill").args(["-INT", &id]).stdin(Stdio::null()).status();
    assert!(kill.expect("kill").success());
    let output = child.wait_with_output().await.expect("an end");
    assert_eq!((output.status.code(), output.stderr), (Some(130), Vec::new()));
}

#[tokio::test]
async fn usage() {
    for line in ["", "get", "get http://a.example/ --timeout 0", "get http://a.example/ -d a --form b=c", "fetch x"] {
        let ended = run(command(line.split_whitespace())).await.expect_code(2);
        assert!(ended.stderr.contains("Usage: ") || ended.stderr.contains("--help"), "{}", ended.stderr);
    }
    let ended = netcomm("get --help").await.expect_code(0);
    assert!(ended.text().contains("8  timed out"), "{}", ended.text());
}
