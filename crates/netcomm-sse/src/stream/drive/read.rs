//! While a stream is open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http_body::Body as _;
use netcomm_core::{CallId, Env, Error, ErrorKind, Event as Observed, Interest, Observation, Phase as Stage, Verdict};

use super::{Drive, Phase};
use crate::event::Event;
use crate::parser::{EventRef, Found, Item, Kind, ParseError};
use crate::state::{End, Notice};

const OPERATION: &str = "read event stream";

/// Chunks of a server that never pauses, until something else gets its turn: others of the runtime, the id that is to be
/// kept, the network.
const MOST_IN_A_ROW: u32 = 64;

impl Drive {
    /// The next event, if it has come, is wanted, and nothing is to be told before it. It saves the events of a busy stream
    /// the way through all that else may happen; what comes instead of an event is told by the next poll.
    #[inline]
    pub(crate) fn event_at_hand(&mut self) -> Option<Event> {
        self.kind_at_hand().map(|kind| self.take(kind))
    }

    /// The same, which lies in the parser still: it has to be [taken](Self::take) or [lent](Self::lend) next.
    #[inline]
    pub(crate) fn kind_at_hand(&mut self) -> Option<Kind> {
        if !self.notes.is_empty() || !matches!(self.phase, Phase::Read { .. }) {
            return None;
        }
        let found = self.parser.find()?;
        self.idle.pause();
        match found {
            Found::Event(kind) if self.is_plain() => Some(kind),
            found => {
                let item = self.parser.item(found);
                self.set_aside(item);
                None
            }
        }
    }

    /// How long type, id and data of the event that was found are, as they came.
    #[inline]
    pub(crate) fn lengths(&self, kind: Kind) -> (usize, usize, usize) {
        self.parser.lengths(kind)
    }

    /// The event that was found.
    #[inline]
    pub(crate) fn take(&mut self, kind: Kind) -> Event {
        let event = self.parser.event(kind);
        self.count(event.data.len());
        event
    }

