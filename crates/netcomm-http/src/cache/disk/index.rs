//! What is stored under which key, in redb: the only room that names it.
//!
//! A damaged database makes redb panic here and there. Every access stands behind [`guard`], which makes an error of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};
use redb::{
    Database, DatabaseError, Durability, MultimapTable, MultimapTableDefinition, ReadableDatabase, ReadableTable,
    StorageError, Table, TableDefinition,
};

/// The version of everything in the directory: another one is not read but replaced.
const VERSION: u64 = 1;
/// A database up to this size is read and checked as a whole when it is opened; of a larger one only its last commit is.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;
/// What redb may keep of the database in memory.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Key -> number of its record, tick of its last use.
const KEYS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("keys");
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Tick of last use -> record.
const ORDER: TableDefinition<'_, u64, u64> = TableDefinition::new("order");
/// Blob -> how many segments refer to it, a record that does, bytes of its file.
const BLOBS: TableDefinition<'_, u64, (u64, u64, u64)> = TableDefinition::new("blobs");
/// Origin and group -> records with an entry in it.
const GROUPS: MultimapTableDefinition<'_, &str, u64> = MultimapTableDefinition::new("groups");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

pub(super) struct Index {
    db: Database,
}

/// Sums over everything, written with each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) next_record: u64,
    pub(super) next_tick: u64,
    /// Counts the openings, so that identifiers of blobs are never used twice.
    pub(super) generation: u64,
}

/// Why there is no index.
pub(super) enum Refusal {
    /// It is damaged, or of another version: it may be replaced.
    Unusable(Error),
    /// Replacing it would not help.
    Failed(Error),
}

impl Index {
    /// Opens or makes the database and begins a new generation, which is on disk when this returns.
    pub(super) fn open(path: &Path) -> std::result::Result<(Self, Totals), Refusal> {
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
            Ok(Err(error @ DatabaseError::DatabaseAlreadyOpen)) => return Err(Refusal::Failed(failed(error))),
            Ok(Err(error)) => return Err(Refusal::Unusable(failed(error))),
            Err(error) => return Err(Refusal::Unusable(error)),
        };
        let index = Self { db };
        let begun = index.write(|tables| {
            let version = tables.meta("version")?;
            if version.unwrap_or(VERSION) != VERSION {
                return Ok((None, false));
            }
            tables.set_meta("version", VERSION)?;
            let mut totals = tables.totals()?;
            totals.generation += 1;
            tables.set_totals(&totals)?;
            Ok((Some(totals), true))
        });
        match begun {
            Ok(Some(totals)) => Ok((index, totals)),
            Ok(None) => {
                let error = Error::new(ErrorKind::Unsupported, "open cache").with_detail("of another version");
                Err(Refusal::Unusable(error))
            }
            Err(error) => Err(Refusal::Unusable(error)),
        }
    }

    /// The record of a key.
    pub(super) fn read(&self, key: &str) -> Result<Option<Bytes>> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let keys = snapshot.open_table(KEYS).map_err(failed)?;
            let Some(found) = keys.get(key).map_err(failed)? else { return Ok(None) };
            let records = snapshot.open_table(RECORDS).map_err(failed)?;
            let record = records.get(found.value().0).map_err(failed)?;
            Ok(record.map(|record| Bytes::copy_from_slice(record.value())))
        })
    }

    /// The records of the keys after `after`, in order, at most so many.
    pub(super) fn list(&self, after: Option<&str>, most: usize) -> Result<Vec<(String, Bytes)>> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let keys = snapshot.open_table(KEYS).map_err(failed)?;
            let records = snapshot.open_table(RECORDS).map_err(failed)?;
            let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
            let mut found = Vec::new();
            for row in keys.range::<&str>((from, std::ops::Bound::Unbounded)).map_err(failed)?.take(most) {
                let (key, value) = row.map_err(failed)?;
                if let Some(record) = records.get(value.value().0).map_err(failed)? {
                    found.push((key.value().to_owned(), Bytes::copy_from_slice(record.value())));
                }
            }
            Ok(found)
        })
    }

    /// Of each of these blobs whether an entry refers to it.
    pub(super) fn knows(&self, ids: impl Iterator<Item = Option<u64>>) -> Result<Vec<bool>> {
        guard(|| {
            let snapshot = self.db.begin_read().map_err(failed)?;
            let blobs = snapshot.open_table(BLOBS).map_err(failed)?;
            ids.map(|id| match id {
                Some(id) => Ok(blobs.get(id).map_err(failed)?.is_some()),
                None => Ok(false),
            })
            .collect()
        })
    }

    /// One change of many tables, whole or not at all. `work` tells beside its result whether the change has to be on
    /// disk when this returns; all earlier ones are then, too.
    pub(super) fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<(T, bool)>) -> Result<T> {
        guard(|| {
            let mut change = self.db.begin_write().map_err(failed)?;
            let (result, is_durable) = {
                let mut tables = Tables {
                    keys: change.open_table(KEYS).map_err(failed)?,
                    records: change.open_table(RECORDS).map_err(failed)?,
                    order: change.open_table(ORDER).map_err(failed)?,
                    blobs: change.open_table(BLOBS).map_err(failed)?,
                    groups: change.open_multimap_table(GROUPS).map_err(failed)?,
                    meta: change.open_table(META).map_err(failed)?,
                };
                work(&mut tables)?
            };
            let durability = if is_durable { Durability::Immediate } else { Durability::None };
            change.set_durability(durability).map_err(failed)?;
            // What is needed to open it after a crash without a walk through all of it.
            change.set_quick_repair(is_durable);
            change.commit().map_err(failed)?;
            Ok(result)
        })
    }
}

