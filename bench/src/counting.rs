//! The allocator of this program: the system's, counted. It costs every peer the same two atomic
//! additions per allocation, also where nobody reads the counters.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What was asked of the allocator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Allocations and reallocations.
    pub(crate) times: usize,
    /// Bytes allocated, with those by which reallocations grew.
    pub(crate) bytes: usize,
}

/// What `work` asks of the allocator, on all threads of the process.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let before = ALLOCATOR.stats();
    let result = work();
    let Stats { allocations, reallocations, bytes_allocated, .. } = ALLOCATOR.stats() - before;
    let asked = Asked { times: allocations + reallocations, bytes: bytes_allocated };
    (result, asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_is_seen() {
        // Other tests run beside this one, so the counters may have moved further.
        let (_kept, asked) = count(|| Vec::<u8>::with_capacity(1000));
        assert!(asked.times >= 1 && asked.bytes >= 1000, "{asked:?}");
    }
}
