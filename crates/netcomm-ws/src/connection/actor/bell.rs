//! Which of the things that a task waits for woke it, so that it need not ask all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// A waker of the task that leaves word of itself.
pub(super) struct Bell {
    ringer: Arc<Ringer>,
    waker: Waker,
}

struct Ringer {
    rang: AtomicBool,
    task: Waker,
}

impl Bell {
    /// One that rang: nothing was asked yet.
    pub(super) fn new(task: &Waker) -> Self {
        let ringer = Arc::new(Ringer { rang: AtomicBool::new(true), task: task.clone() });
        Self { waker: Waker::from(Arc::clone(&ringer)), ringer }
    }

    /// Whether it rang since this was asked last; also where the task is woken by another waker than before, so that everything is
    /// asked again. Ask before looking: what rings meanwhile is heard the next time.
    pub(super) fn rang(&mut self, task: &Waker) -> bool {
        if !self.ringer.task.will_wake(task) {
            *self = Self::new(task);
        }
        self.ringer.rang.swap(false, Ordering::AcqRel)
    }

    /// What rings it.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
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
        let (mut one, mut other) = (Bell::new(&task), Bell::new(&task));
        assert!(one.rang(&task) && other.rang(&task), "nothing was asked yet");
        one.context().waker().wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(one.rang(&task) && !other.rang(&task));
        assert!(!one.rang(&task), "told once");
    }

    #[test]
    fn another_waker_of_the_task_has_everything_asked_again() {
        let (before, after) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let mut bell = Bell::new(&Waker::from(Arc::clone(&before)));
        assert!(bell.rang(&Waker::from(before)));
        let task = Waker::from(Arc::clone(&after));
        assert!(bell.rang(&task) && !bell.rang(&task));
        bell.context().waker().wake_by_ref();
        assert_eq!(after.0.load(Ordering::Relaxed), 1);
    }
}
