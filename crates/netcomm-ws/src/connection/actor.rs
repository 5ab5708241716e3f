//! The task of a connection: from the first dial to the last goodbye, read from top to bottom.

mod attempt;
mod serve;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use netcomm_core::{
    CallId, Connectivity, Env, Error, ErrorKind, Feed, Interest, Network, NetworkChange, Next, Observation, Reach,
    Reconnect, Schedule, Sleep,
};

use super::receipt::{Dropped, Slot, Status};
use super::session::{AnyGreet, AnyPrepare, Resume};
use super::shared::{Listeners, Order, Parcel, Shared};
use super::state::{Delivery, Event, State};
use super::window::{Seen, Window};
use crate::close::{Closed, Closer};
use crate::cluster::stagger;
use crate::connect::Connect;
use crate::dialect::Dialect;
use crate::heartbeat::Rtt;
use crate::judge::judge;
use crate::message::{Message, Text};
use crate::socket::Socket;

/// What a connection was built with.
pub(super) struct Plan {
    pub(super) env: Env,
    pub(super) connect: Connect,
    pub(super) prepare: Option<AnyPrepare>,
    pub(super) greet: Option<AnyGreet>,
    pub(super) prepare_timeout: Duration,
    pub(super) greet_timeout: Duration,
    pub(super) reconnect: Reconnect,
    /// `None`: messages mean nothing beyond themselves.
    pub(super) dialect: Option<Arc<dyn Dialect>>,
    /// How many messages may be on their way without acknowledgement; `None`: acknowledgements are not in use.
    pub(super) window: Option<usize>,
    pub(super) acknowledges: bool,
    /// How often the application's own ping is sent.
    pub(super) ping_interval: Option<Duration>,
    pub(super) probe_timeout: Duration,
    pub(super) is_lazy: bool,
    /// Its place in a cluster.
    pub(super) membership: Option<Membership>,
}

/// A place in a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) name: Text,
    pub(crate) nth: usize,
    pub(crate) total: usize,
    /// Over how much time members that were lost together come back.
    pub(crate) spread: Duration,
}

pub(super) struct Actor {
    shared: Arc<Shared>,
    plan: Plan,
    schedule: Schedule,
    window: Option<Window<Box<Parcel>>>,
    seen: Seen,
    session: Option<Text>,
    /// Which run of the peer's numbers this is.
    run: u64,
    /// What goes before anything that waits: subscriptions, acknowledgements, pings.
    urgent: VecDeque<Message>,
    /// Handed to the socket, and not to the operating system.
    unwritten: Vec<Unwritten>,
    /// Those who listen to all messages, as of that [change](Shared::refresh).
    listeners: (u64, Listeners<Delivery>),
    /// Listeners that have no room.
    full: Vec<Arc<Feed<Delivery>>>,
    /// When the next message in the queue is of no use any more.
    expiry: Timer,
    /// Whether the peer is to be told of topics, or of what was had.
    has_notes: bool,
    /// Whether something waits in the queue, as far as was looked.
    has_queued: bool,
    ping: Timer,
    network: Network,
    change: Option<NetworkChange>,
    /// As those who ask know them.
    rtt: Option<Rtt>,
    /// How it ended; `None` while it has not, and where the task is dropped before.
    end: Option<End>,
}

/// A message between the queue and the operating system.
struct Unwritten {
    id: u64,
    slot: Arc<Slot>,
    /// Whether it is kept until it is acknowledged.
    is_kept: bool,
}

/// A wait that can be moved.
#[derive(Default)]
struct Timer {
    armed: Option<(Instant, Sleep)>,
}

/// How it all ends.
struct End {
    closed: Option<Closed>,
    cause: Option<Error>,
}

/// How one connection ends.
enum Served {
    Lost(Error),
    /// Its owner wants another.
    Renewed,
    /// Its owner wants no more.
    Closed(Closed),
}

