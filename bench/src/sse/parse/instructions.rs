//! Instructions in user space per event: the slope between one pass over a corpus and three, so that start and corpus
//! are not counted.

use super::peers;
use super::reader::Lane;
use crate::child;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report};
use crate::sse::load::{LOADS, Load};
use crate::sse::{NAME, PARSE_PASSES};
use crate::valgrind::{self, Profiles};

/// Read in one pass.
const BYTES: usize = 1024 * 1024;
const FEW: usize = 1;
const MANY: usize = 3;

/// Measures each load: each parser twice.
pub(super) fn measure(flags: &Flags, report: &Report) -> Result<()> {
    if !valgrind::is_there() {
        return report.skipped(super::INSTRUCTIONS, "valgrind is not there");
    }
    let profiles = Profiles::new(flags.profiles.as_deref())?;
    for load in LOADS {
        let (names, case) = (peers::names(*load), load.to_string());
        let events = load.pieces(BYTES).totals.events * (MANY - FEW) as u64;
        let count = |peer: &str, passes: usize| {
            let passes = passes.to_string();
            let command = child::plain_command(&[NAME, PARSE_PASSES, peer, &case, &passes])?;
            valgrind::instructions(&command, &profiles.file(&format!("{peer}.{case}.{passes}")))
        };
        let slope = |peer: &&str| Ok(count(peer, MANY)?.saturating_sub(count(peer, FEW)?) as f64 / events as f64);
        let slopes = names.iter().map(slope).collect::<Result<Vec<_>>>()?;
        let best = super::best(&slopes, &names, |one, other| one < other);
        report.case(&case, "instructions/event", &names, &report::plain_to(&slopes, best))?;
    }
    Ok(())
}

/// The measured process's part: so many passes.
pub(super) fn passes(lane: &dyn Lane, load: Load, count: usize) -> Result<()> {
    let pieces = load.pieces(BYTES);
    for _ in 0..count {
        lane.pass(&pieces)?;
    }
    Ok(())
}
