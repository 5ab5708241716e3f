//! What the handles of a disk store, its thread, its blobs and its writers share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use bytes::Bytes;
use netcomm_core::Error;
use tokio::sync::{oneshot, watch};

use super::bodies::Bodies;
use super::files::DiskBlob;
use super::heads::Heads;
use super::index::Index;
use super::record;
use crate::cache::blob::Blob;
use crate::cache::entry::Entry;
use crate::cache::key::Key;
use crate::cache::memory::Memory;
use crate::cache::store::{Change, Variants};

/// What the thread is asked to do, in that order. There are no more of these than calls that wait, blobs that were
/// dropped, and changes that nobody waits for.
pub(super) enum Command {
    Update {
        key: Key,
        change: Change,
        done: oneshot::Sender<()>,
    },
    RemoveGroup {
        origin: String,
        group: String,
        done: oneshot::Sender<()>,
    },
    Clear {
        done: oneshot::Sender<()>,
    },
    /// A blob was found damaged or gone.
    Broken {
        id: u64,
    },
    /// A blob that no entry refers to was let go by its last reader.
    Delete {
        id: u64,
    },
    /// A file that did not become a blob.
    DeletePart {
        path: PathBuf,
    },
    /// There is more on disk than may be.
    MakeRoom,
    /// The index cannot be used.
    Fail {
        error: Error,
    },
    Flush {
        done: oneshot::Sender<()>,
    },
    Close {
        done: Option<oneshot::Sender<()>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Opening,
    Open,
    Degraded,
    Closed,
}

pub(super) struct Shared {
    dir: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) max_body_bytes: u64,
    mode: watch::Sender<Mode>,
    error: OnceLock<Arc<Error>>,
    commands: Sender<Command>,
    index: RwLock<Option<Arc<Index>>>,
    pub(super) heads: Heads,
    pub(super) bodies: Bodies,
    /// What takes the store's place if the directory cannot be used.
    pub(super) memory: Memory,
    /// The blobs that somebody holds, so that each has one owner.
    blobs: Mutex<HashMap<u64, Weak<DiskBlob>>>,
    next_blob: AtomicU64,
    /// Bytes of bodies that no entry refers to yet.
    pending: AtomicU64,
    pub(super) entries: AtomicU64,
    /// Bytes of entries and their bodies, as the index has them.
    pub(super) bytes: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// The bounds of a store, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) all: u64,
    pub(super) body: u64,
    pub(super) heads: u64,
    pub(super) hot: u64,
    pub(super) memory: u64,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, bounds: Bounds) -> (Arc<Self>, Receiver<Command>) {
        let (commands, receiver) = channel();
        let shared = Self {
            dir,
            max_bytes: bounds.all,
            max_body_bytes: bounds.body,
            mode: watch::Sender::new(Mode::Opening),
            error: OnceLock::new(),
            commands,
            index: RwLock::new(None),
            heads: Heads::new(bounds.heads),
            bodies: Bodies::new(bounds.hot),
            memory: Memory::new(bounds.memory),
            blobs: Mutex::default(),
            next_blob: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        };
        (Arc::new(shared), receiver)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// 256 folders, so that none gets too long.
    pub(super) fn blob_path(&self, id: u64) -> PathBuf {
        self.dir.join("blobs").join(format!("{:02x}", id % 256)).join(format!("{id:016x}"))
    }

    pub(super) fn part_path(&self, id: u64) -> PathBuf {
        self.dir.join("parts").join(format!("{id:016x}"))
    }

    pub(super) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    pub(super) fn error(&self) -> Option<&Arc<Error>> {
        self.error.get()
    }

    /// Waits until the directory is open, or cannot be opened. Whether it is open.
    pub(super) async fn opened(&self) -> bool {
        let mut mode = self.mode.subscribe();
        let mode = mode.wait_for(|mode| *mode != Mode::Opening).await.map_or(Mode::Closed, |mode| *mode);
        mode == Mode::Open
    }

    pub(super) fn open(&self, index: Index, generation: u64) {
        // Blobs are numbered anew in each generation, so that a number is never used twice.
        self.next_blob.store(generation << 32, Ordering::Relaxed);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(index));
        self.mode.send_replace(Mode::Open);
    }

    pub(super) fn degrade(&self, error: Error) {
        // The first error is the one that tells.
        self.error.get_or_init(|| Arc::new(error));
        self.leave(Mode::Degraded);
    }

    pub(super) fn close(&self) {
        self.leave(Mode::Closed);
    }

    fn leave(&self, mode: Mode) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.mode.send_replace(mode);
        self.heads.clear();
        self.bodies.close();
    }

    pub(super) fn index(&self) -> Option<Arc<Index>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the thread. After its end nothing happens; what is left behind goes when the directory is opened again.
    pub(super) fn send(&self, command: Command) {
        drop(self.commands.send(command));
    }

    pub(super) fn next_blob(&self) -> u64 {
        self.next_blob.fetch_add(1, Ordering::Relaxed)
    }

    /// The entries of a record; none if it is not sound.
    pub(super) fn decode(self: &Arc<Self>, key: &Key, record: &Bytes) -> Option<Variants> {
        let mut blob = |id, length| Blob::stored(self.blob(id, length));
        let entries: Vec<Entry> = record::decode(key, record, &mut blob)?;
        Some(entries.into_iter().map(Arc::new).collect())
    }

    /// The one owner of that blob.
    fn blob(self: &Arc<Self>, id: u64, length: u64) -> Arc<DiskBlob> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        match blobs.get(&id).and_then(Weak::upgrade) {
            Some(blob) if blob.length() == length => blob,
            Some(_) | None => {
                let blob = DiskBlob::known(self, id, length);
                blobs.insert(id, Arc::downgrade(&blob));
                blob
            }
        }
    }

    pub(super) fn register(&self, blob: &Arc<DiskBlob>) {
        use crate::cache::blob::ReadBlob;
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.id(), Arc::downgrade(blob));
    }

    pub(super) fn unregister(&self, id: u64) {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        // Another owner may have come since the last one went.
        if blobs.get(&id).is_some_and(|blob| blob.strong_count() == 0) {
            blobs.remove(&id);
        }
    }

    /// The blob, if somebody holds it.
    pub(super) fn held(&self, id: u64) -> Option<Arc<DiskBlob>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).get(&id).and_then(Weak::upgrade)
    }

    /// Bytes of a body come in: whether there is room for them. They may be half of all that there may be.
    pub(super) fn charge(&self, bytes: u64) -> bool {
        let pending = self.pending.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if pending > self.max_bytes / 2 {
            self.discharge(bytes);
            return false;
        }
        let stored = self.bytes.load(Ordering::Relaxed);
        // Asked for once, as the bound is passed.
        if stored + pending > self.max_bytes && stored + pending - bytes <= self.max_bytes {
            self.send(Command::MakeRoom);
        }
        true
    }

    pub(super) fn recharge(&self, before: u64, after: u64) {
        self.pending.fetch_add(after, Ordering::Relaxed);
        self.discharge(before);
    }

    pub(super) fn discharge(&self, bytes: u64) {
        self.pending.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    pub(super) fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}
