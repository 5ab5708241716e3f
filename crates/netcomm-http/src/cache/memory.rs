//! Responses kept in memory.

use std::borrow::Cow;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt;
use std::future::{Future, ready};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use lru::DefaultHasher;

use crate::cache::blob::Blob;
use crate::cache::entry::Entry;
use crate::cache::key::Key;
use crate::cache::near::{Good, Held, Lanes, Near};
use crate::cache::store::{Change, Stats, Store, Variants, WriteBlob};
use crate::cache::table::Table;
use crate::lane::{self, Apart};

/// Locks that the keys are spread over.
const SHARDS: usize = 16;
/// A key is used often if it is used again before so many others of its table.
const OFTEN: u32 = 32;
/// A table need not be told of a use until so many of others were: the number of its keys divided by this.
const EXACT: usize = 32;
/// What a key takes beside its text: its node and place in the table, the text's count.
/// Measured, as is the next: see the test `overhead_of_a_million_entries`.
const KEY_OVERHEAD: u64 = 208;
/// What an entry takes beside [`Entry::weight`]: its count, the rounding of the allocator, the index of its fields.
const ENTRY_OVERHEAD: u64 = 112;
/// A chunk of this size is kept as it is if it is the whole body; what is smaller is copied. A chunk is often a small view
/// of a receive buffer and would keep all of it in memory; the wire engine's buffers end at about 400 KiB, so that a
/// larger one wastes less than it holds. The copy of a body of 64 KiB takes about 4 us, once in its life.
const KEPT_BYTES: usize = 512 * 1024;
/// The most that is allocated ahead for a body that says how long it will be.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// A [`Store`] in memory: what was not used for longest is forgotten first. Cheap to clone; clones share what they hold.
///
/// It holds at most `max_bytes` over all: keys, heads, bodies, bodies on their way in, and what the tables take (320
/// bytes for a key with one entry, beside its text and [`Entry::weight`]). Nothing stored keeps a receive buffer: an answer
/// of 200 bytes of JSON took 0.8 KB of heap until it was used. It counts as if it had been, with the map of its fields and
/// the terms that its first use makes. Threads that store at the same moment may pass the bound for that moment, by what
/// they bring. Bodies that are being read live on until their readers are done, and do not count.
///
/// One body may take a quarter of it, and the entries under one key half. Bodies lie in one piece each; one whose length
/// was not announced takes up to twice its bytes while it comes in.
///
/// What is used least is known among the keys that share a lock (a sixteenth of all), and roughly over all. A key that is
/// used all the time may count as used earlier than it was, by as many uses and changes as those are keys divided by 32:
/// each thread has at hand what it uses often, and does not tell of each use. Threads beside the first hold a copy of its
/// head for that, of at most 64 keys and 16 KiB each, which counts.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
    max_body_bytes: u64,
}

struct Shared {
    shards: [Apart<Shard>; SHARDS],
    hasher: DefaultHasher,
    /// Locked inside of a shard's lock, never around one.
    near: Near,
    /// Locked inside of a shard's lock, never around one.
    groups: Mutex<Groups>,
    max_bytes: u64,
    bytes: AtomicU64,
    entries: AtomicU64,
    evicted: AtomicU64,
}

struct Shard {
    slots: Mutex<Table<Slot>>,
    /// What came and went, and the uses that it was told of. Written under its lock, and read without.
    uses: AtomicU32,
}

struct Slot {
    variants: Variants,
    weight: u64,
    /// The last use that was told.
    used: u32,
    /// Where it may be at hand.
    lanes: Lanes,
    /// Whether one of them may be in a group, so that the others never touch the index.
    is_grouped: bool,
}

/// The keys with an entry of that group: by [`group_name`].
type Groups = HashMap<Box<str>, HashSet<Key>>;

