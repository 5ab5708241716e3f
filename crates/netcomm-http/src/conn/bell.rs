//! Who is woken when a connection can go on: nobody but a task that waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// What the wire engine rings when a connection can go on; heard only while somebody listens.
///
/// The engine's two halves, the connection and what is sent and received over it, wake each other. Here one task moves
/// both and looks at both whenever it is polled: heard, each such ring would have it polled once more for nothing.
///
/// No event is lost. Whoever is about to wait listens before it polls the connection, and so hears all that comes after
/// that poll, which itself sees all that came before. Only what nobody waits for may be hushed.
#[derive(Debug)]
pub(super) struct Bell {
    ear: Arc<Ear>,
    /// The ear in the form that the engine takes.
    waker: Waker,
}

#[derive(Debug, Default)]
struct Ear(Mutex<Listener>);

#[derive(Debug, Default)]
struct Listener {
    /// The last task that listened. It is kept while nobody listens, for it is mostly the next one, too.
    waker: Option<Waker>,
    listens: bool,
    /// Whether it has rung since the connection was polled last, whoever listened.
    has_rung: bool,
}

impl Bell {
    pub(super) fn new() -> Self {
        let ear = Arc::<Ear>::default();
        Self { waker: Waker::from(Arc::clone(&ear)), ear }
    }

    /// The connection is about to be polled: from now on a ring wakes this task, and no other.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut listener = self.ear.lock();
        (listener.listens, listener.has_rung) = (true, false);
        if !listener.waker.as_ref().is_some_and(|own| own.will_wake(waker)) {
            let left = listener.waker.replace(waker.clone());
            drop(listener);
            drop(left);
        }
    }

    /// The connection is about to be polled: from now on a ring wakes nobody.
    pub(super) fn rest(&self) {
        let mut listener = self.ear.lock();
        (listener.listens, listener.has_rung) = (false, false);
    }

    /// From now on a ring wakes nobody.
    pub(super) fn hush(&self) {
        self.ear.lock().listens = false;
    }

    /// Whether another poll of the connection may find something new.
    pub(super) fn has_rung(&self) -> bool {
        self.ear.lock().has_rung
    }

    /// What the connection is polled with.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

impl Ear {
    fn lock(&self) -> MutexGuard<'_, Listener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = {
            let mut listener = self.lock();
            listener.has_rung = true;
            if listener.listens { listener.waker.clone() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_last_who_listens_hears_and_nobody_else() {
        let bell = Bell::new();
        let ring = || bell.context().waker().wake_by_ref();
        let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let woken = || (first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed));
        ring();
        assert_eq!(woken(), (0, 0), "nobody has listened yet");
        bell.listen(&Waker::from(Arc::clone(&first)));
        ring();
        assert_eq!(woken(), (1, 0));
        bell.listen(&Waker::from(Arc::clone(&second)));
        ring();
        assert_eq!(woken(), (1, 1));
        bell.hush();
        ring();
        assert_eq!(woken(), (1, 1), "nobody listens any more");
        bell.listen(&Waker::from(Arc::clone(&second)));
        ring();
        assert_eq!(woken(), (1, 2));
    }
}
