//! Many observers as one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use netcomm_core::{Interest, Observation, Observe};

/// Several observers where one is asked for: each is shown what it wants and nothing else, in the order in which they came.
///
/// Wants what any of them wants at that moment. A clone has the same observers, and those that are [added](Self::add) later come to
/// all clones: hand one to a [`Tap`](netcomm_core::Tap) and keep the other one.
///
/// # Cost
///
/// Observers that are there from the beginning are asked and shown without a lock; each is asked for its interest before an
/// observation is made and once more before it is shown. Those that are added later cost a lock for reading and the count of a
/// shared pointer, twice per observation, as long as there is one of them: some 50 ns when no other thread does the same. No
/// observer is called under that lock, so that an observer may add and remove others.
///
/// # Panics
///
/// An observer that panics, in either of its methods, is caught and not asked again, since it may not disturb what it only looks
/// at; the other ones are shown what it was shown. [`panicked`](Self::panicked) tells how many there were. Where a program is built
/// to abort on a panic, it does.
///
/// # Examples
///
/// ```
/// use netcomm_core::{Interest, Observation, Observe, Tap};
/// use netcomm_monitor::{Fan, Stats};
///
/// struct Watch;
///
/// impl Observe for Watch {
///     fn interest(&self) -> Interest {
///         Interest::DECISION
///     }
///     fn observe(&self, _: &Observation) {}
/// }
///
/// let stats = Stats::new();
/// let fan = Fan::new().with(stats.clone());
/// let tap = Tap::new(fan.clone());
/// let watching = fan.add(Watch);
/// assert!(tap.wants(Interest::DECISION));
/// drop(watching);
/// assert_eq!(fan.len(), 1);
/// ```
#[derive(Clone)]
pub struct Fan {
    fixed: Arc<[Arc<Seat>]>,
    added: Arc<Added>,
    panicked: Arc<AtomicUsize>,
}

/// An observer, and whether it still is one.
struct Seat {
    observer: Arc<dyn Observe>,
    has_panicked: AtomicBool,
}

#[derive(Default)]
struct Added {
    /// How many there are, so that the lock is not taken for none.
    count: AtomicUsize,
    seats: RwLock<Arc<[Arc<Seat>]>>,
}

impl Fan {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { fixed: Arc::default(), added: Arc::default(), panicked: Arc::default() }
    }

    /// The same with one more observer, for good. Those that were added at run time stay shared with `self`'s clones; this one
    /// is not in them.
    #[must_use]
    pub fn with(self, observer: impl Observe) -> Self {
        self.with_shared(Arc::new(observer))
    }

    /// The same with one more observer, for good, which others hold too.
    #[must_use]
    pub fn with_shared(self, observer: Arc<dyn Observe>) -> Self {
        Self { fixed: and(&self.fixed, Seat::new(observer)), ..self }
    }

    /// One more observer, from now on and in all clones, until the handle is dropped.
    pub fn add(&self, observer: impl Observe) -> Attached {
        self.add_shared(Arc::new(observer))
    }

    /// One more observer which others hold too, from now on and in all clones, until the handle is dropped.
    pub fn add_shared(&self, observer: Arc<dyn Observe>) -> Attached {
        let seat = Seat::new(observer);
        self.added.change(|seats| and(seats, Arc::clone(&seat)));
        Attached { added: Arc::downgrade(&self.added), seat }
    }

    /// How many observers there are, those that panicked included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fixed.len() + self.added.count.load(Ordering::Acquire)
    }

    /// Whether there is no observer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many observers have panicked and are not asked any more.
    #[must_use]
    pub fn panicked(&self) -> usize {
        self.panicked.load(Ordering::Relaxed)
    }

    /// Calls an observer that has not panicked; caught if it does now.
    #[inline]
    fn call<T>(&self, seat: &Seat, call: impl FnOnce(&dyn Observe) -> T) -> Option<T> {
        if seat.has_panicked.load(Ordering::Relaxed) {
            return None;
        }
        // What it leaves behind half done is its own: it is not called again.
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&*seat.observer)));
        if outcome.is_err() && !seat.has_panicked.swap(true, Ordering::Relaxed) {
            self.panicked.fetch_add(1, Ordering::Relaxed);
        }
        outcome.ok()
    }

    #[inline]
    fn wanted(&self, seats: &[Arc<Seat>], so_far: Interest) -> Interest {
        seats.iter().fold(so_far, |sum, seat| self.call(seat, Observe::interest).map_or(sum, |it| sum | it))
    }

    #[inline]
    fn show(&self, seats: &[Arc<Seat>], observation: &Observation) {
        let kind = observation.event.interest();
        for seat in seats {
            self.call(seat, |observer| {
                if observer.interest().contains(kind) {
                    observer.observe(observation);
                }
            });
        }
    }
}

