//! Looks for files that no entry refers to, left behind by a crash: one folder at a time, while nothing else is to do.

use std::fs;
use std::path::PathBuf;

use netcomm_core::Result;

use super::index::Index;

/// Folders that the blobs are spread over.
const FOLDERS: u32 = 256;

pub(super) struct Sweep {
    blobs: PathBuf,
    /// Blobs of this generation are younger than the sweep, and their owners know of them.
    generation: u64,
    next_folder: u32,
}

impl Sweep {
    pub(super) fn new(blobs: PathBuf, generation: u64) -> Self {
        Self { blobs, generation, next_folder: 0 }
    }

    /// Looks through one folder; `false` after the last one.
    pub(super) fn step(&mut self, index: &Index) -> Result<bool> {
        let folder = self.blobs.join(format!("{:02x}", self.next_folder));
        self.next_folder += 1;
        let mut found = Vec::new();
        // A folder that cannot be read is left alone.
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            let id = file.file_name().to_str().and_then(|name| u64::from_str_radix(name, 16).ok());
            if id.is_none_or(|id| id >> 32 != self.generation) {
                found.push((id, file.path()));
            }
        }
        if !found.is_empty() {
            let known = index.knows(found.iter().map(|(id, _)| *id))?;
            for ((_, path), is_known) in found.into_iter().zip(known) {
                if !is_known {
                    drop(fs::remove_file(path));
                }
            }
        }
        Ok(self.next_folder < FOLDERS)
    }
}
