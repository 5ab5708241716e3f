//! Responses kept in a directory.

mod bodies;
mod files;
mod heads;
mod index;
mod keeper;
mod record;
mod shared;
mod sweep;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use netcomm_core::{Error, ErrorKind};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use self::keeper::Keeper;
use self::shared::{Bounds, Command, Mode, Shared};
use crate::cache::key::Key;
use crate::cache::store::{Change, Stats, Store, Variants, WriteBlob};

/// A [`Store`] in a directory of its own: heads and small bodies in a database, other bodies in files, read and written
/// as streams. Cheap to clone; clones share what they hold.
///
/// It never fails a caller. If the directory cannot be used (no permission, another process has it, a broken disk), the
/// store is one in memory of at most 32 MiB, and [`degraded`](Self::degraded) tells why. A damaged database is moved
/// aside once and a new one begun.
///
/// What an entry says is what was stored: whatever is read back was checked first, each block of 64 KiB before it is
/// given out. A crash or a power cut may lose what was stored within the last two seconds (4096 changes at most), and
/// nothing else: an entry that was removed without a newer one in its place does not come back.
///
/// Bodies of at most 256 KiB that were read lately stay in memory, checked as they were read, so that a hit needs neither
/// a thread nor the file. One whose entry is removed, replaced, invalidated or found damaged goes out with it.
///
/// Memory: the decoded heads (16 MiB by default), those bodies (32 MiB by default), 8 MiB of the database, and for each body under way at most half a MiB
/// and a chunk. All reading and writing happens on threads that may block: one of its own, and tokio's.
///
/// On disk there is at most `max_bytes`, as files and rows are counted, beside a margin for what comes in at the moment
/// and free pages of the database. Bodies on their way in may take half of that; one body may take a quarter. What was not used for longest goes first; uses are noted every two seconds.
///
/// Must be used on a tokio runtime. When the last clone is dropped, what is left is written on the store's own thread;
/// [`close`](Self::close) waits for that.
#[derive(Clone)]
pub struct Disk {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// The settings of a [`Disk`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DiskBuilder {
    dir: PathBuf,
    bounds: Bounds,
}

/// Lets the thread go with the last handle.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.send(Command::Close { done: None });
    }
}

impl Disk {
    /// Opens a directory, or makes it (for its owner alone, where the system knows such a thing). Returns at once; the
    /// directory is opened on a thread of the store, and loads wait for that.
    #[must_use]
    pub fn open(dir: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self::builder(dir, max_bytes).open()
    }

    /// Settings beside these two.
    pub fn builder(dir: impl Into<PathBuf>, max_bytes: u64) -> DiskBuilder {
        let bounds = Bounds { all: max_bytes, body: max_bytes / 4, heads: 16 << 20, hot: 32 << 20, memory: 32 << 20 };
        DiskBuilder { dir: dir.into(), bounds }
    }

    /// Why the store is one in memory only, if it is. `None` also while the directory is being opened.
    #[must_use]
    pub fn degraded(&self) -> Option<Arc<Error>> {
        self.shared.error().cloned()
    }

    /// Waits until the directory is open.
    ///
    /// # Errors
    ///
    /// As [`degraded`](Self::degraded).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self) -> Result<(), Arc<Error>> {
        self.shared.opened().await;
        self.degraded().map_or(Ok(()), Err)
    }

    /// The entries under a key, as [`Store::load`] gives them, at once: only if their heads are in memory.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Variants> {
        match self.shared.heads.get(key) {
            None if self.shared.mode() == Mode::Degraded => self.shared.memory.get(key),
            found => found,
        }
    }

    /// Bodies given up since it was opened because a file could not be written, and files that could not be deleted.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Waits until all that was stored is on disk, and all that a crash left behind is gone.
    ///
    /// # Cancel safety
    ///
    /// It is carried out even if the future is dropped.
    pub fn flush(&self) -> impl Future<Output = ()> + Send + 'static {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Flush { done });
        finished(wait)
    }

    /// Closes the store, for all its clones, and waits until another one may open the directory: with what was stored on
    /// disk. Loads find nothing from then on, and nothing is stored.
    ///
    /// # Cancel safety
    ///
    /// It is carried out even if the future is dropped.
    pub fn close(self) -> impl Future<Output = ()> + Send + 'static {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Close { done: Some(done) });
        finished(wait)
    }

    async fn read(shared: &Arc<Shared>, key: &Key) -> Variants {
        if let Some(variants) = shared.heads.get(key) {
            return variants;
        }
        if !shared.opened().await {
            return shared.memory.get(key).unwrap_or_default();
        }
        let (own, wanted) = (Arc::clone(shared), key.clone());
        let read = spawn_blocking(move || {
            let epoch = own.heads.epoch(&wanted);
            let record = match own.index()?.read(wanted.as_str()) {
                Ok(record) => record?,
                Err(error) => {
                    own.send(Command::Fail { error });
                    return None;
                }
            };
            let variants = own.decode(&wanted, &record)?;
            own.heads.fill(&wanted, &variants, epoch);
            Some(variants)
        });
        read.await.ok().flatten().unwrap_or_default()
    }
}