impl Default for Fan {
    fn default() -> Self {
        Self::new()
    }
}

impl Observe for Fan {
    fn interest(&self) -> Interest {
        let fixed = self.wanted(&self.fixed, Interest::NONE);
        self.added.seats().map_or(fixed, |seats| self.wanted(&seats, fixed))
    }

    fn observe(&self, observation: &Observation) {
        self.show(&self.fixed, observation);
        if let Some(seats) = self.added.seats() {
            self.show(&seats, observation);
        }
    }
}

impl fmt::Debug for Fan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fan").field("len", &self.len()).field("panicked", &self.panicked()).finish()
    }
}

/// An observer in a [`Fan`], for as long as this is held.
///
/// Dropping it takes the observer out: no observation that is made afterwards is shown to it, one that is being shown on another
/// thread may still be.
#[must_use = "dropping it takes the observer out"]
pub struct Attached {
    added: Weak<Added>,
    seat: Arc<Seat>,
}

impl Attached {
    /// Leaves the observer in the fan for good.
    pub fn keep(mut self) {
        self.added = Weak::new();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(added) = self.added.upgrade() {
            added.change(|seats| seats.iter().filter(|seat| !Arc::ptr_eq(seat, &self.seat)).cloned().collect());
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("panicked", &self.seat.has_panicked).finish_non_exhaustive()
    }
}

impl Seat {
    fn new(observer: Arc<dyn Observe>) -> Arc<Self> {
        Arc::new(Self { observer, has_panicked: AtomicBool::new(false) })
    }
}

fn and(seats: &[Arc<Seat>], one: Arc<Seat>) -> Arc<[Arc<Seat>]> {
    seats.iter().cloned().chain([one]).collect()
}

impl Added {
    /// Those that there are now; the lock is held for a moment and not while they are called.
    #[inline]
    fn seats(&self) -> Option<Arc<[Arc<Seat>]>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(Arc::clone(&self.seats.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn change(&self, change: impl FnOnce(&[Arc<Seat>]) -> Arc<[Arc<Seat>]>) {
        let before = {
            let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
            let after = change(&seats);
            self.count.store(after.len(), Ordering::Release);
            std::mem::replace(&mut *seats, after)
        };
        // What goes is dropped where no lock is held: it may be the last owner of an observer.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use netcomm_core::{Event, Tap};

    use super::*;

    #[derive(Clone)]
    struct Ear {
        wants: Interest,
        heard: Arc<Mutex<Vec<&'static str>>>,
        fragile: bool,
    }

    impl Ear {
        fn new(wants: Interest) -> Self {
            Self { wants, heard: Arc::default(), fragile: false }
        }

        fn heard(&self) -> Vec<&'static str> {
            std::mem::take(&mut self.heard.lock().unwrap())
        }
    }

    impl Observe for Ear {
        fn interest(&self) -> Interest {
            self.wants
        }

        fn observe(&self, observation: &Observation) {
            assert!(!self.fragile, "an observer that fails");
            self.heard.lock().unwrap().push(match observation.event {
                Event::Hedged { .. } => "hedged",
                Event::BodyReceived { .. } => "body",
                _ => "other",
            });
        }
    }

    fn hedged() -> (Interest, Event) {
        (Interest::DECISION, Event::Hedged { after: std::time::Duration::ZERO })
    }

    fn body() -> (Interest, Event) {
        (Interest::TRANSFER, Event::BodyReceived { bytes: 1 })
    }

    fn emit(tap: &Tap, (interest, event): (Interest, Event)) {
        tap.emit(interest, || Observation::new(Instant::now(), event));
    }

    #[test]
    fn each_is_shown_what_it_wants() {
        let (decisions, all) = (Ear::new(Interest::DECISION), Ear::new(Interest::ALL));
        let tap = Tap::new(Fan::new().with(decisions.clone()).with(all.clone()));
        assert!(!tap.wants(Interest::CONTENT));
        emit(&tap, hedged());
        emit(&tap, body());
        assert_eq!(decisions.heard(), ["hedged"]);
        assert_eq!(all.heard(), ["hedged", "body"]);
    }

    #[test]
    fn nobody_wants_nothing() {
        let tap = Tap::new(Fan::new());
        assert!(!tap.wants(Interest::CALL));
        let tap = Tap::new(Fan::new().with(Ear::new(Interest::DECISION)));
        tap.emit(Interest::CALL, || unreachable!("nobody wants calls"));
    }

    #[test]
    fn who_is_added_hears_until_its_handle_is_dropped() {
        let fan = Fan::new();
        let tap = Tap::new(fan.clone());
        let (ear, other) = (Ear::new(Interest::DECISION), Ear::new(Interest::ALL));
        let attached = fan.add(ear.clone());
        fan.add(other.clone()).keep();
        emit(&tap, hedged());
        drop(attached);
        emit(&tap, hedged());
        assert_eq!((ear.heard(), other.heard()), (vec!["hedged"], vec!["hedged", "hedged"]));
        assert_eq!(fan.len(), 1);
        assert_eq!(Arc::strong_count(&ear.heard), 1, "the fan has let go of it");
    }

    #[test]
    fn a_handle_may_outlive_its_fan() {
        let attached = Fan::new().add(Ear::new(Interest::ALL));
        drop(attached);
    }

    #[test]
    fn who_panics_is_not_asked_again_and_disturbs_nobody() {
        let good = Ear::new(Interest::ALL);
        let fan = Fan::new().with(Ear { fragile: true, ..Ear::new(Interest::ALL) }).with(good.clone());
        let tap = Tap::new(fan.clone());
        emit(&tap, hedged());
        assert_eq!(fan.panicked(), 1);
        emit(&tap, hedged());
        assert_eq!((fan.panicked(), good.heard()), (1, vec!["hedged", "hedged"]));
    }

    #[test]
    fn an_observer_may_remove_itself_and_add_others() {
        struct Once {
            fan: Fan,
            own: Mutex<Option<Attached>>,
            next: Ear,
        }
        impl Observe for Once {
            fn interest(&self) -> Interest {
                Interest::ALL
            }
            fn observe(&self, _: &Observation) {
                let own = self.own.lock().unwrap().take();
                if own.is_some() {
                    self.fan.add(self.next.clone()).keep();
                }
            }
        }
        let (fan, next) = (Fan::new(), Ear::new(Interest::ALL));
        let tap = Tap::new(fan.clone());
        let once = Arc::new(Once { fan: fan.clone(), own: Mutex::default(), next: next.clone() });
        let attached = fan.add_shared(Arc::<Once>::clone(&once));
        *once.own.lock().unwrap() = Some(attached);
        emit(&tap, hedged());
        emit(&tap, hedged());
        assert_eq!((fan.len(), next.heard()), (1, vec!["hedged"]));
    }
}
