//! An observer that keeps everything.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netcomm_core::{Event, Interest, Observation, Observe, Tap};
use tokio::sync::Notify;

/// An [`Observe`] that keeps a copy of everything it is shown. Cheap to clone; clones share what they keep.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
///
/// use netcomm_core::{Event, Interest, Observation};
/// use netcomm_tests::CollectingObserver;
///
/// let observer = CollectingObserver::new();
/// let tap = observer.tap();
/// tap.emit(Interest::DECISION, || Observation::new(Instant::now(), Event::TokenRefreshed { ok: true }));
/// assert_eq!(observer.count(|event| matches!(event, Event::TokenRefreshed { ok: true })), 1);
/// assert!(!observer.debug_text().contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct CollectingObserver {
    interest: Interest,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    observations: Mutex<Vec<Observation>>,
    added: Notify,
}

impl CollectingObserver {
    /// An observer that wants everything.
    #[must_use]
    pub fn new() -> Self {
        Self::with_interest(Interest::ALL)
    }

    /// An observer that wants only these.
    #[must_use]
    pub fn with_interest(interest: Interest) -> Self {
        Self { interest, inner: Arc::default() }
    }

    /// A tap that feeds this observer.
    #[must_use]
    pub fn tap(&self) -> Tap {
        Tap::new(self.clone())
    }

    /// What was observed, in order.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        self.lock().clone()
    }

    /// The events of what was observed, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().iter().map(|observation| observation.event.clone()).collect()
    }

    /// How many events `matches` says yes to.
    #[must_use]
    pub fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.lock().iter().filter(|observation| matches(&observation.event)).count()
    }

    /// What was observed, in order; the observer forgets it.
    #[must_use]
    pub fn take(&self) -> Vec<Observation> {
        std::mem::take(&mut *self.lock())
    }

    /// The `Debug` text of everything observed, a line each: the place to look for a secret that got out.
    #[must_use]
    pub fn debug_text(&self) -> String {
        self.lock().iter().map(|observation| format!("{observation:?}\n")).collect()
    }

    /// Waits until `count` events are there to which `matches` says yes.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until(&self, count: usize, matches: impl Fn(&Event) -> bool) {
        loop {
            let added = self.inner.added.notified();
            if self.count(&matches) >= count {
                return;
            }
            added.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Observation>> {
        self.inner.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for CollectingObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observe for CollectingObserver {
    fn interest(&self) -> Interest {
        self.interest
    }

    fn observe(&self, observation: &Observation) {
        self.lock().push(observation.clone());
        self.inner.added.notify_waiters();
    }
}

impl fmt::Debug for CollectingObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectingObserver")
            .field("interest", &self.interest)
            .field("observations", &self.lock().len())
            .finish()
    }
}
