//! What a call holds of the pool, and how it comes back.

use std::sync::{Arc, Weak};

use super::{Checkout, Key, Shared};
#[cfg(feature = "http2")]
use crate::conn::H2;
use crate::conn::{H1, Wire};

/// An HTTP/1.1 connection on loan. Dropped clean it goes back to the pool, dropped in the middle of an exchange it is
/// closed: what may still come on it belongs to nobody.
pub(crate) struct Lease {
    h1: Option<Box<H1>>,
    key: Arc<Key>,
    pool: Weak<Shared>,
    soiled: bool,
    last: bool,
    crowded: bool,
}

impl Lease {
    pub(super) fn new(h1: Box<H1>, key: Arc<Key>, pool: &Arc<Shared>) -> Self {
        Self { h1: Some(h1), key, pool: Arc::downgrade(pool), soiled: false, last: false, crowded: false }
    }

    pub(super) fn crowded(mut self, crowded: bool) -> Self {
        self.crowded = crowded;
        self
    }

    /// Whether many calls to the same origin are under way.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    pub(crate) fn h1(&self) -> &H1 {
        self.h1.as_deref().expect("the connection is there until the lease is dropped")
    }

    pub(crate) fn h1_mut(&mut self) -> &mut H1 {
        self.h1.as_deref_mut().expect("the connection is there until the lease is dropped")
    }

    /// An exchange begins.
    pub(crate) fn soil(&mut self) {
        self.soiled = true;
    }

    /// The exchange has ended in good order.
    pub(crate) fn clean(&mut self) {
        self.soiled = false;
    }

    /// The same lease, whose connection carries no further request.
    pub(crate) fn for_the_last_time(mut self) -> Self {
        self.last = true;
        self
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(h1) = self.h1.take() else { return };
        let Some(pool) = self.pool.upgrade() else { return };
        if self.soiled || self.last {
            drop(h1);
            pool.closed(&self.key);
        } else {
            pool.give_back(h1, &self.key);
        }
    }
}

/// A stream of a shared connection on loan.
#[cfg(feature = "http2")]
pub(crate) struct StreamLease {
    h2: Arc<H2>,
    key: Arc<Key>,
    pool: Weak<Shared>,
}

#[cfg(feature = "http2")]
impl StreamLease {
    pub(super) fn new(h2: Arc<H2>, key: Arc<Key>, pool: &Arc<Shared>) -> Self {
        Self { h2, key, pool: Arc::downgrade(pool) }
    }

    pub(crate) fn h2(&self) -> &H2 {
        &self.h2
    }
}

#[cfg(feature = "http2")]
impl Drop for StreamLease {
    fn drop(&mut self) {
        self.h2.put_back();
        if let Some(pool) = self.pool.upgrade() {
            pool.serve_streams(&self.key);
        }
    }
}

impl Shared {
    /// A connection came back clean: to the next waiter, else to rest.
    pub(super) fn give_back(self: &Arc<Self>, mut h1: Box<H1>, key: &Arc<Key>) {
        loop {
            let waiter = {
                let mut state = self.lock();
                match state.next_waiter(key) {
                    Some(waiter) => waiter,
                    None => {
                        let evicted = state.rest(h1, key, self.clock().now());
                        let orders = if evicted.is_empty() { Vec::new() } else { state.orders(key) };
                        let start = !std::mem::replace(&mut state.reaper_runs, true);
                        drop(state);
                        drop(evicted);
                        self.start_dials(orders);
                        if start {
                            self.start_reaper();
                        }
                        return;
                    }
                }
            };
            let reused = h1.was_used();
            let lease = Lease::new(h1, Arc::clone(key), self);
            let Err(Ok(unwanted)) = waiter.send(Ok(Checkout { wire: Wire::H1(lease), reused, waited: true })) else {
                return;
            };
            let Some(mut lease) = unwanted.wire.into_h1() else { return };
            let Some(back) = lease.h1.take() else { return };
            h1 = back;
        }
    }

    /// A connection is gone: somebody may make another.
    pub(super) fn closed(self: &Arc<Self>, key: &Arc<Key>) {
        let orders = {
            let mut state = self.lock();
            state.closed(key);
            state.orders(key)
        };
        self.start_dials(orders);
    }

    /// Hands the streams that shared connections have to spare to the waiters, as many as there are.
    #[cfg(feature = "http2")]
    pub(super) fn serve_streams(self: &Arc<Self>, key: &Arc<Key>) {
        loop {
            let next = self.lock().stream_for_waiter(key);
            let Some((h2, waiter)) = next else { break };
            let reused = h2.was_used();
            let stream = StreamLease::new(h2, Arc::clone(key), self);
            // An unwanted stream goes back as its lease is dropped, and serves the next waiter.
            drop(waiter.send(Ok(Checkout { wire: Wire::H2(stream), reused, waited: true })));
        }
        let (orders, start) = {
            let mut state = self.lock();
            (state.orders(key), !std::mem::replace(&mut state.reaper_runs, true))
        };
        self.start_dials(orders);
        if start {
            self.start_reaper();
        }
    }
}
