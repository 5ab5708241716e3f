//! Bodies far larger than what may lie in memory, one way and the other: how much memory they take
//! on their way, and how fast they are.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::{NAME, TRANSFER, peers};
use crate::child;
use crate::error::{Error, Result, fail};
use crate::flags::Flags;
use crate::report::{self, Report};
use crate::rounds;

pub(super) const CASE: &str = "memory";

const MIB: u64 = 1024 * 1024;

#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Download,
    Upload,
}

/// What a process that moved one body says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Transfer {
    seconds: f64,
    /// Resident at most before the body and after it, where the system says so.
    resident_kib: Option<(u64, u64)>,
}

/// Measures each peer in processes of its own, in both directions.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    let (bytes, rounds) = if flags.is_quick { (64 * MIB, 1) } else { (1024 * MIB, 7) };
    for direction in [Direction::Download, Direction::Upload] {
        // What is sent only once is refused by the retries of reqwest-retry.
        let names: Vec<&str> = peers::names()
            .into_iter()
            .filter(|name| matches!(direction, Direction::Download) || *name != peers::REFUSES_STREAMS)
            .collect();
        let series = rounds::interleave(&names, rounds, |name| {
            let (server, bytes) = (server.to_string(), bytes.to_string());
            child::answer::<Transfer>(&[NAME, TRANSFER, name, &server, &direction.to_string(), &bytes])
        })?;
        tell(report, direction, bytes, &names, &series)?;
    }
    Ok(())
}

fn tell(report: &Report, direction: Direction, bytes: u64, names: &[&str], series: &[Vec<Transfer>]) -> Result<()> {
    let case = direction.to_string();
    let speed = |transfer: &Transfer| bytes as f64 / MIB as f64 / transfer.seconds;
    let speeds: Vec<Vec<f64>> = series.iter().map(|transfers| transfers.iter().map(speed).collect()).collect();
    report.case(&case, "MiB/s", names, &report::medians(&speeds))?;
    let peak = |transfers: &Vec<Transfer>| {
        let grown = transfers.iter().map(|transfer| transfer.resident_kib.map(|(before, after)| after - before));
        // The worst of all rounds.
        Some(grown.collect::<Option<Vec<_>>>()?.into_iter().max()? as f64)
    };
    match series.iter().map(peak).collect::<Option<Vec<_>>>() {
        Some(peaks) => report.case(&case, "KiB at the peak", names, &report::plain(&peaks)),
        None => report.skipped(&case, "this system does not tell the peak of memory"),
    }
}

/// The measured process's part: moves one body and says how it went.
pub(super) fn transfer(lane: &dyn Lane, direction: Direction, bytes: u64) -> Result<()> {
    lane.requests(10, 1)?;
    let before = child::peak_resident_kib();
    let start = Instant::now();
    match direction {
        Direction::Download => lane.download(bytes)?,
        Direction::Upload => lane.upload(bytes)?,
    }
    let seconds = start.elapsed().as_secs_f64();
    let resident_kib = before.zip(child::peak_resident_kib());
    let transfer = Transfer { seconds, resident_kib };
    println!("{}", serde_json::to_string(&transfer)?);
    Ok(())
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Download => "download",
            Self::Upload => "upload",
        })
    }
}

impl FromStr for Direction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "download" => Ok(Self::Download),
            "upload" => Ok(Self::Upload),
            other => fail(format!("no direction `{other}`")),
        }
    }
}
