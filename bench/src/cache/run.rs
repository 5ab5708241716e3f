//! One run of the benchmark: how each peer is set to work, in processes of its own.

use std::net::SocketAddr;
use std::process::Command;

use serde::de::DeserializeOwned;

use super::job::{Job, Task};
use super::peers::Entry;
use super::{NAME, WORK};
use crate::child;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::Report;
use crate::valgrind::{self, Profiles};

#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) flags: &'a Flags,
    pub(super) report: &'a Report,
    pub(super) server: SocketAddr,
}

/// Hits under the clock, of one path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hits<'a> {
    pub(super) path: &'a str,
    pub(super) threads: usize,
}

impl Run<'_> {
    /// What a peer's process says that counts allocations.
    pub(super) fn counted<T: DeserializeOwned>(&self, peer: &Entry, task: Task) -> Result<T> {
        self.command(peer, task, child::command).and_then(child::answer_of)
    }

    /// Hits per second in one turn.
    pub(super) fn turn(&self, peer: &Entry, hits: Hits<'_>) -> Result<f64> {
        let millis = u64::try_from(self.flags.turn.as_millis()).unwrap_or(u64::MAX);
        let task = Task::Turn { path: hits.path.to_owned(), threads: hits.threads, millis };
        self.command(peer, task, child::plain_command).and_then(child::answer_of)
    }

    /// Instructions in user space for each time that a task does its work, a figure for each peer: the slope between a
    /// few times and many, so that start and connections are not counted. `None` where valgrind is not there, which is
    /// then said.
    pub(super) fn slopes(
        &self,
        case: &str,
        peers: &[Entry],
        task: impl Fn(usize, usize) -> Task,
    ) -> Result<Option<Vec<f64>>> {
        if !valgrind::is_there() {
            self.report.skipped(case, "valgrind is not there")?;
            return Ok(None);
        }
        let [few, many] = if self.flags.is_quick { [50, 150] } else { [200, 1200] };
        let profiles = Profiles::new(self.flags.profiles.as_deref())?;
        let count = |peer: &Entry, times: usize| {
            let command = self.command(peer, task(times, many), child::plain_command)?;
            valgrind::instructions(&command, &profiles.file(&format!("{case}.{}.{times}", peer.name)))
        };
        let slope = |peer| Ok(count(peer, many)?.saturating_sub(count(peer, few)?) as f64 / (many - few) as f64);
        Ok(Some(peers.iter().map(slope).collect::<Result<_>>()?))
    }

    fn command(&self, peer: &Entry, task: Task, program: fn(&[&str]) -> Result<Command>) -> Result<Command> {
        let job = Job { server: self.server, task };
        program(&[NAME, WORK, peer.name, &serde_json::to_string(&job)?])
    }
}
