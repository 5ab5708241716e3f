//! The books of the pool: pure decisions about who gets what, under one short lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use netcomm_core::Result;
use tokio::sync::oneshot;

use super::{Checkout, Key, PoolLimits};
use crate::alarm::after;
use crate::conn::H1;
#[cfg(feature = "http2")]
use crate::conn::H2;
use crate::origin::Origin;

/// Requests that one connection about to be made is expected to serve where the origin is known to multiplex.
#[cfg(feature = "http2")]
const STREAMS_EXPECTED: usize = 100;
/// With more connections to an origin in use than that, its calls are a crowd.
const CROWD: usize = 8;
/// A connection is let go this long before its peer said it would close it, for the request that is under way then.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

/// What the pool holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// Connections, those being made included.
    pub open: usize,
    /// Idle connections.
    pub idle: usize,
    /// Calls that wait for a connection.
    pub waiting: usize,
    /// The same by origin, in order of their names.
    pub origins: Vec<OriginSnapshot>,
}

/// What the pool holds for one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginSnapshot {
    /// The origin.
    pub origin: Origin,
    /// Connections, those being made included.
    pub open: usize,
    /// Idle connections.
    pub idle: usize,
    /// Connections being made.
    pub dialing: usize,
    /// Calls that wait.
    pub waiting: usize,
    /// Open streams on shared (HTTP/2) connections.
    pub streams: usize,
    /// Shared (HTTP/2) connections.
    pub shared: usize,
}

pub(super) struct State {
    limits: PoolLimits,
    /// What origins are taken to speak before they have been heard.
    presumed: Protocol,
    origins: HashMap<Arc<Key>, Slot, RandomState>,
    open: usize,
    idle: usize,
    waiting: usize,
    next_ticket: u64,
    /// Connections opened before this count are not used again: see [`State::evict_all`].
    epoch: u64,
    pub(super) next_connection: u64,
    pub(super) reaper_runs: bool,
}

struct Slot {
    key: Arc<Key>,
    idle: VecDeque<Idle>,
    #[cfg(feature = "http2")]
    shared: Vec<Arc<H2>>,
    open: usize,
    dialing: usize,
    waiters: VecDeque<Waiter>,
    protocol: Protocol,
}

impl Slot {
    fn new(key: Arc<Key>, protocol: Protocol) -> Self {
        Self {
            key,
            idle: VecDeque::new(),
            #[cfg(feature = "http2")]
            shared: Vec::new(),
            open: 0,
            dialing: 0,
            waiters: VecDeque::new(),
            protocol,
        }
    }
}

/// What is known of an origin's protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Unknown,
    Single,
    #[cfg(feature = "http2")]
    Multiplexed,
}

struct Idle {
    h1: Box<H1>,
    expires: Instant,
}

struct Waiter {
    ticket: u64,
    sender: oneshot::Sender<Result<Checkout>>,
}

/// An order to make a connection; its place in the books is taken already.
#[derive(Debug)]
pub(super) struct DialOrder {
    pub(super) key: Arc<Key>,
    pub(super) ticket: u64,
    pub(super) connection: u64,
}

pub(super) enum Taken {
    Idle {
        h1: Box<H1>,
        key: Arc<Key>,
        /// Whether many calls to the origin are under way.
        crowded: bool,
    },
    #[cfg(feature = "http2")]
    Stream(Arc<H2>, Arc<Key>),
    Wait {
        receiver: oneshot::Receiver<Result<Checkout>>,
        ticket: u64,
        dial: Option<DialOrder>,
        /// Whether a connection is being made, this one or another.
        dialing: bool,
    },
}

pub(super) type Sender = oneshot::Sender<Result<Checkout>>;

#[expect(clippy::vec_box, reason = "connections move in and out of leases, and are boxed there")]
impl State {
    pub(super) fn new(limits: PoolLimits, presumed: Protocol) -> Self {
        Self {
            limits,
            presumed,
            origins: HashMap::default(),
            open: 0,
            idle: 0,
            waiting: 0,
            next_ticket: 0,
            epoch: 0,
            next_connection: 1,
            reaper_runs: false,
        }
    }

