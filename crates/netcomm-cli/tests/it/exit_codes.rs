//! Each kind of error has its exit code, says itself in one line, and none hangs.

use std::net::TcpListener;

use bytes::Bytes;
use netcomm::http::testing::{Reply, Script, ScriptedServer};

use crate::stage::{Ended, netcomm, start};

/// How `netcomm get` ends at a server that answers so.
async fn at(answer: impl Into<Script>, options: &str) -> Ended {
    let server = start(ScriptedServer::builder().route("/", answer)).await;
    netcomm(&format!("get {} {options}", server.url("/"))).await
}

fn says(ended: &Ended, piece: &str) {
    assert!(ended.stderr.starts_with("netcomm: "), "{ended:?}");
    assert!(ended.stderr.contains(piece), "{piece} in {ended:?}");
}

#[tokio::test]
async fn nothing_is_sent() {
    for url in ["example.com", "http://", "http://a.example:port/", "http://a b/"] {
        let ended = netcomm(&format!("get {}", url.replace(' ', "%20"))).await;
        says(&ended.expect_code(2), "invalid input");
    }
    says(&netcomm("request G@T http://a.example/").await.expect_code(2), "invalid input");
    says(&netcomm("get http://127.0.0.1/ --deny-private").await.expect_code(3), "not public");
    says(&netcomm("get http://2130706433/ --deny-private").await.expect_code(3), "not public");
    says(&netcomm("get http://a.example/ --cacert /no/such/file").await.expect_code(18), "/no/such/file");
}

#[tokio::test]
async fn no_connection() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    says(&netcomm(&format!("get http://{closed}/")).await.expect_code(5), "could not connect");
    // What an HTTP server says to strangers is neither SOCKS nor TLS.
    let refusal = Script::new().send("HTTP/1.1 400 Bad Request\r\n\r\n").close();
    let server = start(ScriptedServer::builder().on_connect([refusal])).await;
    let proxied = format!("get http://a.example/ --proxy socks5h://{}", server.address());
    says(&netcomm(&proxied).await.expect_code(6), "proxy failed");
    says(&netcomm(&format!("get https://{}/", server.address())).await.expect_code(7), "tls failed");
}

#[tokio::test]
async fn time_runs_out() {
    let ended = at(Script::new().stall(), "--header-timeout 0.2").await.expect_code(8);
    says(&ended, "[wait]");
    let ended = at(Reply::status(200).header("content-length", "9").body("half").then_stall(), "--timeout 0.5").await;
    says(&ended.expect_code(8), "timed out");
}

#[tokio::test]
async fn the_server_breaks_off() {
    says(&at(Script::new().close(), "").await.expect_code(9), "connection closed");
    let short = Reply::status(200).header("content-length", "9").body("half").then_close();
    let ended = at(short, "").await.expect_code(9);
    says(&ended, "body incomplete");
    assert_eq!(ended.text(), "half");
}

#[tokio::test]
async fn the_server_misbehaves() {
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    says(&at(Reply::raw(two), "").await.expect_code(10), "protocol violated");
    let large = Reply::status(200).header("x-large", "x".repeat(300_000));
    says(&at(large, "").await.expect_code(11), "limit exceeded");
    says(&at(Reply::status(200).body("12345678901"), "--max-bytes 10").await.expect_code(11), "limit exceeded");
    let endless = Script::new().send("HTTP/1.1 200 OK\r\n\r\n").generate(|_| Some(Bytes::from_static(&[b'x'; 8192])));
    says(&at(endless, "--max-bytes 1m").await.expect_code(11), "limit exceeded");
    let coded = Reply::status(200).header("content-encoding", "gzip").body("no gzip at all");
    says(&at(coded, "").await.expect_code(12), "could not decode");
    let circle = Reply::status(302).header("location", "/");
    says(&at(circle, "--max-redirects 3").await.expect_code(13), "more than 3 redirects");
}

#[tokio::test]
async fn files_that_cannot_be() {
    let ended = at(Reply::status(200).body("ok"), "-o /no/such/folder/file").await.expect_code(18);
    says(&ended, "local i/o failed");
    assert!(ended.stderr.contains("\n  caused by: "), "{}", ended.stderr);
    says(&at(Reply::status(200), "-d @/no/such/file").await.expect_code(18), "/no/such/file");
    says(&at(Reply::status(200), "--bearer @/no/such/file").await.expect_code(18), "/no/such/file");
    says(&at(Reply::status(200), "--bearer env:NO_SUCH_VARIABLE").await.expect_code(2), "NO_SUCH_VARIABLE");
}
