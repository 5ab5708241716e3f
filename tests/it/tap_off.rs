//! A tap that nobody listens to costs nothing.
//!
//! The allocations are those of the measuring thread alone: tests that run beside this one do not count.

use std::time::Instant;

use netcomm_core::{Event, Interest, Observation, Observe, Tap};

struct Deaf;

impl Observe for Deaf {
    fn interest(&self) -> Interest {
        Interest::NONE
    }

    fn observe(&self, _: &Observation) {
        unreachable!("it asked for nothing");
    }
}

fn emit_often(tap: &Tap) {
    for number in 0..10_000 {
        tap.emit(Interest::ATTEMPT, || {
            let event = Event::AttemptStarted { number, origin: "https://example.com:443".to_owned() };
            Observation::new(Instant::now(), event)
        });
    }
}

#[test]
fn a_tap_that_nobody_listens_to_allocates_nothing() {
    for tap in [Tap::off(), Tap::default(), Tap::new(Deaf)] {
        let allocations = allocation_counter::measure(|| emit_often(&tap));
        assert_eq!(allocations.count_total, 0, "{tap:?}");
        let allocations = allocation_counter::measure(|| drop(tap.clone()));
        assert_eq!(allocations.count_total, 0, "clone of {tap:?}");
    }
}

#[test]
fn the_measure_sees_allocations() {
    let observer = netcomm_tests::CollectingObserver::new();
    let tap = observer.tap();
    let allocations = allocation_counter::measure(|| emit_often(&tap));
    assert!(allocations.count_total >= 10_000, "{allocations:?}");
    assert_eq!(observer.observations().len(), 10_000);
}
