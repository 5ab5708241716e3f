//! Lets idle connections go when their time is over or their network is gone.

use std::sync::{Arc, Weak};

use netcomm_core::{NetworkChange, Sleep};

use super::Shared;

impl Shared {
    /// Starts the task that closes what expires. It lives only while there are any.
    pub(super) fn start_reaper(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(reap(pool))),
            Err(_) => self.lock().reaper_runs = false,
        }
    }
}

async fn reap(pool: Weak<Shared>) {
    while let Some((next, changed)) = pool.upgrade().and_then(|shared| shared.sweep()) {
        tokio::select! {
            () = next => {}
            _ = changed => {}
        }
    }
}

impl Shared {
    /// Closes what has expired; gives what to wait for before the next time. `None`: there is no connection any more.
    fn sweep(self: &Arc<Self>) -> Option<(Sleep, NetworkChange)> {
        let connectivity = self.env.connectivity();
        let network = connectivity.current();
        let (expired, orders, next) = {
            let mut state = self.lock();
            let now = self.clock().now();
            let expired = state.expired(now, network.generation);
            let next = state.next_sweep(now);
            state.reaper_runs = next.is_some();
            (expired, state.all_orders(), next)
        };
        drop(expired);
        self.start_dials(orders);
        Some((self.clock().sleep_until(next?), connectivity.changed(network)))
    }
}
