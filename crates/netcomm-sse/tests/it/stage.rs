//! What the stories have in common: a server that is a transport, and what it was asked. Time is that of the runtime, paused:
//! an hour costs nothing, and what hangs is found out at once.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use netcomm_core::{Body, Clock as _, Env, Error, ErrorKind, HttpTransport, Random, Result};
use netcomm_sse::{Builder, EventSource, EventStream, Notice, State};
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const URL: &str = "http://server.test/events";

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Which one it is, from 0.
    pub(crate) number: usize,
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// The `Last-Event-ID` that was sent.
    pub(crate) fn id(&self) -> Option<&str> {
        self.header("last-event-id")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).expect("text"))
    }
}

/// What a body does next.
pub(crate) enum Step {
    Give(Bytes),
    Wait(Duration),
    Fail(ErrorKind),
    /// Whatever comes through there, until its other end is dropped.
    Follow(UnboundedReceiver<Bytes>),
    Hang,
}

/// What a request is answered with.
pub(crate) enum Reply {
    Answer(Response<()>, VecDeque<Step>),
    Late(Duration, Box<Self>),
    Fail(ErrorKind),
    Hang,
}

/// An event stream that gives this and ends.
pub(crate) fn events(text: impl AsRef<[u8]>) -> Reply {
    status(200).header("content-type", "text/event-stream").give(text)
}

/// An event stream that gives this and stays.
pub(crate) fn stays(text: impl AsRef<[u8]>) -> Reply {
    events(text).then(Step::Hang)
}

/// An event stream, and who writes it.
pub(crate) fn wire() -> (UnboundedSender<Bytes>, Reply) {
    let (writer, reader) = unbounded_channel();
    (writer, events("").then(Step::Follow(reader)))
}

/// An answer without body, so far.
pub(crate) fn status(code: u16) -> Reply {
    Reply::Answer(Response::builder().status(code).body(()).expect("an answer"), VecDeque::new())
}

impl Reply {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer(head, _) = &mut self {
            head.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        self
    }

    pub(crate) fn give(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Give(Bytes::copy_from_slice(bytes.as_ref())))
    }

    pub(crate) fn wait(self, time: Duration) -> Self {
        self.then(Step::Wait(time))
    }

    pub(crate) fn then(mut self, step: Step) -> Self {
        if let Self::Answer(_, steps) = &mut self {
            steps.push_back(step);
        }
        self
    }
}

type Answering = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A transport that is its own server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    answer: Arc<Answering>,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default(), open: Arc::default() }
    }

    /// These one after the other, and then nothing but silence.
    pub(crate) fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::new(move |_| replies.lock().expect("held shortly").pop_front().unwrap_or(Reply::Hang))
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("held shortly").clone()
    }

    pub(crate) fn times(&self) -> usize {
        self.asked.lock().expect("held shortly").len()
    }

    /// The `Last-Event-ID` of each request; `-` for none.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.id().unwrap_or("-").to_owned()).collect()
    }

    /// How long each request came after the one before it, in milliseconds.
    pub(crate) fn gaps(&self) -> Vec<u128> {
        self.asked().windows(2).map(|two| (two[1].at - two[0].at).as_millis()).collect()
    }

    /// How many streams somebody still holds.
    pub(crate) fn streams(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn builder(&self) -> Builder {
        self.builder_in(&env())
    }

    pub(crate) fn builder_in(&self, env: &Env) -> Builder {
        EventStream::builder(env, URL).transport(self.clone())
    }

    pub(crate) fn stream(&self) -> EventStream {
        self.builder().stream().expect("a stream")
    }
}

