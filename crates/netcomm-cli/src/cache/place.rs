//! Where responses are kept: the only room that opens stores.

use std::path::Path;

use netcomm::Error;
use netcomm::http::cache::{Cache, CacheBuilder, Disk};

use crate::args::CachePlace;
use crate::{exit, output};

/// The most that is kept in memory.
const MEMORY_BYTES: u64 = 64 << 20;
/// The most that is kept in a folder.
const FOLDER_BYTES: u64 = 1 << 30;

/// A cache that is open.
pub(crate) struct Kept {
    pub(crate) cache: Cache,
    /// Its folder, if it has one.
    disk: Option<Disk>,
}

impl Kept {
    /// Opens it. A folder that cannot be used is told on stderr: a cache fails no call, and is one in memory then.
    pub(crate) async fn open(place: &CachePlace, builder: CacheBuilder) -> Self {
        match place {
            CachePlace::Memory => Self { cache: builder.memory(MEMORY_BYTES).build(), disk: None },
            CachePlace::Folder(folder) => {
                let disk = Disk::open(folder, FOLDER_BYTES);
                if let Err(error) = disk.ready().await {
                    warn(folder, &error);
                }
                Self { cache: builder.store(disk.clone()).build(), disk: Some(disk) }
            }
        }
    }

    /// Closes it: what was stored is on disk then.
    pub(crate) async fn close(self) {
        if let Some(disk) = self.disk {
            disk.close().await;
        }
    }
}

fn warn(folder: &Path, error: &Error) {
    let causes: String = exit::causes(error).iter().map(|cause| format!("  caused by: {cause}\n")).collect();
    let folder = folder.display();
    output::tell(&format!("netcomm: warning: {folder} keeps nothing, memory does: {error}\n{causes}"));
}