    /// Takes a connection, or a place in the queue for one.
    pub(super) fn take(&mut self, key: &Key, fresh: bool, now: Instant, generation: u64) -> Taken {
        let epoch = self.epoch;
        if let Some(slot) = self.origins.get_mut(key) {
            while !fresh && let Some(idle) = slot.idle.pop_back() {
                self.idle -= 1;
                let meta = idle.h1.meta();
                // The end of its greatest age is in its expiry already.
                if meta.generation == generation && meta.id >= epoch && now < idle.expires {
                    let crowded = slot.open - slot.idle.len() > CROWD;
                    return Taken::Idle { h1: idle.h1, key: Arc::clone(&slot.key), crowded };
                }
                slot.open -= 1;
                self.open -= 1;
            }
            #[cfg(feature = "http2")]
            {
                let before = slot.shared.len();
                // What is too old or of another network ends with its last stream; nobody new gets on it.
                slot.shared.retain(|h2| {
                    let meta = h2.meta();
                    !h2.is_closed()
                        && meta.id >= epoch
                        && meta.generation == generation
                        && now.saturating_duration_since(meta.created) < self.limits.max_age
                });
                let gone = before - slot.shared.len();
                slot.open -= gone;
                self.open -= gone;
                if let Some(h2) = slot.shared.iter().find(|h2| h2.try_take()) {
                    return Taken::Stream(Arc::clone(h2), Arc::clone(&slot.key));
                }
            }
        }
        let (sender, receiver) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let own_key = match self.origins.get(key) {
            Some(slot) => Arc::clone(&slot.key),
            None => Arc::new(key.clone()),
        };
        let slot =
            self.origins.entry(Arc::clone(&own_key)).or_insert_with(|| Slot::new(Arc::clone(&own_key), self.presumed));
        slot.waiters.push_back(Waiter { ticket, sender });
        self.waiting += 1;
        let dial = self.order(&own_key, ticket);
        let dialing = self.origins.get(&own_key).is_some_and(|slot| slot.dialing > 0);
        Taken::Wait { receiver, ticket, dial, dialing }
    }

    /// Takes a place in the books for a connection that shall be made for a waiter, if one is needed and allowed.
    fn order(&mut self, key: &Arc<Key>, ticket: u64) -> Option<DialOrder> {
        let slot = self.origins.get(key)?;
        let enough = match slot.protocol {
            Protocol::Single => slot.dialing >= slot.waiters.len(),
            // One connection tells whether the origin multiplexes; until then a crowd waits for it.
            Protocol::Unknown if key.origin.is_secure() => slot.dialing >= 1,
            Protocol::Unknown => slot.dialing >= slot.waiters.len(),
            // So does a crowd where a connection has not heard yet how many streams it may open.
            #[cfg(feature = "http2")]
            Protocol::Multiplexed if slot.shared.iter().any(|h2| !h2.is_settled() && !h2.is_closed()) => true,
            #[cfg(feature = "http2")]
            Protocol::Multiplexed => slot.dialing * STREAMS_EXPECTED >= slot.waiters.len(),
        };
        if enough || slot.open >= self.limits.per_origin {
            return None;
        }
        if self.open >= self.limits.total && !self.evict_oldest_idle() {
            return None;
        }
        let slot = self.origins.get_mut(key)?;
        slot.open += 1;
        slot.dialing += 1;
        self.open += 1;
        let connection = self.next_connection;
        self.next_connection += 1;
        Some(DialOrder { key: Arc::clone(key), ticket, connection })
    }

    /// Orders for connections that have become possible or needed, after something changed at `key`: its own waiters
    /// come first, then those who waited for the pool as a whole.
    pub(super) fn orders(&mut self, key: &Arc<Key>) -> Vec<DialOrder> {
        let mut orders = Vec::new();
        if self.waiting > 0 {
            self.orders_for(key, &mut orders);
        }
        if self.waiting > orders.len() && self.open < self.limits.total {
            orders.extend(self.all_orders());
        }
        orders
    }

    /// The same for every origin.
    pub(super) fn all_orders(&mut self) -> Vec<DialOrder> {
        let mut orders = Vec::new();
        if self.waiting > 0 {
            let keys: Vec<_> = self
                .origins
                .iter()
                .filter(|(_, slot)| !slot.waiters.is_empty())
                .map(|(key, _)| Arc::clone(key))
                .collect();
            for key in keys {
                self.orders_for(&key, &mut orders);
            }
        }
        orders
    }

