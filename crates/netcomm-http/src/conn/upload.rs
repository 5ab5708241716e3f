//! The body of a request on its way out.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Clock, Error, ErrorKind, Result};

use crate::progress::OnProgress;

/// Bodies in memory up to this size count as sent with the head; larger ones go in pieces of it.
const PIECE_BYTES: usize = 64 * 1024;

/// What the wire engine sends: the caller's body, watched where it takes time to send.
pub(crate) struct Upload {
    body: Body,
    /// Boxed, since requests are passed on many times and mostly need none.
    watched: Option<Box<Watched>>,
}

struct Watched {
    watch: Watch,
    /// What of the last piece of the body is still to go.
    rest: Bytes,
    total: Option<u64>,
    progress: Option<OnProgress>,
    max_bytes: Option<u64>,
    /// Whether the connection has asked for the next piece.
    asked: bool,
}

/// What is known from outside of a body on its way.
#[derive(Clone)]
pub(crate) struct Watch(Arc<State>);

struct State {
    clock: Arc<dyn Clock>,
    epoch: Instant,
    /// Nanoseconds from `epoch` to the last sign of progress.
    last: AtomicU64,
    sent: AtomicU64,
    done: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Upload {
    /// Wraps a body; bodies that take no time to send need no watch.
    pub(crate) fn new(
        body: Body,
        progress: Option<OnProgress>,
        max_bytes: Option<u64>,
        clock: &Arc<dyn Clock>,
    ) -> (Self, Option<Watch>) {
        let small = body.as_bytes().is_some_and(|bytes| bytes.len() <= PIECE_BYTES);
        let total = body.len();
        if small && max_bytes.is_none() && (progress.is_none() || total == Some(0)) {
            return (Self { body, watched: None }, None);
        }
        let watch = Watch(Arc::new(State {
            clock: Arc::clone(clock),
            epoch: clock.now(),
            last: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            done: AtomicBool::new(body.is_empty()),
            error: Mutex::new(None),
        }));
        let watched = Watched { watch: watch.clone(), rest: Bytes::new(), total, progress, max_bytes, asked: false };
        (Self { body, watched: Some(Box::new(watched)) }, Some(watch))
    }

    /// The caller's body again, if none of it has been taken.
    pub(crate) fn into_untouched(self) -> Option<Body> {
        let touched = self.watched.is_some_and(|watched| watched.watch.0.sent.load(Ordering::Acquire) > 0);
        (!touched).then_some(self.body)
    }
}

impl Watched {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        // The connection has room again: that is progress. That it asks once more is not.
        if !std::mem::replace(&mut self.asked, true) {
            self.watch.touch();
        }
        if self.rest.is_empty() {
            let polled = ready!(Pin::new(&mut *body).poll_frame(cx));
            self.watch.touch();
            match polled {
                None => {
                    self.watch.0.done.store(true, Ordering::Release);
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return self.fail(error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        self.asked = false;
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        let sent = self.watch.0.sent.fetch_add(piece.len() as u64, Ordering::AcqRel) + piece.len() as u64;
        if let Some(max) = self.max_bytes.filter(|max| sent > *max) {
            let error = Error::new(ErrorKind::TooLarge, "send body")
                .with_detail(format!("more than the {max} bytes that the scope allows (limit max_request_bytes)"));
            return self.fail(error);
        }
        if let Some(progress) = &self.progress {
            progress.report(sent, self.total);
        }
        if self.rest.is_empty() && body.is_end_stream() {
            self.watch.0.done.store(true, Ordering::Release);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn fail(&self, error: Error) -> Poll<Option<Result<Frame<Bytes>>>> {
        let stub = Error::new(ErrorKind::User, "send body");
        *self.watch.0.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Poll::Ready(Some(Err(stub)))
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match &mut this.watched {
            None => Pin::new(&mut this.body).poll_frame(cx),
            Some(watched) => watched.poll_frame(&mut this.body, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.watched.as_ref().is_none_or(|watched| watched.rest.is_empty()) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.watched.as_ref().map_or(0, |watched| watched.rest.len() as u64);
        match self.body.size_hint().exact() {
            Some(left) => SizeHint::with_exact(left + ahead),
            None => self.body.size_hint(),
        }
    }
}

impl Watch {
    /// The body moves.
    pub(super) fn touch(&self) {
        let since = self.0.clock.now().saturating_duration_since(self.0.epoch);
        self.0.last.store(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// When the body last moved.
    pub(crate) fn last_progress(&self) -> Instant {
        self.0.epoch + std::time::Duration::from_nanos(self.0.last.load(Ordering::Acquire))
    }

    /// Whether the last byte was taken.
    pub(crate) fn is_done(&self) -> bool {
        self.0.done.load(Ordering::Acquire)
    }

    /// Why the body failed, if it was the body that failed.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.0.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
