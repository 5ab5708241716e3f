//! Hits that are fresh: nothing is asked of the server.

use super::job::Task;
use super::peers::{DISK, Entry, MEMORY, names};
use super::run::{Hits, Run};
use super::server::JSON_PATH;
use super::undici::Undici;
use crate::counting::Asked;
use crate::error::Result;
use crate::report::{self, Target};
use crate::rounds;

/// In memory.
pub(super) const INSTRUCTIONS: &str = "hit-instructions";
pub(super) const ALLOCATIONS: &str = "hit-allocations";
pub(super) const ONE_THREAD: &str = "hits-1-thread";
pub(super) const TWO_THREADS: &str = "hits-2-threads";
/// On disk.
pub(super) const DISK_64_KIB: &str = "disk-64-kib";
pub(super) const DISK_1_MIB: &str = "disk-1-mib";

/// Hits before those that are counted.
const WARM_UP: usize = 200;

/// Measures those cases that are wanted.
pub(super) fn measure(run: &Run<'_>) -> Result<()> {
    if run.flags.wants(INSTRUCTIONS) {
        instructions(run, INSTRUCTIONS, MEMORY, JSON_PATH, &[("netcomm", Target::Below(10_000.0))])?;
    }
    if run.flags.wants(ALLOCATIONS) {
        allocations(run)?;
    }
    if run.flags.wants(ONE_THREAD) {
        let undici = Undici::find();
        let is_there = undici.as_ref().map_err(Clone::clone);
        let lanes: Vec<Lane<'_>> = MEMORY.iter().map(Lane::Peer).chain(is_there.ok().map(Lane::Undici)).collect();
        rates(run, ONE_THREAD, &lanes, Hits { path: JSON_PATH, threads: 1 }, &[])?;
        if let Err(reason) = undici {
            run.report.skipped(ONE_THREAD, &reason)?;
        }
    }
    if run.flags.wants(TWO_THREADS) {
        let lanes: Vec<Lane<'_>> = MEMORY.iter().map(Lane::Peer).collect();
        let target = ("netcomm", Target::RatioAtLeast(15.0));
        rates(run, TWO_THREADS, &lanes, Hits { path: JSON_PATH, threads: 2 }, &[target])?;
    }
    let fast = ("netcomm-disk", Target::RatioAtLeast(3.0));
    for (case, path, targets) in [(DISK_64_KIB, "/bytes/65536", &[fast][..]), (DISK_1_MIB, "/bytes/1048576", &[])] {
        if run.flags.wants(case) {
            let lanes: Vec<Lane<'_>> = DISK.iter().map(Lane::Peer).collect();
            rates(run, case, &lanes, Hits { path, threads: 1 }, targets)?;
            instructions(run, case, DISK, path, &[])?;
        }
    }
    Ok(())
}

/// Who takes turns.
enum Lane<'a> {
    Peer(&'a Entry),
    Undici(&'a Undici),
}

fn rates(run: &Run<'_>, case: &str, lanes: &[Lane<'_>], hits: Hits<'_>, targets: &[(&str, Target)]) -> Result<()> {
    let names: Vec<&str> = lanes
        .iter()
        .map(|lane| match lane {
            Lane::Peer(peer) => peer.name,
            Lane::Undici(_) => Undici::NAME,
        })
        .collect();
    let series = rounds::interleave(lanes, run.flags.rounds, |lane| match lane {
        Lane::Peer(peer) => run.turn(peer, hits),
        Lane::Undici(undici) => undici.turn(run.server, hits.path, run.flags.turn),
    })?;
    run.report.case_with_targets(case, "hits/s", &names, &report::medians(&series), targets)
}

fn instructions(run: &Run<'_>, case: &str, peers: &[Entry], path: &str, targets: &[(&str, Target)]) -> Result<()> {
    let task = |count, _| Task::Hits { path: path.to_owned(), count };
    let Some(slopes) = run.slopes(case, peers, task)? else {
        return Ok(());
    };
    run.report.case_with_targets(case, "instructions/hit", &names(peers), &report::plain(&slopes), targets)
}

fn allocations(run: &Run<'_>) -> Result<()> {
    let hits: usize = if run.flags.is_quick { 100 } else { 1000 };
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for peer in MEMORY {
        let ask = |count| run.counted::<Asked>(peer, Task::Hits { path: JSON_PATH.to_owned(), count });
        let (few, many) = (ask(WARM_UP)?, ask(WARM_UP + hits)?);
        times.push(many.times.saturating_sub(few.times) as f64 / hits as f64);
        bytes.push(many.bytes.saturating_sub(few.bytes) as f64 / hits as f64);
    }
    let names = names(MEMORY);
    let target = ("netcomm", Target::Below(15.0));
    run.report.case_with_targets(ALLOCATIONS, "allocations/hit", &names, &report::plain(&times), &[target])?;
    run.report.case(ALLOCATIONS, "bytes/hit", &names, &report::plain(&bytes))
}