/// The tables in the middle of a change.
pub(super) struct Tables<'a> {
    keys: Table<'a, &'static str, (u64, u64)>,
    records: Table<'a, u64, &'static [u8]>,
    order: Table<'a, u64, u64>,
    blobs: Table<'a, u64, (u64, u64, u64)>,
    groups: MultimapTable<'a, &'static str, u64>,
    meta: Table<'a, &'static str, u64>,
}

impl Tables<'_> {
    /// Number of the record and tick of a key.
    pub(super) fn find(&self, key: &str) -> Result<Option<(u64, u64)>> {
        Ok(self.keys.get(key).map_err(failed)?.map(|found| found.value()))
    }

    pub(super) fn record(&self, number: u64) -> Result<Option<Bytes>> {
        Ok(self.records.get(number).map_err(failed)?.map(|record| Bytes::copy_from_slice(record.value())))
    }

    pub(super) fn put_record(&mut self, key: &str, number: u64, record: &[u8]) -> Result<()> {
        let tick = self.find(key)?.map_or(0, |(_, tick)| tick);
        self.keys.insert(key, (number, tick)).map_err(failed)?;
        self.records.insert(number, record).map_err(failed)?;
        Ok(())
    }

    pub(super) fn remove_record(&mut self, key: &str, number: u64) -> Result<()> {
        let found = self.keys.remove(key).map_err(failed)?.map(|found| found.value());
        if let Some((_, tick)) = found {
            self.order.remove(tick).map_err(failed)?;
        }
        self.records.remove(number).map_err(failed)?;
        Ok(())
    }

    /// A record that no sound key leads to.
    pub(super) fn remove_lost_record(&mut self, tick: u64, number: u64) -> Result<()> {
        self.order.remove(tick).map_err(failed)?;
        self.records.remove(number).map_err(failed)?;
        Ok(())
    }

    /// Notes that a key was used at that tick.
    pub(super) fn touch(&mut self, key: &str, tick: u64) -> Result<()> {
        let Some((number, before)) = self.find(key)? else { return Ok(()) };
        self.order.remove(before).map_err(failed)?;
        self.order.insert(tick, number).map_err(failed)?;
        self.keys.insert(key, (number, tick)).map_err(failed)?;
        Ok(())
    }

    /// Tick and record of the key that was not used for longest.
    pub(super) fn oldest(&self) -> Result<Option<(u64, u64)>> {
        Ok(self.order.first().map_err(failed)?.map(|(tick, number)| (tick.value(), number.value())))
    }

    /// References to a blob, a record that has one, and the bytes of its file.
    pub(super) fn blob(&self, id: u64) -> Result<Option<(u64, u64, u64)>> {
        Ok(self.blobs.get(id).map_err(failed)?.map(|row| row.value()))
    }

    /// Sets how many references there are; the row goes with the last.
    pub(super) fn set_blob(&mut self, id: u64, references: u64, record: u64, bytes: u64) -> Result<()> {
        match references {
            0 => drop(self.blobs.remove(id).map_err(failed)?),
            _ => drop(self.blobs.insert(id, (references, record, bytes)).map_err(failed)?),
        }
        Ok(())
    }

    pub(super) fn add_group(&mut self, name: &str, record: u64) -> Result<()> {
        self.groups.insert(name, record).map_err(failed)?;
        Ok(())
    }

    pub(super) fn remove_group(&mut self, name: &str, record: u64) -> Result<()> {
        self.groups.remove(name, record).map_err(failed)?;
        Ok(())
    }

    pub(super) fn group(&self, name: &str) -> Result<Vec<u64>> {
        use redb::ReadableMultimapTable;
        self.groups.get(name).map_err(failed)?.map(|row| Ok(row.map_err(failed)?.value())).collect()
    }

    /// Empties all tables. The blobs that there were.
    pub(super) fn clear(&mut self) -> Result<Vec<u64>> {
        let mut blobs = Vec::new();
        for row in self.blobs.iter().map_err(failed)? {
            blobs.push(row.map_err(failed)?.0.value());
        }
        self.keys.retain(|_, _| false).map_err(failed)?;
        self.records.retain(|_, _| false).map_err(failed)?;
        self.order.retain(|_, _| false).map_err(failed)?;
        self.blobs.retain(|_, _| false).map_err(failed)?;
        let mut names = Vec::new();
        for row in self.groups.iter_names()? {
            names.push(row);
        }
        for name in names {
            self.groups.remove_all(name.as_str()).map_err(failed)?;
        }
        Ok(blobs)
    }

    fn meta(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.meta.get(name).map_err(failed)?.map(|value| value.value()))
    }

    fn set_meta(&mut self, name: &str, value: u64) -> Result<()> {
        self.meta.insert(name, value).map_err(failed)?;
        Ok(())
    }

    fn totals(&self) -> Result<Totals> {
        let number = |name| Ok::<_, Error>(self.meta(name)?.unwrap_or(0));
        Ok(Totals {
            entries: number("entries")?,
            bytes: number("bytes")?,
            next_record: number("next_record")?,
            // The first tick is 1: a key that was never used has none.
            next_tick: number("next_tick")?.max(1),
            generation: number("generation")?,
        })
    }

    pub(super) fn set_totals(&mut self, totals: &Totals) -> Result<()> {
        self.set_meta("entries", totals.entries)?;
        self.set_meta("bytes", totals.bytes)?;
        self.set_meta("next_record", totals.next_record)?;
        self.set_meta("next_tick", totals.next_tick)?;
        self.set_meta("generation", totals.generation)
    }
}

trait Names {
    fn iter_names(&self) -> Result<Vec<String>>;
}

impl Names for MultimapTable<'_, &'static str, u64> {
    fn iter_names(&self) -> Result<Vec<String>> {
        use redb::ReadableMultimapTable;
        self.iter().map_err(failed)?.map(|row| Ok(row.map_err(failed)?.0.value().to_owned())).collect()
    }
}

/// Whether the system refused, rather than the file being unsound.
fn is_environment(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    !matches!(error.kind(), Kind::InvalidData | Kind::UnexpectedEof | Kind::InvalidInput)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::new(ErrorKind::Io, "use cache index").with_source(error.into())
}

/// Makes errors of panics.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "use cache index").with_detail("the database is damaged")))
}
