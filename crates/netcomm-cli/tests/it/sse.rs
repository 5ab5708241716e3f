//! `netcomm sse` before servers on loopback: what goes through it, and how it ends.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::stage::{Ended, Folder, command, netcomm, run, run_with_stdin};

/// What a server was sent, heads in lower case.
type Seen = Arc<Mutex<Vec<String>>>;

/// Answers each connection with one of these, and with 204 after them; gives the URL.
async fn serve(answers: impl IntoIterator<Item = &'static str>) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let answers: Vec<_> = answers.into_iter().collect();
    let seen = Seen::default();
    let heard = Arc::clone(&seen);
    drop(tokio::spawn(async move {
        let mut answers = answers.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            while !is_whole(&request) {
                request.push(stream.read_u8().await.expect("a request"));
            }
            heard.lock().expect("no panic").push(String::from_utf8(request).expect("text").to_lowercase());
            let answer = match answers.next() {
                Some(answer) if answer.starts_with("HTTP/") => answer.to_owned(),
                Some(body) => {
                    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}")
                }
                None => "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.expect("the command reads");
        }
    }));
    (url, seen)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    body.len() >= length
}

fn lines(ended: &Ended) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    ended.text().lines().map(parse).collect()
}

#[tokio::test]
async fn data_become_lines_and_the_stream_goes_on_behind_the_last_event() {
    let (url, seen) =
        serve(["retry: 1\nid: 1\ndata: one\n\nid: 2\ndata: cut", "id: 2\ndata: two\ndata: lines\n\n"]).await;
    let ended = netcomm(&format!("sse {url}")).await.expect_code(0);
    assert_eq!(ended.text(), "one\ntwo\nlines\n");
    assert!(ended.stderr.contains("lost: "), "{}", ended.stderr);
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), 3, "204 ends it");
    assert!(!seen[0].contains("last-event-id") && seen[0].contains("accept: text/event-stream"));
    assert!(seen[1].contains("last-event-id: 1\r\n") && seen[2].contains("last-event-id: 2\r\n"));
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_is_heard_in_the_middle_of_a_busy_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !is_whole(&request) {
            request.push(stream.read_u8().await.expect("a request"));
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("the command reads");
        let events = "data: more\n\n".repeat(1000);
        while stream.write_all(events.as_bytes()).await.is_ok() {}
    }));
    let mut child = command(["sse", &url]).spawn().expect("a process");
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_exact(&mut [0; 5]).await.expect("a line");
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    // It waits for whoever reads its lines, or for the next event: wherever it is, it hears.
    let ended = async {
        tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await.expect("lines");
        child.wait().await.expect("a process").code()
    };
    let code = tokio::time::timeout(std::time::Duration::from_secs(30), ended).await.expect("an end");
    assert_eq!(code, Some(130));
}

#[tokio::test]
async fn types_are_chosen_and_events_counted() {
    let events = "event: add\ndata: 1\n\ndata: 2\n\nevent: user/new\ndata: 3\n\nevent: add\ndata: 4\n\n";
    let (url, _) = serve([events, events]).await;
    let ended = netcomm(&format!("sse {url} --type add --type user/* --no-reconnect")).await.expect_code(0);
    assert_eq!(ended.text(), "1\n3\n4\n");
    let ended = netcomm(&format!("sse {url} --count 2")).await.expect_code(0);
    assert_eq!(ended.text(), "1\n2\n");
}

#[tokio::test]
async fn objects_tell_all_that_happens() {
    let (url, _) = serve([": hello\nid: 1\nevent: add\ndata: {}\n\nretry: 1\n\n"]).await;
    let ended = netcomm(&format!("sse {url} --json --comments")).await.expect_code(0);
    let lines = lines(&ended);
    assert_eq!(lines[0], json!({ "type": "state", "state": "connecting", "attempt": 1 }));
    assert_eq!(lines[1], json!({ "type": "state", "state": "open", "status": 200, "after": null }));
    assert_eq!(lines[2], json!({ "type": "comment", "text": " hello" }));
    assert_eq!(lines[3], json!({ "type": "event", "event": "add", "id": "1", "data": "{}" }));
    assert_eq!(lines[4], json!({ "type": "retry", "wait": 1.0 }));
    let states: Vec<_> = lines.iter().filter_map(|line| line["state"].as_str()).collect();
    assert_eq!(states, ["connecting", "open", "lost", "waiting", "connecting"]);
    let end = json!({ "type": "closed", "by": "no_content", "events": 1, "last_event_id": "1", "error": null });
    assert_eq!(lines.last(), Some(&end));
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn a_stream_that_was_posted_for_ends_with_its_last_event_or_badly() {
    let (url, seen) = serve(["data: a\n\ndata: [DONE]\n\ndata: b\n\n", "data: a\n\n"]).await;
    let post = |data: &'static str| {
        let mut command = command(["sse", &url, "--post", data, "--done-when", "[DONE]"]);
        command.args(["-H", "x-key: 1"]);
        command
    };
    let ended = run_with_stdin(post("-"), r#"{"q":1}"#).await.expect_code(0);
    assert_eq!(ended.text(), "a\n");
    let ended = run(post("x")).await.expect_code(9);
    assert_eq!(ended.text(), "a\n");
    assert!(ended.stderr.contains("ended before the event that ends it"), "{}", ended.stderr);
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), 2, "not asked for again");
    assert!(seen[0].starts_with("post / ") && seen[0].contains("content-type: application/json\r\n"));
    assert!(seen[0].contains("x-key: 1\r\n") && seen[1].ends_with("\r\n\r\nx"));
}

#[tokio::test]
async fn the_last_id_is_kept_in_a_file() {
    let folder = Folder::new();
    let file = folder.path("last.id");
    let file = file.to_str().expect("text");
    let (url, seen) = serve(["id: 7\ndata: x\n\n", "id: 8\ndata: y\n\n"]).await;
    for id in ["7\n", "8\n"] {
        netcomm(&format!("sse {url} --no-reconnect --id-file {file}")).await.expect_code(0);
        assert_eq!(folder.read("last.id"), id.as_bytes());
    }
    assert!(seen.lock().expect("no panic")[1].contains("last-event-id: 7\r\n"));
}

#[tokio::test]
async fn refusals_have_exit_codes_of_their_own() {
    let answers = [
        "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>",
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\ndata: x\n\n",
    ];
    let (url, _) = serve(answers).await;
    netcomm(&format!("sse {url}")).await.expect_code(22);
    let ended = netcomm(&format!("sse {url}")).await.expect_code(10);
    assert!(ended.stderr.contains("text/html"), "{}", ended.stderr);
    let ended = netcomm(&format!("sse {url} --any-content-type --no-reconnect")).await.expect_code(0);
    assert_eq!(ended.text(), "x\n");
    netcomm("sse ftp://a.example/").await.expect_code(2);
}

#[tokio::test]
async fn an_event_too_large_is_left_out_and_told_of() {
    let (url, _) = serve(["data: 0123456789abcdef\n\ndata: y\n\n"]).await;
    let ended = netcomm(&format!("sse {url} --max-event 10 --no-reconnect")).await.expect_code(0);
    assert_eq!(ended.text(), "y\n");
    assert!(ended.stderr.contains("event_bytes"), "{}", ended.stderr);
}
