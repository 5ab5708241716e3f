//! How soon after the kernel's own message a change of the network is told, and whether it is.

mod changes;
mod inside;
mod kernel;
mod peers;

use netcomm_tests::namespace;

use crate::error::Result;
use crate::flags::Flags;
use crate::report::{Report, alone};
use crate::rounds::{interleave, median};

pub(super) use inside::{INSIDE, run};

/// All changes, each with the one before it as its beginning.
pub(super) const CHANGES: &str = "changes";
/// Many changes at once, and one after the other without an end.
pub(super) const STORMS: &str = "storms";

/// A line for each change and peer.
pub(super) fn measure(flags: &Flags, report: &Report) -> Result<()> {
    let is_possible = namespace().is_some();
    // A round takes tens of seconds: a peer that says nothing is waited for.
    let rounds = if flags.is_quick { 1 } else { flags.rounds.min(MAX_ROUNDS) };
    for case in [CHANGES, STORMS].into_iter().filter(|case| flags.wants(case)) {
        if !is_possible {
            report.skipped(case, "no network namespace can be made here")?;
            continue;
        }
        let series = interleave(&peers::NAMES, rounds, |peer| inside::start(peer, case))?;
        let names = series.first().and_then(|rounds| rounds.first()).cloned().unwrap_or_default();
        for (at, change) in names.iter().enumerate() {
            for (peer, rounds) in peers::NAMES.iter().zip(&series) {
                let seen: Vec<f64> = rounds.iter().filter_map(|round| round.get(at)?.value).collect();
                if seen.len() * 2 <= rounds.len() {
                    report.silent(&change.name, change.unit(), peer)?;
                } else {
                    report.case(&change.name, change.unit(), &[*peer], &alone(median(&seen)))?;
                }
            }
        }
    }
    Ok(())
}

/// So that a run ends within minutes.
const MAX_ROUNDS: usize = 5;
