//! One HTTP/1.1 connection, moved on by whoever uses it.
//!
//! There is no task per connection: the call that waits for a response polls the connection itself, and so does the
//! body that is being read. That saves a wake-up from task to task for every event, makes dropping a future close what
//! it was using, and leaves an idle connection costing nothing but its socket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use netcomm_core::{Clock, Error, ErrorKind, Io, Limits, Phase, Result};
use pin_project_lite::pin_project;

use super::bell::Bell;
use super::interim::{Counter, Interim};
use super::watched::Watched;
use super::{Bounds, Failed, Farewell, Meta, Received, Upload, WireBody, fault, head};
use crate::alarm::Alarm;
use crate::pool::Lease;

/// The least read buffer that the engine allows.
const LEAST_BUFFER_BYTES: usize = 8 * 1024;
/// The number of header fields for which the engine needs no allocation.
const CHEAP_HEADERS: usize = 100;
/// A body up to this size that came with the head is handed over whole, and its connection goes back at once.
const WHOLE_BYTES: u64 = 32 * 1024;

/// The wire engine's half of a connection.
type Engine = Connection<TokioIo<Watched<Counter>>, Upload>;

/// One HTTP/1.1 connection.
pub(crate) struct H1 {
    send: SendRequest<Upload>,
    /// None once it has ended: only a connection that is gone answers, as failed, a request that it never took.
    connection: Option<Pin<Box<Engine>>>,
    bell: Bell,
    meta: Arc<Meta>,
    alarm: Alarm,
    interim: Arc<Interim>,
    used: bool,
    /// What the peer said of how long it keeps the connection idle.
    pub(crate) keep_alive: Option<Duration>,
    /// Dropped after the connection.
    _farewell: Farewell,
}

impl H1 {
    pub(super) async fn open(
        io: Io,
        meta: Meta,
        limits: &Limits,
        clock: &Arc<dyn Clock>,
        farewell: Farewell,
    ) -> Result<Self> {
        let mut builder = Builder::new();
        builder
            .max_header_size(limits.header_bytes.max(LEAST_BUFFER_BYTES))
            .max_buf_size(limits.header_bytes.max(LEAST_BUFFER_BYTES) + LEAST_BUFFER_BYTES);
        if limits.headers != CHEAP_HEADERS {
            builder.max_headers(limits.headers);
        }
        let interim = Arc::<Interim>::default();
        let bell = Bell::new();
        let io = TokioIo::new(Watched::new(io, Counter::new(Arc::clone(&interim)), Some(bell.inlet())));
        let (send, connection) = builder
            .handshake(io)
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "open connection").with_source(error).with_unsent())?;
        Ok(Self {
            send,
            connection: Some(Box::pin(connection)),
            bell,
            meta: Arc::new(meta),
            alarm: Alarm::new(Arc::clone(clock)),
            interim,
            used: false,
            keep_alive: None,
            _farewell: farewell,
        })
    }

    pub(crate) fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    pub(crate) fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Whether it has carried a request.
    pub(crate) fn was_used(&self) -> bool {
        self.used
    }

    /// Whether the connection can carry a request now, as far as this side knows: reads what has come meanwhile. A
    /// byte that nobody asked for ends it.
    pub(crate) fn is_usable(&mut self) -> bool {
        // At rest it waits for bytes, or for the end of them.
        if !self.bell.is_dry() || !self.send.is_ready() {
            self.advance_quietly();
        }
        !self.has_ended() && self.send.is_ready()
    }

    /// Moves the connection on. It wakes the task of `cx` when it can go further.
    fn advance(&mut self, cx: &Context<'_>) {
        self.bell.listen(cx.waker());
        self.poll();
    }

    /// Moves the connection on. It wakes nobody: whoever goes on with it polls it again.
    fn advance_quietly(&mut self) {
        self.bell.hush();
        self.poll();
    }

    fn poll(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if connection.as_mut().poll(&mut self.bell.context()).is_ready() {
            self.connection = None;
        }
    }

    fn has_ended(&self) -> bool {
        self.connection.is_none()
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1").field("meta", &self.meta).field("has_ended", &self.has_ended()).finish_non_exhaustive()
    }
}

