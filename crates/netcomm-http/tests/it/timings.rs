//! Where the time went, how far an upload has come, and which uploads are sent twice.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use netcomm_core::{ConnectInfo, ErrorKind, Io};
use netcomm_http::testing::{Reply, Script, ScriptedServer};
use netcomm_http::{Body, Client, Error, Progress, RequestBuilder, Response};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::stage::{Stage, friendly, redirect, scripted, soon, stage};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Dials that take 300 ms: 100 for the name, 150 for the connection, and 50 of which nobody knows.
fn slow_dials(stage: &Stage) {
    let far = stage.server.clone();
    stage.dialer.with_all(move |_| {
        let far = far.clone();
        async move {
            tokio::time::sleep(millis(300)).await;
            let (near, stream) = tokio::io::duplex(64 * 1024);
            drop(tokio::spawn(far.serve(stream)));
            let mut info = ConnectInfo::default();
            (info.steps.dns, info.steps.connect) = (Some(millis(100)), Some(millis(150)));
            Ok(Io::new(near, info))
        }
    });
}

async fn get(client: &Client, path: &str) -> Response {
    soon(client.get(format!("http://a.example{path}").as_str()).send()).await.expect("response")
}

#[tokio::test(start_paused = true)]
async fn the_phases_are_told_apart_and_their_sum_is_the_whole() {
    let stage = scripted(
        Script::new()
            .request()
            .pause(millis(1000))
            .send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbo")
            .pause(millis(2000))
            .send("dy"),
    );
    slow_dials(&stage);
    let client = stage.client();
    let start = tokio::time::Instant::now();
    let response = get(&client, "/").await;
    let watch = response.timing_watch();
    assert_eq!((watch.get().receive, watch.get().total()), (None, millis(1300)));
    assert_eq!(response.bytes().await.expect("body"), "body");

    let timing = watch.get();
    assert_eq!((timing.dns, timing.connect), (Some(millis(100)), Some(millis(150))));
    assert_eq!((timing.proxy, timing.tls), (None, None));
    assert_eq!((timing.before, timing.blocked, timing.send), (Duration::ZERO, millis(50), Duration::ZERO));
    assert_eq!((timing.wait, timing.receive), (millis(1000), Some(millis(2000))));
    assert_eq!((timing.reused, timing.attempt), (false, 1));
    assert_eq!(timing.total(), start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_reused_connection_took_no_time_to_make() {
    let stage = friendly();
    slow_dials(&stage);
    let client = stage.client();
    let first = get(&client, "/").await;
    assert_eq!((first.timing().reused, first.timing().total()), (false, millis(300)));
    drop(first.bytes().await.expect("body"));
    let second = get(&client, "/").await.timing();
    assert_eq!((second.reused, second.dns, second.connect), (true, None, None));
    assert_eq!(second.total(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_time_are_counted_over_redirects() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/a", redirect(302, "/b").delayed(millis(100)))
            .route("/b", redirect(307, "/c").delayed(millis(200)))
            .route("/c", Reply::status(200).body("ok").delayed(millis(400))),
    );
    let response = get(&stage.client(), "/a").await;
    let timing = response.timing();
    assert_eq!((response.attempts().len(), timing.attempt, timing.reused), (3, 3, true));
    assert_eq!((timing.before, timing.wait, timing.total()), (millis(300), millis(400), millis(700)));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_body_is_known_to_who_streams_it() {
    let body = Reply::status(200).chunked(vec![vec![b'x'; 1000]; 20]).in_pieces(4000, millis(10));
    let stage = stage(ScriptedServer::builder().route("/", body));
    let mut response = get(&stage.client(), "/").await;
    let watch = response.timing_watch();
    while response.chunk().await.expect("chunk").is_some() {
        assert!(response.timing().receive.is_none_or(|took| took >= millis(50)), "known before the end");
    }
    assert_eq!((watch.get().receive, response.timing().receive), (Some(millis(50)), Some(millis(50))));
}

/// All that was told while a request was on its way.
async fn progress(call: RequestBuilder) -> Vec<Progress> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let call = call.on_upload(move |progress| teller.lock().expect("no panic").push(progress));
    soon(call.send()).await.expect("response");
    let told = told.lock().expect("no panic").clone();
    assert!(told.windows(2).all(|pair| pair[0].bytes < pair[1].bytes), "{told:?}");
    told
}

#[tokio::test(start_paused = true)]
async fn upload_progress_grows_and_ends_with_the_whole() {
    const LENGTH: u64 = 1_000_001;
    let stage = friendly();
    let client = stage.client();
    let whole = vec![b'x'; usize::try_from(LENGTH).expect("small")];
    let put = || client.put("http://a.example/");

    let told = progress(put().body(whole.clone())).await;
    assert!(told.len() > 10 && told.iter().all(|progress| progress.total == Some(LENGTH)), "{told:?}");
    assert_eq!(told.last().map(|progress| progress.bytes), Some(LENGTH));

    let told = progress(put().body(Body::from_reader(io::Cursor::new(whole), None))).await;
    assert!(told.len() > 10 && told.iter().all(|progress| progress.total.is_none()), "{told:?}");
    assert_eq!(told.last().map(|progress| progress.bytes), Some(LENGTH));

    let told = progress(put().body("small")).await;
    assert_eq!(told.iter().map(|progress| (progress.bytes, progress.total)).collect::<Vec<_>>(), [(5, Some(5))]);
    assert_eq!(progress(put()).await, []);
    assert!(stage.server.requests().iter().all(|seen| seen.complete));
}

/// A line that takes all that it is given, and counts how often.
struct Counted {
    near: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.near).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.near).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_ready_goes_out_in_wide_writes() {
    const BYTES: usize = 2 * 1024 * 1024;
    let stage = friendly();
    let (far, writes) = (stage.server.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&writes);
    stage.dialer.with_all(move |_| {
        let (near, stream) = tokio::io::duplex(2 * BYTES);
        drop(tokio::spawn(far.clone().serve(stream)));
        let io = Io::new(Counted { near, writes: Arc::clone(&counter) }, ConnectInfo::default());
        async move { Ok(io) }
    });
    let client = stage.client();
    let stream = Body::from_reader(io::Cursor::new(vec![b'x'; BYTES]), None);
    for body in [stream, Body::from(vec![b'x'; BYTES])] {
        soon(client.put("http://a.example/").body(body).send()).await.expect("response");
        let writes = writes.swap(0, Ordering::Relaxed);
        assert!(writes <= 8, "{writes} writes for 2 MiB");
    }
    assert!(stage.server.requests().iter().all(|seen| seen.complete && seen.body_bytes == BYTES as u64));
}

/// A client with an idle connection that will end under the second request, and what came of sending it.
async fn over_a_stale_connection(send: impl FnOnce(&Client) -> RequestBuilder) -> (Stage, Result<Response, Error>) {
    let answer = || Reply::status(200).body("ok");
    let stage = stage(ScriptedServer::builder().on_connect([
        Script::new().request().reply(answer()).request().close(),
        Script::new().request().reply(answer()).repeat(),
    ]));
    let client = stage.client();
    drop(get(&client, "/").await.bytes().await.expect("body"));
    let outcome = soon(send(&client).send()).await;
    (stage, outcome)
}

fn one_shot() -> Body {
    Body::from_reader(&b"laden"[..], None)
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_can_be_made_again_survives_a_stale_connection() {
    for body in [Body::replayable(one_shot), Body::from("laden"), Body::from(Bytes::from(vec![b'x'; 200_000]))] {
        let expected = body.len();
        let (stage, outcome) = over_a_stale_connection(|client| client.put("http://a.example/").body(body)).await;
        let response = outcome.expect("response");
        assert_eq!((response.attempts().len(), stage.dialer.dials()), (2, 2));
        let again = &stage.server.requests()[2];
        assert!(again.complete && again.method == "PUT");
        assert_eq!(again.body_bytes, expected.unwrap_or(5));
    }
}

#[tokio::test(start_paused = true)]
async fn progress_begins_anew_when_an_upload_does() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let (_stage, outcome) = over_a_stale_connection(|client| {
        let call = client.put("http://a.example/").body(Body::replayable(one_shot));
        call.on_upload(move |progress| teller.lock().expect("no panic").push(progress.bytes))
    })
    .await;
    outcome.expect("response");
    assert_eq!(*told.lock().expect("no panic"), [5, 5]);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_sent_once_or_must_not_be_sent_twice_is_not() {
    let calls: [fn(&Client) -> RequestBuilder; 2] = [
        |client| client.put("http://a.example/").body(one_shot()),
        |client| client.post("http://a.example/").body("laden"),
    ];
    for call in calls {
        let (stage, outcome) = over_a_stale_connection(call).await;
        let error = outcome.expect_err("lost with its connection");
        assert!(error.kind() == ErrorKind::Closed && !error.is_unsent(), "{error:?}");
        assert_eq!((stage.server.request_count(), stage.dialer.dials()), (2, 1));
    }
}
