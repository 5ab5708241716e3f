//! Ways to try again, all of them by settings of ours.

use std::time::Duration;

use netcomm_core::{Backoff, Jitter};
use netcomm_ws::Reconnect;

/// One way.
pub(crate) struct Strategy {
    pub(crate) name: &'static str,
    pub(crate) reconnect: fn() -> Reconnect,
}

/// What others do, and what ours does.
pub(crate) static STRATEGIES: &[Strategy] = &[
    Strategy { name: "every 5 s", reconnect: || plain(Duration::from_secs(5), Duration::from_secs(5)) },
    Strategy { name: "exponential", reconnect: || plain(Duration::from_secs(1), Duration::from_secs(20)) },
    Strategy { name: "netcomm", reconnect: Reconnect::default },
];

/// At once, and then after waits without chance.
fn plain(initial: Duration, max: Duration) -> Reconnect {
    let backoff = Backoff::new(initial, max).with_jitter(Jitter::None);
    Reconnect::default().first(Duration::ZERO).floor(Duration::ZERO).backoff(backoff)
}
