//! A server of one document: what it answers is set, what it was asked is kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Request, Response, StatusCode};
use netcomm_core::{Body, Env, Error, ErrorKind, HttpTransport, Result};
use netcomm_sse::{Live, LiveBuilder, LiveState};
use netcomm_tests::{ManualConnectivity, ScriptedDialer, TokioClock};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

pub(crate) const URL: &str = "http://server.example/document";
pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) network: ManualConnectivity,
    server: Arc<Mutex<Server>>,
}

#[derive(Default)]
struct Server {
    document: String,
    sequence: Option<u64>,
    etag: Option<String>,
    /// Answers that come before the document, or the stream, does.
    documents: VecDeque<Answer>,
    streams: VecDeque<Answer>,
    /// What each stream says as it opens.
    welcome: String,
    open: Vec<mpsc::UnboundedSender<Result<Bytes>>>,
    asked: Vec<Asked>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    Page(&'static str),
    Never,
    Refused,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) is_stream: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) at: std::time::Instant,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl World {
    /// A server whose document is at that number, with that ETag.
    pub(crate) fn new(document: &str, sequence: u64, etag: Option<&str>) -> Self {
        let network = ManualConnectivity::online();
        let env = Env::new(ScriptedDialer::new(), TokioClock::new()).with_connectivity(network.shared());
        let world = Self { env, network, server: Arc::default() };
        world.set(document, sequence, etag);
        world
    }

    pub(crate) fn live<T: DeserializeOwned + Send + Sync + 'static>(&self) -> LiveBuilder<T> {
        Live::builder(&self.env, URL).transport(self.clone())
    }

    pub(crate) fn set(&self, document: &str, sequence: impl Into<Option<u64>>, etag: Option<&str>) {
        let mut server = self.server();
        server.document = document.to_owned();
        server.sequence = sequence.into();
        server.etag = etag.map(str::to_owned);
    }

    pub(crate) fn answer_documents(&self, answers: impl IntoIterator<Item = Answer>) {
        self.server().documents.extend(answers);
    }

    pub(crate) fn answer_streams(&self, answers: impl IntoIterator<Item = Answer>) {
        self.server().streams.extend(answers);
    }

    pub(crate) fn welcome(&self, events: impl Into<String>) {
        self.server().welcome = events.into();
    }

    /// Says it on the newest stream.
    pub(crate) fn say(&self, events: impl Into<String>) {
        let server = self.server();
        let stream = server.open.last().expect("a stream");
        stream.send(Ok(Bytes::from(events.into()))).expect("somebody reads");
    }

    /// Breaks all streams.
    pub(crate) fn break_streams(&self) {
        for stream in self.server().open.drain(..) {
            // Whoever has left does not hear it.
            let _left = stream.send(Err(Error::new(ErrorKind::Io, "read").with_detail("cut")));
        }
    }

    /// Streams that somebody reads.
    pub(crate) fn readers(&self) -> usize {
        self.server().open.iter().filter(|stream| !stream.is_closed()).count()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.server().asked.clone()
    }

    pub(crate) fn fetches(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| !asked.is_stream).collect()
    }

    pub(crate) fn streams(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.is_stream).collect()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().expect("not poisoned")
    }
}

impl HttpTransport for World {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let (head, _) = request.into_parts();
        let is_stream = head.headers[ACCEPT] == "text/event-stream";
        let answer = {
            let mut server = self.server();
            server.asked.push(Asked { is_stream, headers: head.headers.clone(), at: self.env.clock().now() });
            if is_stream { server.streams.pop_front() } else { server.documents.pop_front() }
        };
        let answer = match answer {
            Some(Answer::Never) => return std::future::pending().await,
            Some(Answer::Refused) => return Err(Error::new(ErrorKind::Connect, "send")),
            Some(Answer::Status(status)) => {
                Response::builder().status(status).body(Body::from(format!("status {status}")))
            }
            Some(Answer::Page(page)) => Response::builder().header("sequence-number", "99").body(Body::from(page)),
            None if is_stream => {
                let (says, said) = mpsc::unbounded_channel();
                let mut server = self.server();
                says.send(Ok(Bytes::from(server.welcome.clone()))).expect("open");
                server.open.push(says);
                Response::builder().header(CONTENT_TYPE, "text/event-stream").body(Body::from_stream(Said(said)))
            }
            None => {
                let server = self.server();
                let mut answer = Response::builder();
                if let Some(sequence) = server.sequence {
                    answer = answer.header("sequence-number", sequence);
                }
                if let Some(etag) = &server.etag {
                    answer = answer.header(ETAG, etag);
                }
                let is_same = server.etag.as_ref().is_some_and(|etag| {
                    head.headers.get(IF_NONE_MATCH).is_some_and(|asked| asked.as_bytes() == etag.as_bytes())
                });
                if is_same {
                    answer.status(StatusCode::NOT_MODIFIED).body(Body::empty())
                } else {
                    answer.body(Body::from(server.document.clone()))
                }
            }
        };
        Ok(answer.expect("an answer"))
    }
}

struct Said(mpsc::UnboundedReceiver<Result<Bytes>>);

impl Stream for Said {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// An event, as it goes over the wire.
pub(crate) fn event(kind: &str, sequence: u64, data: &str) -> String {
    format!("event: {kind}\nid: {sequence}\ndata: {data}\n\n")
}

/// Waits until it is so.
pub(crate) async fn until<T>(live: &mut Live<T>, is_it: impl Fn(&Live<T>) -> bool) {
    while !is_it(live) {
        live.changed().await.expect("it changes");
    }
}

pub(crate) async fn in_step<T>(live: &mut Live<T>) {
    until(live, |live| live.state().is_in_step()).await;
}

pub(crate) async fn behind<T>(live: &mut Live<T>) -> Error {
    until(live, |live| matches!(live.state(), LiveState::Behind(_))).await;
    match live.state() {
        LiveState::Behind(error) => error,
        state => panic!("{state:?}"),
    }
}

pub(crate) async fn at<T>(live: &mut Live<T>, sequence: u64) {
    let is_there = |live: &Live<T>| live.current().is_some_and(|now| now.sequence() == sequence && now.is_in_step());
    until(live, is_there).await;
}
