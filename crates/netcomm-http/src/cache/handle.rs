//! The cache as clients hold it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use lru::LruCache;
use netcomm_core::{Error, ErrorKind, Result};

use crate::cache::combining;
#[cfg(feature = "cache-disk")]
use crate::cache::disk::Disk;
use crate::cache::entry::{Entry, EntryParts, Selecting};
use crate::cache::freshness::Rules;
use crate::cache::groups;
use crate::cache::key::Key;
use crate::cache::memory::Memory;
use crate::cache::status::Name;
use crate::cache::store::{Stats, Store, StoreDyn, Variants, WriteBlob};

/// Invalidations remembered for responses that were on their way when they came.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Responses kept for later calls, and the rules by which they are used. Cheap to clone; clones are the same cache.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    store: AnyStore,
    rules: Rules,
    name: Name,
    /// Makes fingerprints of credentials that mean nothing elsewhere.
    secret: RandomState,
    /// The keys that are being confirmed in the background.
    refreshing: Mutex<HashSet<Key>>,
    /// The moments that were counted.
    moment: AtomicU64,
    invalidated: Mutex<Invalidated>,
    /// The last moment in there, for all that were sent later. Written under its lock.
    last_invalidated: AtomicU64,
}

/// A place in the order of what happens: requests that are sent, and invalidations.
pub(crate) type Moment = u64;

/// When keys and groups were invalidated last.
struct Invalidated {
    at: LruCache<Box<str>, Moment>,
    /// The last moment of those that were forgotten for want of room: nobody knows what they were about.
    forgotten: Moment,
}

impl Invalidated {
    fn mark(&mut self, what: &str, now: Moment) {
        if let Some(at) = self.at.get_mut(what) {
            *at = now;
        } else if let Some((_, forgotten)) = self.at.push(what.into(), now) {
            self.forgotten = self.forgotten.max(forgotten);
        }
    }

    /// Whether it may have been invalidated since a request was sent.
    fn since(&self, sent: Moment, what: &str) -> bool {
        sent < self.forgotten || self.at.peek(what).is_some_and(|at| *at > sent)
    }
}

enum AnyStore {
    /// Asked without a detour: a hit must cost next to nothing.
    Memory(Memory),
    #[cfg(feature = "cache-disk")]
    Disk(Disk),
    Other(Box<dyn StoreDyn>),
}

impl Cache {
    /// A private cache in memory, of at most that many bytes.
    #[must_use]
    pub fn memory(max_bytes: u64) -> Self {
        Self::builder().memory(max_bytes).build()
    }

    /// A private cache in a directory of its own, of at most that many bytes; see [`Disk::open`].
    #[cfg(feature = "cache-disk")]
    #[must_use]
    pub fn disk(dir: impl Into<std::path::PathBuf>, max_bytes: u64) -> Self {
        Self::builder().disk(Disk::open(dir, max_bytes)).build()
    }

