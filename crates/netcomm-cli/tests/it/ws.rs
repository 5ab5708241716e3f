//! `netcomm ws` before servers on loopback: what goes through it, and how it ends.

use std::future::Future;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, StatusCode};
use netcomm::dial::SystemClock;
use netcomm::ws::{AcceptOptions, CloseCode, Message, Socket};
use netcomm::{Env, dial};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::stage::{Ended, LIMIT, command, netcomm, run, run_with_stdin};

fn options() -> AcceptOptions {
    AcceptOptions::new(&Env::new(dial::Dialer::builder().build(), SystemClock))
}

/// Serves each connection so, and tells which one it is, from 1; gives the URL.
async fn serve<F>(options: AcceptOptions, serve: impl Fn(u32, Socket) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    drop(tokio::spawn(async move {
        for nth in 1.. {
            let (stream, _) = listener.accept().await.expect("a connection");
            if let Ok(socket) = Socket::accept(stream, &options).await {
                serve(nth, socket).await;
            }
        }
    }));
    url
}

async fn echo(mut socket: Socket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// A server that says goodbye so, at once.
async fn leaver(code: CloseCode) -> String {
    serve(options(), move |_, mut socket| async move {
        drop(socket.close(code, "that is all").await);
    })
    .await
}

/// Lines of JSON.
fn lines(ended: &Ended) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    ended.text().lines().map(parse).collect()
}

async fn piped(line: &str, text: &str) -> Ended {
    run_with_stdin(command(line.split_whitespace()), text).await
}

#[tokio::test]
async fn lines_go_and_come_in_order() {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let url = serve(options(), move |_, mut socket| {
        let tell = tell.lock().expect("no panic").take();
        async move {
            while let Some(message) = socket.recv().await.expect("no error") {
                assert!(message.as_text().is_some());
                socket.send(message).await.expect("sent");
            }
            tell.expect("one connection").send(socket.closed().cloned()).expect("waited for");
        }
    })
    .await;
    let text: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    let mut child = command(["ws", &url, "--count", "5000"]).stdin(Stdio::piped()).spawn().expect("a process");
    let mut stdin = child.stdin.take().expect("stdin");
    let own = text.clone();
    // Apart from the reading: neither side waits for the other.
    let written = tokio::spawn(async move { stdin.write_all(own.as_bytes()).await });
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("an end").expect("a process");
    written.await.expect("no panic").expect("all was read");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).expect("text"), text);
    assert_eq!(String::from_utf8(output.stderr).expect("text"), "");
    let closed = told.await.expect("told").expect("closed");
    assert_eq!((closed.code, closed.clean), (CloseCode::NORMAL, true));
}

#[tokio::test]
async fn after_the_end_of_stdin_answers_are_waited_for() {
    // The answer is longer on its way than nothing.
    let url = serve(options(), |_, mut socket| async move {
        let Ok(Some(message)) = socket.recv().await else { return };
        for nth in 0..3 {
            socket.send(format!("{nth} {}", message.as_text().expect("text"))).await.expect("sent");
        }
        echo(socket).await;
    })
    .await;
    let ended = piped(&format!("ws {url}"), "question").await.expect_code(0);
    assert_eq!(ended.text(), "0 question\n1 question\n2 question\n");
    // Nothing is waited for, and yet the line is there.
    piped(&format!("ws {url} --wait 0"), "question").await.expect_code(0);
}

#[tokio::test]
async fn it_comes_back_and_no_line_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let served = tokio::spawn(async move {
        for _ in 0..2 {
            drop(listener.accept().await.expect("a connection"));
        }
        let (stream, _) = listener.accept().await.expect("a connection");
        echo(Socket::accept(stream, &options()).await.expect("a handshake")).await;
    });
    let ended = piped(&format!("ws {url} --count 3"), "a\nb\nc").await.expect_code(0);
    assert_eq!(ended.text(), "a\nb\nc\n");
    assert_eq!(ended.stderr.matches("* again in ").count(), 2, "{}", ended.stderr);
    served.await.expect("no panic");
}

#[tokio::test]
async fn it_gives_up() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let ended = netcomm(&format!("ws ws://{closed}/ --no-reconnect")).await.expect_code(5);
    assert_eq!(ended.text(), "");
    assert!(ended.stderr.starts_with("netcomm: ") && ended.stderr.contains("could not connect"), "{}", ended.stderr);
    let ended = netcomm(&format!("ws ws://{closed}/ --retry-max-time 0.1 --json")).await.expect_code(5);
    assert_eq!(ended.stderr, "");
    let last = lines(&ended).pop().expect("lines");
    assert_eq!((&last["type"], &last["code"]), (&json!("closed"), &Value::Null));
    assert_eq!((&last["error"]["kind"], &last["error"]["gave_up"]), (&json!("connect"), &json!("elapsed")));
}

