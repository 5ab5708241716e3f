//! What it takes to turn bytes that are there into events: no sockets, one thread.

mod clock;
mod instructions;
mod ours;
mod peers;
mod reader;

use std::time::Duration;

use super::load::{LOADS, Load};
use crate::error::Result;
use crate::flags::Flags;
use crate::report::Report;

/// By the processor's time.
pub(super) const CLOCK: &str = "parse";
/// In instructions.
pub(super) const INSTRUCTIONS: &str = "instructions";

/// Measures both cases, those that are wanted.
pub(super) fn measure(flags: &Flags, report: &Report) -> Result<()> {
    if flags.wants(CLOCK) {
        for load in LOADS {
            clock::measure(flags, report, *load)?;
        }
    }
    if flags.wants(INSTRUCTIONS) {
        instructions::measure(flags, report)?;
    }
    Ok(())
}

/// The measured process's part by the clock.
pub(super) fn turn(peer: &str, load: Load, turn: Duration) -> Result<()> {
    clock::turn(&*peers::one(peer)?, load, turn)
}

/// The measured process's part under callgrind.
pub(super) fn passes(peer: &str, load: Load, count: usize) -> Result<()> {
    instructions::passes(&*peers::one(peer)?, load, count)
}

/// The best of what is no work of ours: the highest of these figures, or the lowest.
fn best(values: &[f64], names: &[&str], is_better: fn(f64, f64) -> bool) -> usize {
    let peers = names.iter().zip(values).enumerate().filter(|(_, (name, _))| peers::is_peer(name));
    let best = peers.reduce(|best, other| if is_better(*other.1.1, *best.1.1) { other } else { best });
    best.map_or(0, |(at, _)| at)
}
