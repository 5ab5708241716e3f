//! What an observation costs whoever is observed: by the processor's time of one thread, and in instructions.

mod lanes;
mod mix;

use std::time::{Duration, Instant};

use lanes::{LANES, Lane};

use super::{NAME, STATS_PASSES, STATS_TURN};
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report, Target};
use crate::valgrind::{self, Profiles};
use crate::{child, cpu, rounds};

/// By the clock, and in instructions beside.
pub(super) const STATS: &str = "stats";
const INSTRUCTIONS: &str = "stats-instructions";

const FEW: usize = 100;
const MANY: usize = 600;

/// What nobody listens to may cost, and what is counted, in nanoseconds.
const TARGETS: &[(&str, Target)] = &[("off", Target::AtMost(2.0)), ("stats", Target::AtMost(60.0))];

/// Measures both, each turn in a process of its own.
pub(super) fn measure(flags: &Flags, report: &Report) -> Result<()> {
    let millis = flags.turn.as_millis().to_string();
    let turns = rounds::interleave(LANES, flags.rounds, |lane| {
        child::answer_of::<Option<f64>>(child::plain_command(&[NAME, STATS_TURN, lane, &millis])?)
    })?;
    let turns: Option<Vec<Vec<f64>>> = turns.into_iter().map(|turns| turns.into_iter().collect()).collect();
    match turns {
        None => report.skipped(STATS, "this system does not tell the processor's time")?,
        Some(turns) => {
            let medians: Vec<_> = turns.iter().flat_map(|turns| report::alone(rounds::median(turns))).collect();
            report.case_with_targets(STATS, "ns/observation", LANES, &medians, TARGETS)?;
        }
    }
    instructions(flags, report)
}

fn instructions(flags: &Flags, report: &Report) -> Result<()> {
    if !valgrind::is_there() {
        return report.skipped(INSTRUCTIONS, "valgrind is not there");
    }
    let profiles = Profiles::new(flags.profiles.as_deref())?;
    let count = |lane: &str, passes: usize| {
        let passes = passes.to_string();
        let command = child::plain_command(&[NAME, STATS_PASSES, lane, &passes])?;
        valgrind::instructions(&command, &profiles.file(&format!("{lane}.{passes}")))
    };
    let slope = |lane: &&str| {
        let observations = (MANY - FEW) * mix::mix().len();
        Ok(count(lane, MANY)?.saturating_sub(count(lane, FEW)?) as f64 / observations as f64)
    };
    let slopes = LANES.iter().map(slope).collect::<Result<Vec<_>>>()?;
    report.case(INSTRUCTIONS, "instructions/obs.", LANES, &report::plain(&slopes))
}

/// The measured process's part by the clock: says how many nanoseconds an observation took, if the system tells.
pub(super) fn turn(lane: &str, turn: Duration) -> Result<()> {
    let (mix, lane) = (mix::mix(), Lane::new(lane)?);
    // Origins that are met for the first time are no part of it.
    lane.pass(&mix);
    let (start, cpu_start) = (Instant::now(), cpu::of_this_thread());
    let mut passes = 0.0;
    while start.elapsed() < turn {
        (0..10).for_each(|_| lane.pass(&mix));
        passes += 10.0;
    }
    let spent = cpu_start.zip(cpu::of_this_thread()).map(|(start, end)| end.saturating_sub(start).as_secs_f64());
    let each = spent.map(|spent| spent * 1e9 / (passes * mix.len() as f64));
    println!("{}", serde_json::to_string(&each)?);
    Ok(())
}

/// The measured process's part under callgrind: so many passes.
pub(super) fn passes(lane: &str, count: usize) -> Result<()> {
    let (mix, lane) = (mix::mix(), Lane::new(lane)?);
    (0..count).for_each(|_| lane.pass(&mix));
    Ok(())
}
