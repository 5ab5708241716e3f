//! A network that comes and goes when the test says so.

use std::future::pending;
use std::sync::Arc;

use netcomm_core::{Connectivity, Network, NetworkChange, Reach};
use tokio::sync::watch;

/// A [`Connectivity`] that a test sets. Cheap to clone; clones are the same network.
///
/// # Examples
///
/// ```
/// use netcomm_core::{Connectivity, Reach};
/// use netcomm_tests::ManualConnectivity;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let network = ManualConnectivity::offline();
/// let change = tokio::spawn(network.changed(network.current()));
/// network.set_reach(Reach::Online);
/// assert_eq!(change.await.unwrap().reach, Reach::Online);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct ManualConnectivity {
    network: watch::Sender<Network>,
}

impl ManualConnectivity {
    /// That network.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { network: watch::Sender::new(network) }
    }

    /// An unmetered network that reaches everything.
    #[must_use]
    pub fn online() -> Self {
        Self::new(Network::new(Reach::Online))
    }

    /// No network.
    #[must_use]
    pub fn offline() -> Self {
        Self::new(Network::new(Reach::Offline))
    }

    /// A shared handle, as [`Env::with_connectivity`](netcomm_core::Env::with_connectivity) takes it.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Connectivity> {
        Arc::new(self.clone())
    }

    /// Sets the network and wakes those to whom it is a change.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Sets how far the network reaches; all else stays.
    pub fn set_reach(&self, reach: Reach) {
        self.network.send_modify(|network| network.reach = reach);
    }

    /// Sets whether traffic costs money; all else stays.
    pub fn set_metered(&self, metered: bool) {
        self.network.send_modify(|network| network.metered = metered);
    }

    /// Moves to another network: the generation grows by one, all else stays.
    pub fn roam(&self) {
        self.network.send_modify(|network| network.generation += 1);
    }

    /// How many waits for a change are alive.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.network.receiver_count()
    }
}

impl Connectivity for ManualConnectivity {
    fn current(&self) -> Network {
        *self.network.borrow()
    }

    fn changed(&self, seen: Network) -> NetworkChange {
        let mut receiver = self.network.subscribe();
        Box::pin(async move {
            let change = receiver.wait_for(|network| *network != seen).await.map(|network| *network);
            match change {
                Ok(network) => network,
                // The test dropped the network: no change will come any more.
                Err(_) => pending().await,
            }
        })
    }
}