impl Actor {
    pub(super) fn new(shared: Arc<Shared>, plan: Plan) -> Self {
        let network = plan.env.connectivity().current();
        Self {
            shared,
            schedule: Schedule::new(plan.reconnect.clone()),
            window: plan.window.map(Window::new),
            plan,
            seen: Seen::default(),
            session: None,
            run: 0,
            urgent: VecDeque::new(),
            unwritten: Vec::new(),
            listeners: (0, Arc::new([])),
            full: Vec::new(),
            expiry: Timer::default(),
            has_notes: false,
            has_queued: false,
            ping: Timer::default(),
            network,
            change: None,
            rtt: None,
            end: None,
        }
    }

    /// Lives.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` has room for itself twice, before its first poll and after"
    )]
    pub(super) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let end = self.live().await;
            self.ends(end);
        }
    }

    fn ends(&mut self, end: End) {
        self.end = Some(end);
    }

    async fn live(&mut self) -> End {
        if self.plan.is_lazy
            && let Err(end) = self.until_wanted().await
        {
            return end;
        }
        let (mut refresh, mut cause) = (false, None);
        loop {
            if let Err(end) = self.until_online(cause.as_ref()).await {
                return end;
            }
            let mut socket = match self.attempt(refresh, cause.take()).await {
                Ok(socket) => socket,
                Err(Failed::Ordered(end)) => return end,
                Err(Failed::Error { error, is_prepared }) => match self.next(error) {
                    Ok((again, at, error)) => {
                        // Those who could not be asked are asked again.
                        refresh = again || (refresh && !is_prepared);
                        match self.wait(at, error).await {
                            Ok(error) => cause = Some(error),
                            Err(end) => return end,
                        }
                        continue;
                    }
                    Err(end) => return end,
                },
            };
            refresh = false;
            let since = self.shared.now();
            let served = self.serve(&mut socket).await;
            let uptime = self.shared.now().saturating_duration_since(since);
            self.lose(&socket);
            drop(socket);
            let error = match served {
                Served::Closed(closed) => return End { closed: Some(closed), cause: None },
                Served::Renewed => {
                    self.schedule.lost(self.shared.now());
                    self.schedule.trying();
                    self.shared.fail_requests(self.window.is_some(), None);
                    continue;
                }
                Served::Lost(error) => error,
            };
            self.shared.fail_requests(self.window.is_some(), Some(&error));
            self.shared.tell(|| Event::Lost { cause: error.clone(), uptime });
            match self.next(error) {
                Ok((again, at, error)) => {
                    refresh = again;
                    match self.wait(at, error).await {
                        Ok(error) => cause = Some(error),
                        Err(end) => return end,
                    }
                }
                Err(end) => return end,
            }
        }
    }

    /// What follows a failure: whether with other credentials, when, and the failure itself.
    fn next(&mut self, error: Error) -> Result<(bool, Instant, Error), End> {
        let now = self.shared.now();
        let random = self.plan.env.random();
        let apart = self
            .plan
            .membership
            .as_ref()
            .map_or(Duration::ZERO, |member| stagger(member.nth, member.total, member.spread, random));
        let verdict = self.schedule.settings().verdict(&error, |error| judge(error, now));
        match self.schedule.failed(now, verdict, random) {
            Next::At(at) => Ok((false, at + apart, error)),
            Next::RefreshThenAt(at) => Ok((true, at + apart, error)),
            Next::GiveUp(why) => {
                self.observe(|| netcomm_core::Event::GaveUp { why });
                let closed = closed_of(&error);
                Err(End { closed, cause: Some(error.with_gave_up(why)) })
            }
        }
    }

    /// Waits until somebody wants the connection.
    async fn until_wanted(&mut self) -> Result<(), End> {
        poll_fn(|cx| {
            match self.poll_desk(cx) {
                Poll::Ready(Order::Close(_)) => return Poll::Ready(Err(End { closed: None, cause: None })),
                Poll::Ready(Order::Start | Order::Renew) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            if self.shared.has_queued() { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Waits until there is a network.
    async fn until_online(&mut self, cause: Option<&Error>) -> Result<(), End> {
        self.network = self.plan.env.connectivity().current();
        if self.network.reach != Reach::Offline {
            return Ok(());
        }
        let cause = cause.cloned().unwrap_or_else(|| Error::new(ErrorKind::Offline, "connect"));
        let attempt = self.schedule.attempt() - 1;
        self.shared.set(State::Backoff { attempt, until: None, cause: cause.clone() });
        self.shared.tell(|| Event::Waiting { attempt, wait: None, cause });
        poll_fn(|cx| {
            // All else has to wait for the network too.
            while let Poll::Ready(order) = self.poll_desk(cx) {
                if let Order::Close(_) = order {
                    return Poll::Ready(Err(End { closed: None, cause: None }));
                }
            }
            loop {
                ready!(self.poll_network(cx));
                if self.network.reach != Reach::Offline {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// Waits for the next try; word of another network makes it come sooner.
    async fn wait(&mut self, at: Instant, cause: Error) -> Result<Error, End> {
        let now = self.shared.now();
        let attempt = self.schedule.attempt().saturating_sub(1);
        self.shared.set(State::Backoff { attempt, until: Some(at), cause: cause.clone() });
        self.shared.tell(|| Event::Waiting {
            attempt,
            wait: Some(at.saturating_duration_since(now)),
            cause: cause.clone(),
        });
        self.observe(|| netcomm_core::Event::Retrying { tries: attempt, wait: at.saturating_duration_since(now) });
        self.network = self.plan.env.connectivity().current();
        let clock = Arc::clone(self.plan.env.clock());
        let mut sleep = clock.sleep_until(at);
        poll_fn(|cx| {
            match self.poll_desk(cx) {
                Poll::Ready(Order::Close(_)) => {
                    return Poll::Ready(Err(End { closed: closed_of(&cause), cause: None }));
                }
                Poll::Ready(Order::Renew | Order::Start) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            if self.poll_network(cx).is_ready() {
                self.shared.tell(|| Event::NetworkChanged);
                if let Some(sooner) = self.schedule.network_changed(clock.now(), self.plan.env.random()) {
                    sleep = clock.sleep_until(sooner);
                }
                cx.waker().wake_by_ref();
            }
            sleep.as_mut().poll(cx).map(Ok)
        })
        .await?;
        self.schedule.trying();
        Ok(cause)
    }

    /// What is to be done whatever else is going on: the owner's orders, and messages whose time is over.
    fn poll_desk(&mut self, cx: &mut Context<'_>) -> Poll<Order> {
        let desk = self.shared.look_at_desk(cx);
        self.has_notes |= desk.has_notes;
        self.has_queued = desk.has_queued;
        let mut next = desk.next_expiry;
        while next.is_some() {
            next = self.shared.expire();
            let clock = self.shared.clock();
            if self.expiry.poll(next, |at| clock.sleep_until(at), cx).is_pending() {
                break;
            }
        }
        desk.order.map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready when the network is another.
    fn poll_network(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let connectivity: &dyn Connectivity = &**self.plan.env.connectivity();
        let network = self.network;
        let change = self.change.get_or_insert_with(|| connectivity.changed(network));
        self.network = ready!(change.as_mut().poll(cx));
        self.change = None;
        Poll::Ready(())
    }

    /// The connection is gone: whatever was on its way is either sent again, or nobody knows.
    fn lose(&mut self, socket: &Socket) {
        self.tell_rtt(None);
        self.urgent.clear();
        self.ping = Timer::default();
        self.shared.drop_volatile();
        if socket.closed().is_some_and(|closed| closed.clean && closed.by == Closer::Us) {
            // The peer has answered the goodbye that went behind them.
            self.all_written();
        }
        self.give_up_unwritten();
        self.tell_written();
    }

    /// All that was handed to the socket is with the operating system.
    fn all_written(&mut self) {
        // Not drained: what a waker that panics leaves behind is told by the end.
        for Unwritten { slot, .. } in &self.unwritten {
            slot.set(Status::Written);
        }
        self.unwritten.clear();
    }

    /// What was handed over, and is not kept for another connection, is in nobody's hands.
    fn give_up_unwritten(&mut self) {
        for Unwritten { id, slot, is_kept } in std::mem::take(&mut self.unwritten) {
            if !is_kept {
                self.unknown(id, &slot);
            }
        }
    }

    fn tell_rtt(&mut self, rtt: Option<Rtt>) {
        if self.rtt != rtt {
            self.rtt = rtt;
            self.shared.set_rtt(rtt);
        }
    }

    /// Nobody will learn what became of what was sent and not acknowledged.
    fn give_up_sent(&mut self) {
        let Some(window) = &mut self.window else {
            return;
        };
        let left: Vec<_> = window.drain().collect();
        for (parcel, was_sent) in left {
            if was_sent {
                self.unknown(parcel.id, &parcel.slot);
            } else {
                parcel.slot.set(Status::Dropped(Dropped::Closed));
                self.shared.counters().dropped.one_more();
                self.shared.tell(|| Event::Dropped { id: parcel.id, why: Dropped::Closed });
            }
        }
    }

    fn unknown(&self, id: u64, slot: &Slot) {
        slot.set(Status::Unknown);
        self.shared.counters().unknown.one_more();
        self.shared.tell(|| Event::Unknown { id });
    }

    fn observe(&self, event: impl FnOnce() -> netcomm_core::Event) {
        let now = || self.shared.now();
        let scope = || self.plan.connect.scope_name();
        self.plan.env.tap().emit(Interest::DECISION, || Observation::new(now(), event()).with_call(CallId(0), scope()));
    }

    fn tell_written(&self) {
        self.shared.written(self.window.as_ref().map_or(0, Window::len));
    }

    fn resume(&self) -> Resume {
        Resume {
            session: self.session.clone(),
            received_up_to: self.seen.up_to(),
            unacknowledged_from: self.window.as_ref().and_then(Window::first),
        }
    }
}

/// Why a try came to nothing.
enum Failed {
    Error {
        error: Error,
        /// Whether it was known where to go, and with what.
        is_prepared: bool,
    },
    Ordered(End),
}

/// Whatever ends the task, those who wait are told.
impl Drop for Actor {
    fn drop(&mut self) {
        self.give_up_unwritten();
        self.give_up_sent();
        self.tell_written();
        let End { closed, cause } = self.end.take().unwrap_or_else(|| {
            let (kind, detail) = if std::thread::panicking() {
                (ErrorKind::User, "the connection's dialect, or what else is asked by its task, panicked")
            } else {
                (ErrorKind::Canceled, "the task of the connection was dropped")
            };
            End { closed: None, cause: Some(Error::new(kind, "connect").with_detail(detail)) }
        });
        let state = State::Closed { closed: closed.clone(), cause: cause.clone() };
        self.shared.close(state, Event::Closed { closed, cause });
    }
}

impl Timer {
    /// What it is set to.
    fn at(&self) -> Option<Instant> {
        self.armed.as_ref().map(|(at, _)| *at)
    }

    /// Ready when that time has come; it may be another than the last time.
    fn poll(&mut self, at: Option<Instant>, sleep: impl FnOnce(Instant) -> Sleep, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at else {
            self.armed = None;
            return Poll::Pending;
        };
        if self.armed.as_ref().is_none_or(|(armed, _)| *armed != at) {
            self.armed = Some((at, sleep(at)));
        }
        if let Some((_, sleep)) = &mut self.armed {
            ready!(sleep.as_mut().poll(cx));
        }
        self.armed = None;
        Poll::Ready(())
    }
}

fn closed_of(error: &Error) -> Option<Closed> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref::<Closed>()).cloned()
}