    /// Starts a cache: private, in memory, 64 MiB.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::new()
    }

    /// How much is stored.
    pub async fn stats(&self) -> Stats {
        self.store().stats().await
    }

    /// At most `most` keys with what is stored under them, from the first one after `after` on, in the order of their
    /// texts.
    pub async fn list(&self, after: Option<&Key>, most: usize) -> Vec<(Key, Variants)> {
        self.store().list(after, most).await
    }

    /// What is stored under a key, if that is known without asking a disk or a network.
    pub(crate) fn known(&self, key: &Key) -> Option<Variants> {
        match &self.inner.store {
            AnyStore::Memory(store) => Some(store.get(key).unwrap_or_default()),
            #[cfg(feature = "cache-disk")]
            AnyStore::Disk(store) => store.get(key),
            AnyStore::Other(_) => None,
        }
    }

    /// What is stored under a key.
    pub async fn get(&self, key: &Key) -> Variants {
        match self.known(key) {
            Some(variants) => variants,
            None => self.store().load(key).await,
        }
    }

    /// Forgets what is stored under a key.
    pub async fn remove(&self, key: &Key) {
        self.update(key, |_| Vec::new()).await;
    }

    /// Forgets everything.
    pub async fn clear(&self) {
        self.store().clear().await
    }

    /// How old a stored response is now, and for how many seconds it will be fresh; negative for how long it has been
    /// stale.
    #[must_use]
    pub fn freshness(&self, entry: &Entry, now: SystemTime) -> (Duration, i64) {
        let terms = entry.terms(|parts| crate::cache::freshness::Terms::of(parts, self.rules()));
        let age = terms.age(entry.parts(), now);
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        (age, seconds(terms.lifetime).saturating_sub(seconds(age)))
    }

    fn store(&self) -> &dyn StoreDyn {
        match &self.inner.store {
            AnyStore::Memory(store) => store,
            #[cfg(feature = "cache-disk")]
            AnyStore::Disk(store) => store,
            AnyStore::Other(store) => &**store,
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// The name under which it speaks in `Cache-Status`.
    pub(crate) fn name(&self) -> &Name {
        &self.inner.name
    }

    /// A fingerprint of credentials, for a private cache: it keeps the users of one client apart.
    pub(crate) fn identity(&self, authorization: Option<&HeaderValue>) -> Option<u64> {
        authorization.filter(|_| !self.inner.rules.shared).map(|value| self.inner.secret.hash_one(value.as_bytes()))
    }

    pub(crate) fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>> {
        self.store().write(length)
    }

    /// A moment of its own for a request that is sent now.
    pub(crate) fn now(&self) -> Moment {
        self.inner.moment.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The store, if it lies in memory: nothing that is asked of it has to be waited for.
    pub(crate) fn in_memory(&self) -> Option<&Memory> {
        match &self.inner.store {
            AnyStore::Memory(store) => Some(store),
            #[cfg(feature = "cache-disk")]
            AnyStore::Disk(_) => None,
            AnyStore::Other(_) => None,
        }
    }

    /// Stores a response, unless it was invalidated since its request was sent, or what is stored answers a later one.
    pub(crate) async fn put(&self, key: &Key, entry: Arc<Entry>) {
        if let Some(store) = self.in_memory() {
            return self.put_at_once(store, Cow::Borrowed(key), entry);
        }
        let sent = entry.ticket();
        let marks = group_marks(key, entry.parts());
        let (cache, own) = (self.clone(), key.clone());
        let (again, selecting) = (marks.clone(), (!marks.is_empty()).then(|| entry.parts().selecting.clone()));
        self.update(key, move |variants| cache.with(&own, variants, entry, &marks).to_vec()).await;
        if let Some(selecting) = selecting
            && self.is_invalidated(key, &again, sent)
        {
            self.drop_selected(key, selecting, sent).await;
        }
    }

    /// The same in memory.
    pub(crate) fn put_at_once(&self, store: &Memory, key: Cow<'_, Key>, entry: Arc<Entry>) {
        let sent = entry.ticket();
        let marks = group_marks(&key, entry.parts());
        let grouped = (!marks.is_empty()).then(|| (Key::clone(&key), entry.parts().selecting.clone()));
        store.change(key, |key, variants| self.with(key, variants, entry, &marks));
        // The invalidation of a group may have looked for its members just before there was this one.
        if let Some((key, selecting)) = grouped
            && self.is_invalidated(&key, &marks, sent)
        {
            store.reduce(&key, |variants| combining::without_selected(variants, &selecting, sent));
        }
    }

    /// What is stored, with a new response unless it was invalidated. Asked for while no other change to the key comes
    /// between: an invalidation either is seen here, or removes what is put.
    fn with(&self, key: &Key, variants: &[Arc<Entry>], entry: Arc<Entry>, marks: &[Box<str>]) -> Variants {
        match self.is_invalidated(key, marks, entry.ticket()) {
            true => variants.into(),
            false => combining::with(variants, entry),
        }
    }

    fn is_invalidated(&self, key: &Key, groups: &[Box<str>], sent: Moment) -> bool {
        // Nearly always nothing was, whatever it be about.
        if self.inner.last_invalidated.load(Ordering::Acquire) < sent {
            return false;
        }
        let invalidated = self.invalidations();
        invalidated.since(sent, key.as_str()) || groups.iter().any(|group| invalidated.since(sent, group))
    }

    /// Forgets a stored response, and those that go with the same requests.
    pub(crate) async fn drop_entry(&self, key: &Key, entry: Arc<Entry>) {
        self.update(key, move |variants| combining::without(variants, &entry)).await;
    }

    /// Forgets what goes with a request that was sent in that moment.
    pub(crate) async fn drop_answers(&self, key: &Key, request: HeaderMap, identity: Option<u64>, sent: Moment) {
        self.update(key, move |variants| combining::without_answers(variants, &request, identity, sent)).await;
    }

    /// The same in memory.
    pub(crate) fn drop_answers_at_once(
        &self,
        store: &Memory,
        key: &Key,
        request: &HeaderMap,
        identity: Option<u64>,
        sent: Moment,
    ) {
        store.reduce(key, |variants| combining::without_answers(variants, request, identity, sent));
    }

    /// Forgets what goes with requests like one that was sent in that moment.
    pub(crate) async fn drop_selected(&self, key: &Key, selecting: Selecting, sent: Moment) {
        self.update(key, move |variants| combining::without_selected(variants, &selecting, sent)).await;
    }

    /// Forgets what an unsafe request made invalid (RFC 9111 §4.4, RFC 9875 §3).
    pub(crate) async fn invalidate(&self, partition: &str, uris: &[Uri], groups: &[String]) {
        let Some(first) = uris.first() else { return };
        let keys: Vec<Key> = uris.iter().map(|uri| Key::new(partition, uri)).collect();
        let origin = Key::new(partition, first);
        {
            let mut invalidated = self.invalidations();
            let now = self.now();
            // Before anything is looked for in the store: what is put there later sees this, whatever it is put under.
            self.inner.last_invalidated.store(now, Ordering::Release);
            for key in &keys {
                invalidated.mark(key.as_str(), now);
            }
            for group in groups {
                invalidated.mark(&group_mark(origin.origin(), group), now);
            }
        }
        for key in &keys {
            self.remove(key).await;
        }
        for group in groups {
            self.store().remove_group(origin.origin(), group).await
        }
    }

    /// Leave to confirm what is stored under a key; `None` if that is being done.
    pub(crate) fn begin_refresh(&self, key: &Key) -> Option<Refresh> {
        let mut refreshing = self.inner.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        refreshing.insert(key.clone()).then(|| Refresh { cache: self.clone(), key: key.clone() })
    }

    async fn update(&self, key: &Key, change: impl FnOnce(&[Arc<Entry>]) -> Vec<Arc<Entry>> + Send + 'static) {
        match self.in_memory() {
            Some(store) => store.change(Cow::Borrowed(key), |_, variants| change(variants).into()),
            None => self.store().update(key, Box::new(change)).await,
        }
    }

    fn invalidations(&self) -> MutexGuard<'_, Invalidated> {
        self.inner.invalidated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The marks of the groups that a response belongs to.
fn group_marks(key: &Key, parts: &EntryParts) -> Vec<Box<str>> {
    match parts.headers.names_groups() {
        true => groups::of(parts.headers.as_map()).iter().map(|group| group_mark(key.origin(), group)).collect(),
        false => Vec::new(),
    }
}

/// No key has two line feeds.
fn group_mark(origin: &str, group: &str) -> Box<str> {
    format!("{origin}\n{group}").into()
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("shared", &self.inner.rules.shared).finish_non_exhaustive()
    }
}

/// A stored response that is being confirmed in the background; others wait for the outcome of this one.
pub(crate) struct Refresh {
    cache: Cache,
    key: Key,
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.cache.inner.refreshing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Builds a [`Cache`].
#[must_use]
pub struct CacheBuilder {
    store: Option<AnyStore>,
    rules: Rules,
    name: Name,
}

impl CacheBuilder {
    fn new() -> Self {
        Self { store: None, rules: Rules::default(), name: Name::default() }
    }

    /// Keeps responses in memory, at most that many bytes. Default: 64 MiB.
    pub fn memory(mut self, max_bytes: u64) -> Self {
        self.store = Some(AnyStore::Memory(Memory::new(max_bytes)));
        self
    }

    /// Keeps responses in that directory. Fingerprints of credentials are made anew with each cache: what was stored for
    /// requests with `Authorization` does not answer after a restart.
    #[cfg(feature = "cache-disk")]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.store = Some(AnyStore::Disk(disk));
        self
    }

    /// Keeps responses in that store.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(AnyStore::Other(Box::new(store)));
        self
    }

    /// Makes it a shared cache (RFC 9111 §1), for a program that serves several users with it: `private` responses and
    /// those to requests with `Authorization` are kept out unless a response allows it, `s-maxage` counts. Default: a
    /// private cache, which keeps what was fetched with different `Authorization` apart.
    pub fn shared(mut self) -> Self {
        self.rules.shared = true;
        self
    }

    /// Obeys that targeted field, such as `CDN-Cache-Control`, in place of `Cache-Control` and `Expires` where a
    /// response has it (RFC 9213). The first one added goes first. For shared caches that stand in that role; default
    /// none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no field name.
    pub fn target(mut self, name: &str) -> Result<Self> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| {
            Error::new(ErrorKind::Invalid, "build cache").with_detail("not a header name").with_source(error)
        })?;
        self.rules.targets.push(name);
        Ok(self)
    }

    /// How long a response is taken to be fresh that does not say so (RFC 9111 §4.2.2): that fraction of the time since
    /// its `Last-Modified`, at most `most`. Default 0.1 and a day; a fraction of 0 guesses nothing.
    pub fn heuristic(mut self, fraction: f64, most: Duration) -> Self {
        self.rules.heuristic_fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        self.rules.heuristic_most = most;
        self
    }

    /// How long past its freshness a response may be used while there is no network or its origin cannot be reached
    /// (RFC 9111 §4.2.4), unless it forbids that (`must-revalidate`, `no-cache`). The response says so: see
    /// [`CacheStatus::detail`](crate::cache::CacheStatus::detail). Default 7 days; zero for never.
    pub fn stale_when_unreachable(mut self, most: Duration) -> Self {
        self.rules.unreachable = most;
        self
    }

    /// The name under which it speaks in `Cache-Status` (RFC 9211). Default `netcomm`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no token of structured fields (RFC 9651 §3.3.4).
    pub fn name(mut self, name: &str) -> Result<Self> {
        if sfv::TokenRef::from_str(name).is_err() {
            return Err(Error::new(ErrorKind::Invalid, "build cache").with_detail("the name is no token"));
        }
        self.name = Name::own(name);
        Ok(self)
    }

    /// The cache.
    #[must_use]
    pub fn build(self) -> Cache {
        Cache {
            inner: Arc::new(Inner {
                store: self.store.unwrap_or_else(|| AnyStore::Memory(Memory::new(64 << 20))),
                rules: self.rules,
                name: self.name,
                secret: RandomState::new(),
                refreshing: Mutex::default(),
                moment: AtomicU64::new(0),
                invalidated: Mutex::new(Invalidated { at: LruCache::new(REMEMBERED), forgotten: 0 }),
                last_invalidated: AtomicU64::new(0),
            }),
        }
    }
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder").field("rules", &self.rules).finish_non_exhaustive()
    }
}
