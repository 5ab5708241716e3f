//! The body of a request on its way out.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Clock, Error, ErrorKind, Result};

use super::pieces::Pieces;
use crate::progress::OnProgress;

/// Bodies in memory up to this size count as sent with the head; larger ones go in pieces of it.
const PIECE_BYTES: usize = 64 * 1024;
/// A connection that serves one request at a time is handed up to so much at once, if it is there: each write to a
/// socket has its price, whatever is in it.
const WIDE_BYTES: usize = 448 * 1024;
/// How many pieces that may be: a socket takes 64 in one write, the head among them.
const MOST_PIECES: usize = 32;

/// Is told of each piece that is handed over.
pub(crate) type OnPiece = Box<dyn Fn(&Bytes) + Send + Sync>;

/// What the wire engine sends: the caller's body, watched where it takes time to send.
#[derive(Default)]
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
    on_piece: Option<OnPiece>,
    max_bytes: Option<u64>,
    /// Whether the connection has asked for the next pieces.
    asked: bool,
    /// How much is handed over at a time.
    most_bytes: usize,
    ending: Option<Ending>,
}

/// The end of the body where it was met behind pieces that were handed over first.
enum Ending {
    Trailers(HeaderMap),
    End,
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
    /// A body that nobody watches yet.
    pub(crate) fn new(body: Body) -> Self {
        Self { body, watched: None }
    }

    /// Watches over it from now on; a body that takes no time to send needs no watch.
    pub(crate) fn watch(
        &mut self,
        progress: Option<OnProgress>,
        on_piece: Option<OnPiece>,
        max_bytes: Option<u64>,
        clock: &Arc<dyn Clock>,
    ) -> Option<Watch> {
        let body = &self.body;
        let small = body.as_bytes().is_some_and(|bytes| bytes.len() <= PIECE_BYTES);
        let total = body.len();
        let is_heard = progress.is_some() || on_piece.is_some();
        if small && max_bytes.is_none() && (!is_heard || total == Some(0)) {
            return None;
        }
        let watch = Watch(Arc::new(State {
            clock: Arc::clone(clock),
            epoch: clock.now(),
            last: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            done: AtomicBool::new(body.is_empty()),
            error: Mutex::new(None),
        }));
        let watched = Watched {
            watch: watch.clone(),
            rest: Bytes::new(),
            total,
            progress,
            on_piece,
            max_bytes,
            asked: false,
            most_bytes: PIECE_BYTES,
            ending: None,
        };
        self.watched = Some(Box::new(watched));
        Some(watch)
    }

    /// How much it is, if that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.body.len()
    }

    /// The caller's body, as far as it has not been taken.
    pub(crate) fn into_body(self) -> Body {
        self.body
    }

    /// Hands over more at a time: for a connection that carries nothing else meanwhile.
    pub(super) fn widen(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.most_bytes = WIDE_BYTES;
        }
    }

    /// The caller's body again, if none of it has been taken.
    pub(crate) fn into_untouched(self) -> Option<Body> {
        let touched = self.watched.is_some_and(|watched| watched.watch.0.sent.load(Ordering::Acquire) > 0);
        (!touched).then_some(self.body)
    }
}

impl Watched {
    /// All that is ready, up to the bounds of what is handed over at a time.
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Pieces>>>> {
        // The connection has room again: that is progress. That it asks once more is not, but what comes then is.
        let waited = std::mem::replace(&mut self.asked, true);
        if !waited {
            self.watch.touch();
        }
        let mut pieces = Pieces::default();
        for _ in 0..MOST_PIECES {
            match self.poll_next(body, cx) {
                Poll::Pending if pieces.has_remaining() => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return self.fail(error),
                Poll::Ready(Ok(())) => {}
            }
            if self.rest.is_empty() && self.ending.is_some() {
                break;
            }
            match self.take(self.most_bytes - pieces.remaining()) {
                Ok(piece) => pieces.push(piece),
                Err(error) => return self.fail(error),
            }
            if pieces.remaining() >= self.most_bytes || self.rest.is_empty() && body.is_end_stream() {
                break;
            }
        }
        if waited {
            self.watch.touch();
        }
        self.asked = false;
        let frame = match &mut self.ending {
            Some(ending) if !pieces.has_remaining() => match std::mem::replace(ending, Ending::End) {
                Ending::Trailers(trailers) => Some(Frame::trailers(trailers)),
                Ending::End => None,
            },
            _ => Some(Frame::data(pieces)),
        };
        if self.is_at_end(body) {
            self.watch.0.done.store(true, Ordering::Release);
        }
        Poll::Ready(frame.map(Ok))
    }

