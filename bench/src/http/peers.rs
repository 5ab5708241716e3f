//! What a user would take instead of netcomm-http, and in which order they are measured.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest::Url;
use reqwest_middleware::ClientWithMiddleware;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

use super::lane::{Lane, Peer, lane};
use super::ours::{Full, Guarded, Idle};
use super::zeros::Zeros;
use crate::error::{Error, Result};

/// All peers; ratios are to the first.
static PEERS: &[Entry] = &[
    entry::<HyperUtil>(),
    entry::<Reqwest>(),
    entry::<ReqwestRetry>(),
    entry::<Idle>(),
    entry::<Guarded>(),
    entry::<Full>(),
];

/// A peer that cannot send a body which can be read only once.
pub(super) const REFUSES_STREAMS: &str = ReqwestRetry::NAME;

struct Entry {
    name: &'static str,
    lane: fn(SocketAddr) -> Result<Box<dyn Lane>>,
}

const fn entry<P: Peer>() -> Entry {
    Entry { name: P::NAME, lane: lane::<P> }
}

/// The names, in order.
pub(super) fn names() -> Vec<&'static str> {
    PEERS.iter().map(|entry| entry.name).collect()
}

/// A fresh lane of each.
pub(super) fn all(server: SocketAddr) -> Result<Vec<Box<dyn Lane>>> {
    PEERS.iter().map(|entry| (entry.lane)(server)).collect()
}

/// A lane of the peer of that name.
pub(super) fn one(name: &str, server: SocketAddr) -> Result<Box<dyn Lane>> {
    let entry = PEERS.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| Error::from(format!("no peer `{name}`")))?;
    (entry.lane)(server)
}

/// hyper-util's client with its pool: what the others stand on. A client sends bodies of one type,
/// so there is one for each.
#[derive(Clone)]
struct HyperUtil {
    client: Client<HttpConnector, Empty<Bytes>>,
    uploader: Client<HttpConnector, Zeros>,
}

impl Peer for HyperUtil {
    type Address = Uri;

    const NAME: &'static str = "hyper-util";

    fn new() -> Result<Self> {
        let mut connector = HttpConnector::new();
        // As all the others do.
        connector.set_nodelay(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector.clone()),
            uploader: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        let response = self.client.get(address.clone()).await?;
        Ok(response.into_body().collect().await?.to_bytes().len())
    }

    async fn download(&self, address: &Uri) -> Result<u64> {
        let mut body = self.client.get(address.clone()).await?.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame?.data_ref().map_or(0, Bytes::len) as u64;
        }
        Ok(received)
    }

    async fn upload(&self, address: &Uri, bytes: u64) -> Result<String> {
        let request = Request::post(address.clone()).body(Zeros::new(bytes))?;
        let body = self.uploader.request(request).await?.into_body();
        Ok(String::from_utf8(body.collect().await?.to_bytes().into())?)
    }
}

/// reqwest. Its default features would bring TLS, which plain HTTP does not run through.
#[derive(Clone)]
struct Reqwest {
    client: reqwest::Client,
}

impl Peer for Reqwest {
    type Address = Url;

    const NAME: &'static str = "reqwest";

    fn new() -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client })
    }

    fn address(text: &str) -> Result<Url> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Url) -> Result<usize> {
        let response = self.client.get(address.clone()).send().await?;
        Ok(response.bytes().await?.len())
    }

    async fn download(&self, address: &Url) -> Result<u64> {
        let mut response = self.client.get(address.clone()).send().await?;
        let mut received = 0;
        while let Some(chunk) = response.chunk().await? {
            received += chunk.len() as u64;
        }
        Ok(received)
    }

    async fn upload(&self, address: &Url, bytes: u64) -> Result<String> {
        let body = reqwest::Body::wrap(Zeros::new(bytes));
        let request = self.client.post(address.clone()).body(body);
        Ok(request.send().await?.text().await?)
    }
}

/// reqwest behind reqwest-middleware, with reqwest-retry for three retries.
#[derive(Clone)]
struct ReqwestRetry {
    client: ClientWithMiddleware,
}

impl Peer for ReqwestRetry {
    type Address = Url;

    const NAME: &'static str = "reqwest-retry";

    fn new() -> Result<Self> {
        let policy = ExponentialBackoff::builder().build_with_max_retries(3);
        let client = reqwest_middleware::ClientBuilder::new(Reqwest::new()?.client)
            .with(RetryTransientMiddleware::new_with_policy(policy))
            .build();
        Ok(Self { client })
    }

    fn address(text: &str) -> Result<Url> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Url) -> Result<usize> {
        let response = self.client.get(address.clone()).send().await?;
        Ok(response.bytes().await?.len())
    }

    async fn download(&self, address: &Url) -> Result<u64> {
        let mut response = self.client.get(address.clone()).send().await?;
        let mut received = 0;
        while let Some(chunk) = response.chunk().await? {
            received += chunk.len() as u64;
        }
        Ok(received)
    }

    /// Fails: what can be sent only once does not pass the retries.
    async fn upload(&self, address: &Url, bytes: u64) -> Result<String> {
        let body = reqwest::Body::wrap(Zeros::new(bytes));
        let request = self.client.post(address.clone()).body(body);
        Ok(request.send().await?.text().await?)
    }
}