impl Memory {
    /// An empty store of at most that many bytes. With 0 it keeps nothing.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let shards = std::array::from_fn(|_| Apart(Shard { slots: Mutex::new(Table::new()), uses: AtomicU32::new(0) }));
        let shared = Shared {
            shards,
            hasher: DefaultHasher::default(),
            near: Near::new(),
            groups: Mutex::default(),
            max_bytes,
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), max_body_bytes: max_bytes / 4 }
    }

    /// The most bytes that one body may have, for bodies written through this handle; by default a quarter of all.
    #[must_use]
    pub fn with_max_body_bytes(self, max_body_bytes: u64) -> Self {
        Self { max_body_bytes, ..self }
    }

    /// The entries under a key, as [`Store::load`] gives them, at once: one short lock, of this thread's own where it has
    /// used them lately.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Variants> {
        let shared = &self.shared;
        let (hash, lane) = (shared.hash(key), lane::here());
        let uses = shared.shards[Shared::shard(hash)].0.uses.load(Ordering::Relaxed);
        shared.near.get(lane, hash, key, uses).or_else(|| shared.look_up(key, hash, lane))
    }

    /// Carries a change out, as [`Store::update`] does, at once.
    pub(crate) fn change(&self, key: Cow<'_, Key>, change: impl FnOnce(&Key, &[Arc<Entry>]) -> Variants) {
        self.shared.update(key, |key, entries| Some(change(key, entries)));
    }

    /// The same, of a change that only takes entries away: there is nothing to do where there are none.
    pub(crate) fn reduce(&self, key: &Key, change: impl FnOnce(&[Arc<Entry>]) -> Vec<Arc<Entry>>) {
        self.shared.update(Cow::Borrowed(key), |_, entries| (!entries.is_empty()).then(|| change(entries).into()));
    }

    /// A body that is there as a whole, written at once. `None` if there is no room for it.
    pub(crate) fn blob(&self, bytes: &Bytes) -> Option<Blob> {
        let blob =
            || Blob::memory(if bytes.len() >= KEPT_BYTES { bytes.clone() } else { Bytes::copy_from_slice(bytes) });
        self.has_room(bytes.len() as u64).then(blob)
    }

    /// Whether there is room for a body of that length, once others have made way.
    pub(crate) fn has_room(&self, length: u64) -> bool {
        if length > self.max_body_bytes || self.max_body_bytes == 0 || !self.shared.charge(length) {
            return false;
        }
        // It counts with the entry that is made of it.
        self.shared.discharge(length);
        true
    }

    fn writer(&self, length: Option<u64>) -> Option<Writer> {
        if length.is_some_and(|length| length > self.max_body_bytes) || self.max_body_bytes == 0 {
            return None;
        }
        Some(Writer {
            shared: Arc::clone(&self.shared),
            length,
            max_bytes: self.max_body_bytes,
            charged: 0,
            body: Pending::Empty,
        })
    }
}

impl Store for Memory {
    fn load(&self, key: &Key) -> impl Future<Output = Variants> + Send {
        ready(self.get(key).unwrap_or_default())
    }

    fn update(&self, key: &Key, change: Change) -> impl Future<Output = ()> + Send {
        self.change(Cow::Borrowed(key), |_, entries| change(entries).into());
        ready(())
    }

    fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>> {
        Some(Box::new(self.writer(length)?))
    }

    fn remove_group(&self, origin: &str, group: &str) -> impl Future<Output = ()> + Send {
        let keys: Vec<Key> = match self.shared.groups().get(&*group_name(origin, group)) {
            Some(keys) => keys.iter().cloned().collect(),
            None => Vec::new(),
        };
        for key in keys {
            self.shared.update(Cow::Owned(key), |_, entries| {
                let is_outside = |entry: &&Arc<Entry>| entry.groups().all(|own| own != group);
                Some(entries.iter().filter(is_outside).cloned().collect::<Vec<_>>().into())
            });
        }
        ready(())
    }

