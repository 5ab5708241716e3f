//! Downloads that go on after a break, and those that must not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{ErrorKind, Event, Result};
use netcomm_http::testing::{ReceivedRequest, Reply, Script, ScriptedServer, ScriptedServerBuilder};
use netcomm_http::{Client, RequestBuilder};

use crate::stage::{Stage, soon, stage, timed};

const TAG: &str = "\"one\"";

fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(|number| number.to_be_bytes()).take(100_000).collect()
}

/// Where a request wants to begin.
fn offset(seen: &ReceivedRequest) -> usize {
    seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0)
}

/// The rest from there on, breaking off after `most` bytes of it.
fn part(seen: &ReceivedRequest, tag: &str, most: usize) -> Script {
    let (content, from) = (content(), offset(seen));
    let mut head = match seen.header("range") {
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
        Some(_) => format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{}\r\n",
            content.len() - 1,
            content.len()
        ),
    };
    head += &format!("etag: {tag}\r\ncontent-length: {}\r\n\r\n", content.len() - from);
    let end = content.len().min(from.saturating_add(most));
    let script = Script::new().send(head).send(content[from..end].to_vec());
    if end < content.len() { script.close() } else { script }
}

/// Breaks off after that many bytes of every answer.
fn breaking(most: usize) -> ScriptedServerBuilder {
    ScriptedServer::builder().handler(move |seen: &ReceivedRequest| part(seen, TAG, most))
}

/// The first answer breaks off; `rest` makes the others.
fn then(rest: impl Fn(&ReceivedRequest) -> Script + Send + Sync + 'static) -> ScriptedServerBuilder {
    ScriptedServer::builder().handler(move |seen: &ReceivedRequest| match seen.header("range") {
        None => part(seen, TAG, 1000),
        Some(_) => rest(seen),
    })
}

fn get(client: &Client) -> RequestBuilder {
    client.get("http://a.example/file")
}

async fn download(call: RequestBuilder) -> Result<bytes::Bytes> {
    soon(Box::pin(async { call.send().await?.bytes().await })).await
}

fn resumptions(stage: &Stage) -> Vec<u64> {
    let offsets = stage.seen.events().into_iter().filter_map(|event| match event {
        Event::Resumed { offset } => Some(offset),
        _ => None,
    });
    offsets.collect()
}

