//! How origins stand with a client: what repetitions they may be sent, how fast they are, whether they are asked at all.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use netcomm_core::{Budget, Clock, Purse, Random, Rate};

use crate::breaker::{Admission, Breaker, Circuit, Turn};
use crate::hedge::{Hedge, Latency};
use crate::limit::{Concurrency, Gate};
use crate::origin::Origin;
use crate::retry::Retry;

/// How many origins are remembered: those asked last. Some kilobyte each.
const ORIGINS: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// What a client does against failures.
#[derive(Clone, Debug)]
pub(crate) struct Guards {
    pub(crate) retry: Option<Retry>,
    pub(crate) hedge: Option<Hedge>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) budget: Budget,
    pub(crate) rate: Option<Rate>,
    pub(crate) concurrency: Option<Concurrency>,
}

/// What a client does against failures, and how each origin stands with it.
pub(crate) struct Resilience {
    pub(crate) guards: Guards,
    origins: Mutex<LruCache<Origin, Arc<Standing>>>,
}

impl Resilience {
    pub(crate) fn new(guards: Guards) -> Self {
        Self { guards, origins: Mutex::new(LruCache::new(ORIGINS)) }
    }

    /// Whether every call stands behind guards, whatever it says itself.
    pub(crate) fn is_on(&self) -> bool {
        let Guards { retry, hedge, breaker, budget: _, rate, concurrency } = &self.guards;
        retry.is_some() || hedge.is_some() || breaker.is_some() || rate.is_some() || concurrency.is_some()
    }

    /// How that origin stands.
    pub(crate) fn standing(&self, origin: &Origin, clock: &Arc<dyn Clock>, now: Instant) -> Arc<Standing> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = origins.get(origin) {
            return Arc::clone(standing);
        }
        let guards = &self.guards;
        let standing = Arc::new(Standing {
            gate: Gate::new(guards.rate, guards.concurrency, clock),
            state: Mutex::new(State {
                purse: guards.budget.purse(now),
                latency: Latency::default(),
                circuit: guards.breaker.map(Circuit::new),
            }),
        });
        origins.put(origin.clone(), Arc::clone(&standing));
        standing
    }
}

impl fmt::Debug for Resilience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resilience").field("guards", &self.guards).finish_non_exhaustive()
    }
}

/// How one origin stands.
pub(crate) struct Standing {
    pub(crate) gate: Arc<Gate>,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) purse: Purse,
    pub(crate) latency: Latency,
    circuit: Option<Circuit>,
}

impl Standing {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to ask the origin.
    ///
    /// # Errors
    ///
    /// When to come back.
    pub(crate) fn admit<'a>(&'a self, terms: Terms<'a>, now: Instant) -> Result<Admitted<'a>, Instant> {
        let admission = match &mut self.lock().circuit {
            Some(circuit) => Some(circuit.admit(now)?),
            None => None,
        };
        Ok(Admitted { standing: self, terms, admission })
    }
}

/// What a call that is dropped in the middle is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a Random,
    /// When it is out of time: an origin that has not answered by then has failed.
    pub(crate) deadline: Option<Instant>,
}

/// The right to ask an origin once. Dropped before its deadline, nobody knows how it went.
pub(crate) struct Admitted<'a> {
    standing: &'a Standing,
    terms: Terms<'a>,
    admission: Option<Admission>,
}

impl Admitted<'_> {
    /// How it went; `took` is the time to the head of an answer that is to be remembered.
    pub(crate) fn record(mut self, is_ok: bool, took: Option<Duration>, now: Instant) -> Option<Turn> {
        let admission = self.admission.take();
        let mut state = self.standing.lock();
        if let Some(took) = took {
            state.latency.record(took);
        }
        admission
            .zip(state.circuit.as_mut())
            .and_then(|(admission, circuit)| circuit.record(admission, is_ok, now, self.terms.random))
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        let now = self.terms.clock.now();
        if let Some(circuit) = &mut self.standing.lock().circuit {
            match self.terms.deadline {
                Some(deadline) if now >= deadline => drop(circuit.record(admission, false, now, self.terms.random)),
                _ => circuit.abandon(admission),
            }
        }
    }
}