    /// The same where it lies.
    #[inline]
    pub(crate) fn lend(&mut self, kind: Kind) -> EventRef<'_> {
        let event = self.parser.event_ref(kind);
        self.counts.events += 1;
        tell_event(&self.env, self.call, event.data.len());
        event
    }

    /// Whether all that there is to do with an event is to hand it on.
    fn is_plain(&self) -> bool {
        self.sentinel.is_none() && self.resumed_after.is_none()
    }

    #[cold]
    fn set_aside(&mut self, item: Result<Item, ParseError>) {
        if let Some(notice) = self.item(item) {
            // Before an event that waits behind it.
            self.notes.push_front(notice);
        }
    }

    /// The next thing that the stream says; `None` if it is over, or has something to tell.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        loop {
            if !matches!(self.phase, Phase::Read { .. }) {
                return Poll::Ready(None);
            }
            if let Some(item) = self.parser.next_item() {
                self.idle.pause();
                return Poll::Ready(self.item(item));
            }
            if self.in_a_row >= MOST_IN_A_ROW {
                cx.waker().wake_by_ref();
                return self.poll_silence(cx);
            }
            match self.poll_body(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(None),
                Poll::Pending => return self.poll_silence(cx),
            }
        }
    }

    /// Feeds the parser what comes next, if it has come and nothing is to be done or told before it. Whether it did.
    pub(crate) fn feed_more(&mut self, cx: &mut Context<'_>) -> bool {
        self.notes.is_empty()
            && self.in_a_row < MOST_IN_A_ROW
            && matches!(self.phase, Phase::Read { .. })
            && self.poll_body(cx) == Poll::Ready(true)
    }

    /// Feeds the parser what comes next. Whether anything came: else the stream is over.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Phase::Read { body, .. } = &mut self.phase else { return Poll::Ready(false) };
        match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.in_a_row += 1;
                if let Ok(data) = frame.into_data() {
                    self.counts.bytes += data.len() as u64;
                    self.idle.touch();
                    self.parser.feed(data);
                }
                return Poll::Ready(true);
            }
            Some(Err(error)) => self.lost(error),
            None => self.finished(),
        }
        Poll::Ready(false)
    }

    fn item(&mut self, item: Result<Item, ParseError>) -> Option<Notice> {
        match item {
            Ok(Item::Event(event)) => self.event(event),
            Ok(item) => self.said(item),
            Err(error) => self.too_large(error.into()),
        }
    }

    #[inline]
    fn count(&mut self, bytes: usize) {
        self.counts.events += 1;
        tell_event(&self.env, self.call, bytes);
    }

    fn event(&mut self, event: Event) -> Option<Notice> {
        if self.sentinel.as_ref().is_some_and(|sentinel| *sentinel == event.data) {
            self.close(End::Sentinel);
            return None;
        }
        self.count(event.data.len());
        if let Some(after) = self.resumed_after.take()
            && self.gaps.as_ref().is_some_and(|gaps| gaps(&after, &event))
        {
            self.before_gap = after.clone();
            self.notes.push_back(Notice::Event(event));
            return Some(Notice::Gap { after });
        }
        Some(Notice::Event(event))
    }

    fn said(&mut self, item: Item) -> Option<Notice> {
        Some(match item {
            Item::Event(event) => Notice::Event(event),
            Item::Comment(comment) => Notice::Comment(comment),
            Item::Id(id) => Notice::Id(id),
            Item::Retry(wait) => {
                self.schedule.set_base(Some(wait));
                Notice::Retry(wait)
            }
        })
    }

    fn too_large(&mut self, error: Error) -> Option<Notice> {
        if self.parser.has_failed() {
            self.lost(error);
            return None;
        }
        self.counts.skipped += 1;
        Some(Notice::Skipped(error))
    }

    /// Nothing came, or very much: what else there is to be done.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.in_a_row = 0;
        if let Some(notice) = self.keep_id(cx) {
            return Poll::Ready(Some(notice));
        }
        let before = self.network;
        if self.poll_network(cx).is_ready() {
            if self.network.generation != before.generation && self.returns() {
                self.notes.push_back(Notice::NetworkChanged);
                self.lost(Error::new(ErrorKind::Closed, OPERATION).with_detail("the network changed"));
                self.hurry();
                return Poll::Ready(None);
            }
            cx.waker().wake_by_ref();
        }
        match self.idle.poll(cx) {
            Some(silence) => {
                let error = Error::timeout(OPERATION, Stage::Receive);
                self.lost(error.with_detail(format!("no byte for {silence:?} (idle_timeout)")));
                Poll::Ready(None)
            }
            None => Poll::Pending,
        }
    }

    /// The server ended the stream.
    fn finished(&mut self) {
        if self.returns() {
            return self.lost(Error::new(ErrorKind::Closed, OPERATION).with_detail("the server ended the stream"));
        }
        let end = match &self.sentinel {
            None => End::Finished,
            Some(_) => End::Failed(
                Error::new(ErrorKind::Incomplete, OPERATION).with_detail("it ended before the event that ends it"),
            ),
        };
        self.close(end);
    }

    fn returns(&self) -> bool {
        !self.schedule.settings().is_never()
    }

    /// The stream is gone: another one, or none.
    fn lost(&mut self, error: Error) {
        let now = self.env.clock().now();
        self.leave(&error, now);
        // It has been open, so that the way to it is no fault; what it holds may be.
        let judged = match error.kind() {
            ErrorKind::TooLarge
            | ErrorKind::Denied
            | ErrorKind::Canceled
            | ErrorKind::Invalid
            | ErrorKind::User
            | ErrorKind::Unsupported => Verdict::Fatal,
            _ => Verdict::Retry,
        };
        self.failed(error, judged, now);
    }

    /// Lets the stream go.
    pub(super) fn leave(&mut self, error: &Error, now: Instant) {
        let Phase::Read { since, events, .. } = self.phase else { return };
        self.phase = Phase::Due;
        self.parser.end();
        self.idle.end();
        self.resumed_after = None;
        self.observe_end(since, events, Some(error.kind()));
        let uptime = now.saturating_duration_since(since);
        self.notes.push_back(Notice::Lost { cause: error.clone(), uptime });
    }

    pub(super) fn observe_end(&self, since: Instant, events: u64, error: Option<ErrorKind>) {
        self.env.tap().emit(Interest::CONNECTION, || {
            let now = self.env.clock().now();
            let (events, took) = (self.counts.events - events, now.saturating_duration_since(since));
            Observation::new(now, Observed::StreamEnded { error, events, took }).with_call(self.call, None)
        });
    }
}

#[inline]
fn tell_event(env: &Env, call: CallId, bytes: usize) {
    env.tap().emit(Interest::MESSAGE, || {
        Observation::new(env.clock().now(), Observed::EventReceived { bytes }).with_call(call, None)
    });
}