impl DiskBuilder {
    /// The most bytes that one body may have; by default a quarter of all.
    pub fn max_body_bytes(mut self, max_body_bytes: u64) -> Self {
        self.bounds.body = max_body_bytes;
        self
    }

    /// Bytes of decoded heads, with their small bodies, that are kept in memory; by default 16 MiB. The heads of one key
    /// are kept only if they take less than a sixteenth.
    pub fn max_head_bytes(mut self, max_head_bytes: u64) -> Self {
        self.bounds.heads = max_head_bytes;
        self
    }

    /// Bytes of bodies from files that are kept in memory, beside those that readers hold; by default 32 MiB, and 0 for
    /// none. A body is kept once it was read, if it has at most 256 KiB, so that what is only stored pushes nothing out;
    /// what was not read for longest goes first. While a body is kept, damage to its file goes unnoticed; without, each
    /// answer reads and checks its file on a thread that may block.
    pub fn max_hot_bytes(mut self, max_hot_bytes: u64) -> Self {
        self.bounds.hot = max_hot_bytes;
        self
    }

    /// Bytes of the store in memory that takes this one's place where the directory cannot be used; by default 32 MiB.
    pub fn max_fallback_bytes(mut self, max_fallback_bytes: u64) -> Self {
        self.bounds.memory = max_fallback_bytes;
        self
    }

    /// Opens the directory: see [`Disk::open`].
    #[must_use]
    pub fn open(self) -> Disk {
        let (shared, commands) = Shared::new(self.dir, self.bounds);
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("netcomm-cache".to_owned());
        if let Err(error) = thread.spawn(move || Keeper::run(own, commands)) {
            shared.degrade(Error::new(ErrorKind::Io, "open cache").with_source(error));
        }
        Disk { owner: Arc::new(Owner { shared: Arc::clone(&shared) }), shared }
    }
}

impl Store for Disk {
    fn load(&self, key: &Key) -> impl Future<Output = Variants> + Send {
        Self::read(&self.shared, key)
    }

    fn update(&self, key: &Key, change: Change) -> impl Future<Output = ()> + Send {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Update { key: key.clone(), change, done });
        finished(wait)
    }

    fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>> {
        match self.shared.mode() {
            Mode::Degraded => return self.shared.memory.write(length),
            Mode::Closed => return None,
            Mode::Opening | Mode::Open => {}
        }
        let most = self.shared.max_body_bytes;
        if length.is_some_and(|length| length > most) || most == 0 {
            return None;
        }
        Some(Box::new(files::Writer::new(Arc::clone(&self.shared), most)))
    }

    fn remove_group(&self, origin: &str, group: &str) -> impl Future<Output = ()> + Send {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::RemoveGroup { origin: origin.to_owned(), group: group.to_owned(), done });
        finished(wait)
    }

    fn clear(&self) -> impl Future<Output = ()> + Send {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Clear { done });
        finished(wait)
    }

    async fn list(&self, after: Option<&Key>, most: usize) -> Vec<(Key, Variants)> {
        if !self.shared.opened().await {
            return self.shared.memory.list(after, most).await;
        }
        let (shared, after) = (Arc::clone(&self.shared), after.cloned());
        let read = spawn_blocking(move || {
            let rows = match shared.index()?.list(after.as_ref().map(Key::as_str), most) {
                Ok(rows) => rows,
                Err(error) => {
                    shared.send(Command::Fail { error });
                    return None;
                }
            };
            let decode = |(text, record): (String, _)| {
                let key = Key::from_text(&text)?;
                let variants = shared.decode(&key, &record)?;
                Some((key, variants))
            };
            Some(rows.into_iter().filter_map(decode).collect())
        });
        read.await.ok().flatten().unwrap_or_default()
    }

    async fn stats(&self) -> Stats {
        if !self.shared.opened().await {
            return self.shared.memory.stats().await;
        }
        Stats {
            entries: self.shared.entries.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed) + self.shared.pending(),
            max_bytes: self.shared.max_bytes,
            evicted: self.shared.evicted.load(Ordering::Relaxed),
        }
    }
}

/// The thread may have ended: then it is as done as it will be.
async fn finished(wait: oneshot::Receiver<()>) {
    drop(wait.await);
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("dir", &self.shared.dir())
            .field("mode", &self.shared.mode())
            .field("entries", &self.shared.entries)
            .field("bytes", &self.shared.bytes)
            .field("max_bytes", &self.shared.max_bytes)
            .field("clones", &Arc::strong_count(&self.owner))
            .finish_non_exhaustive()
    }
}
