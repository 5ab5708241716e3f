//! The one task of a source: drives the stream, and passes on what comes.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use netcomm_core::{Feed, Heard};
use tokio::sync::{mpsc, watch};

use super::audience::Audience;
use super::listeners::{Listeners, union};
use super::log::Log;
use crate::state::{Notice, State};
use crate::stream::{AtHand, EventStream};

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

/// So many events are passed on between two looks at what the owner wants.
const STRIDE: usize = 16;

/// Strides before others of the runtime get their turn.
const TURN: usize = 64;

/// Pieces of the body before listeners take what is there, if each brought at least so many events; after one with fewer they
/// take it at once. What waits stays small, and in the processor's cache.
const PIECES: usize = 4;
const BUSY: usize = 32;

pub(super) struct Task {
    stream: EventStream,
    listeners: Arc<Listeners>,
    orders: mpsc::UnboundedReceiver<Order>,
    state: watch::Sender<State>,
    is_started: bool,
    /// Of those who listen; `None` if some have left.
    version: Option<u64>,
    audience: Audience,
    notices: Vec<Arc<Feed<Notice>>>,
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
            audience: Audience::default(),
            notices: Vec::new(),
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
        self.audience.hand_over();
        turn
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        // From here on an order wakes this task.
        self.obey(cx);
        let (mut pieces, mut events) = (0, 0);
        for _ in 0..TURN {
            if !self.orders.is_empty() {
                self.obey(cx);
            }
            if !self.is_started {
                return Poll::Pending;
            }
            ready!(self.audience.poll_room(cx));
            self.look();
            let delivered = self.deliver();
            if delivered > 0 {
                events += delivered;
                continue;
            }
            if events > 0 {
                pieces += 1;
                if pieces == PIECES || events < BUSY {
                    break;
                }
                events = 0;
            }
            if self.stream.feed_more(cx) {
                continue;
            }
            match ready!(self.stream.poll_notice(cx)) {
                Some(Notice::Event(event)) => {
                    self.audience.pass(&event);
                    events += 1;
                }
                Some(notice) => self.tell(&notice),
                None => return Poll::Ready(Turn::Over),
            }
        }
        Poll::Ready(Turn::GiveWay)
    }

    /// Passes on what is at hand, up to a stride and while there is room. How many events that was.
    #[inline]
    fn deliver(&mut self) -> usize {
        for count in 0..STRIDE {
            match self.stream.at_hand(Log::copies) {
                Some(AtHand::Lent(event)) => self.audience.copy(event),
                Some(AtHand::Taken(event)) => self.audience.pass(&event),
                None => return count,
            }
            if self.audience.is_full() {
                return count + 1;
            }
        }
        STRIDE
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
                    self.audience.hand_over();
                    self.audience.wait_no_more();
                    self.stream.close();
                    return;
                }
            }
        }
    }

    /// Learns who listens, if that is not who did.
    #[inline]
    fn look(&mut self) {
        let version = self.listeners.version();
        if self.version != Some(version) || self.audience.has_lost() {
            self.look_anew(version);
        }
    }

    #[cold]
    fn look_anew(&mut self, version: u64) {
        self.version = Some(version);
        self.audience.hand_over();
        let (events, notices) = self.listeners.current();
        self.notices = notices;
        self.stream.set_filter(union(&events));
        self.audience.be(events);
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
