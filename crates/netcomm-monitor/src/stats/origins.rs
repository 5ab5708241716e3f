//! What is counted for each origin: a bounded table that is searched without a lock.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::counter::Counter;
use super::histogram::Steps;
use super::requests::Requests;
use super::words;

/// What is counted for one origin: 8.5 KiB.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) requests: Requests,
    pub(super) steps: Steps,
    /// By [`words::error_number`]; 0 for those that were opened.
    pub(super) connects: [Counter; words::ERROR_NUMBERS],
    pub(super) disconnects: Counter,
    pub(super) is_broken: AtomicBool,
    /// When it was looked up last, in attempts.
    last: Counter,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            requests: Requests::default(),
            steps: Steps::default(),
            connects: array::from_fn(|_| Counter::default()),
            disconnects: Counter::default(),
            is_broken: AtomicBool::new(false),
            last: Counter::default(),
        }
    }
}

impl Place {
    fn pour(&self, into: &Self) {
        self.requests.pour(&into.requests);
        self.steps.pour(&into.steps);
        self.connects.iter().zip(&into.connects).for_each(|(from, into)| from.pour(into));
        self.disconnects.pour(&into.disconnects);
        self.is_broken.store(false, Ordering::Relaxed);
    }
}

/// The places of those origins that were met last, and one for all others.
///
/// An origin is known by 64 bits that are drawn from its name with a key of this process: two of them would be counted as one
/// where these are the same, which is no more likely than that memory errs.
#[derive(Debug)]
pub(super) struct Origins {
    hasher: RandomState,
    /// 0 where there is none yet. Taken in the order of their search, and never given up but for another origin.
    marks: Box<[AtomicU64]>,
    places: Box<[OnceLock<Box<Place>>]>,
    other: Place,
    /// Held while an origin comes or goes.
    names: Mutex<Vec<Option<Arc<str>>>>,
    left: Counter,
}

impl Origins {
    pub(super) fn new(most: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            marks: (0..most).map(|_| AtomicU64::new(0)).collect(),
            places: (0..most).map(|_| OnceLock::new()).collect(),
            other: Place::default(),
            names: Mutex::new(vec![None; most]),
            left: Counter::default(),
        }
    }

    /// The place of an origin, where it has one; otherwise that of all others.
    #[inline]
    pub(super) fn known(&self, origin: &str, now: u64) -> &Place {
        self.own(origin, now).unwrap_or(&self.other)
    }

    /// The place that an origin has.
    pub(super) fn own(&self, origin: &str, now: u64) -> Option<&Place> {
        self.find(self.mark(origin), now)
    }

    /// The place of an origin. If it has none, it takes the one of the origin that was not met for the longest time.
    #[inline]
    pub(super) fn of(&self, origin: &str, now: u64) -> &Place {
        let mark = self.mark(origin);
        match self.find(mark, now) {
            Some(place) => place,
            None => self.admit(mark, origin, now),
        }
    }

    fn mark(&self, origin: &str) -> u64 {
        self.hasher.hash_one(origin).max(1)
    }

    #[inline]
    fn find(&self, mark: u64, now: u64) -> Option<&Place> {
        let first = self.first(mark);
        let (before, from) = self.marks.split_at_checked(first)?;
        for (at, there) in (first..).zip(from).chain((0..).zip(before)) {
            // Acquire: whoever sees the mark sees the place.
            let there = there.load(Ordering::Acquire);
            if there == mark {
                let place = self.places[at].get()?;
                place.last.set(now);
                return Some(place);
            }
            if there == 0 {
                return None;
            }
        }
        None
    }

    /// Where the search for a mark begins.
    #[inline]
    fn first(&self, mark: u64) -> usize {
        // The upper half of a product spreads a mark over any number of places, without a division.
        ((u128::from(mark) * self.marks.len() as u128) >> 64) as usize
    }

    #[cold]
    fn admit(&self, mark: u64, origin: &str, now: u64) -> &Place {
        if self.marks.is_empty() {
            return &self.other;
        }
        let mut names = self.lock();
        // Another thread may have been first.
        if let Some(place) = self.find(mark, now) {
            return place;
        }
        let first = self.first(mark);
        let at = (first..self.marks.len()).chain(0..first).find(|at| names[*at].is_none());
        let at = at.unwrap_or_else(|| self.oldest());
        let place = self.places[at].get_or_init(Box::default);
        if names[at].is_some() {
            place.pour(&self.other);
            self.left.one();
        }
        names[at] = Some(Arc::from(origin));
        place.last.set(now);
        self.marks[at].store(mark, Ordering::Release);
        place
    }

    fn oldest(&self) -> usize {
        let last = |place: &OnceLock<Box<Place>>| place.get().map_or(0, |place| place.last.get());
        let oldest = self.places.iter().enumerate().min_by_key(|(_, place)| last(place));
        oldest.map_or(0, |(at, _)| at)
    }

    /// How many origins had to leave.
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Shows each origin with its place, in the order of their names, and all others last without a name. None comes or
    /// goes meanwhile.
    pub(super) fn each(&self, mut show: impl FnMut(Option<&Arc<str>>, &Place)) {
        let names = self.lock();
        let mut named: Vec<_> =
            names.iter().zip(&self.places).filter_map(|(name, place)| Some((name.as_ref()?, place.get()?))).collect();
        named.sort_by_key(|(name, _)| *name);
        for (name, place) in named {
            show(Some(name), place);
        }
        show(None, &self.other);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Arc<str>>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(origins: &Origins) -> Vec<(String, u64)> {
        let mut seen = Vec::new();
        origins.each(|name, place| {
            seen.push((name.map_or("others", |name| name).to_owned(), place.disconnects.get()));
        });
        seen
    }

    #[test]
    fn the_one_that_was_not_met_for_the_longest_time_leaves() {
        let origins = Origins::new(3);
        for (now, origin) in ["a", "b", "c", "a", "d", "a", "e"].into_iter().enumerate() {
            origins.of(origin, now as u64).disconnects.one();
        }
        let seen = names(&origins);
        let seen: Vec<_> = seen.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(seen, [("a", 3), ("d", 1), ("e", 1), ("others", 2)]);
        assert_eq!(origins.left(), 2);
    }

    #[test]
    fn who_is_only_asked_for_is_not_admitted() {
        let origins = Origins::new(3);
        origins.known("a", 0).disconnects.one();
        assert_eq!(names(&origins), [("others".to_owned(), 1)]);
        let none = Origins::new(0);
        none.of("a", 0).disconnects.one();
        assert_eq!(names(&none), [("others".to_owned(), 1)]);
    }

    #[test]
    fn nothing_is_lost_while_origins_come_and_go() {
        let origins = Origins::new(4);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let origins = &origins;
                scope.spawn(move || {
                    for turn in 0..2000 {
                        origins.of(&format!("{}", (turn * 7 + thread) % 9), turn).disconnects.one();
                    }
                });
            }
        });
        let seen = names(&origins);
        assert_eq!(seen.len(), 5);
        assert_eq!(seen.iter().map(|(_, count)| count).sum::<u64>(), 8000);
    }
}
