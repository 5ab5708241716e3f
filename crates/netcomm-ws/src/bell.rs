//! Which of the things that a task waits for woke it, so that it need not ask all of them each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// A waker of the task that leaves word of itself.
pub(crate) struct Bell {
    ringer: Arc<Ringer>,
}

struct Ringer {
    rang: AtomicBool,
    task: Waker,
}

impl Bell {
    /// One that rang: nothing was asked yet.
    pub(crate) fn new(task: &Waker) -> Self {
        Self { ringer: Arc::new(Ringer { rang: AtomicBool::new(true), task: task.clone() }) }
    }

    /// Whether it wakes whom that waker does.
    #[inline]
    pub(crate) fn will_wake(&self, task: &Waker) -> bool {
        self.ringer.task.will_wake(task)
    }

    /// Whether it rang since this was asked last. Ask before looking: what rings meanwhile is heard the next time.
    #[inline]
    pub(crate) fn rang(&self) -> bool {
        self.ringer.rang.swap(false, Ordering::AcqRel)
    }

    /// What rings it.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.ringer))
    }
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_tells_which_of_them_rang_and_wakes_the_task() {
        let woken = Arc::new(Task::default());
        let task = Waker::from(Arc::clone(&woken));
        let (one, other) = (Bell::new(&task), Bell::new(&task));
        assert!(one.rang() && other.rang(), "nothing was asked yet");
        one.waker().wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(one.rang() && !other.rang());
        assert!(!one.rang(), "told once");
        assert!(one.will_wake(&task) && !one.will_wake(Waker::noop()));
    }
}
