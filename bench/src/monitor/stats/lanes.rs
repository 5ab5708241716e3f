//! Who listens: nobody, somebody who does nothing, `Stats` alone, and through a `Fan`.

use std::hint::black_box;
use std::sync::Arc;

use netcomm_core::{Interest, Observation, Observe, Tap};
use netcomm_monitor::{Attached, Fan, Stats};

use crate::error::{Result, fail};

pub(super) const LANES: &[&str] = &["off", "nothing", "stats", "fan", "fan-added"];

/// A tap, its observer, and what keeps that as it is.
pub(super) struct Lane {
    tap: Tap,
    observer: Option<Arc<dyn Observe>>,
    _attached: Option<Attached>,
}

/// What the way to an observer costs by itself.
struct Nothing;

impl Observe for Nothing {
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn observe(&self, observation: &Observation) {
        black_box(observation);
    }
}

impl Lane {
    pub(super) fn new(name: &str) -> Result<Self> {
        Ok(match name {
            "off" => Self { tap: Tap::off(), observer: None, _attached: None },
            "nothing" => Self::of(Nothing, None),
            "stats" => Self::of(Stats::new(), None),
            // Stats and one more.
            "fan" => Self::of(Fan::new().with(Stats::new()).with(Nothing), None),
            "fan-added" => {
                let fan = Fan::new().with(Stats::new());
                let attached = fan.add(Nothing);
                Self::of(fan, Some(attached))
            }
            other => return fail(format!("no lane `{other}`")),
        })
    }

    fn of(observer: impl Observe, attached: Option<Attached>) -> Self {
        let observer: Arc<dyn Observe> = Arc::new(observer);
        Self { tap: Tap::shared(Arc::clone(&observer)), observer: Some(observer), _attached: attached }
    }

    /// Lets all observations go the way of a tap, but that they were made before: making one is not the observer's.
    pub(super) fn pass(&self, mix: &[Observation]) {
        for observation in mix {
            if black_box(&self.tap).wants(black_box(observation.event.interest()))
                && let Some(observer) = &self.observer
            {
                observer.observe(observation);
            }
        }
    }
}
