//! Requests per second by the clock, and the processor's time that each takes from the client.

use std::net::SocketAddr;
use std::time::Instant;

use super::lane::Lane;
use super::peers;
use crate::cpu;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report};
use crate::rounds;

/// One request after the other.
pub(super) const SEQUENTIAL: &str = "sequential";
/// As many at a time as [`IN_FLIGHT`].
pub(super) const CONCURRENT: &str = "64-in-flight";

/// How many are under way at a time where it is more than one.
pub(super) const IN_FLIGHT: usize = 64;

struct Turn {
    per_second: f64,
    cpu_us: Option<f64>,
}

/// Measures both cases, those that are wanted.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    for (case, in_flight) in [(SEQUENTIAL, 1), (CONCURRENT, IN_FLIGHT)] {
        if flags.wants(case) {
            let lanes = peers::all(server)?;
            // Connections are made and caches are warmed in a round that does not count.
            rounds::interleave(&lanes, 1, |lane| turn(&**lane, flags, in_flight))?;
            let turns = rounds::interleave(&lanes, flags.rounds, |lane| turn(&**lane, flags, in_flight))?;
            tell(report, case, &turns)?;
        }
    }
    Ok(())
}

fn turn(lane: &dyn Lane, flags: &Flags, in_flight: usize) -> Result<Turn> {
    let (start, cpu_start) = (Instant::now(), cpu::of_this_process());
    let count = lane.requests_for(flags.turn, in_flight)? as f64;
    let spent = cpu_start.zip(cpu::of_this_process()).map(|(start, end)| end.saturating_sub(start));
    Ok(Turn {
        per_second: count / start.elapsed().as_secs_f64(),
        cpu_us: spent.map(|spent| spent.as_secs_f64() * 1e6 / count),
    })
}

fn tell(report: &Report, case: &str, turns: &[Vec<Turn>]) -> Result<()> {
    let names = peers::names();
    let rates: Vec<Vec<f64>> = turns.iter().map(|turns| turns.iter().map(|turn| turn.per_second).collect()).collect();
    report.case(case, "req/s", &names, &report::medians(&rates))?;
    let cpu =
        turns.iter().map(|turns| turns.iter().map(|turn| turn.cpu_us).collect()).collect::<Option<Vec<Vec<f64>>>>();
    match cpu {
        Some(cpu) => report.case(case, "CPU us/request", &names, &report::medians(&cpu)),
        None => report.skipped(case, "this system does not tell the processor's time"),
    }
}