/// How it ends where the handshake fails after stdin was read, or as good as.
async fn never_written(options: &[&str]) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let mut own = command(["ws", &url, "--no-reconnect"]);
    let mut child = own.args(options).stdin(Stdio::piped()).spawn().expect("a process");
    let (stream, _) = listener.accept().await.expect("a connection");
    // More than a pipe holds.
    let text = format!("{}\n", "x".repeat(1000)).repeat(500);
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(text.as_bytes()).await.expect("it reads");
    drop((stdin, stream));
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("an end").expect("a process");
    let stderr = String::from_utf8(output.stderr).expect("text");
    Ended { code: output.status.code(), stdout: output.stdout, stderr }
}

#[tokio::test]
async fn lines_that_were_not_written_are_told_of() {
    let ended = never_written(&[]).await.expect_code(9);
    let told = ended.stderr.lines().last().expect("a line");
    assert!(told.starts_with("netcomm: send: ") && told.ends_with(" messages from stdin not written"), "{told}");
    let ended = never_written(&["--json"]).await.expect_code(9);
    let last = lines(&ended).pop().expect("lines");
    assert!(last["not_written"].as_u64() > Some(100), "{last}");
    assert_eq!((&last["error"]["kind"], &last["unknown"]), (&json!("closed"), &json!(0)));

    // The server takes one line and says goodbye; the second one comes too late for it, and not for us to notice.
    let url = serve(options(), |_, mut socket| async move {
        socket.recv().await.expect("a message");
        drop(socket.close(CloseCode::NORMAL, "").await);
    })
    .await;
    let mut child = command(["ws", &url]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(b"one\n").await.expect("it reads");
    let text = "more\n".repeat(100_000);
    // It ends before it has read all that.
    drop(stdin.write_all(text.as_bytes()).await);
    drop(stdin);
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("an end").expect("a process");
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("from stdin "), "{stderr}");
}

#[tokio::test]
async fn a_goodbye_of_the_server() {
    // It is over with 1000, and not without a reason to come back.
    let ended = netcomm(&format!("ws {} --wait forever", leaver(CloseCode::NORMAL).await)).await.expect_code(0);
    assert_eq!((ended.text(), ended.stderr.contains("netcomm: ")), ("", false), "{}", ended.stderr);
    let url = leaver(CloseCode::INTERNAL).await;
    let ended = netcomm(&format!("ws {url} --wait forever --no-reconnect")).await.expect_code(9);
    assert!(ended.stderr.contains("closed by the peer: 1011 (internal error)"), "{}", ended.stderr);
    let ended = netcomm(&format!("ws {url} --wait forever --no-reconnect --json")).await.expect_code(9);
    assert_eq!(ended.stderr, "");
    let last = lines(&ended).pop().expect("lines");
    let expected =
        [("code", json!(1011)), ("reason", json!("that is all")), ("by", json!("peer")), ("clean", json!(true))];
    for (name, expected) in expected {
        assert_eq!(last[name], expected, "{name}: {last}");
    }
}

