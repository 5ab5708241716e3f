//! Downloads into files, and their continuation.

use bytes::Bytes;
use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};

use crate::stage::{Folder, command, run, start};

const TAG: &str = "\"v1\"";

/// The file that servers here serve.
fn content() -> Bytes {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// What is asked for of the file, announced whole and broken off after at most so many bytes.
fn serve(request: &ReceivedRequest, most: usize) -> Reply {
    let file = content();
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let start: usize = range.and_then(|start| start.parse().ok()).unwrap_or(0);
    let rest = file.slice(start..);
    let reply = match start {
        0 => Reply::status(200),
        _ => Reply::status(206).header("content-range", format!("bytes {start}-{}/{}", file.len() - 1, file.len())),
    };
    let reply = reply.header("etag", TAG).header("content-length", rest.len().to_string());
    if most < rest.len() { reply.body(rest.slice(..most)).then_close() } else { reply.body(rest) }
}

#[tokio::test]
async fn a_file_instead_of_stdout() {
    let folder = Folder::new();
    let file = folder.path("out").display().to_string();
    let server = start(ScriptedServer::builder().handler(|request| serve(request, usize::MAX))).await;
    let ended = run(command(["get", &server.url("/"), "-o", &file])).await.expect_code(0);
    assert_eq!((ended.text(), ended.stderr.as_str()), ("", ""));
    assert_eq!(folder.read("out"), content());
    assert!(!folder.path("out.netcomm").exists());
}

#[tokio::test]
async fn a_failed_call_leaves_the_file_alone() {
    let folder = Folder::new();
    let file = folder.write("out", "precious").display().to_string();
    let server = start(ScriptedServer::builder()).await;
    run(command(["get", &server.url("/"), "--fail", "-o", &file])).await.expect_code(22);
    assert_eq!(folder.read("out"), b"precious");
}

#[tokio::test]
async fn a_download_continues_within_a_run() {
    let folder = Folder::new();
    let file = folder.path("out").display().to_string();
    let server = start(ScriptedServer::builder().handler(|request| serve(request, 300_000))).await;
    run(command(["get", &server.url("/"), "-o", &file, "--resume-times", "5"])).await.expect_code(0);
    assert_eq!(folder.read("out"), content());
    assert_eq!(server.request_count(), 3);
}

#[tokio::test]
async fn a_download_continues_in_the_next_run() {
    let folder = Folder::new();
    let file = folder.path("out").display().to_string();
    let server = start(ScriptedServer::builder().handler(|request| serve(request, 500_000))).await;
    let url = server.url("/");
    let line = ["get", &url, "-o", &file, "--resume"];
    let ended = run(command(line)).await.expect_code(9);
    assert!(ended.stderr.contains("body incomplete"), "{}", ended.stderr);
    assert_eq!(folder.read("out"), content()[..500_000]);
    assert!(folder.path("out.netcomm").exists());

    run(command(line)).await.expect_code(0);
    assert_eq!(folder.read("out"), content());
    assert!(!folder.path("out.netcomm").exists());
    let request = server.take_requests().remove(1);
    assert_eq!((request.header("range"), request.header("if-range")), (Some("bytes=500000-"), Some(TAG)));
    assert_eq!(request.header("accept-encoding"), None);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_begins_anew() {
    let folder = Folder::new();
    let file = folder.path("out").display().to_string();
    let broken = Reply::status(200).header("etag", TAG).header("content-length", "100").body("old half").then_close();
    let changed = Reply::status(200).header("etag", "\"v2\"").body("new");
    let gone = Reply::status(404).body("gone");
    let server = start(ScriptedServer::builder().route_each("/", [broken, gone, changed])).await;
    let url = server.url("/");
    let line = ["get", &url, "-o", &file, "--resume"];
    run(command(line)).await.expect_code(9);
    run(command(line)).await.expect_code(22);
    assert_eq!(folder.read("out"), b"old half");
    run(command(line)).await.expect_code(0);
    assert_eq!(folder.read("out"), b"new");
    assert!(!folder.path("out.netcomm").exists());
}
