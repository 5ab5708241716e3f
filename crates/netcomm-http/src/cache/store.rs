//! Where responses are kept.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::cache::blob::Blob;
use crate::cache::entry::Entry;
use crate::cache::few::Few;
use crate::cache::key::Key;

/// The responses stored under one key, one for each set of selecting header fields; the one used last comes first.
pub type Variants = Few<Arc<Entry>>;

/// A change to the entries under one key: pure, and quick.
pub type Change = Box<dyn FnOnce(&[Arc<Entry>]) -> Vec<Arc<Entry>> + Send>;

/// A place for stored responses. It keeps what it is given for as long as it has room, and may forget anything at any
/// time; what it cannot do it leaves undone, since a cache must not fail a call.
///
/// It serves one [`Cache`](crate::cache::Cache): what the rules of a cache make of an entry is remembered with it.
pub trait Store: Send + Sync + 'static {
    /// The entries under a key; none if there are none, or if they cannot be read.
    fn load(&self, key: &Key) -> impl Future<Output = Variants> + Send;

    /// Puts what `change` makes of the entries under a key in their place: no other change to that key comes between.
    /// An empty list forgets the key. The change is carried out even if the future is dropped.
    fn update(&self, key: &Key, change: Change) -> impl Future<Output = ()> + Send;

    /// A new body, of that length if it is known. `None` if there is no room for it.
    fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>>;

    /// Forgets the entries of that group (RFC 9875) whose keys have that [`Key::origin`].
    fn remove_group(&self, origin: &str, group: &str) -> impl Future<Output = ()> + Send;

    /// Forgets everything.
    fn clear(&self) -> impl Future<Output = ()> + Send;

    /// At most `most` keys with their entries, from the first key after `after` on, in the order of their texts.
    fn list(&self, after: Option<&Key>, most: usize) -> impl Future<Output = Vec<(Key, Variants)>> + Send;

    /// How much there is.
    fn stats(&self) -> impl Future<Output = Stats> + Send;
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Stored responses.
    pub entries: u64,
    /// Bytes of heads and bodies, with the store's own overhead as far as it knows it.
    pub bytes: u64,
    /// The most bytes that it holds.
    pub max_bytes: u64,
    /// Entries forgotten for want of room since it was opened.
    pub evicted: u64,
}

/// A body on its way into a store. Dropped before it is finished, it is forgotten.
pub trait WriteBlob: Send {
    /// Ready once the next bytes can be taken. `false`: the store has given up this body.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool>;

    /// Takes bytes. Called after [`poll_ready`](Self::poll_ready) gave `true`.
    fn write(&mut self, bytes: Bytes);

    /// Ends the body: ready with the blob once it can be read. `None`: the store has given it up. Not called again
    /// once it was ready.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Option<Blob>>;
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The twin of [`Store`] that can be a trait object.
pub(crate) trait StoreDyn: Send + Sync {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Variants>;
    fn update<'a>(&'a self, key: &'a Key, change: Change) -> BoxFuture<'a, ()>;
    fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>>;
    fn remove_group<'a>(&'a self, origin: &'a str, group: &'a str) -> BoxFuture<'a, ()>;
    fn clear(&self) -> BoxFuture<'_, ()>;
    fn list<'a>(&'a self, after: Option<&'a Key>, most: usize) -> BoxFuture<'a, Vec<(Key, Variants)>>;
    fn stats(&self) -> BoxFuture<'_, Stats>;
}

impl<T: Store> StoreDyn for T {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Variants> {
        Box::pin(Store::load(self, key))
    }

    fn update<'a>(&'a self, key: &'a Key, change: Change) -> BoxFuture<'a, ()> {
        Box::pin(Store::update(self, key, change))
    }

    fn write(&self, length: Option<u64>) -> Option<Box<dyn WriteBlob>> {
        Store::write(self, length)
    }

    fn remove_group<'a>(&'a self, origin: &'a str, group: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(Store::remove_group(self, origin, group))
    }

    fn clear(&self) -> BoxFuture<'_, ()> {
        Box::pin(Store::clear(self))
    }

    fn list<'a>(&'a self, after: Option<&'a Key>, most: usize) -> BoxFuture<'a, Vec<(Key, Variants)>> {
        Box::pin(Store::list(self, after, most))
    }

    fn stats(&self) -> BoxFuture<'_, Stats> {
        Box::pin(Store::stats(self))
    }
}

impl fmt::Debug for dyn StoreDyn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
