//! The thread that owns a directory: all changes, one after the other, many in one transaction.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::files::{DiskBlob, file_bytes};
use super::index::{Index, Refusal, Tables, Totals};
use super::record::{self, MAX_INLINE_BYTES};
use super::shared::{Command, Shared};
use super::sweep::Sweep;
use crate::cache::entry::Entry;
use crate::cache::key::Key;
use crate::cache::store::{Change, Store, Variants};

/// Commands carried out in one transaction.
const BATCH: usize = 256;
/// Changes are on disk after this time at the latest, and after so many of them.
const FLUSH_AFTER: Duration = Duration::from_secs(2);
const FLUSH_CHANGES: usize = 4096;
/// What the tables of the index take for a key beside its text and its record.
const KEY_OVERHEAD: u64 = 200;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    index: Option<Arc<Index>>,
    totals: Totals,
    /// Changes that are not on disk yet, and since when.
    unflushed: usize,
    unflushed_since: Option<Instant>,
    sweep: Option<Sweep>,
    /// Held locked for as long as this lives.
    _lock: Option<Locked>,
}

/// A file that is locked until this is dropped.
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // By name: a process that is being started at this moment may have inherited the file.
        drop(self.0.unlock());
    }
}

/// What follows once a transaction is done.
#[derive(Default)]
struct After {
    done: Vec<oneshot::Sender<()>>,
    /// Blobs that no entry refers to any more.
    released: HashSet<u64>,
    evicted: u64,
    is_durable: bool,
    changes: usize,
    /// The new states of keys. They are shown once they are committed: a reader that sees an older state of the index
    /// would put it over a newer one in memory.
    changed: HashMap<Key, Variants>,
    /// All keys went before those.
    is_cleared: bool,
}

impl Keeper {
    pub(super) fn run(shared: Arc<Shared>, commands: Receiver<Command>) {
        let mut keeper = Self {
            shared,
            commands,
            index: None,
            totals: Totals::default(),
            unflushed: 0,
            unflushed_since: None,
            sweep: None,
            _lock: None,
        };
        let worked = catch_unwind(AssertUnwindSafe(|| {
            if let Err(error) = keeper.open() {
                keeper.shared.degrade(error);
            }
            keeper.work()
        }));
        let close = worked.unwrap_or_else(|_| {
            // Whoever waits for the directory must not wait for ever.
            let error = || Error::new(ErrorKind::Io, "keep cache").with_detail("the thread that owns it panicked");
            keeper.fail(error());
            keeper.shared.degrade(error());
            Vec::new()
        });
        keeper.shared.close();
        keeper.index = None;
        keeper._lock = None;
        drop(keeper);
        for done in close {
            // Who waited may have left.
            let _: std::result::Result<(), ()> = done.send(());
        }
    }

