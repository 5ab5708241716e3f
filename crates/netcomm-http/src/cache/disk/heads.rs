//! Decoded entries in memory, above the index: a hit decodes nothing.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::{DefaultHasher, LruCache};

use crate::cache::key::Key;
use crate::cache::store::Variants;

/// Locks that the keys are spread over.
const SHARDS: usize = 16;
/// What a key takes beside its text, and an entry beside its weight: as in `cache/memory.rs`.
const KEY_OVERHEAD: u64 = 232;
const ENTRY_OVERHEAD: u64 = 112;

pub(super) struct Heads {
    shards: [Mutex<Shard>; SHARDS],
    hasher: DefaultHasher,
    max_shard_bytes: u64,
}

struct Shard {
    heads: LruCache<Key, Head>,
    bytes: u64,
    /// Counts the changes: what was read before one may not be kept after it.
    epoch: u64,
    /// Keys that were used since this was last asked for.
    touched: Vec<Key>,
}

struct Head {
    variants: Variants,
    weight: u64,
    is_touched: bool,
}

impl Heads {
    pub(super) fn new(max_bytes: u64) -> Self {
        let hasher = DefaultHasher::default();
        let shards = std::array::from_fn(|_| {
            let heads = LruCache::unbounded_with_hasher(hasher.clone());
            Mutex::new(Shard { heads, bytes: 0, epoch: 0, touched: Vec::new() })
        });
        Self { shards, hasher, max_shard_bytes: max_bytes / SHARDS as u64 }
    }

    fn lock(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let shard = (self.hasher.hash_one(key) >> 40) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a reader: notes that the key was used.
    pub(super) fn get(&self, key: &Key) -> Option<Variants> {
        let mut shard = self.lock(key);
        let head = shard.heads.get_mut(key)?;
        let variants = head.variants.clone();
        if !std::mem::replace(&mut head.is_touched, true) {
            shard.touched.push(key.clone());
        }
        Some(variants)
    }

    pub(super) fn peek(&self, key: &Key) -> Option<Variants> {
        self.lock(key).heads.peek(key).map(|head| head.variants.clone())
    }

    /// The count of changes around that key, to be given to [`fill`](Self::fill).
    pub(super) fn epoch(&self, key: &Key) -> u64 {
        self.lock(key).epoch
    }

    /// Keeps what was read, unless there was a change meanwhile.
    pub(super) fn fill(&self, key: &Key, variants: &Variants, epoch: u64) {
        let mut shard = self.lock(key);
        shard.touched.push(key.clone());
        if shard.epoch == epoch {
            shard.put(key, variants, true, self.max_shard_bytes);
        }
    }

    /// The new state of a key.
    pub(super) fn set(&self, key: &Key, variants: &Variants) {
        let mut shard = self.lock(key);
        shard.epoch += 1;
        shard.put(key, variants, false, self.max_shard_bytes);
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.epoch += 1;
            shard.bytes = 0;
            shard.touched = Vec::new();
            while shard.heads.pop_lru().is_some() {}
        }
    }

    /// The keys that were used since this was last called, some perhaps twice.
    pub(super) fn take_touched(&self) -> Vec<Key> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let touched = std::mem::take(&mut shard.touched);
            for key in &touched {
                if let Some(head) = shard.heads.peek_mut(key) {
                    head.is_touched = false;
                }
            }
            all.extend(touched);
        }
        all
    }
}

impl Shard {
    fn put(&mut self, key: &Key, variants: &Variants, is_touched: bool, max_bytes: u64) {
        if let Some(old) = self.heads.pop(key) {
            self.bytes -= old.weight;
        }
        let entries: u64 = variants.iter().map(|entry| entry.weight() + ENTRY_OVERHEAD).sum();
        let weight = key.as_str().len() as u64 + KEY_OVERHEAD + entries;
        if variants.is_empty() || weight > max_bytes {
            return;
        }
        self.bytes += weight;
        self.heads.put(key.clone(), Head { variants: variants.clone(), weight, is_touched });
        while self.bytes > max_bytes {
            let Some((_, old)) = self.heads.pop_lru() else { break };
            self.bytes -= old.weight;
        }
    }
}