#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_off_goes_on_from_where_it_stood() {
    for most in [20_000, 50_000, 70_001, 99_999] {
        let stage = stage(breaking(most));
        let got = download(get(&stage.client()).resume(5)).await.unwrap();
        assert!(got == content(), "cut every {most} bytes");
        let seen = stage.server.requests();
        assert_eq!(seen[1].header("range"), Some(format!("bytes={most}-").as_str()));
        assert_eq!(seen[1].header("if-range"), Some(TAG));
        assert_eq!(seen[1].header("accept-encoding"), Some("identity"));
        assert_eq!(seen[0].header("range"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn after_so_many_times_the_break_is_the_error() {
    let stage = stage(breaking(1));
    let error = download(get(&stage.client()).resume(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(resumptions(&stage), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn without_resume_the_break_is_the_error() {
    let stage = stage(breaking(50_000));
    let error = download(get(&stage.client())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_has_changed_is_not_mixed() {
    for rest in [
        // By the book: the condition fails, the new representation comes whole.
        (|_: &ReceivedRequest| Reply::status(200).header("etag", "\"two\"").body(content()).into())
            as fn(&ReceivedRequest) -> Script,
        // A server that pays no heed to If-Range, but says that it is another one (RFC 9110 §15.3.7.3).
        |seen| part(seen, "\"two\"", usize::MAX),
        |_| Reply::status(416).into(),
        |_| Reply::status(404).body("gone").into(),
        // Another part than the one asked for.
        |_| {
            let range = "bytes 500-99999/100000";
            Reply::status(206).header("content-range", range).header("etag", TAG).body(vec![0; 99_500]).into()
        },
        |_| Reply::status(206).header("etag", TAG).body(vec![0; 99_000]).into(),
        // Another length in all.
        |_| {
            let range = "bytes 1000-199999/200000";
            Reply::status(206).header("content-range", range).header("etag", TAG).body(vec![0; 199_000]).into()
        },
    ] {
        let stage = stage(then(rest));
        let error = download(get(&stage.client()).resume(3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete, "the break is the error that it was: {error}");
        assert_eq!(stage.server.request_count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_strong_validator_nothing_is_resumed() {
    for (name, tag) in [("etag", "W/\"one\""), ("x-none", "none")] {
        let cut = Reply::status(200).header(name, tag).header("content-length", "10").body("half");
        let stage = stage(ScriptedServer::builder().route("/file", cut.then_close()));
        let error = download(get(&stage.client()).resume(3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        assert_eq!(stage.server.request_count(), 1, "{tag}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_get_of_the_whole_is_resumed() {
    let stage = stage(breaking(50_000));
    let client = stage.client();
    let post = client.post("http://a.example/file").resume(3);
    assert_eq!(download(post).await.unwrap_err().kind(), ErrorKind::Incomplete);
    let own = get(&client).header("range", "bytes=10-").resume(3);
    assert_eq!(download(own).await.unwrap_err().kind(), ErrorKind::Incomplete);
    assert_eq!(stage.server.request_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_a_break_too() {
    let silent = ScriptedServer::builder().handler(|seen: &ReceivedRequest| match seen.header("range") {
        None => {
            let head = format!("HTTP/1.1 200 OK\r\netag: {TAG}\r\ncontent-length: 100000\r\n\r\n");
            Script::new().send(head).send(content()[..1000].to_vec()).stall()
        }
        Some(_) => part(seen, TAG, usize::MAX),
    });
    let stage = stage(silent);
    let (outcome, took) = timed(download(get(&stage.client()).resume(1))).await;
    assert!(outcome.unwrap() == content());
    assert_eq!(took, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn progress_goes_on_counting_over_the_break() {
    let stage = stage(breaking(40_000));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let call = get(&stage.client())
        .resume(3)
        .on_download(move |progress| log.lock().unwrap().push((progress.bytes, progress.total)));
    download(call).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted_by(|before, after| before.0 < after.0), "{seen:?}");
    assert_eq!(seen.last(), Some(&(100_000, Some(100_000))));
    assert!(seen.iter().all(|(_, total)| *total == Some(100_000)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_whole_call_holds_over_the_break() {
    let stage = stage(then(|_| Script::new().stall()));
    let call = get(&stage.client()).resume(100).timeout(Duration::from_secs(5));
    let (outcome, took) = timed(download(call)).await;
    outcome.unwrap_err();
    assert_eq!(took, Duration::from_secs(5));
    assert!(stage.server.request_count() <= 3, "{} requests", stage.server.request_count());
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_the_body_holds_over_the_break() {
    let stage = stage(ScriptedServer::builder().handler(|seen: &ReceivedRequest| {
        // Without a length in all, so that nobody can know beforehand.
        let from = offset(seen);
        let head = match seen.header("range") {
            None => format!("HTTP/1.1 200 OK\r\netag: {TAG}\r\ntransfer-encoding: chunked\r\n\r\n"),
            Some(_) => format!(
                "HTTP/1.1 206 Partial Content\r\netag: {TAG}\r\ncontent-range: bytes {from}-99999/*\r\ntransfer-encoding: chunked\r\n\r\n"
            ),
        };
        Script::new().send(head).send(format!("{:x}\r\n", 600)).send(vec![b'x'; 600]).send("\r\n").close()
    }));
    let limits = netcomm_core::Limits::default().with_body_bytes(1000);
    let client = stage.builder().limits(limits).resume(5).build().unwrap();
    let mut response = get(&client).send().await.unwrap();
    let mut got = 0;
    let error = loop {
        match soon(response.chunk()).await {
            Ok(Some(chunk)) => got += chunk.len(),
            Ok(None) => panic!("no end is in sight"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(got <= 1000, "{got} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_download_is_one_call() {
    let stage = stage(breaking(50_000));
    download(get(&stage.client()).resume(3)).await.unwrap();
    assert_eq!(resumptions(&stage), [50_000]);
    let calls = stage.seen.count(|event| matches!(event, Event::CallStarted { .. }));
    let ends: Vec<_> = stage
        .seen
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::CallEnded { error, received_bytes, .. } => Some((error, received_bytes)),
            _ => None,
        })
        .collect();
    assert_eq!((calls, ends), (1, vec![(None, 100_000)]));
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_redirected_download_is_asked_for_without_the_first_origins_secrets() {
    let stage = stage(ScriptedServer::builder().handler(|seen: &ReceivedRequest| {
        if seen.path() == "/go" {
            return Script::from(Reply::status(302).header("location", "http://b.example/file"));
        }
        part(seen, TAG, 60_000)
    }));
    let client = stage.builder().default_header("x-api-key", "hunter2").build().expect("a client");
    let body = download(client.get("http://a.example/go").resume(2)).await.expect("the whole");
    assert_eq!(body, content());
    let keys: Vec<_> = stage.server.requests().iter().map(|seen| seen.header("x-api-key").is_some()).collect();
    assert_eq!(keys, [true, false, false]);
}
