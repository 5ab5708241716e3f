//! What is known of the network at one moment.

use std::sync::Arc;
use std::time::Instant;

use netcomm_core::{Network, Reach};

use crate::path::PathState;
use crate::probe::ProbeReport;
use crate::reach::Reason;

/// What is known of the network at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// How far it reaches.
    pub reach: Reach,
    /// On what that rests.
    pub reason: Reason,
    /// Since when it reaches as far, by the clock of the environment.
    pub since: Instant,
    /// Whether traffic costs money; `false` where that is not known.
    pub metered: bool,
    /// Which network: grows when connections that were opened before are not to be trusted: another way out, an address
    /// that is gone, sleep.
    pub generation: u64,
    /// The ways out of this machine; `None` where nothing tells of them.
    pub paths: Option<Arc<PathState>>,
    /// What the last probe found, if it was sent over this network.
    pub probe: Option<Arc<ProbeReport>>,
}

impl State {
    /// What core's [`Connectivity`](netcomm_core::Connectivity) shows of it.
    #[must_use]
    pub const fn network(&self) -> Network {
        Network::new(self.reach).with_metered(self.metered).with_generation(self.generation)
    }
}
