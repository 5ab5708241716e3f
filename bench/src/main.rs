//! The benchmarks on an allocator that counts: what people start.

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// It costs every peer the same two atomic additions per allocation, also where nobody reads the counters.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    netcomm_bench::run()
}
