//! Those who listen to events, as the task sees them.

use std::sync::Arc;
use std::task::{Context, Poll};

use netcomm_core::{Batch, Heard};

use super::listeners::Listener;
use super::log::{Log, weight};
use super::subscription::EventFeed;
use crate::event::Event;
use crate::parser::EventRef;
use crate::select::Select;

/// All who listen now, and what was read for each of them and not handed over. Events of one chunk go to a listener together:
/// each by itself would take its lock, and wake it.
#[derive(Default)]
pub(super) struct Audience {
    all: Vec<Seat>,
    /// Those who have to make room before anything more is read.
    full: Vec<Arc<EventFeed>>,
    /// Some have left.
    has_lost: bool,
}

/// One who listens.
struct Seat {
    select: Select,
    batch: Batch<Event, Log>,
}

impl Audience {
    /// These listen from now on. What was read for those before has to be handed over.
    pub(super) fn be(&mut self, listeners: Vec<Listener>) {
        self.has_lost = false;
        let seat = |Listener { select, feed }| Seat { select, batch: Batch::new(feed) };
        self.all = listeners.into_iter().map(seat).collect();
    }

    /// Whether some of them have left.
    #[inline]
    pub(super) fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// Whether somebody has to make room before more may be read.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Waits until more may be read.
    #[inline]
    pub(super) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.is_full() {
            self.full.retain(|feed| feed.poll_room(cx).is_pending());
        }
        if self.full.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Nothing more will be read.
    pub(super) fn wait_no_more(&mut self) {
        self.full.clear();
    }

    /// Copies a small event for each who wants it.
    #[inline]
    pub(super) fn copy(&mut self, event: EventRef<'_>) {
        let bytes = weight(event);
        for at in 0..self.all.len() {
            let Seat { select, batch } = &mut self.all[at];
            if select.matches(event.event_type) && batch.add_with(bytes, |log| log.push_ref(event)) {
                self.hand_over_to(at);
            }
        }
    }

    /// Passes an event on to all who want it.
    pub(super) fn pass(&mut self, event: &Event) {
        let bytes = weight(EventRef::from(event));
        for at in 0..self.all.len() {
            let Seat { select, batch } = &mut self.all[at];
            if select.matches(&event.event_type) && batch.add_with(bytes, |log| log.push(event.clone())) {
                self.hand_over_to(at);
            }
        }
    }

    /// Listeners get what was read for them.
    pub(super) fn hand_over(&mut self) {
        for at in 0..self.all.len() {
            self.hand_over_to(at);
        }
    }

    fn hand_over_to(&mut self, at: usize) {
        let batch = &mut self.all[at].batch;
        match batch.hand_over() {
            Heard::Yes => {}
            Heard::Full => self.full.push(Arc::clone(batch.feed())),
            Heard::Gone => self.has_lost = true,
        }
    }
}
