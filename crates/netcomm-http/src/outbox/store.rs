//! What is kept under which number, in redb: the only room here that names it.
//!
//! A damaged database makes redb panic here and there. Every access stands behind [`guard`], which makes an error of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
    TableDefinition,
};

/// The version of everything in the file. Another one is left alone: it is not ours to throw calls away.
const VERSION: u64 = 1;
/// A database up to this size is read and checked as a whole when it is opened; of a larger one only its last commit is.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;
/// What redb may keep of the database in memory.
const CACHE_BYTES: usize = 2 * 1024 * 1024;
/// Calls that ended without being delivered, and damaged ones, that are kept; of more the oldest go.
pub(super) const MAX_ENDED: u64 = 256;
const MAX_ASIDE: u64 = 64;

const CALLS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("calls");
/// What became of the attempts of a call.
const PROGRESS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("progress");
const ENDED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("ended");
/// Damaged records, for whoever can make something of them.
const ASIDE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("aside");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

pub(super) struct Store {
    db: Database,
}

/// Why it cannot be opened.
pub(super) enum Refusal {
    /// It is damaged.
    Unusable(Error),
    /// Beginning anew would not help, or lose what somebody else can read.
    Failed(Error),
}

/// What one transaction does.
#[derive(Default)]
pub(super) struct Change {
    pub(super) insert: Vec<(u64, Vec<u8>)>,
    pub(super) progress: Vec<(u64, Vec<u8>)>,
    pub(super) remove: Vec<u64>,
    pub(super) ended: Vec<(u64, Vec<u8>)>,
    pub(super) forget: Vec<u64>,
    /// Calls that cannot be read: they change tables.
    pub(super) aside: Vec<u64>,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        let Self { insert, progress, remove, ended, forget, aside } = self;
        insert.is_empty()
            && progress.is_empty()
            && remove.is_empty()
            && ended.is_empty()
            && forget.is_empty()
            && aside.is_empty()
    }
}

