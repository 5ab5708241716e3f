//! `netcomm-bench monitor`: what it costs to watch, and how soon a change is told.

#[cfg(target_os = "linux")]
mod paths;
mod stats;

use std::time::Duration;

use crate::error::{Result, fail};
use crate::flags::Flags;
use crate::report::Report;

/// The component's name on the command line and in each line.
pub(crate) const NAME: &str = "monitor";

// First words of what the program says to itself when it starts once more.
const STATS_TURN: &str = "stats-turn";
const STATS_PASSES: &str = "stats-passes";

/// Measures all cases, or plays the part that another process of this program asks for.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words {
        [STATS_TURN, lane, millis] => stats::turn(lane, Duration::from_millis(millis.parse()?)),
        [STATS_PASSES, lane, count] => stats::passes(lane, count.parse()?),
        #[cfg(target_os = "linux")]
        [paths::INSIDE, peer, case] => paths::run(peer, case),
        [STATS_TURN | STATS_PASSES, ..] => fail("the program did not understand itself"),
        _ => measure(&Flags::parse(args, CASES)?),
    }
}

#[cfg(target_os = "linux")]
const CASES: &[&str] = &[stats::STATS, paths::CHANGES, paths::STORMS];
#[cfg(not(target_os = "linux"))]
const CASES: &[&str] = &[stats::STATS];

fn measure(flags: &Flags) -> Result<()> {
    let report = Report::new(NAME, flags.is_json);
    if flags.wants(stats::STATS) {
        stats::measure(flags, &report)?;
    }
    #[cfg(target_os = "linux")]
    paths::measure(flags, &report)?;
    Ok(())
}
