//! One peer in a namespace of its own: what it tells of each change, and how much later than the kernel.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use netcomm_tests::{CABLES, ip, namespace};
use serde::{Deserialize, Serialize};

use super::super::NAME;
use super::{STORMS, changes, kernel, peers};
use crate::child;
use crate::error::{Result, fail};

/// First word of what the program says to itself when it starts once more.
pub(in super::super) const INSIDE: &str = "inside";

/// What a peer did about one change.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Seen {
    pub(super) name: String,
    /// Milliseconds from the kernel's message, or how often it told. `None`: it told nothing.
    pub(super) value: Option<f64>,
    is_count: bool,
}

impl Seen {
    pub(super) const fn unit(&self) -> &'static str {
        if self.is_count { "times told" } else { "ms after the kernel" }
    }
}

/// Runs this program inside, to its end.
pub(super) fn start(peer: &str, case: &str) -> Result<Vec<Seen>> {
    let Some(mut command) = namespace() else {
        return fail("no network namespace can be made here");
    };
    command.arg(std::env::current_exe()?).args([NAME, INSIDE, peer, case]);
    child::answer_of(command)
}

/// What that program does.
pub(in super::super) fn run(peer: &str, case: &str) -> Result<()> {
    ip(CABLES);
    let kernel = kernel::hear()?;
    let peer = peers::follow(peer)?;
    let seen = if case == STORMS { storms(&peer) } else { one_by_one(&kernel, &peer)? };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

fn one_by_one(kernel: &Receiver<Instant>, peer: &Receiver<Instant>) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    for (name, lines) in changes::CHANGES {
        quiet(peer);
        quiet(kernel);
        ip(lines);
        let said = kernel.recv_timeout(PATIENCE)?;
        let told = peer.recv_timeout(PATIENCE).ok();
        let value = told.map(|told| told.saturating_duration_since(said).as_secs_f64() * 1000.0);
        all.push(Seen { name: (*name).to_owned(), value, is_count: false });
    }
    Ok(all)
}

fn storms(peer: &Receiver<Instant>) -> Vec<Seen> {
    let mut all = Vec::new();
    for (name, steps, times, wait) in changes::STORMS {
        quiet(peer);
        for _ in 0..*times {
            for lines in *steps {
                ip(lines);
                thread::sleep(Duration::from_millis(*wait));
            }
        }
        // While it lasted, and what came of it in the end.
        let count = peer.try_iter().count() + quiet(peer);
        let value = (count > 0).then(|| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        all.push(Seen { name: (*name).to_owned(), value, is_count: true });
    }
    all
}

/// Waits until nothing was said for a while; how often something was.
fn quiet(from: &Receiver<Instant>) -> usize {
    let mut count = 0;
    while from.recv_timeout(QUIET).is_ok() {
        count += 1;
    }
    count
}

/// Twice as long as the slowest peer takes on purpose.
const QUIET: Duration = Duration::from_millis(600);
/// Whoever has told nothing by then says nothing.
const PATIENCE: Duration = Duration::from_millis(2500);
