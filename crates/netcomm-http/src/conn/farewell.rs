//! Observers hear of a connection's end: exactly those who could hear of its beginning.

use std::sync::Arc;

use netcomm_core::{Clock, Event, Interest, Observation, Tap};

/// Lies where a connection's stream does, and tells of its end when it is dropped with it.
pub(crate) struct Farewell(Option<Box<Told>>);

struct Told {
    tap: Tap,
    clock: Arc<dyn Clock>,
    origin: String,
}

impl Farewell {
    /// For a connection of which is told now; nothing is kept where nobody wants to know.
    pub(crate) fn new(tap: &Tap, clock: &Arc<dyn Clock>, origin: impl FnOnce() -> String) -> Self {
        let told = || Box::new(Told { tap: tap.clone(), clock: Arc::clone(clock), origin: origin() });
        Self(tap.wants(Interest::CONNECTION).then(told))
    }

    /// For nobody.
    #[cfg(test)]
    pub(crate) fn untold() -> Self {
        Self(None)
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            let Told { tap, clock, origin } = *told;
            let event = || Event::Disconnected { origin, reason: "let go" };
            tap.emit(Interest::CONNECTION, || Observation::new(clock.now(), event()));
        }
    }
}
