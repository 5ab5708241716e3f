//! `EventStream`: a source that is polled where it stands, and comes back.

mod drive;
mod keep;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use netcomm_core::{Env, Result};

use crate::builder::Builder;
use crate::event::Event;
use crate::parser::EventRef;
use crate::select::Select;
use crate::state::{Counts, End, Notice, State};
use drive::Drive;
pub(crate) use drive::{Gaps, Plan};

/// The events of one source, in their order, over as many connections as it takes.
///
/// It has no task: whoever polls it drives it, and what is not polled does nothing. That makes it the cheapest way to read a
/// stream, with backpressure up to the server, and the right one for an answer that streams once, such as a language
/// model's. For several listeners there is [`EventSource`](crate::EventSource).
///
/// When the stream ends or breaks it is opened again, with the last event id, as
/// [`Reconnect`](netcomm_core::Reconnect) says; a source with another method than `GET` does not come back unless it was
/// [told to](Builder::reconnect), since a request that is sent twice is paid twice.
///
/// As a [`Stream`] it gives events, and at its end the error that ended it, if one did. [`notice`](Self::notice) gives all
/// that happens.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// let mut events = netcomm_sse::listen("https://server.example/events")?;
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{}: {}", event.event_type, event.data);
/// }
/// # Ok(())
/// # }
/// ```
pub struct EventStream {
    drive: Box<Drive>,
    /// Its end was told.
    is_over: bool,
    /// What is lent, if it is no longer in the parser.
    held: Option<Event>,
}

/// An event that has come.
pub(crate) enum AtHand<'a> {
    Lent(EventRef<'a>),
    Taken(Event),
}

impl EventStream {
    /// Prepares a source of an `http` or `https` URL.
    pub fn builder(env: &Env, url: impl AsRef<str>) -> Builder {
        Builder::new(env, url.as_ref())
    }

    pub(crate) fn new(plan: Plan) -> Self {
        Self { drive: Box::new(Drive::new(plan)), is_over: false, held: None }
    }

    /// The next event; `None` when no more will come: the source was closed, the server has said so, or the
    /// [last event](Builder::done_when) came.
    ///
    /// # Errors
    ///
    /// What made the source give up, once; after it comes `None`. An answer that opened no stream has its status, header
    /// fields and the beginning of its body in the error's source, a [`Refused`](netcomm_core::Refused).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The same as [`next`](Self::next), lent: most events are read where they came to lie, and nothing is allocated for
    /// them. Both ways may be mixed.
    ///
    /// # Errors
    ///
    /// As of [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> netcomm_core::Result<()> {
    /// let mut events = netcomm_sse::listen("https://server.example/ticks")?;
    /// let mut bytes = 0;
    /// while let Some(event) = events.next_ref().await {
    ///     bytes += event?.data.len();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_ref(&mut self) -> Option<Result<EventRef<'_>>> {
        if let Some(kind) = self.drive.kind_at_hand() {
            return Some(Ok(self.drive.lend(kind)));
        }
        if poll_fn(|cx| Poll::Ready(self.feed_more(cx))).await
            && let Some(kind) = self.drive.kind_at_hand()
        {
            return Some(Ok(self.drive.lend(kind)));
        }
        let event = poll_fn(|cx| self.poll_for_event(cx)).await?;
        Some(event.map(|event| EventRef::from(&*self.held.insert(event))))
    }

    /// The next thing that happens, events among them; `None` after [`Notice::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn notice(&mut self) -> Option<Notice> {
        poll_fn(|cx| self.poll_notice(cx)).await
    }

    /// As [`notice`](Self::notice), polled.
    pub fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let notice = ready!(self.drive.poll(cx));
        self.is_over = matches!(notice, Notice::Closed(_));
        Poll::Ready(Some(notice))
    }

    /// Where it stands, as of the last poll.
    #[must_use]
    pub fn state(&self) -> &State {
        self.drive.state()
    }

    /// The last event id; empty if there is none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.drive.last_event_id()
    }

    /// What happened so far, in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.drive.counts()
    }

    /// Which types are wanted from now on; events of others are left out before anything is done with their data. Empty:
    /// all of them.
    pub fn set_types(&mut self, types: impl IntoIterator<Item = Select>) {
        let types: Vec<Select> = types.into_iter().collect();
        self.drive.set_types((!types.is_empty()).then_some(types));
    }

    /// Lets the stream of now go and opens another at once, with the last event id; ends a wait, and wakes a source that had
    /// ended.
    pub fn restart(&mut self) {
        self.is_over = false;
        self.drive.restart();
    }

    /// Ends the source: no event comes after this, not even one that has arrived. [`Notice::Closed`] still does, once the
    /// last id is [kept](Builder::keep_id).
    pub fn close(&mut self) {
        self.drive.close(End::Owner);
    }

    pub(crate) fn set_filter(&mut self, filter: Option<crate::parser::Filter>) {
        self.drive.set_filter(filter);
    }

    /// The next event, if it has come and nothing happened before it: lent if `is_small` says so of the lengths of its type,
    /// its id and its data.
    #[inline]
    pub(crate) fn at_hand(&mut self, is_small: impl FnOnce(usize, usize, usize) -> bool) -> Option<AtHand<'_>> {
        let kind = self.drive.kind_at_hand()?;
        let (event_type, id, data) = self.drive.lengths(kind);
        Some(if is_small(event_type, id, data) {
            AtHand::Lent(self.drive.lend(kind))
        } else {
            AtHand::Taken(self.drive.take(kind))
        })
    }

    /// Reads on, if more has come and nothing is to be done or told before it. Whether it did: there may be an event at hand.
    pub(crate) fn feed_more(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive.feed_more(cx)
    }

    #[inline]
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        match self.drive.event_at_hand() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => self.poll_for_event(cx),
        }
    }

    #[inline(never)]
    fn poll_for_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        loop {
            match ready!(self.poll_notice(cx)) {
                Some(Notice::Event(event)) => return Poll::Ready(Some(Ok(event))),
                Some(Notice::Closed(End::Failed(error))) => return Poll::Ready(Some(Err(error))),
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("state", self.state()).finish_non_exhaustive()
    }
}
