//! Equal calls that are under way at the same time: one request, and an answer for each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use netcomm_core::{CallId, ErrorKind, Event, Limits, Phase, Result, Scope, Secret, Timeouts};
use netcomm_http::testing::{Gate, ReceivedRequest, Reply, Script, ScriptedServer};
use netcomm_http::{Client, Credentials, RequestBuilder, Response};

use crate::stage::{CANARY, Stage, assert_timeout, redirect, scripted, shown, soon, stage};

const URL: &str = "http://a.example/x";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Lets everything run that can without the time moving.
async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

/// An origin that holds all its answers back, and a client that shares them.
fn held(reply: &Reply) -> (Stage, Client, Gate) {
    let gate = Gate::new();
    let reply = reply.clone().held_by(&gate);
    let stage = stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| reply.clone()));
    let client = sharing(&stage);
    (stage, client, gate)
}

fn ok() -> (Stage, Client, Gate) {
    held(&Reply::status(200).body("ok"))
}

/// An origin that sends the head at once, and the body of two bytes when the gate opens.
fn half_way() -> (Stage, Client, Gate) {
    let gate = Gate::new();
    let (head, body) = OK.split_at(OK.len() - 2);
    let stage = scripted(Script::new().request().send(head).wait_for(&gate).send(body).repeat());
    let client = sharing(&stage);
    (stage, client, gate)
}

fn sharing(stage: &Stage) -> Client {
    stage.builder().deduplicate(true).build().expect("a client")
}

type Call = tokio::task::JoinHandle<Result<Response>>;

/// Starts these calls, and comes back when all of them wait.
async fn start(calls: impl IntoIterator<Item = RequestBuilder>) -> Vec<Call> {
    let calls = calls.into_iter().map(|call| tokio::spawn(call.send())).collect();
    settle().await;
    calls
}

async fn end(call: Call) -> Result<Response> {
    soon(call).await.expect("no panic")
}

/// What comes of these calls when they are all under way at once.
async fn together(gate: &Gate, calls: impl IntoIterator<Item = RequestBuilder>) -> Vec<Result<Response>> {
    gate.shut();
    let calls = start(calls).await;
    gate.open();
    let mut ended = Vec::new();
    for call in calls {
        ended.push(end(call).await);
    }
    ended
}

async fn text(response: Response) -> String {
    soon(Box::pin(response.text())).await.expect("a body")
}

/// Checks that each of them is answered with `ok`, or nothing for a `HEAD`, and counts the requests that it took.
async fn requests(stage: &Stage, gate: &Gate, calls: impl IntoIterator<Item = RequestBuilder>) -> usize {
    let before = stage.server.request_count();
    for response in together(gate, calls).await {
        let text = text(response.expect("a response")).await;
        assert!(text == "ok" || text.is_empty(), "{text}");
    }
    stage.server.request_count() - before
}

