//! Bytes and events per second of the processor's time of one thread.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::peers;
use super::reader::Lane;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report};
use crate::sse::load::Load;
use crate::sse::{NAME, PARSE_TURN};
use crate::{child, cpu, rounds};

/// Read in one pass.
const BYTES: usize = 8 * 1024 * 1024;

/// What a process says of its turn.
#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    megabytes: f64,
    events: f64,
}

/// Measures one load, each turn in a process of its own.
pub(super) fn measure(flags: &Flags, report: &Report, load: Load) -> Result<()> {
    let (names, case, millis) = (peers::names(load), load.to_string(), flags.turn.as_millis().to_string());
    let turns = rounds::interleave(&names, flags.rounds, |peer| {
        child::answer_of::<Option<Turn>>(child::plain_command(&[NAME, PARSE_TURN, peer, &case, &millis])?)
    })?;
    let turns: Option<Vec<Vec<Turn>>> = turns.into_iter().map(|turns| turns.into_iter().collect()).collect();
    let Some(turns) = turns else {
        return report.skipped(&case, "this system does not tell the processor's time");
    };
    let series =
        |of: fn(&Turn) -> f64| -> Vec<Vec<f64>> { turns.iter().map(|turns| turns.iter().map(of).collect()).collect() };
    let speeds = series(|turn| turn.megabytes);
    let medians: Vec<f64> = speeds.iter().map(|values| rounds::median(values)).collect();
    let best = super::best(&medians, &names, |one, other| one > other);
    report.case(&case, "MB/CPU s", &names, &report::medians_to(&speeds, best))?;
    // Their ratios would be the same.
    let rates: Vec<_> =
        series(|turn| turn.events).iter().flat_map(|values| report::alone(rounds::median(values))).collect();
    report.case(&case, "events/CPU s", &names, &rates)
}

/// The measured process's part: says how its turn went, if the system tells.
pub(super) fn turn(lane: &dyn Lane, load: Load, turn: Duration) -> Result<()> {
    let pieces = load.pieces(BYTES);
    // What is made in the first pass is no event's cost.
    lane.pass(&pieces)?;
    let (start, cpu_start) = (Instant::now(), cpu::of_this_thread());
    let mut passes = 0.0;
    loop {
        lane.pass(&pieces)?;
        passes += 1.0;
        if start.elapsed() >= turn {
            break;
        }
    }
    let spent = cpu_start.zip(cpu::of_this_thread()).map(|(start, end)| end.saturating_sub(start).as_secs_f64());
    let turn = spent.map(|spent| Turn {
        megabytes: passes * pieces.bytes as f64 / 1e6 / spent,
        events: passes * pieces.totals.events as f64 / spent,
    });
    println!("{}", serde_json::to_string(&turn)?);
    Ok(())
}