    fn clear(&self) -> impl Future<Output = ()> + Send {
        for shard in 0..SHARDS {
            let mut gone = Vec::new();
            let mut slots = self.shared.lock(shard);
            while let Some((place, _)) = slots.oldest() {
                let (key, slot) = slots.remove(place);
                self.shared.forget(&key, &slot);
                gone.push(slot);
            }
            // Bodies are freed outside of the lock, here and elsewhere.
            drop(slots);
        }
        ready(())
    }

    fn list(&self, after: Option<&Key>, most: usize) -> impl Future<Output = Vec<(Key, Variants)>> + Send {
        let mut first = BinaryHeap::new();
        for shard in 0..SHARDS {
            for (key, slot) in self.shared.lock(shard).iter() {
                let is_wanted = after.is_none_or(|after| key > after);
                if is_wanted && (first.len() < most || first.peek().is_some_and(|Listed(last, _)| key < last)) {
                    first.push(Listed(key.clone(), slot.variants.clone()));
                    if first.len() > most {
                        first.pop();
                    }
                }
            }
        }
        ready(first.into_sorted_vec().into_iter().map(|Listed(key, variants)| (key, variants)).collect())
    }

    fn stats(&self) -> impl Future<Output = Stats> + Send {
        ready(Stats {
            entries: self.shared.entries.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            max_bytes: self.shared.max_bytes,
            evicted: self.shared.evicted.load(Ordering::Relaxed),
        })
    }
}

