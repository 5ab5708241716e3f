//! netcomm-http with its cache in memory, with its cache on disk, and without one; otherwise with its pipeline idle.

use std::path::Path;

use http::Uri;
use netcomm_core::Env;
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_http::cache::Cache;
use netcomm_http::{Client, ClientBuilder};

use super::work::Peer;
use crate::error::Result;

/// Room for all that is stored here.
const MAX_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// With its cache in memory.
#[derive(Clone)]
pub(super) struct Memory {
    client: Client,
    cache: Cache,
}

impl Peer for Memory {
    type Address = Uri;

    const NAME: &'static str = "netcomm";

    fn new(_: &Path) -> Result<Self> {
        let cache = Cache::memory(MAX_BYTES);
        Ok(Self { client: builder().cache(cache.clone()).build()?, cache })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        get(&self.client, address).await
    }

    async fn stated_bytes(&self) -> Option<u64> {
        Some(self.cache.stats().await.bytes)
    }
}

/// With its cache on disk.
#[derive(Clone)]
pub(super) struct Disk {
    client: Client,
}

impl Peer for Disk {
    type Address = Uri;

    const NAME: &'static str = "netcomm-disk";

    fn new(folder: &Path) -> Result<Self> {
        let cache = Cache::disk(folder.join("cache"), MAX_BYTES);
        Ok(Self { client: builder().cache(cache).build()? })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        get(&self.client, address).await
    }
}

/// Without a cache.
#[derive(Clone)]
pub(super) struct Off {
    client: Client,
}

impl Peer for Off {
    type Address = Uri;

    const NAME: &'static str = "netcomm-off";
    const STORES: bool = false;

    fn new(_: &Path) -> Result<Self> {
        Ok(Self { client: builder().build()? })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        get(&self.client, address).await
    }
}

/// The system's means without its proxies, and no content codings, as the peers have it.
fn builder() -> ClientBuilder {
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    Client::builder(&Env::new(dialer, SystemClock)).decode(false)
}

async fn get(client: &Client, address: &Uri) -> Result<usize> {
    let response = client.get(address).send().await?;
    Ok(response.bytes().await?.len())
}
