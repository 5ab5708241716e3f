//! Instructions in user space per request, of the client's process alone: the slope between a few
//! requests and many, so that start and connections are not counted.

use std::net::SocketAddr;

use super::wall::IN_FLIGHT;
use super::{NAME, REQUESTS, peers};
use crate::child;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report, Target};
use crate::valgrind::{self, Profiles};

/// One request after the other.
pub(super) const SEQUENTIAL: &str = "instructions";
/// As many at a time as [`IN_FLIGHT`].
pub(super) const CONCURRENT: &str = "instructions-64";

/// To the first peer.
const TARGETS: &[(&str, Target)] = &[
    ("netcomm", Target::RatioAtMost(1.15)),
    ("netcomm-guarded", Target::RatioAtMost(1.4)),
    ("netcomm-full", Target::RatioAtMost(1.4)),
];

/// Measures both cases, those that are wanted: each peer twice.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    // Those of many in flight come out even.
    let few_and_many = if flags.is_quick { [50, 150] } else { [200, 1200] };
    let cases = [(SEQUENTIAL, 1, few_and_many), (CONCURRENT, IN_FLIGHT, [4 * IN_FLIGHT, 20 * IN_FLIGHT])];
    for (case, in_flight, [few, many]) in cases {
        if !flags.wants(case) {
            continue;
        }
        if !valgrind::is_there() {
            report.skipped(case, "valgrind is not there")?;
            continue;
        }
        let profiles = Profiles::new(flags.profiles.as_deref())?;
        let (server, in_flight) = (server.to_string(), in_flight.to_string());
        let count = |peer: &str, requests: usize| {
            let requests = requests.to_string();
            let args = [NAME, REQUESTS, peer, &server, &requests, &in_flight];
            let file = profiles.file(&format!("{peer}.{requests}.{in_flight}"));
            valgrind::instructions(&child::command(&args)?, &file)
        };
        let names = peers::names();
        let mut slopes = Vec::new();
        for peer in &names {
            let more = count(peer, many)?.saturating_sub(count(peer, few)?);
            slopes.push(more as f64 / (many - few) as f64);
        }
        let unit = "instructions/request";
        report.case_with_targets(case, unit, &names, &report::plain(&slopes), TARGETS)?;
    }
    Ok(())
}