    fn orders_for(&mut self, key: &Arc<Key>, orders: &mut Vec<DialOrder>) {
        while let Some(slot) = self.origins.get(key)
            && let Some(last) = slot.waiters.len().checked_sub(1)
            && let Some(waiter) = slot.waiters.get(slot.dialing.min(last))
            && let Some(order) = self.order(key, waiter.ticket)
        {
            orders.push(order);
        }
    }

    /// A connection was made. Remembers what its origin speaks.
    pub(super) fn dialed(&mut self, key: &Arc<Key>, protocol: Protocol) {
        if let Some(slot) = self.origins.get_mut(key) {
            slot.dialing -= 1;
            slot.protocol = protocol;
        }
    }

    /// A connection could not be made: its place is free again. Gives the waiter for whom it was meant.
    pub(super) fn dial_failed(&mut self, order: &DialOrder) -> Option<Sender> {
        let slot = self.origins.get_mut(&order.key)?;
        slot.dialing -= 1;
        if slot.protocol == Protocol::Unknown {
            // Waiting for this one to tell the protocol has led nowhere: the others try on their own.
            slot.protocol = Protocol::Single;
        }
        let at = slot.waiters.iter().position(|waiter| waiter.ticket == order.ticket);
        let waiter = at.and_then(|at| slot.waiters.remove(at));
        self.waiting -= usize::from(waiter.is_some());
        self.closed(&order.key);
        waiter.map(|waiter| waiter.sender)
    }

    /// The next waiter of an origin.
    pub(super) fn next_waiter(&mut self, key: &Arc<Key>) -> Option<Sender> {
        if self.waiting == 0 {
            return None;
        }
        let waiter = self.origins.get_mut(key)?.waiters.pop_front()?;
        self.waiting -= 1;
        Some(waiter.sender)
    }

    pub(super) fn forget_waiter(&mut self, key: &Key, ticket: u64) {
        if let Some(slot) = self.origins.get_mut(key)
            && let Some(at) = slot.waiters.iter().position(|waiter| waiter.ticket == ticket)
        {
            slot.waiters.remove(at);
            self.waiting -= 1;
        }
    }

    /// Puts a connection to rest. What must make way for it comes back, to be dropped outside the lock.
    pub(super) fn rest(&mut self, h1: Box<H1>, key: &Arc<Key>, now: Instant) -> Vec<Box<H1>> {
        let mut evicted = Vec::new();
        let meta = h1.meta();
        let life = match h1.keep_alive {
            Some(promised) => promised.saturating_sub(KEEP_ALIVE_MARGIN).min(self.limits.idle_timeout),
            None => self.limits.idle_timeout,
        };
        let end_of_age = after(meta.created, self.limits.max_age);
        let expires = after(now, life).min(end_of_age);
        let Some(slot) = self.origins.get_mut(key) else { return vec![h1] };
        if expires <= now || meta.id < self.epoch || self.limits.idle_per_origin == 0 || self.limits.idle_total == 0 {
            self.closed(key);
            return vec![h1];
        }
        slot.idle.push_back(Idle { h1, expires });
        self.idle += 1;
        if slot.idle.len() > self.limits.idle_per_origin
            && let Some(oldest) = slot.idle.pop_front()
        {
            self.idle -= 1;
            evicted.push(oldest.h1);
            self.closed(key);
        }
        if self.idle > self.limits.idle_total {
            evicted.extend(self.take_oldest_idle());
        }
        evicted
    }

    #[cfg(feature = "http2")]
    pub(super) fn share(&mut self, h2: Arc<H2>, key: &Arc<Key>) {
        if let Some(slot) = self.origins.get_mut(key) {
            slot.shared.push(h2);
        }
    }

    /// A shared connection with a stream to spare for a waiter.
    #[cfg(feature = "http2")]
    pub(super) fn stream_for_waiter(&mut self, key: &Arc<Key>) -> Option<(Arc<H2>, Sender)> {
        let slot = self.origins.get_mut(key)?;
        if slot.waiters.is_empty() {
            return None;
        }
        let h2 = slot.shared.iter().find(|h2| !h2.is_closed() && h2.try_take()).map(Arc::clone)?;
        let waiter = slot.waiters.pop_front()?;
        self.waiting -= 1;
        Some((h2, waiter.sender))
    }

    /// A connection is gone: its place is free.
    pub(super) fn closed(&mut self, key: &Arc<Key>) {
        if let Some(slot) = self.origins.get_mut(key) {
            slot.open -= 1;
            self.open -= 1;
            if slot.open == 0 && slot.waiters.is_empty() {
                self.origins.remove(key);
            }
        }
    }

