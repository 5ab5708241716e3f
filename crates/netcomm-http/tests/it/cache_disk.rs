//! The store on disk: what it survives, and what it keeps within.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use netcomm_http::cache::{Disk, Store};

use crate::cache_store::{entry, key, noise, numbers, put, read, write};

/// A directory of its own for a test, gone with it.
pub(crate) struct Dir {
    path: PathBuf,
}

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("netcomm-cache-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { path: std::env::temp_dir().join(name) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All files below it that hold bodies.
    fn files(&self) -> Vec<PathBuf> {
        let folders = ["blobs", "parts"].map(|name| self.path.join(name));
        let mut open: Vec<PathBuf> = folders.to_vec();
        let mut files = Vec::new();
        while let Some(folder) = open.pop() {
            for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match item.path().is_dir() {
                    true => open.push(item.path()),
                    false => files.push(item.path()),
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

pub(crate) fn fresh(max_bytes: u64) -> (Dir, Disk) {
    let dir = Dir::new();
    let store = Disk::open(dir.path(), max_bytes);
    (dir, store)
}

#[tokio::test]
async fn what_was_stored_is_there_again() {
    let (dir, store) = fresh(64 * 1024 * 1024);
    let sizes = [0, 10, 16 * 1024, 20_000, 64 * 1024, 300_000];
    for (number, size) in (0..).zip(sizes) {
        let body = write(&store, None, [noise(size, 1)]).await.expect("room");
        put(&store, &key(&format!("{number}")), vec![entry(number, &["g"], Some(body))]).await;
    }
    store.close().await;
    for _ in 0..2 {
        let store = Disk::open(dir.path(), 64 * 1024 * 1024);
        store.ready().await.expect("opens");
        assert_eq!(store.stats().await.entries, 6);
        for (number, size) in (0..).zip(sizes) {
            let found = store.load(&key(&format!("{number}"))).await;
            assert_eq!(numbers(&found), [number]);
            assert!(found[0].is_complete());
            if size > 0 {
                assert_eq!(read(&found[0].parts().segments[0].blob, 0..size as u64).await, noise(size, 1));
            }
        }
        store.close().await;
    }
    let store = Disk::open(dir.path(), 64 * 1024 * 1024);
    store.remove_group(key("").origin(), "g").await;
    store.flush().await;
    assert_eq!(store.stats().await.bytes, 0);
    assert_eq!(dir.files(), Vec::<PathBuf>::new());
    store.close().await;
}
