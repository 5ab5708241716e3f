//! Connections by origin: who may have one, who waits, and what is let go.

mod dial;
mod lease;
mod reaper;
mod state;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netcomm_core::{Clock, Env, Error, ErrorKind, Phase, PrivateAddresses, Result, Timeouts};
use tokio::sync::oneshot;

pub(crate) use self::lease::Lease;
#[cfg(feature = "http2")]
pub(crate) use self::lease::StreamLease;
pub use self::state::{OriginSnapshot, PoolSnapshot};
use self::state::{Protocol, State, Taken};
use crate::alarm::{Alarm, after};
use crate::conn::Wire;
use crate::origin::Origin;

/// How many connections there may be, and for how long.
///
/// Worst-case memory is about 100 KiB for each HTTP/1.1 connection in use, a few KiB for one that is idle. While it
/// sends a body, it holds up to 520 KiB more of what that body has given and the network has not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolLimits {
    /// Connections to one origin, idle ones included. Default 100.
    pub per_origin: usize,
    /// Connections in all. Default 512.
    pub total: usize,
    /// Idle connections to one origin. Default 64.
    pub idle_per_origin: usize,
    /// Idle connections in all. Default 256.
    pub idle_total: usize,
    /// How long a connection may be idle, unless its peer said less by `Keep-Alive: timeout=`. Default 60 s.
    pub idle_timeout: Duration,
    /// The age at which a connection takes no more requests. Default 1 hour.
    pub max_age: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            per_origin: 100,
            total: 512,
            idle_per_origin: 64,
            idle_total: 256,
            idle_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(3600),
        }
    }
}

/// What connections are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) origin: Origin,
    /// A connection that was made without the guard does not serve a call that asks for it.
    pub(crate) private_addresses: PrivateAddresses,
    pub(crate) unix: Option<Arc<Path>>,
}

/// The origin tells almost all keys apart; the rest is left to the comparison.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.origin.hash(state);
    }
}

/// How a client speaks to its origins, as far as connections are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: PoolLimits,
    pub(crate) http2: Http2,
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// HTTP/2 where TLS agrees on it, else HTTP/1.1. The default where HTTP/2 is built in.
    #[default]
    Negotiate,
    /// HTTP/1.1 only.
    Never,
    /// HTTP/2 without asking, also in the clear ("prior knowledge", RFC 9113 §3.3).
    Always,
}

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    settings: Settings,
    env: Env,
}

/// A connection for one request.
pub(crate) struct Checkout {
    pub(crate) wire: Wire,
    pub(crate) reused: bool,
    /// Whether time has passed in getting it.
    pub(crate) waited: bool,
}

/// A place in the queue.
struct Queued {
    receiver: oneshot::Receiver<Result<Checkout>>,
    ticket: u64,
    /// Whether a connection to the origin is being made.
    dialing: bool,
}

impl Pool {
    pub(crate) fn new(env: &Env, settings: Settings) -> Self {
        let presumed = match settings.http2 {
            #[cfg(feature = "http2")]
            Http2::Always => Protocol::Multiplexed,
            _ => Protocol::Unknown,
        };
        let state = Mutex::new(State::new(settings.limits.clone(), presumed));
        Self { shared: Arc::new(Shared { state, settings, env: env.clone() }) }
    }

    /// A connection to send one request on: an idle one, a stream of a shared one, or a new one as soon as the limits
    /// allow it. With `fresh`, no connection that was idle.
    ///
    /// `now` is the time at which the caller begins to wait.
    pub(crate) async fn checkout(&self, key: &Key, fresh: bool, now: Instant, timeouts: &Timeouts) -> Result<Checkout> {
        match self.take(key, fresh, now, timeouts) {
            Ok(checkout) => Ok(checkout),
            // Seldom, and large: apart, so that a call is small.
            Err(place) => Box::pin(self.wait(key, place, timeouts)).await,
        }
    }

    /// What can be had at once, or a place in the queue.
    fn take(&self, key: &Key, fresh: bool, now: Instant, timeouts: &Timeouts) -> Result<Checkout, Queued> {
        let shared = &self.shared;
        let network = shared.env.connectivity().current();
        loop {
            let taken = shared.lock().take(key, fresh, now, network.generation);
            match taken {
                Taken::Idle { h1, key, crowded } => {
                    // The look at the connection reads from its socket: not under the lock.
                    let mut lease = Lease::new(h1, key, shared).crowded(crowded);
                    if lease.h1_mut().is_usable() {
                        let reused = lease.h1().was_used();
                        return Ok(Checkout { wire: Wire::H1(lease), reused, waited: false });
                    }
                    lease.soil();
                }
                #[cfg(feature = "http2")]
                Taken::Stream(h2, key) => {
                    let reused = h2.was_used();
                    let stream = StreamLease::new(h2, key, shared);
                    return Ok(Checkout { wire: Wire::H2(stream), reused, waited: false });
                }
                Taken::Wait { receiver, ticket, dial, dialing } => {
                    if let Some(order) = dial {
                        shared.start_dial(order, timeouts.connect);
                    }
                    return Err(Queued { receiver, ticket, dialing });
                }
            }
        }
    }

    async fn wait(&self, key: &Key, place: Queued, timeouts: &Timeouts) -> Result<Checkout> {
        let shared = &self.shared;
        let Queued { mut receiver, ticket, dialing } = place;
        let waiting = Waiting { shared, key, ticket };
        // A connection that is being made has a limit of its own; the error of that says more.
        let limit =
            if dialing { timeouts.blocked.max(timeouts.connect.saturating_add(dial::GRACE)) } else { timeouts.blocked };
        let outcome = wait(&mut receiver, shared.clock(), limit).await;
        drop(waiting);
        match outcome {
            Some(Ok(checkout)) => checkout,
            Some(Err(_)) => Err(Error::new(ErrorKind::Canceled, "get connection").with_detail("the pool is gone")),
            None => Err(Error::timeout("get connection", Phase::Blocked)
                .with_detail(format!("no connection became free within {limit:?} (timeout blocked)"))),
        }
    }

    /// What the pool holds now.
    pub(crate) fn snapshot(&self) -> PoolSnapshot {
        self.shared.lock().snapshot()
    }

    /// Closes every idle connection, and has those in use closed at the end of their request.
    pub(crate) fn evict_all(&self) {
        let evicted = self.shared.lock().evict_all();
        drop(evicted);
    }
}

async fn wait<T>(
    receiver: &mut oneshot::Receiver<T>,
    clock: &Arc<dyn Clock>,
    limit: Duration,
) -> Option<Result<T, oneshot::error::RecvError>> {
    use std::future::{Future, poll_fn};
    use std::pin::Pin;
    use std::task::Poll;

    let mut alarm = Alarm::new(Arc::clone(clock));
    let deadline = after(clock.now(), limit);
    poll_fn(|cx| match Pin::new(&mut *receiver).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => alarm.poll(deadline, cx).map(|()| None),
    })
    .await
}

/// Takes a waiter off the list when its call ends, whichever way.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    key: &'a Key,
    ticket: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.lock().forget_waiter(self.key, self.ticket);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.env.clock()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
