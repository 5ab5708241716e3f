//! An environment made of the system's means.

use netcomm_core::Env;

use crate::clock::SystemClock;
use crate::dialer::Dialer;

/// An environment with the system's means: a [`Dialer`] with all defaults (system resolver, proxies
/// from the process environment, the platform's certificates) and the [`SystemClock`].
///
/// The dialer has a tap and a view of the network of its own: whoever wants name lookups observed,
/// or forgotten when the network changes, builds one with [`DialerBuilder`](crate::DialerBuilder)
/// and hands it in with [`Env::with_dialer`].
#[must_use]
pub fn env() -> Env {
    Env::new(Dialer::new(), SystemClock)
}