impl Shared {
    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(hash: u64) -> usize {
        // The table inside uses the low bits and the highest seven.
        (hash >> 40) as usize % SHARDS
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Table<Slot>> {
        // Nothing is half done where a change can panic.
        self.shards[shard].0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries under a key, for a use that the table is told of. What is used often comes to be at hand in that lane.
    fn look_up(&self, key: &Key, hash: u64, lane: usize) -> Option<Variants> {
        let shard = Self::shard(hash);
        let mut slots = self.lock(shard);
        let keys = slots.len();
        let place = slots.find(hash, key)?;
        slots.touch(place);
        let slot = slots.slot_mut(place);
        let now = self.shards[shard].0.uses.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let is_used_often = now.wrapping_sub(std::mem::replace(&mut slot.used, now)) <= OFTEN;
        let good = Good { since: now, uses: u32::try_from(keys / EXACT).unwrap_or(u32::MAX) };
        let own = 1 << lane;
        if slot.lanes & own != 0
            && let Some(variants) = self.near.renew(lane, hash, key, good)
        {
            return Some(variants);
        }
        let held = match slot.lanes & !own {
            _ if !is_used_often => None,
            0 => Some(Held::of(key, &slot.variants, good)),
            _ => Held::twin_of(key, &slot.variants, good, ENTRY_OVERHEAD),
        };
        let Some(held) = held else { return Some(slot.variants.clone()) };
        slot.lanes |= own;
        let variants = held.variants();
        self.bytes.fetch_add(held.weight, Ordering::Relaxed);
        // Under the lock, so that it cannot be put where it was just taken away.
        let gone = self.near.keep(lane, hash, held);
        self.discharge(gone.as_ref().map_or(0, |gone| gone.weight));
        drop(slots);
        drop(gone);
        self.evict(shard, Some(key));
        Some(variants)
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what `change` makes of the entries in their place; `None` leaves them.
    fn update(&self, key: Cow<'_, Key>, change: impl FnOnce(&Key, &[Arc<Entry>]) -> Option<Variants>) {
        let hash = self.hash(&key);
        let shard = Self::shard(hash);
        let mut slots = self.lock(shard);
        let place = slots.find(hash, &key);
        let known = place.map_or(&[][..], |place| &*slots.slot(place).variants);
        let Some(changed) = change(&key, known) else { return };
        self.shards[shard].0.uses.fetch_add(1, Ordering::Relaxed);
        let new = Slot::new(&key, changed, self.max_bytes / 2);
        if let Some(place) = place {
            self.forget(&key, slots.slot(place));
        }
        let (mut keep, mut old) = (None, None);
        if !new.variants.is_empty() {
            self.remember(&key, &new);
            // It is named again only where others have to make way for it.
            keep = self.is_over().then(|| Key::clone(&key));
            old = slots.put(place, hash, key, new);
        } else if let Some(place) = place {
            old = Some(slots.remove(place).1);
        }
        drop(slots);
        // Bodies are freed outside of the lock.
        drop(old);
        if keep.is_some() {
            self.evict(shard, keep.as_ref());
        }
    }

    fn remember(&self, key: &Key, slot: &Slot) {
        self.bytes.fetch_add(slot.weight, Ordering::Relaxed);
        self.entries.fetch_add(slot.variants.len() as u64, Ordering::Relaxed);
        if slot.is_grouped {
            let mut groups = self.groups();
            for group in slot.variants.iter().flat_map(|entry| entry.groups()) {
                groups.entry(group_name(key.origin(), &group)).or_default().insert(key.clone());
            }
        }
    }

    /// Under the lock of its shard, so that nobody finds at hand what is gone.
    fn forget(&self, key: &Key, slot: &Slot) {
        if slot.lanes != 0 {
            self.discharge(self.near.forget(slot.lanes, self.hash(key), key));
        }
        self.bytes.fetch_sub(slot.weight, Ordering::Relaxed);
        self.entries.fetch_sub(slot.variants.len() as u64, Ordering::Relaxed);
        if slot.is_grouped {
            let mut groups = self.groups();
            for group in slot.variants.iter().flat_map(|entry| entry.groups()) {
                let name = group_name(key.origin(), &group);
                if let Some(keys) = groups.get_mut(&name) {
                    keys.remove(key);
                    if keys.is_empty() {
                        groups.remove(&name);
                    }
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.max_bytes
    }

    /// Forgets what was not used for longest until there is room: in that shard first, then in the others, an eighth of each
    /// at a time, so that what is in constant use is not the last of a shard that stands alone for all. `keep` is the key
    /// just put there. Whether there is room.
    fn evict(&self, shard: usize, keep: Option<&Key>) -> bool {
        let mut least = 0;
        loop {
            let mut has_moved = false;
            for shard in (shard..SHARDS).chain(0..shard) {
                if !self.is_over() {
                    return true;
                }
                has_moved |= self.evict_some(shard, least, keep);
            }
            // Where an eighth is nothing anywhere, one is taken; where that is nothing either, nothing is left.
            if !has_moved && std::mem::replace(&mut least, 1) == 1 {
                return !self.is_over();
            }
        }
    }

    /// Forgets up to an eighth of a shard, `least` at least. Whether there was something.
    fn evict_some(&self, shard: usize, least: usize, keep: Option<&Key>) -> bool {
        let mut gone = Vec::new();
        let mut slots = self.lock(shard);
        let most = (slots.len() / 8).max(least);
        while gone.len() < most && self.is_over() {
            let Some((place, _)) = slots.oldest().filter(|(_, key)| Some(*key) != keep) else { break };
            let (key, slot) = slots.remove(place);
            self.forget(&key, &slot);
            self.shards[shard].0.uses.fetch_add(1, Ordering::Relaxed);
            self.evicted.fetch_add(slot.variants.len() as u64, Ordering::Relaxed);
            gone.push(slot);
        }
        // What is forgotten is let go of without the lock.
        drop(slots);
        !gone.is_empty()
    }

    /// Makes room for bytes of a body on its way in. Whether there is room; if not, nothing is counted.
    fn charge(&self, bytes: u64) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Bodies on their way in are under no key, so where to begin is free to choose.
        let has_room = before + bytes <= self.max_bytes || self.evict(before as usize % SHARDS, None);
        if !has_room {
            self.discharge(bytes);
        }
        has_room
    }

    fn discharge(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Slot {
    /// The first of these entries, as many as have room.
    fn new(key: &Key, mut entries: Variants, max_bytes: u64) -> Self {
        let mut weight = key.len() as u64 + KEY_OVERHEAD;
        let (mut fitting, mut is_grouped) = (0, false);
        for entry in entries.iter() {
            let more = weight.saturating_add(entry.weight() + ENTRY_OVERHEAD);
            if more > max_bytes {
                break;
            }
            weight = more;
            fitting += 1;
            is_grouped |= entry.names_groups();
        }
        if fitting < entries.len() {
            entries = entries[..fitting].into();
        }
        Self { variants: entries, weight, used: 0, lanes: 0, is_grouped }
    }
}

/// Unambiguous: neither an origin's parts nor a group hold a line feed.
fn group_name(origin: &str, group: &str) -> Box<str> {
    format!("{origin}\n{group}").into()
}

/// Ordered by its key.
struct Listed(Key, Variants);

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Listed {}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Listed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// A body on its way in. Its bytes count from the moment they come, so that a crowd of them cannot pass the bound.
struct Writer {
    shared: Arc<Shared>,
    length: Option<u64>,
    max_bytes: u64,
    charged: u64,
    body: Pending,
}

enum Pending {
    Empty,
    /// One large chunk so far.
    Kept(Bytes),
    Copied(Vec<u8>),
    GivenUp,
}

impl Writer {
    fn give_up(&mut self) {
        self.shared.discharge(std::mem::take(&mut self.charged));
        self.body = Pending::GivenUp;
    }

    fn finish(&mut self) -> Option<Blob> {
        let bytes = match std::mem::replace(&mut self.body, Pending::GivenUp) {
            Pending::GivenUp => return None,
            Pending::Empty => Bytes::new(),
            Pending::Kept(bytes) => bytes,
            Pending::Copied(buffer) => buffer.into_boxed_slice().into(),
        };
        // From here on they count with the entry that is made of them.
        self.shared.discharge(std::mem::take(&mut self.charged));
        Some(Blob::memory(bytes))
    }

    /// A buffer that begins with these bytes. It is as large as the body will be, unless that is much: a length may be a lie.
    fn buffer(&self, first: &[u8]) -> Vec<u8> {
        let ahead = self.length.unwrap_or(0).min(AHEAD_BYTES.max(first.len() as u64)) as usize;
        let mut buffer = Vec::with_capacity(ahead.max(first.len()));
        buffer.extend_from_slice(first);
        buffer
    }
}

impl WriteBlob for Writer {
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(!matches!(self.body, Pending::GivenUp))
    }

    fn write(&mut self, bytes: Bytes) {
        let more = bytes.len() as u64;
        if more == 0 || matches!(self.body, Pending::GivenUp) {
            return;
        }
        if self.charged + more > self.max_bytes || !self.shared.charge(more) {
            return self.give_up();
        }
        self.charged += more;
        self.body = match std::mem::replace(&mut self.body, Pending::Empty) {
            Pending::Empty if bytes.len() >= KEPT_BYTES => Pending::Kept(bytes),
            Pending::Empty => Pending::Copied(self.buffer(&bytes)),
            Pending::Kept(first) => {
                let mut buffer = self.buffer(&first);
                buffer.extend_from_slice(&bytes);
                Pending::Copied(buffer)
            }
            // Copied as they come: many small chunks, kept as they are, would take several times their size.
            Pending::Copied(mut buffer) => {
                buffer.extend_from_slice(&bytes);
                Pending::Copied(buffer)
            }
            Pending::GivenUp => Pending::GivenUp,
        };
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Blob>> {
        Poll::Ready(self.finish())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.discharge(self.charged);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("entries", &self.shared.entries)
            .field("bytes", &self.shared.bytes)
            .field("max_bytes", &self.shared.max_bytes)
            .field("max_body_bytes", &self.max_body_bytes)
            .finish()
    }
}
