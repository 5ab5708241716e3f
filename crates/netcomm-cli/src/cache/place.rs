//! Where responses are kept: the only room that opens stores.

use std::path::Path;
use std::time::Duration;

use netcomm::http::cache::{Cache, CacheBuilder, Change, Disk, Key, Stats, Store, Variants, WriteBlob};
use netcomm::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::args::CachePlace;
use crate::{exit, output};

/// The most that is kept in memory.
const MEMORY_BYTES: u64 = 64 << 20;
/// The most that is kept in a folder.
pub(super) const FOLDER_BYTES: u64 = 1 << 30;
/// The file without which a folder holds no responses.
const INDEX: &str = "index.redb";
/// How long the end waits for what is still being stored, such as the beginning of a body that broke off.
const PATIENCE: Duration = Duration::from_secs(1);

/// A cache that is open.
pub(crate) struct Kept {
    pub(crate) cache: Cache,
    folder: Option<Folder>,
}

struct Folder {
    disk: Disk,
    /// Ends once nobody can store anything any more.
    in_use: mpsc::Receiver<()>,
}

impl Kept {
    /// Opens it. A folder that cannot be used is told on stderr: a cache fails no call, and is one in memory then.
    pub(crate) async fn open(place: &CachePlace, builder: CacheBuilder) -> Self {
        match place {
            CachePlace::Memory => Self { cache: builder.memory(MEMORY_BYTES).build(), folder: None },
            CachePlace::Folder(path) => {
                let disk = Disk::open(path, FOLDER_BYTES);
                if let Err(error) = disk.ready().await {
                    warn(path, &error);
                }
                Self::new(disk, builder)
            }
        }
    }

    /// Opens a folder to look into it: nothing is made, and nothing goes for want of room.
    ///
    /// # Errors
    ///
    /// Kind `Io` if it holds no responses, or cannot be used.
    pub(crate) async fn look(path: &Path) -> Result<Self> {
        if !path.join(INDEX).is_file() {
            let detail = format!("{} holds no stored responses", path.display());
            return Err(Error::new(ErrorKind::Io, "open cache").with_detail(detail));
        }
        let disk = Disk::open(path, u64::MAX);
        match disk.ready().await {
            Ok(()) => Ok(Self::new(disk, Cache::builder())),
            Err(error) => Err((*error).clone()),
        }
    }

    fn new(disk: Disk, builder: CacheBuilder) -> Self {
        let (user, in_use) = mpsc::channel(1);
        let store = Used { disk: disk.clone(), _user: user };
        Self { cache: builder.store(store).build(), folder: Some(Folder { disk, in_use }) }
    }

    /// Closes it, once the client is gone: what was stored is on disk then.
    pub(crate) async fn close(self) {
        drop(self.cache);
        if let Some(mut folder) = self.folder {
            drop(timeout(PATIENCE, folder.in_use.recv()).await);
            folder.disk.close().await;
        }
    }
}

fn warn(folder: &Path, error: &Error) {
    let causes: String = exit::causes(error).iter().map(|cause| format!("  caused by: {cause}\n")).collect();
    let folder = folder.display();
    output::tell(&format!("netcomm: warning: {folder} keeps nothing, memory does: {error}\n{causes}"));
}

/// A store on disk that tells when its last user has gone.
struct Used {
    disk: Disk,
    _user: mpsc::Sender<()>,
}

impl Store for Used {
    async fn load(&self, key: &Key) -> Variants {
        self.disk.load(key).await
    }

    fn update(&self, key: &Key, change: Change) -> impl Future<Output = ()> + Send {
        self.disk.update(key, change)
    }

    fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>> {
        self.disk.write(length)
    }

    fn remove_group(&self, origin: &str, group: &str) -> impl Future<Output = ()> + Send {
        self.disk.remove_group(origin, group)
    }

    fn clear(&self) -> impl Future<Output = ()> + Send {
        self.disk.clear()
    }

    async fn list(&self, after: Option<&Key>, most: usize) -> Vec<(Key, Variants)> {
        self.disk.list(after, most).await
    }

    async fn stats(&self) -> Stats {
        self.disk.stats().await
    }
}
