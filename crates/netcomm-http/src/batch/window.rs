//! When a batch closes: by count, by size, by time. Pure.

use std::time::{Duration, Instant};

/// How much goes into one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) max_calls: usize,
    pub(super) max_bytes: usize,
    pub(super) max_delay: Duration,
}

/// A longer delay is a mistake, and the sum of a time and one without an end would be none.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Bounds {
    fn default() -> Self {
        Self { max_calls: 100, max_bytes: 1024 * 1024, max_delay: Duration::from_millis(5) }
    }
}

/// What the calls of a batch come to so far.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bounds: Bounds,
    closes_at: Instant,
    calls: usize,
    bytes: usize,
}

/// Whether one more call goes into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joins {
    /// It does, and there is room for more.
    Open,
    /// It does, and is the last one.
    Full,
    /// It does not fit: this batch closes, and the call begins the next.
    Next,
}

impl Window {
    pub(super) fn open(bounds: Bounds, now: Instant) -> Self {
        Self { bounds, closes_at: now + bounds.max_delay.min(LONGEST_DELAY), calls: 0, bytes: 0 }
    }

    /// When the batch closes if nothing closes it before. It does not move: no call waits longer than the delay.
    pub(super) fn closes_at(&self) -> Instant {
        self.closes_at
    }

    /// Takes in a call of so many bytes, if it fits. What is too large for any batch goes alone.
    pub(super) fn join(&mut self, bytes: usize) -> Joins {
        let Bounds { max_calls, max_bytes, .. } = self.bounds;
        let sum = self.bytes.saturating_add(bytes);
        if self.calls > 0 && (sum > max_bytes || self.calls >= max_calls) {
            return Joins::Next;
        }
        (self.calls, self.bytes) = (self.calls + 1, sum);
        if self.calls >= max_calls || sum >= max_bytes { Joins::Full } else { Joins::Open }
    }

    /// Gives back the room of a call that left.
    pub(super) fn leave(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max_calls: 3, max_bytes: 10, max_delay: Duration::from_millis(5) };

    fn window(bounds: Bounds) -> Window {
        Window::open(bounds, Instant::now())
    }

    #[test]
    fn closed_by_count_or_by_size() {
        use Joins::{Full, Next, Open};
        let cases: &[(&[usize], &[Joins])] = &[
            (&[1, 1, 1], &[Open, Open, Full]),
            (&[1, 1, 1, 1], &[Open, Open, Full, Next]),
            (&[5, 5], &[Open, Full]),
            (&[5, 6], &[Open, Next]),
            (&[5, 6, 4, 1], &[Open, Next, Open, Full]),
            (&[10], &[Full]),
            // Too large for any batch: alone.
            (&[11], &[Full]),
            (&[1, 11], &[Open, Next]),
            (&[11, 0], &[Full, Next]),
            (&[0, 0, 0], &[Open, Open, Full]),
            (&[9, usize::MAX], &[Open, Next]),
        ];
        for (sizes, expected) in cases {
            let mut window = window(BOUNDS);
            let joins: Vec<_> = sizes.iter().map(|bytes| window.join(*bytes)).collect();
            assert_eq!(joins, *expected, "{sizes:?}");
        }
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut window = window(BOUNDS);
        assert_eq!((window.join(6), window.join(4)), (Joins::Open, Joins::Full));
        window.leave(6);
        assert_eq!((window.join(7), window.join(1)), (Joins::Next, Joins::Open));
        window.leave(4);
        window.leave(1);
        assert_eq!((window.calls, window.bytes), (0, 0));
        assert_eq!(window.join(usize::MAX), Joins::Full);
    }

    #[test]
    fn bounds_of_nothing_are_batches_of_one() {
        for bounds in
            [Bounds { max_calls: 0, ..BOUNDS }, Bounds { max_calls: 1, ..BOUNDS }, Bounds { max_bytes: 0, ..BOUNDS }]
        {
            let mut window = window(bounds);
            assert_eq!((window.join(1), window.join(1)), (Joins::Full, Joins::Next), "{bounds:?}");
        }
    }

    #[test]
    fn the_end_does_not_move() {
        let start = Instant::now();
        let mut window = Window::open(BOUNDS, start);
        let end = start + BOUNDS.max_delay;
        window.join(1);
        assert_eq!(window.closes_at(), end);
        window.leave(1);
        assert_eq!(window.closes_at(), end);
        let endless = Window::open(Bounds { max_delay: Duration::MAX, ..BOUNDS }, start);
        assert_eq!(endless.closes_at(), start + LONGEST_DELAY);
    }
}
