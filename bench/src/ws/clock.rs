//! Messages per second by the clock, and the processor's time that each takes from the client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::load::{LARGE_LONG, Load, MIDDLING_LONG, PING_PONG, SMALL};
use super::{NAME, TURN, peers};
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report};
use crate::{child, cpu, rounds};

pub(super) const CASE: &str = "clock";

/// What a process says of its turn.
#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    per_second: f64,
    cpu_us: Option<f64>,
}

/// Measures each load, each turn in a process of its own.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    let (names, server, millis) = (peers::names(), server.to_string(), flags.turn.as_millis().to_string());
    for load in [PING_PONG, SMALL, MIDDLING_LONG, LARGE_LONG] {
        let case = load.to_string();
        let turns = rounds::interleave(&names, flags.rounds, |peer| {
            child::answer_of::<Turn>(child::plain_command(&[NAME, TURN, peer, &server, &case, &millis])?)
        })?;
        tell(report, &case, &names, &turns)?;
    }
    Ok(())
}

/// The measured process's part: says how its turn went.
pub(super) fn turn(lane: &mut dyn Lane, load: Load, turn: Duration) -> Result<()> {
    // What is made in the first rounds is no message's cost.
    lane.rounds_for(load, turn / 4)?;
    let (start, cpu_start) = (Instant::now(), cpu::of_this_process());
    let count = lane.rounds_for(load, turn)? as f64;
    let spent = cpu_start.zip(cpu::of_this_process()).map(|(start, end)| end.saturating_sub(start));
    let turn = Turn {
        per_second: count / start.elapsed().as_secs_f64(),
        cpu_us: spent.map(|spent| spent.as_secs_f64() * 1e6 / count),
    };
    println!("{}", serde_json::to_string(&turn)?);
    Ok(())
}

fn tell(report: &Report, case: &str, names: &[&str], turns: &[Vec<Turn>]) -> Result<()> {
    let rates: Vec<Vec<f64>> = turns.iter().map(|turns| turns.iter().map(|turn| turn.per_second).collect()).collect();
    report.case(case, "messages/s", names, &report::medians(&rates))?;
    let cpu =
        turns.iter().map(|turns| turns.iter().map(|turn| turn.cpu_us).collect()).collect::<Option<Vec<Vec<f64>>>>();
    match cpu {
        Some(cpu) => report.case(case, "CPU us/message", names, &report::medians(&cpu)),
        None => report.skipped(case, "this system does not tell the processor's time"),
    }
}
