//! What calls keep in a folder.

use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::stage::{Ended, Folder, command, netcomm, run, start};

const FILE: &str = "0123456789";

/// Says how fresh its answers are by their path.
async fn origin() -> ScriptedServer {
    let server = ScriptedServer::builder().handler(|request: &ReceivedRequest| {
        let reply = |status| Reply::status(status).header("etag", "\"v\"");
        match (request.path(), request.header("if-none-match"), request.header("range")) {
            ("/fresh", ..) => {
                reply(200).header("cache-control", "max-age=60").header("vary", "accept, cookie").body("ok")
            }
            ("/stale", Some(_), _) => reply(304).header("cache-control", "max-age=0"),
            ("/stale", ..) => reply(200).header("cache-control", "max-age=0").body("ok"),
            ("/file", _, None) => reply(200).header("content-length", "10").body(&FILE[..5]).then_close(),
            ("/file", _, Some("bytes=5-")) => reply(206).header("content-range", "bytes 5-9/10").body(&FILE[5..]),
            _ => Reply::status(200).body("ok"),
        }
    });
    start(server).await
}

/// A call with that folder as its cache.
async fn call(line: &str, place: &str) -> Ended {
    run(command(line.split_whitespace().chain(["--cache", place]))).await
}

fn place(folder: &Folder) -> String {
    folder.path("kept").display().to_string()
}

#[tokio::test]
async fn the_second_call_is_answered_from_the_folder() {
    let (folder, origin) = (Folder::new(), origin().await);
    let (place, url) = (place(&folder), origin.url("/fresh"));
    let first = call(&format!("get {url} --json"), &place).await.expect_code(0).json();
    assert_eq!((&first["cache"]["hit"], &first["cache"]["forwarded"]), (&json!(false), &json!("uri-miss")));
    assert_eq!(first["cache"]["stored"], true);
    let second = call(&format!("get {url} --json"), &place).await.expect_code(0).json();
    assert_eq!((&second["cache"]["hit"], &second["body"]["text"]), (&json!(true), &json!("ok")));
    assert_eq!((&second["attempts"], &second["peer"]), (&json!(0), &Value::Null));
    let third = call(&format!("get {url} --timing -v"), &place).await.expect_code(0);
    assert_eq!(third.text(), "ok");
    for piece in ["  cache answered from store\n", "ms  no attempt\ncache answered from store, fresh for "] {
        assert!(third.stderr.contains(piece), "{piece} in {}", third.stderr);
    }
    assert_eq!(
        call(&format!("head {url}"), &place).await.expect_code(0).text().lines().next(),
        Some("HTTP/1.1 200 OK")
    );
    assert_eq!(origin.request_count(), 1);
    assert_eq!(netcomm(&format!("get {url} --json")).await.json()["cache"], Value::Null);
}

#[tokio::test]
async fn a_stale_response_is_confirmed_and_modes_say_otherwise() {
    let (folder, origin) = (Folder::new(), origin().await);
    let (place, url) = (place(&folder), origin.url("/stale"));
    let missing = call(&format!("get {url} --cache-mode only-if-cached"), &place).await.expect_code(20);
    assert!(missing.stderr.contains("may not use the network"), "{}", missing.stderr);
    for (options, requests, status) in [
        ("", 1, Value::Null),
        ("", 1, json!(304)),
        ("--cache-mode force-cache", 0, Value::Null),
        ("--cache-mode only-if-cached", 0, Value::Null),
        ("--cache-mode reload", 1, Value::Null),
        ("--cache-mode no-store", 1, Value::Null),
        ("--cache-ttl 600", 0, Value::Null),
    ] {
        let got = call(&format!("get {url} --json {options}"), &place).await.expect_code(0).json();
        assert_eq!((&got["body"]["text"], &got["cache"]["forwarded_status"]), (&json!("ok"), &status), "{options}");
        assert_eq!(origin.take_requests().len(), requests, "{options}");
    }
    drop(origin);
    let stale = call(&format!("get {url} --json"), &place).await.expect_code(0).json();
    assert_eq!((&stale["cache"]["detail"], &stale["cache"]["hit"]), (&json!("unreachable"), &json!(false)), "{stale}");
    for line in ["get http://a.example/ --cache-mode default", "get http://a.example/ --cache x --cache-mode y"] {
        netcomm(line).await.expect_code(2);
    }
}

#[tokio::test]
async fn half_a_file_is_kept_and_the_rest_asked_for_by_the_next_call() {
    let (folder, origin) = (Folder::new(), origin().await);
    let (place, url) = (place(&folder), origin.url("/file"));
    call(&format!("get {url}"), &place).await.expect_code(9);
    assert_eq!(call(&format!("get {url}"), &place).await.expect_code(0).text(), FILE);
    let ranges: Vec<_> =
        origin.take_requests().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=5-".to_owned())]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_fails_no_call() {
    let (folder, origin) = (Folder::new(), origin().await);
    let file = folder.write("kept", "a file").display().to_string();
    let ended = call(&format!("get {}", origin.url("/fresh")), &file).await.expect_code(0);
    assert_eq!(ended.text(), "ok");
    assert!(ended.stderr.starts_with("netcomm: warning: "), "{}", ended.stderr);
}