    fn evict_oldest_idle(&mut self) -> bool {
        self.take_oldest_idle().is_some()
    }

    fn take_oldest_idle(&mut self) -> Option<Box<H1>> {
        let key = self
            .origins
            .iter()
            .filter_map(|(key, slot)| slot.idle.front().map(|idle| (idle.expires, idle.h1.meta().id, key)))
            .min_by_key(|(expires, id, _)| (*expires, *id))
            .map(|(_, _, key)| Arc::clone(key))?;
        let idle = self.origins.get_mut(&key)?.idle.pop_front()?;
        self.idle -= 1;
        self.closed(&key);
        Some(idle.h1)
    }

    /// Takes out what is not to be used any more. `now` and `generation` as for [`take`](Self::take).
    pub(super) fn expired(&mut self, now: Instant, generation: u64) -> Vec<Box<H1>> {
        let mut expired = Vec::new();
        let mut gone = Vec::new();
        for (key, slot) in &mut self.origins {
            let (keep, drop): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut slot.idle)
                .into_iter()
                .partition(|idle| now < idle.expires && idle.h1.meta().generation == generation);
            slot.idle = keep;
            self.idle -= drop.len();
            for idle in drop {
                expired.push(idle.h1);
                gone.push(Arc::clone(key));
            }
            #[cfg(feature = "http2")]
            {
                let (epoch, limits) = (self.epoch, &self.limits);
                let before = slot.shared.len();
                slot.shared.retain(|h2| {
                    let meta = h2.meta();
                    let idle_too_long = h2.active() == 0
                        && h2
                            .idle_since()
                            .is_some_and(|since| now.saturating_duration_since(since) >= limits.idle_timeout);
                    !h2.is_closed() && !idle_too_long && meta.id >= epoch && meta.generation == generation
                });
                gone.extend((slot.shared.len()..before).map(|_| Arc::clone(key)));
            }
        }
        for key in gone {
            self.closed(&key);
        }
        expired
    }

    /// When to look for expired connections again; `None` if there are none at all.
    pub(super) fn next_sweep(&self, now: Instant) -> Option<Instant> {
        // What is in use now may be idle soon, and expires no sooner than this.
        let in_use = (self.open > 0).then(|| after(now, self.limits.idle_timeout));
        self.next_expiry().into_iter().chain(in_use).min()
    }

    fn next_expiry(&self) -> Option<Instant> {
        let h1 = self.origins.values().flat_map(|slot| slot.idle.iter().map(|idle| idle.expires));
        #[cfg(feature = "http2")]
        {
            let idle_timeout = self.limits.idle_timeout;
            let h2 = self.origins.values().flat_map(|slot| &slot.shared);
            h1.chain(h2.filter_map(|h2| Some(h2.idle_since()? + idle_timeout))).min()
        }
        #[cfg(not(feature = "http2"))]
        h1.min()
    }

    pub(super) fn evict_all(&mut self) -> Vec<Box<H1>> {
        self.epoch = self.next_connection;
        let mut evicted = Vec::new();
        while let Some(h1) = self.take_oldest_idle() {
            evicted.push(h1);
        }
        #[cfg(feature = "http2")]
        {
            let keys: Vec<_> = self.origins.keys().map(Arc::clone).collect();
            for key in keys {
                let count = self.origins.get_mut(&key).map_or(0, |slot| std::mem::take(&mut slot.shared).len());
                (0..count).for_each(|_| self.closed(&key));
            }
        }
        evicted
    }

    pub(super) fn snapshot(&self) -> PoolSnapshot {
        let mut origins: Vec<_> = self
            .origins
            .iter()
            .map(|(key, slot)| {
                #[cfg(feature = "http2")]
                let (shared, streams) = (slot.shared.len(), slot.shared.iter().map(|h2| h2.active()).sum());
                #[cfg(not(feature = "http2"))]
                let (shared, streams) = (0, 0);
                OriginSnapshot {
                    origin: key.origin.clone(),
                    open: slot.open,
                    idle: slot.idle.len(),
                    dialing: slot.dialing,
                    waiting: slot.waiters.len(),
                    streams,
                    shared,
                }
            })
            .collect();
        origins.sort_by_key(|origin| origin.origin.to_string());
        PoolSnapshot { open: self.open, idle: self.idle, waiting: self.waiting, origins }
    }
}
