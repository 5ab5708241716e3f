//! Instructions in user space per message there and back, of the client's process alone: the slope between a few rounds
//! and many, so that start and connection are not counted.

use std::net::SocketAddr;

use super::load::{LARGE, Load, MIDDLING, PING_PONG, SMALL};
use super::{NAME, ROUNDS, peers};
use crate::child;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report, Target};
use crate::valgrind::{self, Profiles};

pub(super) const CASE: &str = "instructions";

/// Each load, with a few rounds and many, and what ours is to reach.
const LOADS: &[(Load, [usize; 2], f64)] = &[
    (PING_PONG, [200, 1200], 3_300.0),
    (SMALL, [8, 40], 1_318.0),
    (MIDDLING, [4, 20], 20_172.0),
    (LARGE, [2, 8], 1_130_412.0),
];

/// Measures each load: each peer twice.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    if !valgrind::is_there() {
        return report.skipped(CASE, "valgrind is not there");
    }
    let profiles = Profiles::new(flags.profiles.as_deref())?;
    let (names, server) = (peers::names(), server.to_string());
    for (load, [few, many], most) in LOADS {
        let (case, few) = (load.to_string(), *few);
        let many = if flags.is_quick { few + few.div_ceil(2) } else { *many };
        let count = |peer: &str, rounds: usize| {
            let rounds = rounds.to_string();
            let command = child::plain_command(&[NAME, ROUNDS, peer, &server, &case, &rounds])?;
            valgrind::instructions(&command, &profiles.file(&format!("{peer}.{case}.{rounds}")))
        };
        let slope = |peer: &&str| {
            let more = count(peer, many)?.saturating_sub(count(peer, few)?);
            Ok(more as f64 / ((many - few) * load.window) as f64)
        };
        let slopes = names.iter().map(slope).collect::<Result<Vec<_>>>()?;
        let targets = [("netcomm", Target::AtMost(*most))];
        report.case_with_targets(&case, "instructions/message", &names, &report::plain(&slopes), &targets)?;
    }
    Ok(())
}
