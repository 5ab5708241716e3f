//! One HTTP/2 connection, shared by many requests.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use netcomm_core::{Clock, Error, ErrorKind, Io, Limits, Result};
use tokio::sync::Notify;

use super::watched::{Look, Watched};
use super::{Bounds, Failed, Farewell, Meta, Received, Upload, WireBody, fault, h1, head};
use crate::alarm::Alarm;
use crate::pool::StreamLease;

/// A connection with streams open is asked for a sign of life this often, and given up if none comes in as long.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Flow-control windows: how much may come before the reader has taken it (RFC 9113 §5.2).
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Streams used on a connection whose peer names no limit.
const MOST_STREAMS: usize = 256;

/// One HTTP/2 connection.
pub(crate) struct H2 {
    send: SendRequest<Upload>,
    /// Streams that the peer allows at the same time (SETTINGS_MAX_CONCURRENT_STREAMS).
    most_streams: Arc<AtomicUsize>,
    active: AtomicUsize,
    used: AtomicBool,
    leaving: AtomicBool,
    /// Whether `most_streams` is the peer's word, not our guess.
    settled: Arc<AtomicBool>,
    idle_since: Mutex<Instant>,
    meta: Arc<Meta>,
    clock: Arc<dyn Clock>,
}

impl H2 {
    /// `on_room` is called whenever the peer allows more streams than before.
    pub(super) async fn open(
        io: Io,
        meta: Meta,
        limits: &Limits,
        clock: &Arc<dyn Clock>,
        on_room: impl Fn() + Send + 'static,
        farewell: Farewell,
    ) -> Result<Self> {
        let heard = Arc::new(Notify::new());
        let (send, mut connection) = Builder::new(TokioExecutor::new())
            .timer(Timer(Arc::clone(clock)))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            // Until the peer has said how many streams it allows, one is sure to be.
            .initial_max_send_streams(1)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .handshake(TokioIo::new(Watched::new(io, Heard(Some(Arc::clone(&heard))), None)))
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "open connection").with_source(error).with_unsent())?;
        let most_streams = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        let settled = Arc::new(AtomicBool::new(false));
        let (seen_streams, seen_settled) = (Arc::clone(&most_streams), Arc::clone(&settled));
        // Each request on the connection is told of its end by the engine; there is nobody else to tell.
        drop(tokio::spawn(async move {
            let mut first_word = pin!(heard.notified());
            poll_fn(move |cx| {
                let outcome = Pin::new(&mut connection).poll(cx);
                // The engine reads frames in a task of its own and does not wake this one for SETTINGS.
                let news = !seen_settled.load(Ordering::Acquire) && first_word.as_mut().poll(cx).is_ready();
                let most = connection.current_max_send_streams();
                let more = seen_streams.swap(most, Ordering::AcqRel) < most;
                if news {
                    seen_settled.store(true, Ordering::Release);
                }
                if more || news {
                    on_room();
                }
                outcome.map(drop)
            })
            .await;
            drop(farewell);
        }));
        Ok(Self {
            send,
            most_streams,
            active: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            settled,
            idle_since: Mutex::new(clock.now()),
            meta: Arc::new(meta),
            clock: Arc::clone(clock),
        })
    }

    pub(crate) fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    /// Whether it takes no more requests: it has ended, or its peer has said that it will (GOAWAY).
    pub(crate) fn is_closed(&self) -> bool {
        self.leaving.load(Ordering::Acquire) || self.send.is_closed()
    }

    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Whether the peer has said how many streams it allows.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Since when no stream is open; `None` while one is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.active() == 0).then(|| *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it has carried a request.
    pub(crate) fn was_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// Takes a stream, if the peer allows one more at the same time.
    pub(crate) fn try_take(&self) -> bool {
        let most = self.most_streams.load(Ordering::Acquire).min(MOST_STREAMS);
        self.active
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |active| (active < most).then_some(active + 1))
            .is_ok()
    }

    pub(crate) fn put_back(&self) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
        self.active.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for H2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2").field("meta", &self.meta).field("active", &self.active()).finish_non_exhaustive()
    }
}

pub(super) async fn send(
    stream: StreamLease,
    request: Request<Upload>,
    bounds: &Bounds<'_>,
) -> Result<Received, Failed> {
    let mut alarm = Alarm::new(Arc::clone(&stream.h2().clock));
    stream.h2().used.store(true, Ordering::Release);
    let mut reply = pin!(stream.h2().send.clone().try_send_request(request));
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
            return Poll::Ready(Ok(reply));
        }
        let (deadline, sending) = bounds.header_deadline();
        if alarm.poll(deadline, cx).is_ready() {
            if bounds.header_deadline().0 <= alarm.now() {
                return Poll::Ready(Err(h1::header_timeout(bounds, sending)));
            }
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await?;
    match outcome {
        Ok(response) => {
            let (parts, incoming) = response.into_parts();
            head::check(parts.version, parts.status, &parts.headers, bounds.limits)?;
            let body = WireBody::H2 { incoming, stream: Some(stream), alarm };
            Ok(Received::new(parts, body))
        }
        Err(mut failed) => {
            let request = failed.take_message().map(Box::new);
            let error = failed.into_error();
            if let Some(own) = bounds.watch.as_ref().and_then(super::Watch::take_error) {
                return Err(own.into());
            }
            let refusal = fault::refusal(&error);
            if request.is_some() || refusal == Some(fault::Refusal::Leaving) {
                stream.h2().leaving.store(true, Ordering::Release);
            }
            let unsent = request.is_some() || refusal.is_some();
            let error = fault::exchange(error, bounds.limits);
            let error = if unsent { error.with_unsent() } else { error };
            let before_response = unsent || error.kind() == ErrorKind::Closed;
            Err(Failed { error, request, before_response })
        }
    }
}

/// Notes that the peer has spoken: the first that it says are its SETTINGS (RFC 9113 §3.4).
struct Heard(Option<Arc<Notify>>);

impl Look for Heard {
    fn look(&mut self, _: &[u8]) {
        if let Some(heard) = self.0.take() {
            heard.notify_one();
        }
    }
}

/// The engine's timer, fed by our clock.
struct Timer(Arc<dyn Clock>);

struct TimerSleep(netcomm_core::Sleep);

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.0.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TimerSleep(self.0.sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        self.0.now()
    }
}

impl Future for TimerSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for TimerSleep {}
