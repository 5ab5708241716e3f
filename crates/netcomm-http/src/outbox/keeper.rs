//! The thread that owns the file: all changes, one after the other, those that wait in one transaction.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::SystemTime;

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::event::OutboxEvent;
use super::kept::{Damage, KeptId};
use super::queue::Entry;
use super::record;
use super::shared::{Command, Shared, call_of};
use super::store::{Change, Refusal, Store};
use crate::idempotency;

/// Commands carried out in one transaction.
const BATCH: usize = 256;
/// The name of the database in the directory.
const FILE: &str = "outbox.redb";
/// Unusable databases that are moved aside; the next one after that is an error.
const MAX_ASIDE: u32 = 16;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    path: PathBuf,
    /// `None` after a failure, until it can be opened again.
    store: Option<Store>,
    /// What a failed transaction should have done: without it calls that have ended would be sent again.
    owed: Change,
}

impl Keeper {
    /// Until the outbox is closed. `opened` is told whether there is one.
    pub(super) fn run(
        shared: &Arc<Shared>,
        dir: &Path,
        commands: Receiver<Command>,
        opened: oneshot::Sender<Result<()>>,
    ) {
        let mut close = Vec::new();
        let worked = catch_unwind(AssertUnwindSafe(|| {
            let (mut keeper, lock) = match Self::open(shared, dir) {
                Ok(keeper) => keeper,
                Err(error) => {
                    drop(opened.send(Err(error)));
                    return;
                }
            };
            // Nobody waits for it any more: then the last handle is gone, too.
            drop(opened.send(Ok(())));
            close = keeper.work(&commands);
            drop(keeper);
            // By name: a process that is being started at this moment may have inherited the file.
            drop(lock.unlock());
        }));
        shared.close();
        // Whoever waits for an answer finds its sender gone.
        drop(commands);
        drop(worked);
        for done in close {
            // Who waited may have left.
            let _: std::result::Result<(), ()> = done.send(());
        }
    }

