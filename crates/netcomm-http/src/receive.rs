//! The body of a response within its bounds of time and size.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, CallId, Clock, Error, ErrorKind, Event, Interest, MinRate, Observation, Phase, Result, Tap};

use crate::alarm::{Alarm, after};
use crate::conn::WireBody;
use crate::limit::Permits;
use crate::progress::OnProgress;
use crate::timing::ReceiveTime;

/// Where a body comes from: an own connection, or a transport that the user brought.
pub(crate) enum Source {
    Wire(WireBody),
    Foreign(Body, Alarm),
}

/// The bounds of a body.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) max_bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) min_rate: Option<MinRate>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: Option<OnProgress>,
}

/// Who is told that pieces of the body have come, and its end.
pub(crate) struct EndReport {
    pub(crate) tap: Tap,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) call: CallId,
    pub(crate) scope: Option<Arc<str>>,
    pub(crate) status: StatusCode,
    pub(crate) started: Instant,
    pub(crate) progress: Mutex<EndState>,
}

/// A response is reported once it is the answer of its call, and its body has ended: whichever comes last.
#[derive(Default)]
pub(crate) struct EndState {
    is_answer: bool,
    ended: Option<(u64, Option<ErrorKind>)>,
}

impl EndReport {
    /// The response turns out to be the answer, not one that redirects.
    pub(crate) fn is_answer(&self) {
        let ended = {
            let mut state = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_answer = true;
            state.ended
        };
        if let Some((received_bytes, error)) = ended {
            self.send(received_bytes, error);
        }
    }

    /// Tells of a piece that came.
    fn got(&self, bytes: u64) {
        self.tap.emit(Interest::TRANSFER, || {
            Observation::new(self.clock.now(), Event::BodyReceived { bytes }).with_call(self.call, self.scope.clone())
        });
    }

    fn ended(&self, received_bytes: u64, error: Option<ErrorKind>) {
        let is_answer = {
            let mut state = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            state.ended = Some((received_bytes, error));
            state.is_answer
        };
        if is_answer {
            self.send(received_bytes, error);
        }
    }

    /// Tells of the end now.
    pub(crate) fn send(&self, received_bytes: u64, error: Option<ErrorKind>) {
        let now = self.clock.now();
        self.tap.emit(Interest::CALL, || {
            let took = now.saturating_duration_since(self.started);
            let event = Event::CallEnded { status: Some(self.status), error, received_bytes, took };
            Observation::new(now, event).with_call(self.call, self.scope.clone())
        });
    }
}

/// Puts a body under its terms.
pub(crate) fn bounded(
    source: Source,
    terms: Terms,
    clock: &Arc<dyn Clock>,
    head_at: Instant,
    receive: ReceiveTime,
    report: Option<Arc<EndReport>>,
    permits: Option<Permits>,
) -> Body {
    let total = match &source {
        Source::Wire(body) => body.size_hint().exact(),
        Source::Foreign(body, _) => body.len(),
    };
    Body::boxed(Box::pin(Receive {
        source,
        terms,
        total,
        got: 0,
        clock: Arc::clone(clock),
        head_at,
        receive,
        report,
        permits,
        since: None,
        window: Window::default(),
        ended: false,
    }))
}

struct Receive {
    source: Source,
    terms: Terms,
    total: Option<u64>,
    got: u64,
    clock: Arc<dyn Clock>,
    head_at: Instant,
    receive: ReceiveTime,
    report: Option<Arc<EndReport>>,
    /// What makes room for others when the body ends.
    permits: Option<Permits>,
    /// Since when the caller has been waiting for the next piece.
    since: Option<Instant>,
    window: Window,
    ended: bool,
}

/// The running count for the least rate.
#[derive(Default)]
struct Window {
    waited: Duration,
    bytes: u64,
}

impl Receive {
    fn source_has_ended(&self) -> bool {
        match &self.source {
            Source::Wire(body) => body.is_end_stream(),
            Source::Foreign(body, _) => body.is_end_stream(),
        }
    }

