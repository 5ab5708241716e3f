//! The only source of time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Instant, SystemTime};

/// A wait made by a [`Clock`]. Dropping it ends the wait.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Tells the time and waits. Everything in netcomm that depends on time asks the clock of its [`Env`](crate::Env), so
/// that a test can pause it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The monotonic time, for intervals and deadlines.
    fn now(&self) -> Instant;

    /// The civil time, for what is written down: dates of HTTP, expiry of cookies.
    fn wall(&self) -> SystemTime;

    /// A future that is ready at `deadline`, at once if that has passed.
    fn sleep_until(&self, deadline: Instant) -> Sleep;
}