impl HttpTransport for Server {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect(1 << 20).await?;
        let mut reply = {
            let mut all = self.asked.lock().expect("held shortly");
            let asked = Asked {
                number: all.len(),
                at: Instant::now(),
                method: parts.method,
                url: parts.uri.to_string(),
                headers: parts.headers,
                body,
            };
            all.push(asked.clone());
            drop(all);
            (self.answer)(&asked)
        };
        loop {
            match reply {
                Reply::Answer(head, steps) => {
                    let script = Script { steps, sleep: None, _open: Open::new(&self.open) };
                    return Ok(head.map(|()| Body::from_stream(script)));
                }
                Reply::Late(time, then) => {
                    pass(time).await;
                    reply = *then;
                }
                Reply::Fail(kind) => return Err(Error::new(kind, "send")),
                Reply::Hang => pending().await,
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

struct Script {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    _open: Open,
}

/// A body that somebody still holds.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream for Script {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.sleep = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Give(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Step::Wait(time)) => self.sleep = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Fail(kind)) => return Poll::Ready(Some(Err(Error::new(kind, "read body")))),
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Some(Step::Follow(mut reader)) => match reader.poll_recv(cx) {
                    Poll::Ready(None) => {}
                    next => {
                        self.steps.push_front(Step::Follow(reader));
                        return next.map(|bytes| bytes.map(Ok));
                    }
                },
            }
        }
    }
}

/// An environment in which nothing can be dialled, with chance that is the same each time.
pub(crate) fn env() -> Env {
    Env::new(ScriptedDialer::new(), TokioClock::new()).with_random(Random::seeded(7))
}

/// Ends with `future`, which has a week: far more than anything here takes that ends at all.
pub(crate) async fn ends<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(7 * 24 * 3600 * SECOND, future).await.expect("it hangs")
}

/// Lets time pass.
pub(crate) async fn pass(time: Duration) {
    let clock = TokioClock::new();
    clock.sleep_until(clock.now() + time).await;
}

/// Polls the stream for that long: what happens.
pub(crate) async fn watch(stream: &mut EventStream, time: Duration) -> Vec<Notice> {
    let mut seen = Vec::new();
    let until = Instant::now() + time;
    while let Ok(Some(notice)) = tokio::time::timeout_at(until, stream.notice()).await {
        seen.push(notice);
    }
    seen
}

/// The data of the next event.
pub(crate) async fn data(stream: &mut EventStream) -> String {
    ends(stream.next()).await.expect("an event").expect("no error").data.to_string()
}

/// The data of the next events.
pub(crate) async fn datas(stream: &mut EventStream, count: usize) -> Vec<String> {
    let mut datas = Vec::new();
    for _ in 0..count {
        datas.push(data(stream).await);
    }
    datas
}

/// All that happens until the end: a word for each.
pub(crate) async fn story(stream: &mut EventStream) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(notice) = ends(stream.notice()).await {
        words.push(word(&notice));
    }
    words
}

/// What happened, in short.
pub(crate) fn word(notice: &Notice) -> String {
    match notice {
        Notice::Event(event) => format!("event {}", event.data),
        Notice::Comment(comment) => format!("comment {comment}"),
        Notice::Retry(wait) => format!("retry {}", wait.as_millis()),
        Notice::Id(id) => format!("id {id}"),
        Notice::Connecting { attempt } => format!("connecting {attempt}"),
        Notice::Open(opened) => format!("open {}", opened.status.as_u16()),
        Notice::Gap { after } => format!("gap {after}"),
        Notice::Skipped(error) => format!("skipped {:?}", error.kind()),
        Notice::Lost { cause, .. } => format!("lost {:?}", cause.kind()),
        Notice::Waiting { attempt, .. } => format!("waiting {attempt}"),
        Notice::NetworkChanged => "network changed".to_owned(),
        Notice::NotKept(error) => format!("not kept {:?}", error.kind()),
        Notice::Closed(netcomm_sse::End::Failed(error)) => format!("failed {:?}", error.kind()),
        Notice::Closed(end) => format!("closed {end:?}"),
        other => format!("{other:?}"),
    }
}

/// The error that ends the source.
pub(crate) async fn fails(stream: &mut EventStream) -> Error {
    let error = loop {
        match ends(stream.next()).await.expect("an error") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(ends(stream.next()).await.is_none(), "an error is told once");
    error
}

/// Waits until the source is in such a state.
pub(crate) async fn until(source: &EventSource, reached: impl Fn(&State) -> bool) -> State {
    let mut states = source.states();
    ends(async {
        loop {
            let state = states.current();
            if reached(&state) {
                return state;
            }
            states.changed().await.expect("it would come to that");
        }
    })
    .await
}