    fn complete(&mut self) {
        self.receive.set(self.clock.now().saturating_duration_since(self.head_at));
        self.end(None);
    }

    fn end(&mut self, error: Option<ErrorKind>) {
        self.ended = true;
        self.permits = None;
        if let Some(report) = self.report.take() {
            report.ended(self.got, error);
        }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.end(Some(error.kind()));
        match &mut self.source {
            Source::Wire(body) => body.abandon(),
            Source::Foreign(body, _) => *body = Body::empty(),
        }
        Poll::Ready(Some(Err(error)))
    }

    fn alarm(&mut self) -> Option<&mut Alarm> {
        match &mut self.source {
            Source::Wire(body) => body.alarm(),
            Source::Foreign(_, alarm) => Some(alarm),
        }
    }

    /// Waits under the clock; an error if a limit of time has passed.
    fn wait(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let (idle, total) = (self.terms.idle, self.terms.deadline);
        let since = self.since;
        let alarm = self.alarm()?;
        let now = alarm.now();
        let since = since.unwrap_or(now);
        let idle_end = after(since, idle);
        let deadline = total.map_or(idle_end, |total| total.min(idle_end));
        let rang = alarm.poll(deadline, cx).is_ready();
        self.since = Some(since);
        rang.then(|| match total {
            Some(total) if total <= idle_end => {
                Error::timeout("read body", Phase::Total).with_detail("the whole call took too long (timeout total)")
            }
            _ => Error::timeout("read body", Phase::Receive)
                .with_detail(format!("no byte for {idle:?} (timeout idle_body)")),
        })
    }

    /// Counts what has come against the least rate.
    fn account(&mut self, bytes: u64) -> Option<Error> {
        self.got += bytes;
        let rate = self.terms.min_rate?;
        self.window.bytes += bytes;
        let since = self.since.take()?;
        let now = self.clock.now();
        self.window.waited += now.saturating_duration_since(since);
        if self.window.waited < rate.window {
            return None;
        }
        let Window { bytes, waited } = std::mem::take(&mut self.window);
        // A longer wait than the window must have brought more in proportion.
        let least = rate.bytes as f64 * waited.as_secs_f64() / rate.window.as_secs_f64();
        ((bytes as f64) < least).then(|| {
            Error::timeout("read body", Phase::Receive)
                .with_detail(format!("{bytes} bytes in {waited:?}, less than the least rate (timeout min_rate)"))
        })
    }
}

impl HttpBody for Receive {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let max_bytes = this.terms.max_bytes;
        let too_large = |announced: Option<u64>| {
            let what = announced.map_or_else(|| "more".to_owned(), |bytes| format!("{bytes} bytes announced, more"));
            Error::new(ErrorKind::TooLarge, "read body")
                .with_detail(format!("{what} than {max_bytes} bytes (limit body_bytes)"))
        };
        if this.got == 0 && this.total.is_some_and(|total| total > max_bytes) {
            return this.fail(too_large(this.total));
        }
        let polled = match &mut this.source {
            Source::Wire(body) => body.poll_frame(cx),
            Source::Foreign(body, _) => Pin::new(body).poll_frame(cx),
        };
        match polled {
            Poll::Pending => match this.wait(cx) {
                Some(error) => this.fail(error),
                None => Poll::Pending,
            },
            Poll::Ready(None) => {
                this.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => this.fail(error),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(report) = this.report.as_ref().filter(|_| bytes > 0) {
                    report.got(bytes);
                }
                if let Some(error) = this.account(bytes) {
                    return this.fail(error);
                }
                this.since = None;
                if this.got > max_bytes {
                    return this.fail(too_large(None));
                }
                if let Some(progress) = &this.terms.progress {
                    progress.report(this.got, this.total);
                }
                // Who reads knows the length too and need not ask again.
                if this.source_has_ended() {
                    this.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.source_has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Wire(body) => body.size_hint(),
            Source::Foreign(body, _) => body.size_hint(),
        }
    }
}

impl Drop for Receive {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Some(ErrorKind::Canceled));
        }
    }
}
