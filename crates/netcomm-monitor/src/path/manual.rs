//! Paths that somebody else tells: an embedder that knows more than the system does, or a test.

use std::future::pending;

use netcomm_core::Result;
use tokio::sync::watch;

use super::{PathSource, PathState};

/// Paths set by hand. All clones are one; any number of sources may follow them.
///
/// Holds one state, however many changes nobody has asked for: the newest wins.
///
/// # Examples
///
/// ```
/// use netcomm_monitor::{ManualPaths, PathSource, PathState};
///
/// # async fn told() -> netcomm_core::Result<()> {
/// let paths = ManualPaths::new(PathState::none());
/// let mut source = paths.source();
/// assert!(!source.next().await?.is_connected());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualPaths {
    state: watch::Sender<PathState>,
}

impl ManualPaths {
    /// Paths that are so until they are set.
    #[must_use]
    pub fn new(state: PathState) -> Self {
        Self { state: watch::Sender::new(state) }
    }

    /// From now on they are so.
    pub fn set(&self, state: PathState) {
        self.update(|_| state);
    }

    /// From now on they are what `change` makes of them. Changes of several threads do not get lost: they come one after
    /// the other, under a lock, so that `change` must not ask these paths for anything.
    pub fn update(&self, change: impl FnOnce(PathState) -> PathState) {
        self.state.send_modify(|state| *state = change(state.clone()));
    }

    /// The paths as they are.
    #[must_use]
    pub fn current(&self) -> PathState {
        self.state.borrow().clone()
    }

    /// A source that follows them. When all [`ManualPaths`] are gone, it waits for ever: nothing will change any more.
    #[must_use]
    pub fn source(&self) -> ManualSource {
        let mut state = self.state.subscribe();
        state.mark_changed();
        ManualSource { state, told: None }
    }
}

/// Follows [`ManualPaths`].
#[derive(Debug)]
pub struct ManualSource {
    state: watch::Receiver<PathState>,
    /// What was brought last, so that the same is not brought twice.
    told: Option<PathState>,
}

impl PathSource for ManualSource {
    async fn next(&mut self) -> Result<PathState> {
        loop {
            if self.state.changed().await.is_err() {
                return pending().await;
            }
            let state = self.state.borrow_and_update().clone();
            if self.told.as_ref() != Some(&state) {
                self.told = Some(state.clone());
                return Ok(state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::{Interface, InterfaceKind};

    fn ready(source: &mut ManualSource) -> Option<PathState> {
        match pin!(source.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(state) => Some(state.expect("manual paths do not fail")),
            Poll::Pending => None,
        }
    }

    fn with(name: &str) -> PathState {
        PathState::none().with_interface(Interface::new(1, name, InterfaceKind::Wired))
    }

    #[test]
    fn the_first_comes_at_once_and_then_changes() {
        let paths = ManualPaths::new(with("a"));
        let mut source = paths.source();
        assert_eq!(ready(&mut source), Some(with("a")));
        assert_eq!(ready(&mut source), None);
        let other = paths.clone();
        paths.set(with("b"));
        other.set(with("c"));
        let mut late = paths.source();
        assert_eq!(ready(&mut source), Some(with("c")), "the newest wins");
        assert_eq!(ready(&mut late), Some(with("c")), "each source has its own place");
        assert_eq!(ready(&mut source), None);
        paths.set(with("c"));
        assert_eq!(ready(&mut source), None, "the same is no change");
        paths.update(|state| state.with_interface(Interface::new(2, "d", InterfaceKind::Wifi)));
        assert_eq!(ready(&mut source).map(|state| state.interfaces.len()), Some(2));
        assert_eq!(paths.current().interfaces.len(), 2);
    }

    #[test]
    fn a_source_that_outlives_its_paths_waits() {
        let paths = ManualPaths::new(with("a"));
        let mut source = paths.source();
        paths.set(with("b"));
        drop(paths);
        assert_eq!(ready(&mut source), Some(with("b")), "what was set last is not lost");
        assert_eq!(ready(&mut source), None);
    }

    #[test]
    fn a_future_that_is_dropped_takes_nothing_along() {
        let paths = ManualPaths::new(with("a"));
        let mut source = paths.source();
        assert_eq!(ready(&mut source), Some(with("a")));
        {
            let mut waits = pin!(source.next());
            assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            paths.set(with("b"));
        }
        assert_eq!(ready(&mut source), Some(with("b")));
    }
}
