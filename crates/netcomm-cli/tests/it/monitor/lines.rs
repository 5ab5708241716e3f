//! What happens, in lines, where nobody draws.

use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm::ws::{AcceptOptions, Socket};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::stage::{CANARY, Folder, LIMIT, command, friendly, start};

/// A monitor that runs.
struct Monitor {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Monitor {
    fn start(words: &str) -> Self {
        let always = ["monitor", "--ignore-paths", "--private-hosts", "--every", "20ms"];
        let mut child = command(always.into_iter().chain(words.split_whitespace())).spawn().expect("a process");
        let stdout = child.stdout.take().expect("stdout");
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    async fn line(&mut self) -> Option<String> {
        timeout(LIMIT, self.lines.next_line()).await.expect("a line or an end").expect("text")
    }

    /// The next object.
    async fn any(&mut self) -> Option<Value> {
        let line = self.line().await?;
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(told["at"].is_number() && told["kind"].is_string(), "{told}");
        Some(told)
    }

    /// The next object of that kind, within the first hundreds.
    async fn next(&mut self, kind: &str) -> Value {
        for _ in 0..500 {
            let told = self.any().await.unwrap_or_else(|| panic!("an end, and no {kind}"));
            if told["kind"] == kind {
                return told;
            }
        }
        panic!("no {kind}")
    }

    /// Sends a signal, and gives the last line and the exit code.
    async fn end(mut self, signal: &str) -> (String, Option<i32>) {
        let id = self.child.id().expect("it runs").to_string();
        let kill = std::process::Command::new("kill").args([signal, &id]).status();
        assert!(kill.expect("kill").success());
        let mut last = String::new();
        while let Some(line) = self.line().await {
            last = line;
        }
        let status = timeout(LIMIT, self.child.wait()).await.expect("an end").expect("a process");
        (last, status.code())
    }
}

#[tokio::test]
async fn objects_until_a_signal() {
    let server = ScriptedServer::builder()
        .route("/good", Reply::status(200).body("hello"))
        .route("/bad", Reply::status(500).body("no"));
    let server = start(server).await;
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let words = format!("--json {} {}?token={CANARY}", server.url("/good"), server.url("/bad"));
        let mut monitor = Monitor::start(&words);
        assert_eq!(monitor.next("state").await["reach"], "online");
        // Both URLs, and how good that makes the network look, in whatever order.
        let (mut good, mut bad, mut quality) = (false, false, false);
        while !(good && bad && quality) {
            let told = monitor.any().await.expect("more lines");
            assert!(!told.to_string().contains(CANARY), "{told}");
            quality |= told["kind"] == "quality" && told["confidence"].is_number();
            if told["kind"] == "call" {
                let is_good = told["url"] == server.url("/good");
                (good, bad) = (good || is_good, bad || !is_good);
                assert_eq!(told["status"], if is_good { 200 } else { 500 });
                let rest = (&told["method"], &told["error"], &told["attempts"]);
                assert_eq!(rest, (&json!("GET"), &Value::Null, &json!(1)));
                assert!(told["took"].as_f64().is_some_and(|took| took > 0.0), "{told}");
            }
        }
        let (last, ended) = monitor.end(signal).await;
        let last: Value = serde_json::from_str(&last).expect("an object");
        assert_eq!((&last["kind"], ended), (&json!("end"), Some(code)));
        assert!(last["calls"].as_u64() >= Some(2), "{last}");
    }
}

#[tokio::test]
async fn nobody_who_reads_is_no_trouble() {
    let server = friendly().await;
    let mut monitor = Monitor::start(&format!("--json {}", server.url("/")));
    monitor.next("call").await;
    drop(monitor.lines);
    let status = timeout(LIMIT, monitor.child.wait()).await.expect("an end").expect("a process");
    let mut stderr = String::new();
    monitor.child.stderr.take().expect("stderr").read_to_string(&mut stderr).await.expect("text");
    assert_eq!((status.code(), stderr.as_str()), (Some(141), ""));
}

#[tokio::test]
async fn without_a_terminal_changes_are_plain_lines() {
    let server = friendly().await;
    let mut monitor = Monitor::start(&server.url("/x"));
    let first = monitor.line().await.expect("a line");
    assert!(first.contains(" s  online: "), "{first}");
    let call = loop {
        let line = monitor.line().await.expect("a line");
        if line.contains("GET ") {
            break line;
        }
    };
    assert!(call.contains(&format!("GET {}: 200, ", server.url("/x"))), "{call}");
    let (last, code) = monitor.end("-INT").await;
    assert!(last.contains(" calls, 0 errors, ") && code == Some(130), "{last}");
}

#[tokio::test]
async fn programs_behind_the_proxy_are_seen() {
    let server = friendly().await;
    let mut monitor = Monitor::start("--json --proxy 127.0.0.1:0");
    let proxy = monitor.next("proxy").await["url"].as_str().expect("a URL").to_owned();
    let mut stream = TcpStream::connect(proxy.trim_start_matches("http://")).await.expect("a connection");
    let url = server.url("/seen");
    let request = format!("GET {url} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address());
    stream.write_all(request.as_bytes()).await.expect("the proxy reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
    let call = monitor.next("call").await;
    assert_eq!((&call["url"], &call["status"]), (&json!(url), &json!(200)));
    assert_eq!(monitor.end("-INT").await.1, Some(130));
}

#[tokio::test]
async fn messages_of_a_websocket_are_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut socket = Socket::accept(stream, &AcceptOptions::new(&netcomm::env())).await.expect("a handshake");
        socket.send("hello").await.expect("it is open");
        drop(socket.recv().await);
    });
    let mut monitor = Monitor::start(&format!("--json {url}"));
    let message = monitor.next("message").await;
    assert_eq!((&message["url"], &message["way"]), (&json!(url), &json!("received")));
    assert_eq!((&message["data"], &message["bytes"]), (&json!("text"), &json!(5)));
    monitor.end("-INT").await;
    server.await.expect("no panic");
}

#[tokio::test]
async fn what_was_recorded_is_written_at_the_end() {
    let (folder, server) = (Folder::new(), friendly().await);
    let file = folder.path("all.har");
    let mut monitor = Monitor::start(&format!("--json --har {} {}", file.display(), server.url("/x?token=hunter2")));
    monitor.next("call").await;
    assert_eq!(monitor.end("-INT").await.1, Some(130));
    let har: Value = serde_json::from_slice(&folder.read("all.har")).expect("HAR");
    let entry = &har["log"]["entries"][0];
    assert_eq!((&har["log"]["version"], &entry["response"]["content"]["text"]), (&json!("1.2"), &json!("ok")));
    assert!(!har.to_string().contains(CANARY), "{har}");

    let mut monitor = Monitor::start(&format!("--json --har /no/such/folder/x {}", server.url("/")));
    monitor.next("call").await;
    assert_eq!(monitor.end("-INT").await.1, Some(18));
}
