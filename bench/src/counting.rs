//! What is asked of the allocator that `main.rs` installs: the system's, counted.

use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM as ALLOCATOR, Stats};

/// What was asked of the allocator.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

/// Bytes that are allocated now.
pub(crate) fn live_bytes() -> usize {
    let Stats { bytes_allocated, bytes_deallocated, .. } = ALLOCATOR.stats();
    bytes_allocated.saturating_sub(bytes_deallocated)
}

#[cfg(test)]
mod tests {
    use std::alloc::System;

    use stats_alloc::StatsAlloc;

    use super::*;

    #[global_allocator]
    static COUNTED: &StatsAlloc<System> = &ALLOCATOR;

    #[test]
    fn an_allocation_is_seen() {
        // Other tests run beside this one, so the counters may have moved further.
        let (_kept, asked) = count(|| Vec::<u8>::with_capacity(1000));
        assert!(asked.times >= 1 && asked.bytes >= 1000, "{asked:?}");
        assert!(live_bytes() >= 1000);
    }
}