    /// Ready once there is something to take, or the end is known.
    fn poll_next(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.rest.is_empty() && self.ending.is_none() {
            match ready!(Pin::new(body).poll_frame(cx)?) {
                None => self.ending = Some(Ending::End),
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => self.ending = frame.into_trailers().ok().map(Ending::Trailers),
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece, counted and told of.
    fn take(&mut self, most_bytes: usize) -> Result<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES).min(most_bytes));
        let sent = self.watch.0.sent.fetch_add(piece.len() as u64, Ordering::AcqRel) + piece.len() as u64;
        if let Some(max) = self.max_bytes.filter(|max| sent > *max) {
            return Err(Error::new(ErrorKind::TooLarge, "send body")
                .with_detail(format!("more than the {max} bytes that the scope allows (limit max_request_bytes)")));
        }
        if let Some(progress) = &self.progress {
            progress.report(sent, self.total);
        }
        if let Some(on_piece) = self.on_piece.as_ref().filter(|_| !piece.is_empty()) {
            on_piece(&piece);
        }
        Ok(piece)
    }

    /// Whether all of the body has been taken.
    fn is_at_end(&self, body: &Body) -> bool {
        self.rest.is_empty()
            && match self.ending {
                Some(Ending::End) => true,
                Some(Ending::Trailers(_)) => false,
                None => body.is_end_stream(),
            }
    }

    fn fail(&self, error: Error) -> Poll<Option<Result<Frame<Pieces>>>> {
        let stub = Error::new(ErrorKind::User, "send body");
        *self.watch.0.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Poll::Ready(Some(Err(stub)))
    }
}

impl HttpBody for Upload {
    type Data = Pieces;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Pieces>>>> {
        let this = self.get_mut();
        match &mut this.watched {
            None => {
                let polled = Pin::new(&mut this.body).poll_frame(cx);
                polled.map_ok(|frame| frame.map_data(Pieces::from))
            }
            Some(watched) => watched.poll_frame(&mut this.body, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.watched {
            None => self.body.is_end_stream(),
            Some(watched) => watched.is_at_end(&self.body),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http::HeaderValue;
    use netcomm_tests::TokioClock;

    use super::*;

    /// A body that says one thing after the other; then it is at its end, and must not be asked again.
    struct Scripted(VecDeque<Says>);

    enum Says {
        Bytes(usize),
        Nothing,
        Trailers,
        Fails,
    }

    impl HttpBody for Scripted {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
            match self.0.pop_front() {
                Some(Says::Bytes(count)) => Poll::Ready(Some(Ok(Frame::data(vec![b'x'; count].into())))),
                Some(Says::Nothing) => Poll::Pending,
                Some(Says::Trailers) => {
                    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
                    Poll::Ready(Some(Ok(Frame::trailers(trailers))))
                }
                Some(Says::Fails) => Poll::Ready(Some(Err(Error::new(ErrorKind::User, "make body")))),
                None => Poll::Ready(None),
            }
        }
    }

    /// What a connection is handed at each poll: bytes, `"wait"`, `"trailers"`, `"error"`, `"end"`.
    fn handed(says: impl IntoIterator<Item = Says>, wide: bool) -> (Vec<String>, Watch) {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let says: VecDeque<_> = says.into_iter().collect();
        let mut upload = Upload::new(Body::new(Scripted(says)));
        let watch = upload.watch(None, None, None, &clock);
        if wide {
            upload.widen();
        }
        let (watch, mut handed) = (watch.expect("a stream is watched"), Vec::new());
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        loop {
            let item = match Pin::new(&mut upload).poll_frame(cx) {
                Poll::Pending => "wait".to_owned(),
                Poll::Ready(None) => "end".to_owned(),
                Poll::Ready(Some(Err(_))) => "error".to_owned(),
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => "trailers".to_owned(),
                Poll::Ready(Some(Ok(frame))) => {
                    frame.into_data().map(|data| data.remaining()).expect("data").to_string()
                }
            };
            let last = upload.is_end_stream() || item == "error" || item == "end";
            handed.push(item);
            if last {
                return (handed, watch);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_handed_over_together() {
        use Says::{Bytes, Fails, Nothing, Trailers};
        const PIECE: usize = PIECE_BYTES;
        let cases: [(Vec<Says>, bool, &[&str], bool); 8] = [
            (vec![Bytes(1), Bytes(2), Nothing, Bytes(3)], true, &["3", "3"], true),
            (vec![Nothing, Bytes(1), Nothing, Nothing, Bytes(3)], true, &["wait", "1", "wait", "3"], true),
            (vec![Bytes(PIECE), Bytes(PIECE), Bytes(3)], true, &["131075"], true),
            (vec![Bytes(PIECE), Bytes(PIECE), Bytes(3)], false, &["65536", "65536", "3"], true),
            (vec![Bytes(10 * PIECE)], true, &["458752", "196608"], true),
            (vec![Bytes(1), Trailers], true, &["1", "trailers"], true),
            (vec![Trailers], true, &["trailers"], true),
            (vec![Bytes(1), Fails], true, &["error"], false),
        ];
        for (says, wide, expected, done) in cases {
            let (handed, watch) = handed(says, wide);
            assert_eq!(handed, expected);
            assert_eq!(watch.is_done(), done, "{expected:?}");
        }
        // However small they are, a turn has an end.
        let (handed, _) = handed((0..100).map(|_| Bytes(1)), true);
        assert_eq!(handed, ["32", "32", "32", "4"]);
    }
}
