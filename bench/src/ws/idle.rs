//! What a connection keeps while nothing happens: resident memory of a process that holds thousands.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{IDLE, NAME, peers};
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report, Target};
use crate::{child, files};

pub(super) const CASE: &str = "idle";

const SMALL_BYTES: usize = 64;
const MIDDLING_BYTES: usize = 16 * 1024;

/// Resident memory in KiB.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    before: u64,
    after_handshake: u64,
    after_small: u64,
    after_middling: u64,
}

/// Measures each peer in a process of its own.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    let connections: u64 = if flags.is_quick { 200 } else { 5_000 };
    let (names, server, count) = (peers::names(), server.to_string(), connections.to_string());
    let hold =
        |peer: &&str| child::answer_of::<Option<Held>>(child::plain_command(&[NAME, IDLE, peer, &server, &count])?);
    let held = names.iter().map(hold).collect::<Result<Option<Vec<_>>>>()?;
    let Some(held) = held else {
        return report.skipped(CASE, "this system does not tell resident memory");
    };
    let tell = |unit: &str, after: &dyn Fn(&Held) -> u64, targets: &[(&str, Target)]| {
        let each = |held: &Held| after(held).saturating_sub(held.before) as f64 * 1.024 / connections as f64;
        let figures = report::plain(&held.iter().map(each).collect::<Vec<_>>());
        report.case_with_targets(CASE, unit, &names, &figures, targets)
    };
    tell("kB each, fresh", &|held| held.after_handshake, &[])?;
    tell("kB each, after 64 B", &|held| held.after_small, &[("netcomm", Target::AtMost(5.0))])?;
    tell("kB each, after 16 KiB", &|held| held.after_middling, &[])
}

/// The measured process's part: holds so many connections and says what that takes, if the system does.
pub(super) fn hold(peer: &str, server: SocketAddr, count: usize) -> Result<()> {
    files::raise_the_limit()?;
    let mut lane = peers::one(peer, server)?;
    // What the first connections and messages make is shared by all.
    lane.open(10)?;
    lane.echo_on_each(MIDDLING_BYTES)?;
    let before = child::resident_kib();
    lane.open(count)?;
    let after_handshake = child::resident_kib();
    lane.echo_on_each(SMALL_BYTES)?;
    let after_small = child::resident_kib();
    lane.echo_on_each(MIDDLING_BYTES)?;
    let held = before.zip(after_handshake).zip(after_small.zip(child::resident_kib())).map(
        |((before, after_handshake), (after_small, after_middling))| Held {
            before,
            after_handshake,
            after_small,
            after_middling,
        },
    );
    println!("{}", serde_json::to_string(&held)?);
    Ok(())
}
