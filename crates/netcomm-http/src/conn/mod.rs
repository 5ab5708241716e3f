//! One connection, h1 or h2: the only room that names the wire engine.

mod bell;
mod farewell;
mod fault;
mod h1;
#[cfg(feature = "http2")]
mod h2;
mod head;
mod interim;
mod pieces;
mod upload;
mod watched;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderValue, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use netcomm_core::{Body, Clock, ConnectInfo, Error, Io, Limits, Result, Timeouts};
use pin_project_lite::pin_project;

pub(crate) use self::farewell::Farewell;
pub(crate) use self::h1::H1;
#[cfg(feature = "http2")]
pub(crate) use self::h2::H2;
pub(crate) use self::interim::OnInterim;
pub(crate) use self::upload::{OnPiece, Upload, Watch};
use crate::alarm::{Alarm, after};
use crate::pool::Lease;
#[cfg(feature = "http2")]
use crate::pool::StreamLease;

/// What is known about a connection for all its life.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) id: u64,
    /// The value of `Host` for its origin.
    pub(crate) host: HeaderValue,
    pub(crate) info: ConnectInfo,
    pub(crate) created: Instant,
    pub(crate) generation: u64,
}

/// A connection that was just made.
pub(crate) enum Opened {
    H1(Box<H1>),
    #[cfg(feature = "http2")]
    H2(Arc<H2>),
}

/// Begins to speak HTTP over a fresh stream. `on_room` is called whenever an HTTP/2 peer allows more streams than before.
pub(crate) async fn open(
    io: Io,
    meta: Meta,
    http2: bool,
    limits: &Limits,
    clock: &Arc<dyn Clock>,
    on_room: impl Fn() + Send + 'static,
    farewell: Farewell,
) -> Result<Opened> {
    #[cfg(feature = "http2")]
    if http2 {
        return H2::open(io, meta, limits, clock, on_room, farewell).await.map(|h2| Opened::H2(Arc::new(h2)));
    }
    debug_assert!(!http2, "nothing offers HTTP/2 where it is not built in");
    drop(on_room);
    H1::open(io, meta, limits, clock, farewell).await.map(|h1| Opened::H1(Box::new(h1)))
}

/// A right to send one request.
pub(crate) enum Wire {
    H1(Lease),
    #[cfg(feature = "http2")]
    H2(StreamLease),
}

/// The bounds of one exchange.
pub(crate) struct Bounds<'a> {
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) limits: &'a Limits,
    pub(crate) watch: Option<Watch>,
    pub(crate) on_interim: Option<&'a OnInterim>,
    pub(crate) started: Instant,
}

impl Bounds<'_> {
    /// The moment at which the wait for a head ends, and whether it is the request that hangs.
    fn header_deadline(&self) -> (Instant, bool) {
        match &self.watch {
            Some(watch) => (after(watch.last_progress(), self.timeouts.header), !watch.is_done()),
            None => (after(self.started, self.timeouts.header), false),
        }
    }
}

/// The head of a response, and its body as the wire has it.
pub(crate) struct Received {
    /// Without its body yet. Boxed, since it is passed from step to step.
    pub(crate) head: Box<Response<Body>>,
    pub(crate) body: WireBody,
}

impl Received {
    fn new(parts: Parts, body: WireBody) -> Self {
        Self { head: Box::new(Response::from_parts(parts, Body::empty())), body }
    }
}

/// A request that got no response.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The request, if none of it was sent.
    pub(crate) request: Option<Box<Request<Upload>>>,
    /// Whether the connection ended before any byte of a response: the peer may have given it up before it saw the
    /// request.
    pub(crate) before_response: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, request: None, before_response: false }
    }
}

impl Wire {
    pub(crate) fn meta(&self) -> &Arc<Meta> {
        match self {
            Self::H1(lease) => lease.h1().meta(),
            #[cfg(feature = "http2")]
            Self::H2(stream) => stream.h2().meta(),
        }
    }

    pub(crate) fn into_h1(self) -> Option<Lease> {
        match self {
            Self::H1(lease) => Some(lease),
            #[cfg(feature = "http2")]
            Self::H2(_) => None,
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        !matches!(self, Self::H1(_))
    }
}

/// Sends a request and waits for the head of its response. What goes over HTTP/1.1 is on its way before the first poll.
///
/// The request is taken from where it lies: a request is large, and passed on by value it is copied at each step.
pub(crate) fn send<'b>(
    wire: Wire,
    request: &mut Option<Request<Upload>>,
    bounds: &'b Bounds<'_>,
) -> impl Future<Output = Result<Received, Failed>> + Send + use<'b> {
    if let Some((on_interim, request)) = bounds.on_interim.zip(request.as_mut()) {
        on_interim.listen(request);
    }
    match wire {
        Wire::H1(lease) => Sending::H1 { sending: h1::send(lease, request, bounds) },
        // Larger than all the rest of a call, so it lies elsewhere.
        #[cfg(feature = "http2")]
        Wire::H2(stream) => {
            Sending::H2 { sending: Box::pin(h2::send(stream, request.take().unwrap_or_default(), bounds)) }
        }
    }
}

pin_project! {
    #[project = SendingProjection]
    enum Sending<'b, F> {
        H1 { #[pin] sending: F },
        H2 { sending: Pin<Box<dyn Future<Output = Result<Received, Failed>> + Send + 'b>> },
    }
}

impl<F: Future<Output = Result<Received, Failed>>> Future for Sending<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            SendingProjection::H1 { sending } => sending.poll(cx),
            SendingProjection::H2 { sending } => sending.as_mut().poll(cx),
        }
    }
}

/// The body of a response as it comes from the wire. Gives its connection back at the end.
pub(crate) enum WireBody {
    /// Nothing, or what came together with the head.
    Whole(Bytes),
    H1 {
        first: Option<Bytes>,
        incoming: Incoming,
        lease: Option<Lease>,
    },
    #[cfg(feature = "http2")]
    H2 {
        incoming: Incoming,
        stream: Option<StreamLease>,
        alarm: Alarm,
    },
}

impl WireBody {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match self {
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::H1 { first, incoming, lease } => match first.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => h1::poll_body(incoming, lease, Some(cx)),
            },
            #[cfg(feature = "http2")]
            Self::H2 { incoming, stream, .. } => match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(error))) => {
                    *stream = None;
                    Poll::Ready(Some(Err(fault::body(error))))
                }
                Poll::Ready(None) => {
                    *stream = None;
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::H1 { first, incoming, .. } => first.is_none() && incoming.is_end_stream(),
            #[cfg(feature = "http2")]
            Self::H2 { incoming, .. } => incoming.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::H1 { first, incoming, .. } => {
                let ahead = first.as_ref().map_or(0, |first| first.len() as u64);
                incoming.size_hint().exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + ahead))
            }
            #[cfg(feature = "http2")]
            Self::H2 { incoming, .. } => incoming.size_hint(),
        }
    }

    /// The timer that watches over the body; `None` where there is nothing to wait for.
    pub(crate) fn alarm(&mut self) -> Option<&mut Alarm> {
        match self {
            Self::Whole(_) => None,
            Self::H1 { lease, .. } => lease.as_mut().map(|lease| lease.h1_mut().alarm()),
            #[cfg(feature = "http2")]
            Self::H2 { alarm, .. } => Some(alarm),
        }
    }

    /// Lets the connection go at once: nothing more is wanted of it.
    pub(crate) fn abandon(&mut self) {
        *self = Self::Whole(Bytes::new());
    }
}
