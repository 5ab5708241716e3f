//! Which lane a thread takes. What every call writes to, if only to count itself, passes from one processor's cache to the
//! other's with each call where threads share it. So some things are there once for each of a few lanes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use netcomm_core::CallId;

/// How many lanes there are. Threads beyond that many share them.
pub(crate) const LANES: usize = 16;

/// Numbers that a thread takes at a time.
const NUMBERS: u64 = 64;

/// Numbers the calls of the process, so that observations of several clients can be told apart.
static NEXT_CALLS: AtomicU64 = AtomicU64::new(1);

/// Numbers the threads that make calls, so that the first ones have a lane each.
static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The next number, and the end of those that were taken.
    static CALLS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// [`LANES`] before the first question.
    static HERE: Cell<usize> = const { Cell::new(LANES) };
}

/// The lane of this thread: below [`LANES`], and always the same.
pub(crate) fn here() -> usize {
    match HERE.get() {
        LANES => {
            let lane = NEXT_THREAD.fetch_add(1, Ordering::Relaxed) % LANES;
            HERE.set(lane);
            lane
        }
        lane => lane,
    }
}

/// A number that no other call of the process has.
pub(crate) fn next_call() -> CallId {
    let (next, end) = CALLS.get();
    if next < end {
        CALLS.set((next + 1, end));
        return CallId(next);
    }
    let first = NEXT_CALLS.fetch_add(NUMBERS, Ordering::Relaxed);
    CALLS.set((first + 1, first + NUMBERS));
    CallId(first)
}

/// Keeps what is written in one lane out of the cache lines of another one: processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_calls_have_one_number() {
        let numbers = || (0..3 * NUMBERS).map(|_| next_call()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(numbers)).collect();
        let mut all = HashSet::new();
        for thread in threads {
            let numbers = thread.join().expect("a thread that counts");
            assert!(numbers.is_sorted() && numbers.iter().all(|number| *number != CallId(0)));
            for number in numbers {
                assert!(all.insert(number), "{number:?}");
            }
        }
    }

    #[test]
    fn a_thread_keeps_its_lane() {
        let lanes = || (here(), here());
        for _ in 0..LANES + 1 {
            let (first, second) = std::thread::spawn(lanes).join().expect("a thread that asks");
            assert_eq!(first, second);
            assert!(first < LANES);
        }
        assert_eq!(here(), here());
    }
}