/// Sends the request, at once, and waits for the head of its response.
///
/// A future that is written out: an `async fn` would carry the request, which is gone before the first poll.
pub(super) fn send<'b>(
    mut lease: Lease,
    request: &mut Option<Request<Upload>>,
    bounds: &'b Bounds<'_>,
) -> impl Future<Output = Result<Received, Failed>> + Send + use<'b> {
    lease.soil();
    let h1 = lease.h1_mut();
    h1.used = true;
    h1.interim.expect_head();
    let mut request = request.take().unwrap_or_default();
    request.body_mut().widen();
    let reply = h1.send.try_send_request(request);
    Exchange { reply, gives_way: lease.is_crowded(), lease: Some(lease), bounds }
}

type Reply = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

pin_project! {
    /// A request under way: moves its connection on until the head of the response is there.
    struct Exchange<'b, F> {
        #[pin]
        reply: F,
        // Whether it lets the tasks that are ready go first, once. In a crowd these are calls whose answers are there:
        // all are read in one go, and then all requests are written in one go. Code that runs many times in a row
        // stays in the processor's cache, and the peer finds many requests when it looks instead of sleeping after
        // each.
        gives_way: bool,
        lease: Option<Lease>,
        bounds: &'b Bounds<'b>,
    }
}

impl<F: Future<Output = Reply>> Future for Exchange<'_, F> {
    type Output = Result<Received, Failed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if std::mem::take(this.gives_way) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let bounds = *this.bounds;
        let h1 = this.lease.as_mut().expect("a future is not polled again once it is ready").h1_mut();
        h1.advance(cx);
        // A link that is slow may take long for what it was handed: each byte that it takes is progress.
        if let Some(watch) = &bounds.watch
            && h1.interim.take_wrote()
        {
            watch.touch();
        }
        if h1.interim.seen() > bounds.limits.interim {
            let error = Error::new(ErrorKind::TooLarge, "read response")
                .with_detail(format!("more than {} interim responses (limit interim)", bounds.limits.interim));
            return Poll::Ready(Err(error.into()));
        }
        // Only the connection, polled above, can have answered.
        if let Poll::Ready(reply) = this.reply.poll(&mut Context::from_waker(Waker::noop())) {
            h1.bell.hush();
            let lease = this.lease.take().expect("it was there above");
            return Poll::Ready(receive(reply, lease, bounds));
        }
        let (deadline, sending) = bounds.header_deadline();
        if h1.alarm.poll(deadline, cx).is_ready() {
            // The body may have moved since the deadline was computed: only a fresh look counts.
            if bounds.header_deadline().0 <= h1.alarm.now() {
                return Poll::Ready(Err(header_timeout(bounds, sending).into()));
            }
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The response, and what has come of its body already.
fn receive(reply: Reply, mut lease: Lease, bounds: &Bounds<'_>) -> Result<Received, Failed> {
    let response = match reply {
        Ok(response) => response,
        Err(mut failed) => {
            let request = failed.take_message().map(Box::new);
            let error = failed.into_error();
            if let Some(own) = bounds.watch.as_ref().and_then(super::Watch::take_error) {
                return Err(own.into());
            }
            let before_response = error.is_incomplete_message() || request.is_some() || is_io(&error);
            let error = fault::exchange(error, bounds.limits);
            let error = if request.is_some() { error.with_unsent() } else { error };
            return Err(Failed { error, request, before_response });
        }
    };
    let (parts, incoming) = response.into_parts();
    let verdict = head::check(parts.version, parts.status, &parts.headers, bounds.limits)?;
    lease.h1_mut().keep_alive = verdict.keep_alive;
    let body = begin_body(incoming, lease, verdict.reusable)?;
    Ok(Received::new(parts, body))
}

pub(super) fn header_timeout(bounds: &Bounds<'_>, sending: bool) -> Error {
    let (phase, what) =
        if sending { (Phase::Send, "the request stood still") } else { (Phase::Wait, "no response head") };
    Error::timeout("exchange", phase).with_detail(format!("{what} for {:?} (timeout header)", bounds.timeouts.header))
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// Takes what has come of the body already. If that is all of it, the connection is free at once.
///
/// Wakes nobody: whoever reads the rest polls first, and is registered then.
fn begin_body(mut incoming: Incoming, lease: Lease, reusable: bool) -> Result<WireBody> {
    let mut lease = if reusable { Some(lease) } else { Some(lease.for_the_last_time()) };
    if incoming.is_end_stream() {
        release(&mut lease);
        return Ok(WireBody::Whole(Bytes::new()));
    }
    if incoming.size_hint().upper().is_none_or(|upper| upper > WHOLE_BYTES) {
        return Ok(WireBody::H1 { first: None, incoming, lease });
    }
    let first = match poll_body(&mut incoming, &mut lease, None) {
        Poll::Ready(Some(frame)) => match frame?.into_data() {
            Ok(data) => data,
            Err(_trailers) => Bytes::new(),
        },
        Poll::Ready(None) => return Ok(WireBody::Whole(Bytes::new())),
        Poll::Pending => return Ok(WireBody::H1 { first: None, incoming, lease }),
    };
    if incoming.is_end_stream() {
        return Ok(WireBody::Whole(first));
    }
    Ok(WireBody::H1 { first: Some(first), incoming, lease })
}

/// Gives the connection back, if it has come to the end of the exchange in good order.
fn release(lease: &mut Option<Lease>) {
    if let Some(mut lease) = lease.take() {
        let h1 = lease.h1_mut();
        if !h1.send.is_ready() {
            h1.advance_quietly();
        }
        if !h1.has_ended() && h1.send.is_ready() {
            lease.clean();
        }
    }
}

/// The next frame. Without `cx` nobody is woken.
pub(super) fn poll_body(
    incoming: &mut Incoming,
    lease: &mut Option<Lease>,
    cx: Option<&mut Context<'_>>,
) -> Poll<Option<Result<Frame<Bytes>>>> {
    // Frames come from the connection alone, which is polled here: nobody need be told of them.
    let deaf = &mut Context::from_waker(Waker::noop());
    if let Some(lease) = lease {
        lease.h1().bell.hush();
    }
    let mut frame = Pin::new(&mut *incoming).poll_frame(deaf);
    if frame.is_pending()
        && let Some(lease) = lease
    {
        let h1 = lease.h1_mut();
        match cx {
            Some(cx) => h1.advance(cx),
            None => h1.advance_quietly(),
        }
        // A frame that is taken rings for the next one, which is asked for anyway.
        h1.bell.pause();
        frame = Pin::new(&mut *incoming).poll_frame(deaf);
        if frame.is_pending() {
            h1.bell.resume();
        }
    }
    match frame {
        Poll::Ready(Some(Ok(frame))) => {
            if incoming.is_end_stream() {
                release(lease);
            }
            Poll::Ready(Some(Ok(frame)))
        }
        Poll::Ready(Some(Err(error))) => {
            *lease = None;
            Poll::Ready(Some(Err(fault::body(error))))
        }
        Poll::Ready(None) => {
            release(lease);
            Poll::Ready(None)
        }
        Poll::Pending => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use netcomm_core::{Body, ConnectInfo};
    use netcomm_tests::TokioClock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn request() -> Request<Upload> {
        let body = Upload::new(Body::empty());
        Request::get("/").header("host", "a.example").body(body).expect("a request")
    }

    #[tokio::test]
    async fn a_request_that_a_closed_connection_never_took_fails_at_once() {
        let (near, mut far) = tokio::io::duplex(1024);
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let meta = Meta {
            id: 1,
            host: HeaderValue::from_static("a.example"),
            info: ConnectInfo::default(),
            created: clock.now(),
            generation: 0,
        };
        let io = Io::new(near, ConnectInfo::default());
        let mut h1 = H1::open(io, meta, &Limits::default(), &clock, Farewell::untold()).await.expect("a connection");

        // One exchange, so that the connection is one that waits for the next.
        let mut reply = Box::pin(h1.send.try_send_request(request()));
        let cx = &mut Context::from_waker(Waker::noop());
        h1.advance(cx);
        let mut seen = [0; 1024];
        assert!(far.read(&mut seen).await.expect("a request") > 0);
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("a reader");
        h1.advance(cx);
        assert!(matches!(reply.as_mut().poll(cx), Poll::Ready(Ok(_))));
        assert!(h1.is_usable());

        // The next request is on its way when the peer closes.
        let mut reply = Box::pin(h1.send.try_send_request(request()));
        drop(far);
        h1.advance(cx);
        let Poll::Ready(Err(mut failed)) = reply.as_mut().poll(cx) else { panic!("the request waits for nobody") };
        assert!(failed.take_message().is_some(), "it was not sent");
        assert!(!h1.is_usable());
    }
}
