//! What is known about the network, and word of its changes.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;

/// How far the network reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// There is no network.
    Offline,
    /// A portal stands between this machine and the network.
    Captive,
    /// There is a network, but not all of it can be reached.
    Limited,
    /// The network is there as far as anybody knows.
    Online,
}

/// The network at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// How far it reaches.
    pub reach: Reach,
    /// Whether traffic costs money.
    pub metered: bool,
    /// Which network: grows whenever addresses or routes changed so that old connections are not to be trusted.
    pub generation: u64,
}

impl Network {
    /// An unmetered network of that reach, first of its kind.
    #[must_use]
    pub const fn new(reach: Reach) -> Self {
        Self { reach, metered: false, generation: 0 }
    }

    /// The same, metered or not.
    #[must_use]
    pub const fn with_metered(self, metered: bool) -> Self {
        Self { metered, ..self }
    }

    /// The same with another generation.
    #[must_use]
    pub const fn with_generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }
}

/// A wait for the network to change.
pub type NetworkChange = Pin<Box<dyn Future<Output = Network> + Send>>;

/// The view of the network that all components of one [`Env`](crate::Env) share.
pub trait Connectivity: fmt::Debug + Send + Sync + 'static {
    /// The network now. Called once per request: must be quick and must not block.
    fn current(&self) -> Network;

    /// Ready as soon as the network differs from `seen`; at once if it does already.
    fn changed(&self, seen: Network) -> NetworkChange;
}

/// The view of whoever has no monitor: always online, never changing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOnline;

impl Connectivity for AlwaysOnline {
    fn current(&self) -> Network {
        Network::new(Reach::Online)
    }

    fn changed(&self, seen: Network) -> NetworkChange {
        let current = self.current();
        if seen == current { Box::pin(pending()) } else { Box::pin(std::future::ready(current)) }
    }
}
