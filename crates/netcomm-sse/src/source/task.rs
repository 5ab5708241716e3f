//! The one task of a source: drives the stream, and passes on what comes.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use netcomm_core::{Batch, Feed, Heard};
use tokio::sync::{mpsc, watch};

use super::listeners::{Listener, Listeners, union};
use crate::event::Event;
use crate::select::Select;
use crate::state::{Notice, State};
use crate::stream::EventStream;

/// What the owner wants of the task.
pub(super) enum Order {
    Start,
    Restart,
    Close,
    /// Those who listen are others.
    Look,
}

/// What a turn of the task came to.
#[derive(PartialEq, Eq)]
enum Turn {
    /// There is more to do, once others had their turn.
    GiveWay,
    Over,
}

/// One who listens, and what was read for it in this turn.
struct Listening {
    select: Select,
    batch: Batch<Event>,
}

/// Events that are passed on before others of the runtime get their turn.
const BATCH: usize = 1024;

pub(super) struct Task {
    stream: EventStream,
    listeners: Arc<Listeners>,
    orders: mpsc::UnboundedReceiver<Order>,
    state: watch::Sender<State>,
    is_started: bool,
    version: Option<u64>,
    events: Vec<Listening>,
    notices: Vec<Arc<Feed<Notice>>>,
    /// Those who have to make room before anything more is read.
    full: Vec<Arc<Feed<Event>>>,
}

impl Task {
    pub(super) fn new(
        stream: EventStream,
        listeners: Arc<Listeners>,
        orders: mpsc::UnboundedReceiver<Order>,
        state: watch::Sender<State>,
    ) -> Self {
        Self {
            stream,
            listeners,
            orders,
            state,
            is_started: false,
            version: None,
            events: Vec::new(),
            notices: Vec::new(),
            full: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while poll_fn(|cx| self.poll(cx)).await == Turn::GiveWay {
            // To wake itself would be too little: a runtime of one thread runs what is ready many times over before it comes
            // to the future that it was started for.
            tokio::task::yield_now().await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let turn = self.turn(cx);
        // Before anything else can happen.
        self.hand_over();
        turn
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        // From here on an order wakes this task.
        self.obey(cx);
        let mut has_delivered = false;
        for _ in 0..BATCH {
            if !self.orders.is_empty() {
                self.obey(cx);
            }
            if !self.is_started {
                return Poll::Pending;
            }
            if !self.full.is_empty() {
                self.full.retain(|feed| feed.poll_room(cx).is_pending());
                if !self.full.is_empty() {
                    return Poll::Pending;
                }
            }
            self.look();
            if let Some(event) = self.stream.event_at_hand() {
                self.deliver(event);
                has_delivered = true;
                continue;
            }
            // Listeners take what is there before more is read: what waits stays small, and in the processor's cache.
            if has_delivered {
                break;
            }
            match ready!(self.stream.poll_notice(cx)) {
                Some(Notice::Event(event)) => {
                    self.deliver(event);
                    has_delivered = true;
                }
                Some(notice) => self.tell(&notice),
                None => return Poll::Ready(Turn::Over),
            }
        }
        Poll::Ready(Turn::GiveWay)
    }

    /// Does what was ordered so far.
    fn obey(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(order) = self.orders.poll_recv(cx) {
            match order {
                Some(Order::Start) => self.is_started = true,
                Some(Order::Restart) => {
                    self.is_started = true;
                    self.stream.restart();
                }
                Some(Order::Look) => self.version = None,
                // The end is told whether or not it was ever started.
                Some(Order::Close) | None => {
                    self.is_started = true;
                    self.hand_over();
                    self.full.clear();
                    self.stream.close();
                    return;
                }
            }
        }
    }

    /// Learns who listens, if that is not who did.
    fn look(&mut self) {
        let version = self.listeners.version();
        if self.version == Some(version) {
            return;
        }
        self.version = Some(version);
        self.hand_over();
        let (events, notices) = self.listeners.current();
        self.notices = notices;
        self.stream.set_filter(union(&events));
        self.events = events.into_iter().map(Listening::new).collect();
    }

    /// Events of one chunk go to a listener together: each by itself would take its lock, and wake it.
    #[inline]
    fn deliver(&mut self, event: Event) {
        let weight = event.data.len() + event.event_type.len() + event.id.len();
        if let [only] = &mut *self.events {
            if only.select.matches(&event.event_type) && only.batch.add(event, weight) {
                self.hand_over_to(0);
            }
            return;
        }
        self.deliver_to_many(event, weight);
    }

    #[inline(never)]
    fn deliver_to_many(&mut self, event: Event, weight: usize) {
        let is_wanting = |listener: &Listening| listener.select.matches(&event.event_type);
        let Some(last) = self.events.iter().rposition(is_wanting) else { return };
        for at in 0..last {
            if self.events[at].select.matches(&event.event_type) {
                self.pass(at, event.clone(), weight);
            }
        }
        self.pass(last, event, weight);
    }

    fn pass(&mut self, to: usize, event: Event, weight: usize) {
        if self.events[to].batch.add(event, weight) {
            self.hand_over_to(to);
        }
    }

    /// Listeners get what was read for them.
    fn hand_over(&mut self) {
        for to in 0..self.events.len() {
            self.hand_over_to(to);
        }
    }

    fn hand_over_to(&mut self, to: usize) {
        let batch = &mut self.events[to].batch;
        match batch.hand_over() {
            Heard::Yes => {}
            Heard::Full => self.full.push(Arc::clone(batch.feed())),
            Heard::Gone => self.version = None,
        }
    }

    fn tell(&mut self, notice: &Notice) {
        if let Notice::Open(_) = notice {
            self.listeners.open();
        }
        let state = self.stream.state();
        self.state.send_if_modified(|known| {
            let is_new = !state.is_as(known);
            if is_new {
                known.clone_from(state);
            }
            is_new
        });
        for feed in &self.notices {
            if feed.push(notice.clone(), 0) == Heard::Gone {
                self.version = None;
            }
        }
    }
}

impl Listening {
    fn new(listener: Listener) -> Self {
        Self { select: listener.select, batch: Batch::new(listener.feed) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.listeners.end();
        // A task that its runtime has dropped ends as well.
        self.state.send_if_modified(|state| {
            let is_over = state.is_closed();
            if !is_over {
                *state = State::Closed(crate::state::End::Owner);
            }
            !is_over
        });
    }
}
