//! Who is woken when a connection can go on: nobody but a task that waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

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
    inlet: Arc<InletState>,
}

/// The rings of the stream beneath a connection. They are a part of all rings: the only ones that bring news from the
/// peer. A connection at rest whose stream is dry need not be looked at.
#[derive(Debug)]
pub(super) struct Inlet {
    state: Arc<InletState>,
    waker: Waker,
}

#[derive(Debug)]
struct InletState {
    ear: Arc<Ear>,
    is_dry: AtomicBool,
}

#[derive(Debug, Default)]
struct Ear(Mutex<Listener>);

#[derive(Debug, Default)]
struct Listener {
    /// The last task that listened. It is kept while nobody listens, for it is mostly the next one, too.
    waker: Option<Waker>,
    attention: Attention,
}

#[derive(Clone, Copy, Debug, Default)]
enum Attention {
    /// A ring wakes nobody.
    #[default]
    Nobody,
    /// A ring wakes the task.
    Listens,
    /// A ring is told to the task should it listen again.
    Busy { has_rung: bool },
}

impl Bell {
    pub(super) fn new() -> Self {
        let ear = Arc::<Ear>::default();
        let inlet = Arc::new(InletState { ear: Arc::clone(&ear), is_dry: AtomicBool::new(false) });
        Self { waker: Waker::from(Arc::clone(&ear)), ear, inlet }
    }

    /// From now on a ring wakes this task, and no other.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut listener = self.ear.lock();
        listener.attention = Attention::Listens;
        if !listener.waker.as_ref().is_some_and(|own| own.will_wake(waker)) {
            let left = listener.waker.replace(waker.clone());
            drop(listener);
            drop(left);
        }
    }

    /// From now on a ring wakes nobody.
    pub(super) fn hush(&self) {
        self.ear.lock().attention = Attention::Nobody;
    }

    /// Who listened is busy: rings wait for it to [resume](Self::resume), or are forgotten when it hushes the bell instead.
    pub(super) fn pause(&self) {
        let mut listener = self.ear.lock();
        if let Attention::Listens = listener.attention {
            listener.attention = Attention::Busy { has_rung: false };
        }
    }

    /// Who was busy listens again, and hears of what has rung meanwhile.
    pub(super) fn resume(&self) {
        let has_rung = {
            let mut listener = self.ear.lock();
            let Attention::Busy { has_rung } = listener.attention else { return };
            listener.attention = Attention::Listens;
            has_rung
        };
        if has_rung {
            self.ear.wake_by_ref();
        }
    }

    /// What the connection reads from its stream by.
    pub(super) fn inlet(&self) -> Inlet {
        Inlet { waker: Waker::from(Arc::clone(&self.inlet)), state: Arc::clone(&self.inlet) }
    }

    /// Whether the stream had nothing to read when that was last tried, and has not rung since.
    pub(super) fn is_dry(&self) -> bool {
        self.inlet.is_dry.load(Ordering::Acquire)
    }

    /// What the connection is polled with.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

impl Inlet {
    /// Polls a read of the stream.
    pub(super) fn poll<T>(&self, read: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // Before the read: what comes in the middle of it must not be forgotten.
        self.state.is_dry.store(true, Ordering::Release);
        let outcome = read(&mut Context::from_waker(&self.waker));
        if outcome.is_ready() {
            self.state.is_dry.store(false, Ordering::Release);
        }
        outcome
    }
}

impl Wake for InletState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_dry.store(false, Ordering::Release);
        self.ear.wake_by_ref();
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
            match &mut listener.attention {
                Attention::Nobody => None,
                Attention::Listens => listener.waker.clone(),
                Attention::Busy { has_rung } => {
                    *has_rung = true;
                    None
                }
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

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

    #[test]
    fn who_is_busy_hears_later_and_once_or_never() {
        let bell = Bell::new();
        let ring = || bell.context().waker().wake_by_ref();
        let task = Arc::<Woken>::default();
        let woken = || task.0.load(Ordering::Relaxed);
        bell.listen(&Waker::from(Arc::clone(&task)));
        bell.pause();
        ring();
        ring();
        assert_eq!(woken(), 0);
        bell.resume();
        assert_eq!(woken(), 1);
        bell.pause();
        bell.resume();
        assert_eq!(woken(), 1, "nothing has rung");
        ring();
        assert_eq!(woken(), 2, "it listens again");
        bell.pause();
        ring();
        bell.hush();
        bell.resume();
        bell.pause();
        bell.resume();
        assert_eq!(woken(), 2, "what was hushed is forgotten");
    }

    #[test]
    fn a_stream_is_dry_from_a_read_that_finds_nothing_to_the_next_ring() {
        let bell = Bell::new();
        let inlet = bell.inlet();
        assert!(!bell.is_dry(), "nobody has read yet");
        assert!(inlet.poll(|_| Poll::<()>::Pending).is_pending());
        assert!(bell.is_dry());
        bell.context().waker().wake_by_ref();
        assert!(bell.is_dry(), "a ring of the engine's own halves");
        let woken = Arc::<Woken>::default();
        bell.listen(&Waker::from(Arc::clone(&woken)));
        let Poll::Ready(waker) = inlet.poll(|cx| Poll::Ready(cx.waker().clone())) else { panic!("it was ready") };
        assert!(!bell.is_dry(), "there may be more");
        assert!(inlet.poll(|_| Poll::<()>::Pending).is_pending());
        waker.wake();
        assert!(!bell.is_dry());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "it rings for whoever listens, too");
        let racing = |cx: &mut Context<'_>| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        };
        assert!(inlet.poll(racing).is_pending());
        assert!(!bell.is_dry(), "what came during the read is not forgotten");
    }
}
