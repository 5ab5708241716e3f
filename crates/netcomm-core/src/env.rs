//! What the components of one application share.

use std::sync::Arc;

use crate::clock::Clock;
use crate::connectivity::{AlwaysOnline, Connectivity};
use crate::dial::{AnyDial, Dial};
use crate::policy::Policy;
use crate::random::Random;
use crate::tap::Tap;

/// The dialer, the clock, the access policy, the view of the network, the tap and the source of chance: what all components of an application
/// share. An immutable value, cheap to clone, handed to each component first.
///
/// `netcomm_dial::env()` makes one with the system's means; tests make one of a scripted dialer and a clock that stands
/// still.
#[derive(Clone, Debug)]
pub struct Env {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    dialer: AnyDial,
    clock: Arc<dyn Clock>,
    policy: Policy,
    connectivity: Arc<dyn Connectivity>,
    tap: Tap,
    random: Random,
}

impl Env {
    /// An environment with that dialer and clock, the default policy, a network that is always there, and no observer.
    #[must_use]
    pub fn new(dialer: impl Dial, clock: impl Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                dialer: AnyDial::new(dialer),
                clock: Arc::new(clock),
                policy: Policy::default(),
                connectivity: Arc::new(AlwaysOnline),
                tap: Tap::off(),
                random: Random::new(),
            }),
        }
    }

    /// The same with another dialer.
    #[must_use]
    pub fn with_dialer(&self, dialer: impl Dial) -> Self {
        self.with(|inner| inner.dialer = AnyDial::new(dialer))
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(&self, clock: impl Clock) -> Self {
        self.with(|inner| inner.clock = Arc::new(clock))
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(&self, policy: Policy) -> Self {
        self.with(|inner| inner.policy = policy)
    }

    /// The same with another view of the network.
    #[must_use]
    pub fn with_connectivity(&self, connectivity: Arc<dyn Connectivity>) -> Self {
        self.with(|inner| inner.connectivity = connectivity)
    }

    /// The same with another tap.
    #[must_use]
    pub fn with_tap(&self, tap: Tap) -> Self {
        self.with(|inner| inner.tap = tap)
    }

    /// The same with another source of chance.
    #[must_use]
    pub fn with_random(&self, random: Random) -> Self {
        self.with(|inner| inner.random = random)
    }

    /// The dialer.
    #[must_use]
    pub fn dialer(&self) -> &AnyDial {
        &self.inner.dialer
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// The view of the network.
    #[must_use]
    pub fn connectivity(&self) -> &Arc<dyn Connectivity> {
        &self.inner.connectivity
    }

    /// The tap.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        &self.inner.tap
    }

    /// The source of chance.
    #[must_use]
    pub fn random(&self) -> &Random {
        &self.inner.random
    }

    fn with(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.inner);
        change(&mut inner);
        Self { inner: Arc::new(inner) }
    }
}
