//! Who tells of changes: ours, netwatch, if-watch. Each runs on a thread of its own and says when it told something.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use futures_util::StreamExt;
use if_watch::tokio::IfWatcher;
use n0_watcher::Watcher;
use netcomm_monitor::{LinuxPaths, PathSource};
use netwatch::netmon::Monitor;

use crate::error::{Result, fail};

pub(super) const NAMES: [&str; 3] = [OURS, NETWATCH, IF_WATCH];

const OURS: &str = "netcomm";
const NETWATCH: &str = "netwatch";
const IF_WATCH: &str = "if-watch";

/// The moments at which that peer tells of something.
pub(super) fn follow(peer: &str) -> Result<Receiver<Instant>> {
    let (told, heard) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match peer {
        OURS => drop(thread::spawn(move || report(runtime.block_on(ours(&told))))),
        NETWATCH => drop(thread::spawn(move || report(runtime.block_on(netwatch(&told))))),
        IF_WATCH => drop(thread::spawn(move || report(runtime.block_on(if_watch(&told))))),
        other => return fail(format!("no peer `{other}`")),
    }
    Ok(heard)
}

fn report(ended: Result<()>) {
    if let Err(error) = ended {
        eprintln!("a peer ended: {error}");
    }
}

async fn ours(told: &Sender<Instant>) -> Result<()> {
    let mut paths = LinuxPaths::new();
    loop {
        paths.next().await?;
        if told.send(Instant::now()).is_err() {
            return Ok(());
        }
    }
}

async fn netwatch(told: &Sender<Instant>) -> Result<()> {
    let monitor = Monitor::new().await.map_err(|error| format!("netwatch: {error}"))?;
    let mut states = monitor.interface_state();
    loop {
        if told.send(Instant::now()).is_err() {
            return Ok(());
        }
        states.updated().await.map_err(|error| format!("netwatch: {error}"))?;
    }
}

async fn if_watch(told: &Sender<Instant>) -> Result<()> {
    let mut events = IfWatcher::new()?;
    while let Some(event) = events.next().await {
        event?;
        if told.send(Instant::now()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