    fn open(&mut self) -> Result<()> {
        let io = |error: io::Error| Error::new(ErrorKind::Io, "open cache").with_source(error);
        let dir = self.shared.dir().to_owned();
        make_dir(&dir).map_err(io)?;
        let lock = File::options().write(true).create(true).truncate(false).open(dir.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|error| {
            Error::new(ErrorKind::Io, "open cache")
                .with_detail("the directory is in use, or cannot be locked")
                .with_source(io::Error::from(error))
        })?;
        self._lock = Some(Locked(lock));
        let path = dir.join("index.redb");
        let (index, totals) = match Index::open(&path) {
            Ok(opened) => opened,
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Unusable(_)) => {
                self.start_over().map_err(io)?;
                match Index::open(&path) {
                    Ok(opened) => opened,
                    Err(Refusal::Failed(error) | Refusal::Unusable(error)) => return Err(error),
                }
            }
        };
        make_dir(&dir.join("blobs")).map_err(io)?;
        // What was being written when the last owner ended. Blobs without entry are looked for later.
        match fs::remove_dir_all(dir.join("parts")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => make_dir(&dir.join("parts")).map_err(io)?,
        }
        self.sweep = Some(Sweep::new(dir.join("blobs"), totals.generation));
        self.totals = totals;
        self.show_totals();
        self.shared.open(index, totals.generation);
        self.index = self.shared.index();
        Ok(())
    }

    /// Puts a database that is of no use aside. Its blobs are orphans then, but their numbers may come again.
    fn start_over(&self) -> io::Result<()> {
        let dir = self.shared.dir();
        fs::rename(dir.join("index.redb"), dir.join("index.damaged"))?;
        match fs::remove_dir_all(dir.join("blobs")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Until the store is closed.
    fn work(&mut self) -> Vec<oneshot::Sender<()>> {
        loop {
            let first = match self.next() {
                Ok(command) => command,
                Err(RecvTimeoutError::Timeout) => {
                    self.idle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Vec::new(),
            };
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(command) = self.commands.try_recv()
            {
                batch.push(command);
            }
            if let Some(done) = self.carry_out(batch) {
                self.flush(Vec::new());
                return done;
            }
            self.flush_in_time();
        }
    }

    fn next(&self) -> std::result::Result<Command, RecvTimeoutError> {
        if self.sweep.is_some() {
            return self.commands.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
        match self.unflushed_since {
            Some(since) => self.commands.recv_timeout((since + FLUSH_AFTER).saturating_duration_since(Instant::now())),
            None => self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Nothing is asked for at the moment.
    fn idle(&mut self) {
        self.flush_in_time();
        self.sweep_some();
    }

    fn flush_in_time(&mut self) {
        if self.unflushed_since.is_some_and(|since| since.elapsed() >= FLUSH_AFTER) {
            self.flush(Vec::new());
        }
    }

    fn sweep_some(&mut self) {
        let (Some(sweep), Some(index)) = (&mut self.sweep, &self.index) else {
            self.sweep = None;
            return;
        };
        match sweep.step(index) {
            Ok(true) => {}
            Ok(false) => self.sweep = None,
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        if self.index.take().is_none() {
            return;
        }
        self.shared.degrade(error);
        self.unflushed = 0;
        self.unflushed_since = None;
        self.sweep = None;
        // Its last changes are lost, and an entry that had to go might come back with it.
        let dir = self.shared.dir();
        if fs::remove_file(dir.join("index.redb")).is_err() {
            self.shared.note_failure();
        }
    }

    /// Carries out commands; what was asked to be told at the end if closing is among them.
    fn carry_out(&mut self, batch: Vec<Command>) -> Option<Vec<oneshot::Sender<()>>> {
        let mut changes = Vec::new();
        let mut close: Option<Vec<_>> = None;
        for command in batch {
            match command {
                Command::Delete { id } => self.delete(self.shared.blob_path(id)),
                Command::DeletePart { path } => self.delete(path),
                Command::Fail { error } => self.fail(error),
                Command::Flush { done } => {
                    self.change(std::mem::take(&mut changes));
                    while self.sweep.is_some() {
                        self.sweep_some();
                    }
                    self.flush(vec![done]);
                }
                Command::Close { done } => close.get_or_insert_default().extend(done),
                other => changes.push(other),
            }
        }
        self.change(changes);
        close
    }

    fn delete(&self, path: PathBuf) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.shared.note_failure(),
            _ => {}
        }
    }

    /// Carries out changes in one transaction, and makes room.
    fn change(&mut self, commands: Vec<Command>) {
        if commands.is_empty() {
            return;
        }
        let Some(index) = self.index.clone() else {
            commands.into_iter().for_each(|command| self.change_memory(command));
            return;
        };
        let mut after = After::default();
        let changed = index.write(|tables| {
            for command in commands {
                self.change_one(tables, command, &mut after)?;
            }
            self.make_room(tables, &mut after)?;
            let is_durable = after.is_durable || self.unflushed + after.changes >= FLUSH_CHANGES;
            if is_durable {
                self.note_uses(tables)?;
            }
            tables.set_totals(&self.totals)?;
            Ok((is_durable, is_durable))
        });
        match changed {
            Ok(is_durable) => self.committed(after, is_durable),
            Err(error) => self.fail(error),
        }
    }

    fn flush(&mut self, done: Vec<oneshot::Sender<()>>) {
        let mut after = After { done, ..After::default() };
        if let Some(index) = self.index.clone() {
            let flushed = index.write(|tables| {
                self.note_uses(tables)?;
                self.make_room(tables, &mut after)?;
                tables.set_totals(&self.totals)?;
                Ok(((), true))
            });
            if let Err(error) = flushed {
                self.fail(error);
            }
        }
        self.committed(after, true);
    }

    fn committed(&mut self, after: After, is_durable: bool) {
        match is_durable {
            true => (self.unflushed, self.unflushed_since) = (0, None),
            false => {
                self.unflushed += after.changes;
                self.unflushed_since.get_or_insert_with(Instant::now);
            }
        }
        self.shared.evicted.fetch_add(after.evicted, Ordering::Relaxed);
        if after.is_cleared {
            self.shared.heads.clear();
        }
        for (key, variants) in &after.changed {
            self.shared.heads.set(key, variants);
        }
        drop(after.changed);
        self.show_totals();
        for id in after.released {
            match self.shared.held(id) {
                Some(blob) => blob.release(),
                None => self.delete(self.shared.blob_path(id)),
            }
            // After the release, since nothing that is released is kept.
            self.shared.bodies.remove(id);
        }
        for done in after.done {
            // Who waited may have left.
            let _: std::result::Result<(), ()> = done.send(());
        }
    }

    fn show_totals(&self) {
        self.shared.entries.store(self.totals.entries, Ordering::Relaxed);
        self.shared.bytes.store(self.totals.bytes, Ordering::Relaxed);
    }

    /// The same in memory, where there is no directory.
    fn change_memory(&self, command: Command) {
        // Whatever the store in memory does is done when it returns.
        match command {
            Command::Update { key, change, .. } => drop(self.shared.memory.update(&key, change)),
            Command::RemoveGroup { origin, group, .. } => drop(self.shared.memory.remove_group(&origin, &group)),
            Command::Clear { .. } => drop(self.shared.memory.clear()),
            _ => {}
        }
    }

    fn change_one(&mut self, tables: &mut Tables<'_>, command: Command, after: &mut After) -> Result<()> {
        after.changes += 1;
        match command {
            Command::Update { key, change, done } => {
                after.done.push(done);
                self.update(tables, &key, change, after)
            }
            Command::RemoveGroup { origin, group, done } => {
                after.done.push(done);
                after.is_durable = true;
                for number in tables.group(&group_name(&origin, &group))? {
                    let Some(key) = tables.record(number)?.as_ref().and_then(record::key) else { continue };
                    let is_outside = |entry: &&Arc<Entry>| entry.groups().all(|own| own != group);
                    let old = self.entries(tables, &key, after)?;
                    let left = old.iter().filter(is_outside).cloned().collect();
                    self.replace(tables, &key, &old, left, after)?;
                }
                Ok(())
            }
            Command::Clear { done } => {
                after.done.push(done);
                after.is_durable = true;
                after.released.extend(tables.clear()?);
                self.totals = Totals { entries: 0, bytes: 0, ..self.totals };
                after.changed.clear();
                after.is_cleared = true;
                Ok(())
            }
            Command::Broken { id } => {
                let Some((_, number, _)) = tables.blob(id)? else { return Ok(()) };
                let Some(key) = tables.record(number)?.as_ref().and_then(record::key) else { return Ok(()) };
                let old = self.entries(tables, &key, after)?;
                let is_sound =
                    |entry: &&Arc<Entry>| entry.parts().segments.iter().all(|segment| segment.blob.id() != Some(id));
                let left = old.iter().filter(is_sound).cloned().collect();
                self.replace(tables, &key, &old, left, after)
            }
            // Made whenever something changes.
            Command::MakeRoom => Ok(()),
            Command::Delete { .. }
            | Command::DeletePart { .. }
            | Command::Fail { .. }
            | Command::Flush { .. }
            | Command::Close { .. } => Ok(()),
        }
    }

    /// The entries of a key as they are in the middle of a transaction.
    fn entries(&self, tables: &Tables<'_>, key: &Key, after: &After) -> Result<Variants> {
        if let Some(variants) = after.changed.get(key) {
            return Ok(variants.clone());
        }
        if let Some(variants) = self.shared.heads.peek(key).filter(|_| !after.is_cleared) {
            return Ok(variants);
        }
        let Some((number, _)) = tables.find(key.as_str())? else { return Ok(Variants::default()) };
        let record = tables.record(number)?;
        Ok(record.and_then(|record| self.shared.decode(key, &record)).unwrap_or_default())
    }

    fn update(&mut self, tables: &mut Tables<'_>, key: &Key, change: Change, after: &mut After) -> Result<()> {
        let old = self.entries(tables, key, after)?;
        // A panic of the caller's code must not end the thread that serves everybody.
        let Ok(new) = catch_unwind(AssertUnwindSafe(|| change(&old))) else { return Ok(()) };
        let is_same = new.len() == old.len() && new.iter().zip(old.iter()).all(|(new, old)| Arc::ptr_eq(new, old));
        if is_same {
            return Ok(());
        }
        after.is_durable |= old.iter().any(|old| is_invalidated(old, &new));
        self.replace(tables, key, &old, new, after)
    }

    fn replace(
        &mut self,
        tables: &mut Tables<'_>,
        key: &Key,
        old: &Variants,
        mut new: Vec<Arc<Entry>>,
        after: &mut After,
    ) -> Result<()> {
        let found = tables.find(key.as_str())?;
        let number = found.map_or(self.totals.next_record, |(number, _)| number);
        let shared = Arc::clone(&self.shared);
        new.retain(|entry| can_be_written(&shared, entry));
        let record = record::encode(key, new.iter().map(Arc::as_ref));
        if record.len() as u64 > self.shared.max_bytes / 4 {
            new.clear();
        }
        // References are added before others go, so that a blob that stays is not let go on the way.
        for entry in &new {
            for blob in blobs(&shared, entry) {
                let (references, _, bytes) = tables.blob(blob_id(&blob))?.unwrap_or_else(|| {
                    let bytes = file_bytes(blob.length());
                    self.totals.bytes += bytes;
                    (0, number, bytes)
                });
                tables.set_blob(blob_id(&blob), references + 1, number, bytes)?;
                after.released.remove(&blob_id(&blob));
                blob.place();
            }
            for group in entry.groups() {
                tables.add_group(&group_name(key.origin(), &group), number)?;
            }
        }
        let old_record = match found {
            Some((number, _)) => tables.record(number)?,
            None => None,
        };
        self.let_go(tables, key, old, &new, number, after)?;
        let weigh = |record: &[u8]| record.len() as u64 + key.as_str().len() as u64 + KEY_OVERHEAD;
        if let Some(old_record) = &old_record {
            self.totals.bytes = self.totals.bytes.saturating_sub(weigh(old_record));
        }
        self.totals.entries = (self.totals.entries + new.len() as u64).saturating_sub(old.len() as u64);
        if new.is_empty() {
            if found.is_some() {
                tables.remove_record(key.as_str(), number)?;
            }
            after.changed.insert(key.clone(), Variants::default());
            return Ok(());
        }
        if found.is_none() {
            self.totals.next_record += 1;
        }
        self.totals.bytes += weigh(&record);
        tables.put_record(key.as_str(), number, &record)?;
        self.touch(tables, key)?;
        // What is kept in memory is what was written, without the receive buffers that the new entries may lie in.
        let variants = self.shared.decode(key, &Bytes::from(record)).unwrap_or_default();
        after.changed.insert(key.clone(), variants);
        Ok(())
    }

    /// Takes back the references and groups of old entries.
    fn let_go(
        &mut self,
        tables: &mut Tables<'_>,
        key: &Key,
        old: &Variants,
        new: &[Arc<Entry>],
        number: u64,
        after: &mut After,
    ) -> Result<()> {
        for entry in old.iter() {
            for segment in &entry.parts().segments {
                let Some(id) = segment.blob.id() else { continue };
                let Some((references, owner, bytes)) = tables.blob(id)? else { continue };
                let left = references.saturating_sub(1);
                tables.set_blob(id, left, owner, bytes)?;
                if left == 0 {
                    self.totals.bytes = self.totals.bytes.saturating_sub(bytes);
                    after.released.insert(id);
                }
            }
            for group in entry.groups() {
                if new.iter().all(|entry| entry.groups().all(|own| own != group)) {
                    tables.remove_group(&group_name(key.origin(), &group), number)?;
                }
            }
        }
        Ok(())
    }

    fn touch(&mut self, tables: &mut Tables<'_>, key: &Key) -> Result<()> {
        let tick = self.totals.next_tick;
        self.totals.next_tick += 1;
        tables.touch(key.as_str(), tick)
    }

    /// Writes down what was used since the last time.
    fn note_uses(&mut self, tables: &mut Tables<'_>) -> Result<()> {
        for key in self.shared.heads.take_touched() {
            self.touch(tables, &key)?;
        }
        Ok(())
    }

    /// Forgets what was not used for longest until there is room.
    fn make_room(&mut self, tables: &mut Tables<'_>, after: &mut After) -> Result<()> {
        let is_over = |keeper: &Self| keeper.totals.bytes + keeper.shared.pending() > keeper.shared.max_bytes;
        if !is_over(self) {
            return Ok(());
        }
        self.note_uses(tables)?;
        while is_over(self) {
            let Some((tick, number)) = tables.oldest()? else { break };
            let record = tables.record(number)?;
            let Some(key) = record.as_ref().and_then(record::key) else {
                tables.remove_lost_record(tick, number)?;
                continue;
            };
            let old = self.entries(tables, &key, after)?;
            after.evicted += old.len() as u64;
            self.replace(tables, &key, &old, Vec::new(), after)?;
        }
        Ok(())
    }
}

/// Whether an entry goes without a newer one in its place: then it must not come back after a crash.
fn is_invalidated(old: &Arc<Entry>, new: &[Arc<Entry>]) -> bool {
    !new.iter().any(|new| {
        let is_newer = new.parts().received_at > old.parts().received_at;
        Arc::ptr_eq(new, old) || (is_newer && new.parts().selecting == old.parts().selecting)
    })
}

/// Whether all of its bodies are in files of this store, or small enough for the record.
fn can_be_written(shared: &Shared, entry: &Entry) -> bool {
    let inline: usize =
        entry.parts().segments.iter().filter_map(|segment| segment.blob.as_bytes()).map(Bytes::len).sum();
    let is_here = |id| shared.held(id).is_some();
    inline <= MAX_INLINE_BYTES && entry.parts().segments.iter().filter_map(|segment| segment.blob.id()).all(is_here)
}

fn blobs(shared: &Shared, entry: &Entry) -> Vec<Arc<DiskBlob>> {
    let ids = entry.parts().segments.iter().filter_map(|segment| segment.blob.id());
    ids.filter_map(|id| shared.held(id)).collect()
}

fn blob_id(blob: &DiskBlob) -> u64 {
    use crate::cache::blob::ReadBlob;
    blob.id()
}

/// Unambiguous: neither an origin's parts nor a group hold a line feed.
fn group_name(origin: &str, group: &str) -> String {
    format!("{origin}\n{group}")
}

/// Makes a directory that only its owner can look into.
fn make_dir(path: &std::path::Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}
