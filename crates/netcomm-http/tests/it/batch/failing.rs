//! What fails for one, and what fails for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::response::Parts;
use netcomm_core::{ErrorKind, Limits, Result, Scope};
use netcomm_http::Error;
use netcomm_http::batch::{Answers, Batcher, Codec, Encoded, JsonArray};
use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer};

use super::{URL, answers, ask, ask_all, batcher, echoing, end, errors, json};
use crate::stage::{CANARY, shown, soon, stage};

#[tokio::test(start_paused = true)]
async fn a_status_that_is_no_success_is_everyones_error() {
    for status in [302, 400, 404, 503] {
        let stage =
            stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| Reply::status(status).body("[0,1,2]")));
        let client = stage.builder().redirects(netcomm_http::Redirects::Manual).build().unwrap();
        let batcher = Batcher::builder(&client, URL, JsonArray::new()).build().unwrap();
        for error in errors(ask_all(&batcher, 0..3)).await {
            assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Status, Some(status)));
            assert_eq!((error.url(), error.is_retryable()), (Some(URL), status == 503));
        }
        assert_eq!(stage.server.request_count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_fails_for_everyone_as_a_call_does() {
    let (stage, _) = echoing();
    stage.dialer.fail_next(ErrorKind::Connect);
    let batcher = batcher(&stage, |builder| builder);
    for error in errors(ask_all(&batcher, 0..3)).await {
        assert_eq!((error.kind(), error.is_unsent(), error.url()), (ErrorKind::Connect, true, Some(URL)));
    }
    assert_eq!(answers(ask_all(&batcher, 0..3)).await, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_holds_for_batches() {
    let (stage, _) = echoing();
    let scope = Scope::builder("plugin").allow("https://b.example").unwrap().build();
    let batcher = Batcher::builder(&stage.client().scoped(scope), URL, JsonArray::new()).build().unwrap();
    for error in errors(ask_all(&batcher, 0..3)).await {
        assert!(error.is_denied());
    }
    assert_eq!(stage.dialer.dials(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_none_is_everyones_error() {
    for (body, kind) in [
        ("[0,1", ErrorKind::Decode),
        ("{}", ErrorKind::Decode),
        ("", ErrorKind::Decode),
        ("[0,1,2                          ]", ErrorKind::TooLarge),
    ] {
        let stage = stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| json(body)));
        let batcher = batcher(&stage, |builder| builder.limits(Limits::default().with_buffered_bytes(20)));
        for error in errors(ask_all(&batcher, 0..3)).await {
            assert_eq!((error.kind(), error.url()), (kind, Some(URL)), "{body}");
            assert_eq!(error.status().map(|status| status.as_u16()), Some(200), "{body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_missing_for_its_caller_alone() {
    let stage = stage(ScriptedServer::builder().handler(|_: &ReceivedRequest| json("[0,\"x\"]")));
    let batcher = batcher(&stage, |builder| builder);
    let mut calls = ask_all(&batcher, 0..3).into_iter();
    let mut next = || end(calls.next().unwrap());
    assert_eq!(next().await.unwrap(), 0);
    assert_eq!(next().await.unwrap_err().kind(), ErrorKind::Decode);
    let error = next().await.unwrap_err();
    assert_eq!((error.kind(), error.detail()), (ErrorKind::Protocol, Some("2 answers to 3 calls")));
    assert_eq!((error.url(), error.status().map(|status| status.as_u16())), (Some(URL), Some(200)));
}

/// Sends anything, and does what it is told with what comes.
struct Own {
    refuse: &'static str,
    panics: Arc<AtomicBool>,
    answers: usize,
}

impl Codec for Own {
    type Call = &'static str;
    type Answer = usize;
    type Sent = ();

    fn size(&self, call: &&'static str) -> Result<usize> {
        if *call == self.refuse { Err(Error::new(ErrorKind::Invalid, "build call")) } else { Ok(call.len()) }
    }

    fn encode(&self, calls: Vec<&'static str>) -> Result<Encoded<()>> {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "as it was told");
        Ok(Encoded::new(HeaderValue::from_static("text/plain"), calls.concat(), ()))
    }

    fn decode(&self, (): &(), _: &Parts, _: Bytes) -> Result<Answers<usize>> {
        let mut answers = Answers::new(self.answers);
        (0..self.answers).for_each(|at| answers.give(at, Ok(at)));
        Ok(answers)
    }
}

fn own(answers: usize) -> (Batcher<Own>, Arc<AtomicBool>, crate::stage::Stage) {
    let (stage, _) = echoing();
    let panics = Arc::new(AtomicBool::new(false));
    let codec = Own { refuse: "bad", panics: Arc::clone(&panics), answers };
    let batcher = Batcher::builder(&stage.client(), URL, codec).build().expect("a batcher");
    (batcher, panics, stage)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_sent_never_joins() {
    let (batcher, _, stage) = own(2);
    let (first, bad, second) = tokio::join!(batcher.call("a"), batcher.call("bad"), batcher.call("b"));
    assert_eq!((first.unwrap(), bad.unwrap_err().kind(), second.unwrap()), (0, ErrorKind::Invalid, 1));
    assert_eq!(stage.server.take_requests()[0].text(), "ab");
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_miscounts_leaves_nobody_waiting() {
    for (answers, expected) in [(0, [None, None]), (1, [Some(0), None]), (5, [Some(0), Some(1)])] {
        let (batcher, _, _stage) = own(answers);
        let (first, second) = tokio::join!(batcher.call("a"), batcher.call("b"));
        let outcomes =
            [first, second].map(|outcome| outcome.map_err(|error| assert_eq!(error.kind(), ErrorKind::Protocol)).ok());
        assert_eq!(outcomes, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_panics_leaves_nobody_waiting() {
    let (batcher, panics, _stage) = own(2);
    panics.store(true, Ordering::Relaxed);
    let (first, second) = tokio::join!(batcher.call("a"), batcher.call("b"));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Canceled);
    }
    assert_eq!(soon(batcher.call("c")).await.unwrap(), 0);
}

#[test]
fn the_end_of_a_runtime_leaves_nobody_waiting() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (ending, lasting) = (runtime(), runtime());
    let (stage, batcher) = lasting.block_on(async {
        let (stage, _) = echoing();
        let batcher = batcher(&stage, |builder| builder.max_delay(Duration::from_secs(1)));
        (stage, batcher)
    });
    let mut first = Box::pin(batcher.ask::<u32>(&1));
    let mut second = Box::pin(batcher.ask::<u32>(&2));
    let mut poll = |runtime: &tokio::runtime::Runtime, call: usize| {
        let _guard = runtime.enter();
        let cx = &mut Context::from_waker(Waker::noop());
        if call == 1 { first.as_mut().poll(cx) } else { second.as_mut().poll(cx) }
    };
    use std::future::Future as _;
    assert!(poll(&ending, 1).is_pending());
    assert!(poll(&lasting, 2).is_pending());
    drop(ending);
    for call in [1, 2] {
        let Poll::Ready(Err(error)) = poll(&lasting, call) else { panic!("nobody is told") };
        assert_eq!(error.kind(), ErrorKind::Canceled);
    }
    assert_eq!(stage.server.request_count(), 0);
    // The batch is not joined by anybody else.
    lasting.block_on(async { assert_eq!(end(ask(&batcher, 3)).await.unwrap(), 3) });
}

#[test]
fn without_a_runtime_it_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_stage, batcher) = runtime.block_on(async {
        let (stage, _) = echoing();
        let batcher = batcher(&stage, |builder| builder);
        (stage, batcher)
    });
    use std::future::Future as _;
    let mut call = Box::pin(batcher.ask::<u32>(&1));
    let Poll::Ready(Err(error)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for nothing")
    };
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn nothing_shows_a_secret() {
    let (stage, _) = echoing();
    let builder = Batcher::builder(&stage.client(), format!("{URL}?key={CANARY}"), JsonArray::new())
        .header("authorization", format!("Bearer {CANARY}"));
    let mut text = format!("{builder:?}");
    let batcher = builder.build().unwrap();
    text += &format!("{batcher:?}");
    stage.dialer.fail_next(ErrorKind::Connect);
    let failed = batcher.ask::<u32>(&CANARY).await.unwrap_err();
    let unread = batcher.ask::<u32>(&CANARY).await.unwrap_err();
    assert_eq!((failed.kind(), unread.kind()), (ErrorKind::Connect, ErrorKind::Decode));
    text += &shown(&failed);
    assert!(!text.contains(CANARY), "{text}");
    assert_eq!(stage.server.take_requests()[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
}
