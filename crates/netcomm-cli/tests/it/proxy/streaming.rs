//! Bodies stream through, in both directions, and none is kept.

use netcomm::http::testing::{Gate, Reply, Script, ScriptedServer};

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Proxy, Talk, get};
use crate::stage::{LIMIT, start};

#[tokio::test]
async fn the_second_half_of_an_answer_is_sent_after_the_first_has_arrived() {
    for head in ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n"] {
        let gate = Gate::new();
        let rest = if head.starts_with('C') { "world" } else { "\r\n5\r\nworld\r\n0\r\n\r\n" };
        let script =
            Script::new().request().send(format!("HTTP/1.1 200 OK\r\n{head}hello")).wait_for(&gate).send(rest).stall();
        let server = start(ScriptedServer::builder().on_connect([script])).await;
        let proxy = Proxy::before(&server).await;
        let mut talk = proxy.connect().await;
        talk.say(get("/")).await;
        talk.head().await;
        if head.starts_with('T') {
            assert_eq!(talk.exactly(3).await, b"5\r\n");
        }
        assert_eq!(talk.exactly(5).await, b"hello");
        gate.open();
        let text = String::from_utf8(talk.exactly(rest.len()).await).expect("text");
        assert_eq!(text, rest);
    }
}

#[tokio::test]
async fn the_second_half_of_content_is_sent_after_the_first_has_arrived() {
    for (head, first, rest) in [
        ("Content-Length: 10", "hello", "world"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Proxy::start(&format!("--to http://{}", listener.local_addr().expect("an address"))).await;
        let mut talk = proxy.connect().await;
        talk.say(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{first}")).await;
        let mut far = Talk::new(listener.accept().await.expect("a connection").0);
        let got = String::from_utf8(far.head().await).expect("text");
        assert!(got.to_ascii_lowercase().contains(&head.to_ascii_lowercase()), "{got}");
        assert_eq!(far.exactly(first.len()).await, first.as_bytes());
        talk.say(rest).await;
        assert_eq!(far.exactly(rest.len()).await, rest.as_bytes());
        far.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(talk.answer().await.text(), "ok");
    }
}

#[tokio::test]
async fn both_directions_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = Proxy::start(&format!("--to http://{}", listener.local_addr().expect("an address"))).await;
    let mut talk = proxy.connect().await;
    talk.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").await;
    let mut far = Talk::new(listener.accept().await.expect("a connection").0);
    far.head().await;
    far.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await;
    talk.head().await;
    for byte in b"0123456789" {
        talk.say([*byte]).await;
        assert_eq!(far.exactly(1).await, [*byte]);
        far.say([*byte]).await;
        assert_eq!(talk.exactly(1).await, [*byte]);
    }
}

/// The most memory that a process has had, in bytes.
#[cfg(target_os = "linux")]
fn peak(proxy: &Proxy) -> u64 {
    let id = proxy.child.id().expect("a process");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn long_bodies_take_little_memory() {
    const LENGTH: usize = 64 << 20;
    const MAX_BYTES: u64 = 16 << 20;
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let sent = piece.clone();
    let server = ScriptedServer::builder().handler(move |request| match request.method.as_str() {
        "POST" => Script::from(Reply::status(200).body("ok")),
        _ => {
            let piece = sent.clone();
            Script::new()
                .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))
                .generate(move |number| (number < 64).then(|| piece.clone()))
        }
    });
    let server = start(server.kept_body_bytes(0)).await;
    let proxy = Proxy::before(&server).await;
    assert_eq!(proxy.ask(get("/warm")).await.body.len(), LENGTH);
    let before = peak(&proxy);
    assert_eq!(proxy.ask(get("/")).await.body.len(), LENGTH);

    let mut talk = proxy.connect().await;
    talk.say(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n")).await;
    for _ in 0..64 {
        talk.say(&piece).await;
    }
    assert_eq!(talk.answer().await.text(), "ok");
    assert_eq!(server.take_requests().last().map(|request| request.body_bytes), Some(LENGTH as u64));
    let grown = peak(&proxy) - before;
    assert!(grown < MAX_BYTES, "{grown} bytes more");
    assert!(before < 4 * MAX_BYTES, "{before} bytes");
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_server() {
    let script = Script::new().request().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").stall();
    let server = start(ScriptedServer::builder().on_connect([script.clone(), Script::new().request().stall()])).await;
    let proxy = Proxy::before(&server).await;
    for read in [true, false] {
        let mut talk = proxy.connect().await;
        talk.say(get("/")).await;
        if read {
            talk.head().await;
        } else {
            timeout(LIMIT, server.until_requests(2)).await.expect("a request");
        }
        drop(talk);
        timeout(LIMIT, server.until_open(0)).await.expect("an end");
    }
}
