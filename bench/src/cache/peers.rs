//! What a user would take instead of netcomm-http's cache: http-cache in a client of reqwest.

use std::path::Path;

use http_cache::{CacheManager, MokaCache, MokaManager, RedbManager};
use http_cache_reqwest::{Cache, CacheMode, CacheOptions, HttpCache, HttpCacheOptions};
use reqwest::Url;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use super::job::Job;
use super::ours;
use super::work::{Peer, work};
use crate::error::{Error, Result};

/// Entries that their memory has room for. Left to itself it keeps 42.
const MOKA_ENTRIES: u64 = 4_000_000;

/// Caches in memory; ratios are to the first.
pub(super) static MEMORY: &[Entry] = &[entry::<Memory>(), entry::<ours::Memory>()];

/// Caches on disk; ratios are to the first.
pub(super) static DISK: &[Entry] = &[entry::<Disk>(), entry::<ours::Disk>()];

/// Clients without a cache and with it; ratios are within a pair.
pub(super) static PAIRS: &[[Entry; 2]] =
    &[[entry::<Off>(), entry::<Memory>()], [entry::<ours::Off>(), entry::<ours::Memory>()]];

/// A peer, its type hidden.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    work: fn(&Job) -> Result<()>,
}

const fn entry<P: Peer>() -> Entry {
    Entry { name: P::NAME, work: work::<P> }
}

/// The names, in order.
pub(super) fn names(entries: &[Entry]) -> Vec<&'static str> {
    entries.iter().map(|entry| entry.name).collect()
}

/// Lets the peer of that name work in this process.
pub(super) fn let_work(name: &str, job: &Job) -> Result<()> {
    let mut all = MEMORY.iter().chain(DISK).chain(PAIRS.iter().flatten());
    let entry = all.find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| Error::from(format!("no peer `{name}`")))?;
    (entry.work)(job)
}

/// http-cache in memory, by moka.
#[derive(Clone)]
struct Memory {
    client: ClientWithMiddleware,
}

impl Peer for Memory {
    type Address = Url;

    const NAME: &'static str = "http-cache";

    fn new(_: &Path) -> Result<Self> {
        let manager = MokaManager::new(MokaCache::new(MOKA_ENTRIES));
        Ok(Self { client: with(manager)? })
    }

    fn address(text: &str) -> Result<Url> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Url) -> Result<usize> {
        get(&self.client, address).await
    }
}

/// http-cache on disk, by redb, as it comes.
#[derive(Clone)]
struct Disk {
    client: ClientWithMiddleware,
}

impl Peer for Disk {
    type Address = Url;

    const NAME: &'static str = "http-cache-redb";

    fn new(folder: &Path) -> Result<Self> {
        let manager = RedbManager::new(folder.join("cache.redb")).map_err(|error| error.to_string())?;
        Ok(Self { client: with(manager)? })
    }

    fn address(text: &str) -> Result<Url> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Url) -> Result<usize> {
        get(&self.client, address).await
    }
}

/// The same client without the cache.
#[derive(Clone)]
struct Off {
    client: ClientWithMiddleware,
}

impl Peer for Off {
    type Address = Url;

    const NAME: &'static str = "http-cache-off";
    const STORES: bool = false;

    fn new(_: &Path) -> Result<Self> {
        Ok(Self { client: ClientBuilder::new(client()?).build() })
    }

    fn address(text: &str) -> Result<Url> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Url) -> Result<usize> {
        get(&self.client, address).await
    }
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// A private cache, as a user's own is.
fn with(manager: impl CacheManager) -> Result<ClientWithMiddleware> {
    let options = HttpCacheOptions {
        cache_options: Some(CacheOptions { shared: false, ..CacheOptions::default() }),
        ..HttpCacheOptions::default()
    };
    let cache = Cache(HttpCache { mode: CacheMode::Default, manager, options });
    Ok(ClientBuilder::new(client()?).with(cache).build())
}

async fn get(client: &ClientWithMiddleware, address: &Url) -> Result<usize> {
    let response = client.get(address.clone()).send().await?;
    Ok(response.bytes().await?.len())
}
