//! The same program on the system's allocator. Threads that allocate at a time would wait for each other's counters,
//! the more often they allocate the longer; `netcomm-bench` starts this one where that would tell in the figures.

use std::process::ExitCode;

fn main() -> ExitCode {
    netcomm_bench::run()
}
