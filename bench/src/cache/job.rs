//! What a process that is measured alone is told to do, and what it says of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Work for one peer in a process of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) server: SocketAddr,
    pub(super) task: Task,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// So many hits of one path, one after the other; answered with [`crate::counting::Asked`].
    Hits { path: String, count: usize },
    /// Hits of one path for that long, on so many threads; answered with the number per second.
    Turn { path: String, threads: usize, millis: u64 },
    /// GETs of the first `count` of so many prepared paths, none of them stored before; no answer. The addresses are
    /// prepared all and in each run, so that they do not lie in the slope.
    Misses { count: usize, prepared: usize },
    /// GETs of so many paths, all stored; answered with [`Filled`].
    Fill { entries: usize },
}

/// What so many entries took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Filled {
    /// By how much resident memory grew, where the system says so.
    pub(super) resident_kib: Option<u64>,
    /// By how much more was allocated.
    pub(super) heap_bytes: u64,
    /// What had to be kept: addresses, and answers as they came, head and body.
    pub(super) payload_bytes: u64,
    /// What the cache itself says it holds, if it says so.
    pub(super) stated_bytes: Option<u64>,
    /// How many of a thousand entries, evenly picked, had to be asked for again.
    pub(super) forgotten: u64,
}