#[tokio::test(start_paused = true)]
async fn equal_calls_share_one_request() {
    let (stage, client, gate) = ok();
    let responses = together(&gate, (0..10).map(|_| client.get(URL))).await;
    let mut attempts = Vec::new();
    for response in responses {
        let response = response.unwrap();
        attempts.push(response.attempts().len());
        assert_eq!(text(response).await, "ok");
    }
    assert_eq!(attempts, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((stage.server.request_count(), stage.dialer.dials()), (1, 1));
    // What is over is over.
    assert_eq!(requests(&stage, &gate, [client.get(URL)]).await, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shared_unless_asked_for_and_each_call_has_its_own_say() {
    let (stage, sharing, gate) = ok();
    let plain = stage.client();
    assert_eq!(requests(&stage, &gate, [plain.get(URL), plain.get(URL)]).await, 2);
    assert_eq!(requests(&stage, &gate, (0..3).map(|_| plain.get(URL).deduplicate(true))).await, 1);
    assert_eq!(requests(&stage, &gate, (0..3).map(|_| sharing.get(URL).deduplicate(false))).await, 3);
    assert_eq!(requests(&stage, &gate, [sharing.get(URL), sharing.get(URL).deduplicate(false)]).await, 2);
    // Nor between two clients.
    assert_eq!(requests(&stage, &gate, [sharing.get(URL), plain.get(URL).deduplicate(true)]).await, 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_differ_in_what_counts_do_not_share() {
    let (stage, client, gate) = ok();
    let usual = || client.get(URL);
    let mut fields = HeaderMap::new();
    fields.insert("x-a", HeaderValue::from_static("1"));
    let mut twice = fields.clone();
    twice.append("x-a", HeaderValue::from_static("1"));
    let named = client.with_headers(fields);
    let scope = |name: &str| Scope::builder(name).allow_all();
    let secret =
        |token: &str| client.with_credentials("http://a.example", Credentials::bearer(&Secret::new(token)).unwrap());
    let timeouts = Timeouts::default().with_header(Duration::from_secs(9));
    let pairs = [
        ("uri", usual(), client.get("http://a.example/y")),
        ("query", client.get("http://a.example/x?a=1"), client.get("http://a.example/x?a=2")),
        ("origin", usual(), client.get("http://b.example/x")),
        ("method", usual(), client.head(URL)),
        ("field", usual(), usual().header("x-a", "1")),
        ("value", usual().header("x-a", "1"), usual().header("x-a", "2")),
        ("count", usual().header("x-a", "1"), usual().headers(twice)),
        ("border", usual().header("x-a", "bx-c"), usual().header("x-a", "b").header("x-c", "")),
        ("default field", usual(), named.get(URL)),
        ("credentials", usual(), secret("a").unwrap().get(URL)),
        ("token", secret("a").unwrap().get(URL), secret("b").unwrap().get(URL)),
        ("limits", usual(), usual().limits(Limits::default().with_body_bytes(99))),
        ("timeouts", usual(), usual().timeouts(timeouts)),
        ("scope", usual(), client.scoped(scope("a").build()).get(URL)),
        ("scopes", client.scoped(scope("a").build()).get(URL), client.scoped(scope("b").build()).get(URL)),
        (
            "limit of a scope",
            client.scoped(scope("a").build()).get(URL),
            client.scoped(scope("a").max_response_bytes(99).build()).get(URL),
        ),
        ("post", client.post(URL), client.post(URL)),
        ("delete", client.delete(URL), client.delete(URL)),
        ("options", client.request(Method::OPTIONS, URL), client.request(Method::OPTIONS, URL)),
        ("content", usual().body("a"), usual().body("a")),
    ];
    for (what, one, other) in pairs {
        assert_eq!(requests(&stage, &gate, [one, other]).await, 2, "{what}");
    }
    let alike = [
        ("head", client.head(URL), client.head(URL)),
        ("field", usual().header("x-a", "1"), named.get(URL)),
        ("token", secret("a").unwrap().get(URL), secret("a").unwrap().get(URL)),
        ("total", usual(), usual().timeout(Duration::from_secs(9))),
        ("fragment", usual(), client.get("http://a.example/x#part")),
        ("resume", usual(), usual().resume(3)),
    ];
    for (what, one, other) in alike {
        assert_eq!(requests(&stage, &gate, [one, other]).await, 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_began_may_leave_before_the_head() {
    let (stage, client, gate) = ok();
    let mut calls = start((0..4).map(|_| client.get(URL))).await;
    calls.remove(0).abort();
    settle().await;
    calls.remove(1).abort();
    // Others may still come.
    calls.extend(start([client.get(URL)]).await);
    gate.open();
    for call in calls {
        assert_eq!(text(end(call).await.unwrap()).await, "ok");
    }
    assert_eq!((stage.server.request_count(), stage.dialer.dials()), (1, 1));
    assert_eq!(client.pool().snapshot().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_began_may_leave_after_the_head() {
    let (stage, client, gate) = half_way();
    let mut responses = Vec::new();
    for call in start((0..4).map(|_| client.get(URL))).await {
        responses.push(end(call).await.unwrap());
    }
    drop(responses.remove(0));
    // The body has not begun: who comes now gets all of it.
    responses.push(end(start([client.get(URL)]).await.remove(0)).await.unwrap());
    gate.open();
    for response in responses {
        assert_eq!(text(response).await, "ok");
    }
    assert_eq!((stage.server.request_count(), stage.dialer.dials()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn when_all_have_left_the_connection_is_closed() {
    for has_head in [false, true] {
        let (stage, client, gate) = if has_head { half_way() } else { ok() };
        let calls = start((0..3).map(|_| client.get(URL))).await;
        if has_head {
            for call in calls {
                drop(end(call).await.unwrap());
            }
        } else {
            calls.iter().for_each(tokio::task::JoinHandle::abort);
        }
        settle().await;
        assert_eq!(client.pool().snapshot().idle, 0);
        gate.open();
        settle().await;
        assert_eq!(stage.server.open_connections(), 0, "{has_head}");
        assert_eq!(requests(&stage, &gate, [client.get(URL)]).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_everybodys() {
    for (script, kind) in
        [(Reply::raw("nonsense\r\n\r\n"), ErrorKind::Protocol), (Reply::raw("").then_close(), ErrorKind::Closed)]
    {
        let (stage, client, gate) = held(&script);
        for outcome in together(&gate, (0..5).map(|_| client.get("http://a.example/x?token=hunter2"))).await {
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.url()), (kind, Some("http://a.example/x")), "{error}");
            assert!(!shown(&error).contains(CANARY));
        }
        assert_eq!(stage.server.request_count(), 1);
    }
    // In the body too.
    let cut = Reply::status(200).header("content-length", "10").body("half").then_close();
    let (stage, client, gate) = held(&cut);
    let mut kinds = Vec::new();
    for response in together(&gate, (0..3).map(|_| client.get(URL))).await {
        kinds.push(soon(response.unwrap().bytes()).await.unwrap_err().kind());
    }
    assert_eq!(kinds, [ErrorKind::Incomplete; 3]);
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_each_call_is_its_own() {
    let second = Duration::from_secs(1);
    for short in [0, 2] {
        let stage = stage(ScriptedServer::builder().route("/x", Reply::status(200).body("ok").delayed(5 * second)));
        let client = sharing(&stage);
        let calls = (0..4).map(|number| client.get(URL).timeout(if number == short { second } else { 9 * second }));
        for (number, call) in start(calls).await.into_iter().enumerate() {
            match end(call).await {
                Ok(response) => assert_eq!(text(response).await, "ok"),
                Err(error) => {
                    assert_eq!(number, short, "{error}");
                    assert_timeout(&error, Phase::Total, "total");
                }
            }
        }
        assert_eq!(stage.server.request_count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_scope_gives_runs_from_each_calls_own_start() {
    let second = Duration::from_secs(1);
    let (head, body) = OK.split_at(OK.len() - 2);
    let stage = scripted(Script::new().request().pause(6 * second).send(head).pause(6 * second).send(body));
    let client = sharing(&stage).scoped(Scope::builder("plugin").allow_all().timeout(10 * second).build());
    let fetch = || {
        let call = client.get(URL);
        tokio::spawn(async move { call.send().await?.text().await })
    };
    let early = fetch();
    tokio::time::sleep(5 * second).await;
    let late = fetch();
    let error = soon(early).await.unwrap().unwrap_err();
    assert_timeout(&error, Phase::Total, "total");
    assert_eq!(soon(late).await.unwrap().unwrap(), "ok");
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_bound_of_each_body_holds() {
    let long = Reply::status(200).body(vec![b'x'; 100]);
    for (limited, chunked) in [(99, false), (99, true), (100, false), (100, true)] {
        let reply = if chunked { Reply::status(200).chunked([vec![b'x'; 60], vec![b'x'; 40]]) } else { long.clone() };
        let (stage, client, gate) = held(&reply);
        let limits = Limits::default().with_body_bytes(limited);
        let scoped = client.scoped(Scope::builder("plugin").allow_all().max_response_bytes(limited).build());
        let calls = [
            client.get(URL),
            client.get(URL).limits(limits.clone()),
            client.get(URL).limits(limits),
            scoped.get(URL),
            scoped.get(URL),
        ];
        let mut got = Vec::new();
        for outcome in together(&gate, calls).await {
            let outcome = async { soon(outcome?.bytes()).await };
            got.push(outcome.await.map(|body| body.len()).map_err(|error| error.kind()));
        }
        let narrow = if limited < 100 { Err(ErrorKind::TooLarge) } else { Ok(100) };
        assert_eq!(got, [Ok(100), narrow, narrow, narrow, narrow], "{chunked}");
        assert_eq!(stage.server.request_count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn each_hears_of_its_own_progress() {
    for reply in [Reply::status(200).body("0123456789"), Reply::status(200).chunked(["01234", "56789"])] {
        let (stage, client, gate) = held(&reply);
        let seen: Vec<Arc<AtomicU64>> = (0..3).map(|_| Arc::default()).collect();
        let calls = seen.iter().map(|seen| {
            let seen = Arc::clone(seen);
            client.get(URL).on_download(move |progress| seen.store(progress.bytes, Ordering::Relaxed))
        });
        let mut responses = together(&gate, calls).await;
        drop(responses.remove(2));
        for response in responses {
            assert_eq!(text(response.unwrap()).await, "0123456789");
        }
        let seen: Vec<_> = seen.iter().map(|seen| seen.load(Ordering::Relaxed)).collect();
        assert_eq!(seen[..2], [10, 10]);
        assert_eq!(stage.server.request_count(), 1);
    }
}

/// The calls that were told to begin, to end, and to make an attempt.
fn told(stage: &Stage) -> [Vec<CallId>; 3] {
    let mut told = [const { Vec::new() }; 3];
    for seen in stage.seen.take() {
        let place = match seen.event {
            Event::CallStarted { .. } => 0,
            Event::CallEnded { .. } => 1,
            Event::AttemptStarted { .. } => 2,
            _ => continue,
        };
        told[place].push(seen.call);
    }
    told.iter_mut().for_each(|calls| calls.sort());
    told
}

#[tokio::test(start_paused = true)]
async fn each_call_begins_and_ends_once_for_observers() {
    let replies = [
        Reply::status(200).body("ok"),
        Reply::status(200).chunked(["o", "k"]),
        Reply::status(204),
        Reply::raw("nonsense\r\n\r\n"),
        Reply::status(200).header("content-length", "10").body("half").then_close(),
    ];
    for reply in replies {
        let (stage, client, gate) = held(&reply);
        let mut calls = start((0..5).map(|_| client.get(URL))).await;
        calls.remove(2).abort();
        gate.open();
        for (number, call) in calls.into_iter().enumerate() {
            // One is not interested in the body.
            if let (Ok(response), true) = (end(call).await, number != 1) {
                drop(soon(response.bytes()).await);
            }
        }
        settle().await;
        let [started, ended, attempts] = told(&stage);
        assert_eq!((started.len(), &started), (5, &ended), "{reply:?}");
        assert_eq!(attempts, started[..1], "the attempt is made by who began");
    }
}

#[tokio::test(start_paused = true)]
async fn each_hop_of_a_redirect_is_shared() {
    let gate = Gate::new();
    let stage = stage(
        ScriptedServer::builder()
            .route("/go", redirect(302, URL).held_by(&gate))
            .route("/x", Reply::status(200).body("ok")),
    );
    let client = sharing(&stage);
    let mut attempts = Vec::new();
    for response in together(&gate, (0..5).map(|_| client.get("http://a.example/go"))).await {
        let response = response.unwrap();
        assert_eq!((response.uri().path(), response.redirects().len()), ("/x", 1));
        attempts.push(response.attempts().len());
        assert_eq!(text(response).await, "ok");
    }
    assert_eq!(attempts.iter().sum::<usize>(), 2, "{attempts:?}");
    assert_eq!(stage.server.request_count(), 2);
    let [started, ended, _] = told(&stage);
    assert_eq!((started.len(), &started), (5, &ended));
}

#[cfg(feature = "gzip")]
#[tokio::test(start_paused = true)]
async fn each_takes_off_the_coding_for_itself() {
    use tokio::io::AsyncReadExt as _;

    let plain = "0123456789".repeat(1000);
    let mut coded = Vec::new();
    let mut encoder = async_compression::tokio::bufread::GzipEncoder::new(plain.as_bytes());
    encoder.read_to_end(&mut coded).await.unwrap();
    let (stage, client, gate) = held(&Reply::status(200).header("content-encoding", "gzip").body(coded.clone()));
    for response in together(&gate, (0..4).map(|_| client.get(URL))).await {
        let response = response.unwrap();
        assert!(!response.headers().contains_key("content-encoding"));
        assert_eq!(text(response).await, plain);
    }
    assert_eq!(stage.server.request_count(), 1);
    // Who asks for the coding asks for something else.
    let calls = [client.get(URL), client.get(URL).header("accept-encoding", "gzip"), client.get(URL).decode(false)];
    let mut whole = together(&gate, calls).await.into_iter();
    assert_eq!(text(whole.next().unwrap().unwrap()).await, plain);
    for response in whole {
        assert!(soon(response.unwrap().bytes()).await.unwrap() == coded);
    }
}

/// An origin of a large body, of which parts can be had.
fn large() -> (Stage, Client, Vec<u8>) {
    let content: Vec<u8> = (0..1_250_000_u32).flat_map(u32::to_be_bytes).collect();
    let whole = content.clone();
    let stage = stage(ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
        let from = seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let reply = match from.map(|from| from.parse::<usize>().expect("a number")) {
            None => Reply::status(200).body(whole.clone()),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
                Reply::status(206).header("content-range", range).body(whole[from..].to_vec())
            }
        };
        reply.header("etag", "\"v\"")
    }));
    let client = sharing(&stage);
    (stage, client, content)
}

#[tokio::test(start_paused = true)]
async fn who_falls_far_behind_is_cut_off_or_goes_on_by_itself() {
    for resumes in [0, 1] {
        let (stage, client, content) = large();
        let mut responses = Vec::new();
        for call in start((0..3).map(|_| client.get(URL).resume(resumes))).await {
            responses.push(end(call).await.unwrap());
        }
        let mut slow = responses.pop().unwrap();
        let mut got = soon(slow.chunk()).await.unwrap().expect("a piece").to_vec();
        let fast = responses.into_iter().map(|fast| tokio::spawn(fast.bytes()));
        for fast in fast.collect::<Vec<_>>() {
            assert!(soon(fast).await.unwrap().unwrap() == content, "who keeps pace loses nothing");
        }
        let outcome = loop {
            match soon(slow.chunk()).await {
                Ok(Some(piece)) => got.extend_from_slice(&piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match outcome {
            Ok(()) => assert!(resumes == 1 && got == content),
            Err(error) => {
                assert_eq!((error.kind(), resumes), (ErrorKind::Incomplete, 0), "{error}");
                assert!(content.starts_with(&got));
            }
        }
        assert_eq!(stage.server.request_count(), 1 + resumes as usize);
        drop(slow);
        let [started, ended, _] = told(&stage);
        assert_eq!((started.len(), &started), (3, &ended));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_request_is_paid_once() {
    let (stage, client, gate) = ok();
    let client = client.scoped(Scope::builder("plugin").allow_all().max_requests(1).build());
    assert_eq!(requests(&stage, &gate, (0..5).map(|_| client.get(URL))).await, 1);
    for outcome in together(&gate, (0..2).map(|_| client.get(URL))).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
    }
    assert_eq!(stage.server.request_count(), 1);
}

#[cfg(feature = "cookies")]
#[tokio::test(start_paused = true)]
async fn cookies_are_kept_in_the_jar_of_each_handle() {
    let gate = Gate::new();
    let reply = Reply::status(200).header("set-cookie", "a=1").body("ok").held_by(&gate);
    let stage = stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| reply.clone()));
    let client = stage.builder().deduplicate(true).cookies(netcomm_http::CookieJar::new()).build().unwrap();
    assert_eq!(requests(&stage, &gate, (0..3).map(|_| client.get(URL))).await, 1);
    assert_eq!(requests(&stage, &gate, (0..3).map(|_| client.get(URL))).await, 1);
    assert_eq!(stage.server.requests()[1].header("cookie"), Some("a=1"));
    // Two handles of one scope have a jar each.
    let scope = Scope::builder("plugin").allow_all().build();
    let handles = [client.scoped(scope.clone()), client.scoped(scope)];
    assert_eq!(requests(&stage, &gate, handles.iter().map(|handle| handle.get(URL))).await, 2);
    for handle in &handles {
        assert_eq!(handle.cookies().expect("a jar").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_text_shows_what_makes_requests_equal() {
    let (stage, client, gate) = held(&Reply::raw("nonsense\r\n\r\n"));
    let client =
        client.with_credentials("http://a.example", Credentials::bearer(&Secret::new(CANARY)).unwrap()).unwrap();
    let calls = start((0..2).map(|_| client.get("http://a.example/?token=hunter2").header("cookie", CANARY))).await;
    assert!(!format!("{client:?} {client:#?}").contains(CANARY));
    gate.open();
    for call in calls {
        assert!(!shown(&end(call).await.unwrap_err()).contains(CANARY));
    }
    assert!(!stage.seen.debug_text().contains(CANARY));
    assert_eq!(stage.server.requests()[0].header("authorization"), Some("Bearer hunter2"));
}

#[cfg(feature = "cache")]
mod with_a_cache {
    use std::sync::atomic::AtomicUsize;

    use netcomm_http::cache::{Cache, CacheMode};

    use super::*;

    /// An origin that numbers its answers and confirms them, and a client that shares and keeps them.
    fn kept(fields: &'static [(&'static str, &'static str)]) -> (Stage, Client, Gate) {
        let (gate, count) = (Gate::new(), AtomicUsize::new(0));
        let held = gate.clone();
        let stage = stage(ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
            let reply = match seen.header("if-none-match") {
                Some(_) => Reply::status(304),
                None => Reply::status(200).body((count.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            };
            fields.iter().fold(reply, |reply, (name, value)| reply.header(*name, *value)).held_by(&held)
        }));
        let client = stage.builder().cache(Cache::memory(1 << 20)).deduplicate(true).build().expect("a client");
        (stage, client, gate)
    }

    /// What was told of each, and what came.
    async fn got(gate: &Gate, calls: impl IntoIterator<Item = RequestBuilder>) -> Vec<(String, bool, usize, String)> {
        let mut got = Vec::new();
        for response in together(gate, calls).await {
            let response = response.expect("a response");
            let told = response.headers()["cache-status"].to_str().expect("text").to_owned();
            let status = *response.cache_status().expect("a cache");
            got.push((told, status.collapsed, response.attempts().len(), text(response).await));
        }
        got
    }

    const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=10"), ("etag", "\"v\"")];

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_misses_makes_one_request_and_one_stored_answer() {
        let (stage, client, gate) = kept(FRESH);
        let all = got(&gate, (0..50).map(|_| client.get(URL))).await;
        let first = "netcomm; fwd=uri-miss; stored";
        assert_eq!(all[0], (first.to_owned(), false, 1, "1".to_owned()));
        let joined = (format!("{first}; collapsed"), true, 0, "1".to_owned());
        assert!(all[1..].iter().all(|one| *one == joined), "{all:?}");
        assert_eq!(stage.server.request_count(), 1);
        let again = got(&gate, [client.get(URL)]).await;
        assert_eq!(again[0].0, "netcomm; hit; ttl=10");
        assert_eq!(client.cache().expect("a cache").stats().await.entries, 1);
        let [started, ended, _] = told(&stage);
        assert_eq!((started.len(), &started), (51, &ended));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stale_is_confirmed_once_for_a_crowd() {
        let (stage, client, gate) = kept(FRESH);
        got(&gate, [client.get(URL)]).await;
        tokio::time::advance(Duration::from_secs(20)).await;
        let all = got(&gate, (0..20).map(|_| client.get(URL))).await;
        assert!(all.iter().all(|one| one.3 == "1"), "{all:?}");
        assert_eq!(all.iter().filter(|one| one.1).count(), 19, "{all:?}");
        assert_eq!(all[0].0, "netcomm; fwd=stale; fwd-status=304; ttl=10; stored");
        assert_eq!(stage.server.request_count(), 2);
        assert_eq!(got(&gate, [client.get(URL)]).await[0].0, "netcomm; hit; ttl=10");
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_not_be_kept_is_shared_while_it_is_under_way() {
        let (stage, client, gate) = kept(&[("cache-control", "no-store")]);
        let all = got(&gate, (0..3).map(|_| client.get(URL))).await;
        assert!(all.iter().all(|one| one.3 == "1"), "{all:?}");
        let all = got(&gate, (0..3).map(|_| client.get(URL))).await;
        assert!(all.iter().all(|one| one.3 == "2"), "{all:?}");
        assert_eq!(stage.server.request_count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_an_answer_of_his_own_gets_it() {
        for mode in [CacheMode::NoStore, CacheMode::Reload, CacheMode::NoCache] {
            let (stage, client, gate) = kept(FRESH);
            got(&gate, (0..3).map(|_| client.get(URL).cache_mode(mode))).await;
            assert_eq!(stage.server.request_count(), 3, "{mode:?}");
        }
        let (stage, client, gate) = kept(FRESH);
        let calls = [
            client.get(URL),
            client.get(URL).cache_partition("a"),
            client.get(URL).cache_partition("b"),
            client.get(URL).cache_ttl(Duration::from_secs(5)),
            client.get(URL).cache_mode(CacheMode::ForceCache),
            client.head(URL),
        ];
        let all = got(&gate, calls).await;
        assert!(all.iter().all(|one| !one.1), "{all:?}");
        assert_eq!(stage.server.request_count(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_kept_also_if_whoever_began_leaves() {
        let (stage, client, gate) = kept(FRESH);
        let mut calls = start((0..2).map(|_| client.get(URL))).await;
        calls.remove(0).abort();
        gate.open();
        assert_eq!(text(end(calls.remove(0)).await.unwrap()).await, "1");
        assert_eq!(got(&gate, [client.get(URL)]).await[0].0, "netcomm; hit; ttl=10");
        assert_eq!(stage.server.request_count(), 1);
    }
}