#[tokio::test]
async fn machines_get_a_line_for_everything() {
    let url = serve(options(), |_, mut socket| async move {
        socket.send("text").await.expect("sent");
        socket.send(&b"\xff\x00"[..]).await.expect("sent");
        echo(socket).await;
    })
    .await;
    let ended = netcomm(&format!("ws {url} --json --count 2")).await.expect_code(0);
    assert_eq!(ended.stderr, "");
    let lines = lines(&ended);
    let expected = [
        json!({ "type": "state", "state": "connecting", "attempt": 1 }),
        json!({ "type": "state", "state": "ready" }),
        json!({ "type": "message", "text": "text" }),
        json!({ "type": "message", "base64": "/wA=" }),
        json!({ "type": "closed", "code": 1000, "reason": "", "by": "us", "clean": true, "messages": 2,
                "not_written": 0, "unknown": 0, "error": null }),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn binary_messages() {
    let url = serve(options(), |_, mut socket| async move {
        while let Ok(Some(message)) = socket.recv().await {
            let Message::Binary(_) = message else { panic!("text") };
            socket.send(message).await.expect("sent");
        }
    })
    .await;
    let framed = "\0\0\0\u{2}a\n\0\0\0\0\0\0\0\u{1}b";
    let ended = piped(&format!("ws {url} --binary length --count 3"), framed).await.expect_code(0);
    assert_eq!(ended.text(), framed);
    let ended = piped(&format!("ws {url} --binary whole --count 1"), "a\nb\n").await.expect_code(0);
    assert_eq!(ended.text(), "a\nb\n\n");
    let ended = piped(&format!("ws {url} --binary lines --count 2"), "a\nb\n").await.expect_code(0);
    assert_eq!(ended.text(), "a\nb\n");
    let ended = piped(&format!("ws {url} --binary length"), "\0\0\0\u{9}a").await.expect_code(9);
    assert!(ended.stderr.contains("the end inside of message 1"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_handshake_is_as_it_was_asked_for() {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let own = Arc::clone(&seen);
    let options = options().subprotocols(["v2"]).check(move |request| {
        *own.lock().expect("no panic") = request.headers().clone();
        if request.uri().path() == "/closed" { Err(StatusCode::NOT_FOUND) } else { Ok(()) }
    });
    let url = serve(options, |_, mut socket| async move {
        let words = format!("{:?} {}", socket.subprotocol(), socket.is_compressed());
        socket.send(words).await.expect("sent");
        echo(socket).await;
    })
    .await;
    let words = "--subprotocol v1 --subprotocol v2 -H X-Own:1 --bearer hunter2 --count 1";
    let ended = netcomm(&format!("ws {url} {words}")).await.expect_code(0);
    assert_eq!(ended.text(), "Some(\"v2\") true\n");
    {
        let seen = seen.lock().expect("no panic");
        for (name, expected) in [
            ("sec-websocket-protocol", "v1, v2"),
            ("x-own", "1"),
            ("authorization", "Bearer hunter2"),
            ("user-agent", concat!("netcomm/", env!("CARGO_PKG_VERSION"))),
        ] {
            assert_eq!(seen[name], expected, "{name}");
        }
    }
    let ended = netcomm(&format!("ws {url} --no-compress --count 1")).await.expect_code(0);
    assert_eq!(ended.text(), "None false\n");

    let refused = netcomm(&format!("ws {url}closed --bearer hunter2 -v")).await.expect_code(22);
    assert!(refused.stderr.contains("404"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
}

#[tokio::test]
async fn what_means_nothing_or_is_too_much() {
    for line in ["ws ftp://a.example/", "ws ws://a.example/#part", "ws ws://a.example/ --subprotocol a,b"] {
        netcomm(line).await.expect_code(2);
    }
    netcomm("ws ws://127.0.0.1:1/ --deny-private").await.expect_code(3);
    let url = serve(options(), |_, mut socket| async move {
        drop(socket.send("12345678901").await);
        echo(socket).await;
    })
    .await;
    let ended = netcomm(&format!("ws {url} --max-message 10 --wait forever")).await.expect_code(11);
    assert_eq!(ended.text(), "");
    let ended = piped(&format!("ws {url} --max-message 11 --wait forever"), "123456789012\n").await.expect_code(11);
    assert!(ended.stderr.contains("message 1 has more than 11 bytes"), "{}", ended.stderr);
    let mut own = command(["ws", &url]);
    own.stdin(Stdio::piped());
    let mut child = own.spawn().expect("a process");
    child.stdin.take().expect("stdin").write_all(b"\xff\n").await.expect("it reads");
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("an end").expect("a process");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[tokio::test]
async fn nobody_reads_what_it_writes() {
    let url = serve(options(), |_, mut socket| async move {
        while socket.send("x").await.is_ok() {
            tokio::select! {
                biased;
                None = async { socket.recv().await.ok().flatten() } => return,
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    let mut child = command(["ws", &url, "--wait", "forever"]).spawn().expect("a process");
    drop(child.stdout.take());
    let status = tokio::time::timeout(LIMIT, child.wait()).await.expect("an end").expect("a process");
    assert_eq!(status.code(), Some(141));
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_says_goodbye() {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let url = serve(options(), move |_, mut socket| {
        let tell = tell.lock().expect("no panic").take();
        async move {
            socket.send("ready").await.expect("sent");
            assert_eq!(socket.recv().await.expect("no error"), None);
            tell.expect("one connection").send(socket.closed().cloned()).expect("waited for");
        }
    })
    .await;
    let mut child = command(["ws", &url, "--wait", "forever"]).spawn().expect("a process");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
    let mut line = String::new();
    stdout.read_line(&mut line).await.expect("a line");
    assert_eq!(line, "ready\n");
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    let status = tokio::time::timeout(LIMIT, child.wait()).await.expect("an end").expect("a process");
    assert_eq!(status.code(), Some(130));
    assert_eq!(told.await.expect("told").expect("closed").code, CloseCode::GOING_AWAY);
}

#[tokio::test]
async fn help_tells_of_it() {
    let ended = run(command(["ws", "--help"])).await.expect_code(0);
    for word in ["--no-reconnect", "--binary", "--wait", "Exit codes:"] {
        assert!(ended.text().contains(word), "{word}");
    }
}
