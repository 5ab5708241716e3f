//! Whole streams over loopback: the processor's time that an event takes from the client, and events per second.

use std::net::SocketAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::{peers, server};
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report, Target};
use crate::sse::corpus::Kind;
use crate::sse::{NAME, STREAM_TURN};
use crate::{child, cpu, rounds};

pub(in crate::sse) const CASE: &str = "stream";

/// In one stream.
const BYTES: usize = 32 * 1024 * 1024;
const QUICK_BYTES: usize = 1024 * 1024;

/// To the first peer.
const TARGETS: &[(&str, Target)] = &[
    ("hyper+netcomm", Target::RatioAtMost(0.35)),
    ("netcomm", Target::RatioAtMost(0.35)),
    ("netcomm-ref", Target::RatioAtMost(0.35)),
    ("netcomm-source", Target::RatioAtMost(0.35)),
    ("netcomm-source-ref", Target::RatioAtMost(0.35)),
];

/// What a process says of its stream.
#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    per_second: f64,
    cpu_ns: Option<f64>,
}

/// Measures each kind of events, each stream in a process of its own.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    for kind in [Kind::Llm, Kind::Tick, Kind::Large] {
        measure_one(flags, report, server, kind, &format!("{CASE}-{kind}"), &peers::names())?;
    }
    for kind in [Kind::Llm, Kind::Tick] {
        measure_one(flags, report, server, kind, &format!("{CASE}-{kind}-json"), &peers::names_of_values())?;
    }
    Ok(())
}

fn measure_one(
    flags: &Flags,
    report: &Report,
    server: SocketAddr,
    kind: Kind,
    case: &str,
    names: &[&str],
) -> Result<()> {
    let bytes = if flags.is_quick { QUICK_BYTES } else { BYTES }.to_string();
    let (server, word) = (server.to_string(), kind.to_string());
    let turns = rounds::interleave(names, flags.rounds, |peer| {
        child::answer_of::<Turn>(child::plain_command(&[NAME, STREAM_TURN, peer, &server, &word, &bytes])?)
    })?;
    let cpu: Option<Vec<Vec<f64>>> = turns.iter().map(|turns| turns.iter().map(|turn| turn.cpu_ns).collect()).collect();
    match cpu {
        Some(cpu) => report.case_with_targets(case, "CPU ns/event", names, &report::medians(&cpu), TARGETS)?,
        None => report.skipped(case, "this system does not tell the processor's time")?,
    }
    let rates: Vec<Vec<f64>> = turns.iter().map(|turns| turns.iter().map(|turn| turn.per_second).collect()).collect();
    report.case(case, "events/s", names, &report::medians(&rates))
}

/// The measured process's part: reads one stream and says how that went.
pub(super) fn turn(lane: &mut dyn Lane, kind: Kind, bytes: usize) -> Result<()> {
    let corpus = kind.corpus(bytes);
    // The server makes its own before it answers.
    lane.open(&server::path(kind, bytes), 1)?;
    let (start, cpu_start) = (Instant::now(), cpu::of_this_process());
    lane.read(&corpus)?;
    let spent = cpu_start.zip(cpu::of_this_process()).map(|(start, end)| end.saturating_sub(start));
    let events = corpus.totals.events as f64;
    let turn = Turn {
        per_second: events / start.elapsed().as_secs_f64(),
        cpu_ns: spent.map(|spent| spent.as_secs_f64() * 1e9 / events),
    };
    println!("{}", serde_json::to_string(&turn)?);
    Ok(())
}