impl Store {
    /// Opens or makes the database.
    pub(super) fn open(path: &Path) -> std::result::Result<Self, Refusal> {
        let opened = guard(|| {
            let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(size > 0 && size <= CHECKED_BYTES);
            Ok(builder.create(path))
        });
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(DatabaseError::Storage(StorageError::Io(error)))) if is_environment(&error) => {
                return Err(Refusal::Failed(failed(error)));
            }
            Ok(Err(error @ (DatabaseError::DatabaseAlreadyOpen | DatabaseError::UpgradeRequired(_)))) => {
                return Err(Refusal::Failed(failed(error)));
            }
            Ok(Err(error)) => return Err(Refusal::Unusable(failed(error))),
            Err(error) => return Err(Refusal::Unusable(error)),
        };
        let store = Self { db };
        match store.begin() {
            Ok(VERSION) => Ok(store),
            Ok(version) => {
                let detail = format!("the outbox is of version {version}, this program knows {VERSION}");
                let error = Error::new(ErrorKind::Unsupported, "open outbox").with_detail(detail);
                Err(Refusal::Failed(error))
            }
            Err(error) => Err(Refusal::Unusable(error)),
        }
    }

    /// The version, which is written if there is none, and all tables.
    fn begin(&self) -> Result<u64> {
        guard(|| {
            let mut change = self.db.begin_write().map_err(failed)?;
            let version = {
                let mut meta = change.open_table(META).map_err(failed)?;
                let version = meta.get("version").map_err(failed)?.map(|version| version.value());
                if version.is_none() {
                    meta.insert("version", VERSION).map_err(failed)?;
                }
                version.unwrap_or(VERSION)
            };
            if version == VERSION {
                for table in [CALLS, PROGRESS, ENDED, ASIDE] {
                    change.open_table(table).map_err(failed)?;
                }
            }
            change.set_durability(Durability::Immediate).map_err(failed)?;
            change.commit().map_err(failed)?;
            Ok(version)
        })
    }

    /// Reads what can be read of the calls in a database that is damaged. Their records tell whether they are sound.
    pub(super) fn salvage(path: &Path, mut read: impl FnMut(u64, Bytes, Option<Bytes>)) {
        // What was read before the damage shows is what there is.
        drop(guard(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(false);
            let db = builder.open(path).map_err(failed)?;
            Self { db }.each(&mut read)
        }));
    }

    /// Reads all calls in the order of their numbers, with what became of their attempts.
    pub(super) fn each(&self, mut read: impl FnMut(u64, Bytes, Option<Bytes>)) -> Result<()> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let calls = snapshot.open_table(CALLS).map_err(failed)?;
            let progress = snapshot.open_table(PROGRESS).map_err(failed)?;
            for row in calls.iter().map_err(failed)? {
                let (id, record) = row.map_err(failed)?;
                let progress = progress.get(id.value()).map_err(failed)?;
                let progress = progress.map(|progress| Bytes::copy_from_slice(progress.value()));
                read(id.value(), Bytes::copy_from_slice(record.value()), progress);
            }
            Ok(())
        })
    }

    /// The number after the last one that was given.
    pub(super) fn next_id(&self) -> Result<u64> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let meta = snapshot.open_table(META).map_err(failed)?;
            Ok(meta.get("next_id").map_err(failed)?.map_or(1, |next| next.value()))
        })
    }

    pub(super) fn get(&self, id: u64) -> Result<Option<Bytes>> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let calls = snapshot.open_table(CALLS).map_err(failed)?;
            Ok(calls.get(id).map_err(failed)?.map(|record| Bytes::copy_from_slice(record.value())))
        })
    }

    pub(super) fn ended(&self) -> Result<Vec<Bytes>> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let ended = snapshot.open_table(ENDED).map_err(failed)?;
            let rows = ended.iter().map_err(failed)?;
            rows.map(|row| Ok(Bytes::copy_from_slice(row.map_err(failed)?.1.value()))).collect()
        })
    }

    /// All of it, or nothing; it is on disk when this returns.
    pub(super) fn change(&self, all: &Change) -> Result<()> {
        guard(|| {
            let mut change = self.db.begin_write().map_err(failed)?;
            {
                let mut calls = change.open_table(CALLS).map_err(failed)?;
                let mut progress = change.open_table(PROGRESS).map_err(failed)?;
                let mut ended = change.open_table(ENDED).map_err(failed)?;
                let mut aside = change.open_table(ASIDE).map_err(failed)?;
                let mut meta = change.open_table(META).map_err(failed)?;
                for (id, record) in &all.insert {
                    calls.insert(id, record.as_slice()).map_err(failed)?;
                }
                if let Some((last, _)) = all.insert.last() {
                    let next = meta.get("next_id").map_err(failed)?.map_or(1, |next| next.value());
                    meta.insert("next_id", next.max(last + 1)).map_err(failed)?;
                }
                for (id, record) in &all.progress {
                    // It may have ended meanwhile.
                    if calls.get(id).map_err(failed)?.is_some() {
                        progress.insert(id, record.as_slice()).map_err(failed)?;
                    }
                }
                for id in &all.aside {
                    if let Some(record) = calls.get(id).map_err(failed)? {
                        aside.insert(id, record.value()).map_err(failed)?;
                    }
                }
                for id in all.remove.iter().chain(&all.aside) {
                    calls.remove(id).map_err(failed)?;
                    progress.remove(id).map_err(failed)?;
                }
                for (id, record) in &all.ended {
                    ended.insert(id, record.as_slice()).map_err(failed)?;
                }
                for id in &all.forget {
                    ended.remove(id).map_err(failed)?;
                }
                while ended.len().map_err(failed)? > MAX_ENDED {
                    ended.pop_first().map_err(failed)?;
                }
                while aside.len().map_err(failed)? > MAX_ASIDE {
                    aside.pop_first().map_err(failed)?;
                }
            }
            change.set_durability(Durability::Immediate).map_err(failed)?;
            // What is needed to open it after a crash without a walk through all of it.
            change.set_quick_repair(true);
            change.commit().map_err(failed)?;
            Ok(())
        })
    }
}

/// Whether the system refused, rather than the file being unsound.
fn is_environment(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    !matches!(error.kind(), Kind::InvalidData | Kind::UnexpectedEof | Kind::InvalidInput)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::new(ErrorKind::Io, "use outbox").with_source(error.into())
}

/// Makes errors of panics.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "use outbox").with_detail("the database is damaged")))
}
