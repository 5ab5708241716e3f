//! Clocks that a test controls.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use netcomm_core::{Clock, Sleep};
use tokio::sync::Notify;

/// 2026-01-01T00:00:00Z: where the civil time of both clocks begins.
const WALL_START: Duration = Duration::from_secs(1_767_225_600);

/// How often [`ManualClock::run_for`] lets other tasks run at each stop: the longest chain of tasks, each woken by the
/// one before, that it waits for.
const TURNS: usize = 64;

/// A [`Clock`] that stands still until the test moves it. Cheap to clone; clones are the same clock.
///
/// The civil time begins at 2026-01-01T00:00:00Z and moves along.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use netcomm_core::Clock;
/// use netcomm_tests::ManualClock;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let clock = ManualClock::new();
/// let sleeper = tokio::spawn(clock.sleep_until(clock.now() + Duration::from_secs(5)));
/// clock.until_sleeping(1).await;
/// clock.advance(Duration::from_secs(5));
/// sleeper.await.unwrap();
/// assert_eq!(clock.pending_sleeps(), 0);
/// # });
/// ```
#[derive(Clone)]
pub struct ManualClock {
    inner: Arc<Inner>,
}

struct Inner {
    start: Instant,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    elapsed: Duration,
    wall: SystemTime,
    next_id: u64,
    /// By deadline, then by order of birth.
    sleeps: BTreeMap<(Instant, u64), Waker>,
}

impl ManualClock {
    /// A clock that stands still.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            elapsed: Duration::ZERO,
            wall: SystemTime::UNIX_EPOCH + WALL_START,
            next_id: 0,
            sleeps: BTreeMap::new(),
        };
        Self { inner: Arc::new(Inner { start: Instant::now(), state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Moves the time by `by` in one leap and wakes the sleeps that became due, the earliest first. They all see the
    /// time after the leap; see [`run_for`](Self::run_for) for one that stops at each.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut state = self.inner.lock();
            state.elapsed += by;
            state.wall += by;
            let now = self.inner.start + state.elapsed;
            let later = state.sleeps.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.sleeps, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Moves the time by `by`, stopping at the deadline of each sleep on the way and letting the tasks run that it
    /// wakes; what they sleep for is on the way too. For a runtime of one thread: there it leaves nothing undone that
    /// could be done in that time, unless tasks wait for sockets or threads.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the clock where it is.
    pub async fn run_for(&self, by: Duration) {
        let end = self.now() + by;
        settle().await;
        while let Some(wait) = self.next_sleep().filter(|wait| self.now() + *wait <= end) {
            self.advance(wait);
            settle().await;
        }
        self.advance(end.saturating_duration_since(self.now()));
        settle().await;
    }

    /// Moves the time to the next deadline that a sleep waits for, see [`next_sleep`](Self::next_sleep).
    ///
    /// # Panics
    ///
    /// If nothing sleeps.
    pub fn advance_to_next(&self) {
        self.advance(self.next_sleep().expect("something sleeps"));
    }

    /// The distance to the next deadline that a sleep waits for.
    #[must_use]
    pub fn next_sleep(&self) -> Option<Duration> {
        let state = self.inner.lock();
        let (deadline, _) = *state.sleeps.first_key_value()?.0;
        Some(deadline.saturating_duration_since(self.inner.start + state.elapsed))
    }

    /// How many sleeps wait: polled at least once, neither due nor dropped.
    #[must_use]
    pub fn pending_sleeps(&self) -> usize {
        self.inner.lock().sleeps.len()
    }

    /// Waits until at least `count` sleeps wait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until_sleeping(&self, count: usize) {
        loop {
            let changed = self.inner.changed.notified();
            if self.pending_sleeps() >= count {
                return;
            }
            changed.await;
        }
    }

    /// How far the time was moved since the clock was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.inner.lock().elapsed
    }

    /// Sets the civil time, as a user or a time server does; the monotonic time does not move.
    pub fn set_wall(&self, wall: SystemTime) {
        self.inner.lock().wall = wall;
    }
}

/// Lets all other tasks of this thread run until they wait.
async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.inner.start + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.inner.lock().wall
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let id = {
            let mut state = self.inner.lock();
            state.next_id += 1;
            state.next_id
        };
        Box::pin(ManualSleep { inner: Arc::clone(&self.inner), key: (deadline, id) })
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("ManualClock")
            .field("elapsed", &state.elapsed)
            .field("pending_sleeps", &state.sleeps.len())
            .finish()
    }
}

struct ManualSleep {
    inner: Arc<Inner>,
    key: (Instant, u64),
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut state = self.inner.lock();
            if self.key.0 <= self.inner.start + state.elapsed {
                state.sleeps.remove(&self.key);
                return Poll::Ready(());
            }
            state.sleeps.insert(self.key, cx.waker().clone());
        }
        self.inner.changed.notify_waiters();
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let waker = self.inner.lock().sleeps.remove(&self.key);
        // Outside of the lock: a waker may hold the last reference to a task, and that task more sleeps.
        drop(waker);
    }
}

/// A [`Clock`] on tokio's time: with `#[tokio::test(start_paused = true)]` it leaps to the next deadline whenever
/// nothing is left to do. The civil time begins at 2026-01-01T00:00:00Z when the clock is made and moves along.
///
/// Its sleeps must be polled, and its time read, inside a runtime with time enabled.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl TokioClock {
    /// A clock on the time of the runtime it is made in.
    #[must_use]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + WALL_START + self.start.elapsed()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }
}