    fn open(shared: &Arc<Shared>, dir: &Path) -> Result<(Self, File)> {
        let io = |error: io::Error| Error::new(ErrorKind::Io, "open outbox").with_source(error);
        make_dir(dir).map_err(io)?;
        let lock = File::options().write(true).create(true).truncate(false).open(dir.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => Error::new(ErrorKind::Busy, "open outbox")
                .with_detail("another process, or another outbox of this one, has the directory"),
            fs::TryLockError::Error(error) => io(error),
        })?;
        let path = dir.join(FILE);
        let mut damage = Damage::default();
        let store = match Store::open(&path) {
            Ok(store) => store,
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Unusable(_)) => {
                let aside = move_aside(dir).map_err(io)?;
                match Store::open(&path) {
                    Ok(store) => {
                        damage = salvage(&store, aside)?;
                        store
                    }
                    Err(Refusal::Failed(error) | Refusal::Unusable(error)) => return Err(error),
                }
            }
        };
        let (now, wall) = (shared.now(), shared.wall());
        let most = shared.settings.max_retry_after;
        let (mut entries, mut aside) = (Vec::new(), Vec::new());
        store.each(|id, bytes, progress| match entry(KeptId(id), &bytes, progress.as_ref()) {
            None => aside.push(id),
            Some((mut entry, until)) => {
                let wait = until.and_then(|until| until.duration_since(wall).ok());
                entry.is_asked = wait.is_some();
                entry.until = wait.map(|wait| now + wait.min(most));
                entries.push(entry);
            }
        })?;
        let next_id = store.next_id()?;
        damage.calls += aside.len() as u64;
        if !aside.is_empty() {
            store.change(&Change { aside, ..Change::default() })?;
        }
        shared.load(entries, next_id, damage);
        Ok((Self { shared: Arc::clone(shared), path, store: Some(store), owed: Change::default() }, lock))
    }

    /// Until the outbox is closed; who is to be told then.
    fn work(&mut self, commands: &Receiver<Command>) -> Vec<oneshot::Sender<()>> {
        while let Ok(first) = commands.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(command) = commands.try_recv()
            {
                batch.push(command);
            }
            if let Some(close) = self.carry_out(batch) {
                return close;
            }
        }
        Vec::new()
    }

    /// Carries out commands; who is to be told of the end, if that is among them.
    fn carry_out(&mut self, mut batch: Vec<Command>) -> Option<Vec<oneshot::Sender<()>>> {
        let mut change = std::mem::take(&mut self.owed);
        for command in &mut batch {
            match command {
                Command::Insert { id, record, .. } => change.insert.push((id.0, std::mem::take(record))),
                Command::Note { id, progress } => change.progress.push((id.0, std::mem::take(progress))),
                Command::Remove { id, ended, .. } => {
                    change.remove.push(id.0);
                    change.ended.extend(ended.take().map(|ended| (id.0, ended)));
                }
                Command::SetAside { id } => change.aside.push(id.0),
                Command::Forget { id, .. } => change.forget.push(id.0),
                Command::Load { .. } | Command::Ended { .. } | Command::Close { .. } => {}
            }
        }
        let changed = match change.is_empty() {
            true => Ok(()),
            false => self.attempt(|store| store.change(&change)),
        };
        if changed.is_err() {
            // A call of which nobody was told that it is kept must not come to light later.
            change.remove.extend(change.insert.drain(..).map(|(id, _)| id));
            change.progress.clear();
            self.owed = change;
        }
        let mut close: Option<Vec<_>> = None;
        for command in batch {
            if let Command::Close { done } = command {
                // The last handle goes right after it has asked to be told.
                close.get_or_insert_default().extend(done);
            } else {
                self.answer(command, &changed);
            }
        }
        close
    }

    /// Tells what became of a command once its changes are on disk, or could not be brought there.
    fn answer(&mut self, command: Command, changed: &Result<()>) {
        // In each case, who waited may have left.
        match command {
            Command::Insert { id, entry, done, .. } => {
                match changed {
                    Ok(()) => self.shared.kept(*entry),
                    Err(_) => self.shared.not_kept(id),
                }
                drop(done.send(changed.clone()));
            }
            Command::Remove { id, event, done, .. } => {
                self.shared.removed(id, event);
                if let Some(done) = done {
                    drop(done.send(changed.clone()));
                }
            }
            Command::SetAside { id } => self.shared.removed(id, OutboxEvent::Damaged { id }),
            Command::Load { id, done } => drop(done.send(self.attempt(|store| store.get(id.0)))),
            Command::Ended { done } => drop(done.send(self.attempt(Store::ended))),
            Command::Forget { done, .. } => drop(done.send(changed.clone())),
            Command::Note { .. } | Command::Close { .. } => {}
        }
    }

    /// Uses the database. After a failure it is opened again at the next use: redb gives nothing more after a failed write.
    fn attempt<T>(&mut self, work: impl FnOnce(&Store) -> Result<T>) -> Result<T> {
        let store = match &mut self.store {
            Some(store) => store,
            empty => match Store::open(&self.path) {
                Ok(store) => empty.insert(store),
                Err(Refusal::Failed(error) | Refusal::Unusable(error)) => return Err(error),
            },
        };
        let worked = work(store);
        if worked.is_err() {
            let store = self.store.take();
            // What is broken may break while it goes.
            drop(catch_unwind(AssertUnwindSafe(move || drop(store))));
        }
        worked
    }
}

/// Brings the calls that are sound from a damaged database into the new one.
fn salvage(store: &Store, aside: PathBuf) -> Result<Damage> {
    let (mut change, mut calls) = (Change::default(), 0);
    Store::salvage(&aside, |id, bytes, progress| {
        if record::decode(KeptId(id), &bytes).is_none() {
            calls += 1;
            return;
        }
        change.insert.push((id, bytes.into()));
        change.progress.extend(progress.map(|progress| (id, progress.into())));
    });
    store.change(&change)?;
    Ok(Damage { calls, file: Some(aside) })
}

/// A call as it stands on disk, and until when the server wants to be left alone.
fn entry(id: KeptId, bytes: &Bytes, progress: Option<&Bytes>) -> Option<(Entry, Option<SystemTime>)> {
    let record = record::decode(id, bytes)?;
    let key = record.headers.get(idempotency::KEY)?.to_str().ok()?.into();
    let mut entry = Entry::new(call_of(id, &record, &key), record.partition, bytes.len() as u64);
    // Nobody knows what its process was doing when it ended.
    entry.maybe_sent = true;
    // A damaged one tells nothing that the call needs.
    let progress = progress.and_then(|progress| record::decode_progress(id, progress));
    let Some(progress) = progress else { return Some((entry, None)) };
    entry.call.attempts = progress.attempts;
    entry.call.last_failure = progress.failure;
    entry.conflicts = progress.conflicts;
    Some((entry, progress.until))
}

/// For its owner alone, where the system knows such a thing.
fn make_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Puts a database that is of no use aside, over nothing.
fn move_aside(dir: &Path) -> io::Result<PathBuf> {
    for number in 1..=MAX_ASIDE {
        let aside = dir.join(format!("outbox.damaged-{number}"));
        if !aside.try_exists()? {
            fs::rename(dir.join(FILE), &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::other("too many damaged files in the directory"))
}
