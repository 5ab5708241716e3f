//! Chance from one seedable source.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The odd constant of Weyl sequences: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of chance: for jitter, sampling and names that must not meet. Everything in netcomm that is left to chance
/// asks the source of its [`Env`](crate::Env), so that a test that gives a seed sees the same again.
///
/// Cheap to clone; clones draw from the same sequence, without a lock. Not for secrets: who sees some numbers can
/// tell the next ones.
#[derive(Clone)]
pub struct Random {
    source: Arc<Source>,
}

struct Source {
    state: AtomicU64,
    /// Beside the state, so that two sources of one process, or of two, do not run into each other's sequence.
    key: u64,
}

impl Random {
    /// A source seeded by the system.
    #[must_use]
    pub fn new() -> Self {
        // The keys of the standard library's hashes come from the system: 128 bits, told apart by what is hashed.
        let seed = RandomState::new();
        Self::from_parts(seed.hash_one("state"), seed.hash_one("key"))
    }

    /// A source that gives the same numbers for the same seed, asked in the same order.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::from_parts(seed, 0)
    }

    fn from_parts(state: u64, key: u64) -> Self {
        Self { source: Arc::new(Source { state: AtomicU64::new(state), key }) }
    }

    /// The next number, evenly spread over all of them.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        let state = self.source.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        // The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
        let mixed = (state ^ self.source.key ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, 1 excluded.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        // 53 bits are all that an f64 tells apart between 0 and 1.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.next_u64() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_clones_go_on() {
        let draw = |random: &Random| (0..4).map(|_| random.next_u64()).collect::<Vec<_>>();
        let first = Random::seeded(7);
        let numbers = draw(&first);
        assert_eq!(numbers, draw(&Random::seeded(7)));
        assert_ne!(numbers, draw(&Random::seeded(8)));
        let clone = first.clone();
        assert_eq!([draw(&Random::seeded(7)), draw(&clone)].concat().len(), 8);
        assert_ne!(draw(&first), draw(&clone), "one sequence, not two equal ones");
    }

    #[test]
    fn the_first_number_of_seed_0_is_that_of_splitmix64() {
        assert_eq!(Random::seeded(0).next_u64(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn two_sources_differ() {
        assert_ne!(Random::new().next_u64(), Random::new().next_u64());
    }

    #[test]
    fn fractions_are_spread_evenly() {
        let random = Random::seeded(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let fraction = random.fraction();
            assert!((0.0..1.0).contains(&fraction));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 10")]
            let tenth = (fraction * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)), "{tenths:?}");
    }
}
