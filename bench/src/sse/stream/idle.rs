//! What a stream keeps while nothing comes: bytes that a process which holds thousands has allocated.

use std::net::SocketAddr;

use super::lane::Lane;
use super::{peers, server};
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report};
use crate::sse::corpus::Kind;
use crate::sse::{IDLE, NAME};
use crate::{child, counting, files};

pub(in crate::sse) const CASE: &str = "idle";

/// Measures each client in a process of its own, on the allocator that counts.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    let streams: usize = if flags.is_quick { 200 } else { 2_000 };
    let (names, server, count) = (peers::names_of_parsers(), server.to_string(), streams.to_string());
    let hold = |peer: &&str| {
        let held = child::answer::<usize>(&[NAME, IDLE, peer, &server, &count])?;
        Ok(held as f64 / streams as f64)
    };
    let held = names.iter().map(hold).collect::<Result<Vec<_>>>()?;
    report.case(CASE, "bytes each", &names, &report::plain(&held))
}

/// The measured process's part: holds so many streams that have had one event each, and says how much that takes.
pub(super) fn hold(lane: &mut dyn Lane, count: usize) -> Result<()> {
    files::raise_the_limit()?;
    let path = server::path(Kind::Tick, 1);
    // What the first streams make is shared by all.
    lane.open(&path, 10)?;
    lane.one_event_on_each(10)?;
    let before = counting::live_bytes();
    lane.open(&path, count)?;
    lane.one_event_on_each(count)?;
    println!("{}", counting::live_bytes().saturating_sub(before));
    Ok(())
}
