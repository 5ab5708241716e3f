//! The same resources again, with a cache.

use std::future::pending;
use std::sync::Arc;

use netcomm::ErrorKind;
use netcomm::core::{Connectivity, Network, NetworkChange, Reach};
use netcomm::http::cache::{Cache, CacheStatus, Forwarded};
use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};
use netcomm::http::{Client, RequestBuilder};
use tokio::sync::watch;

use super::scene::{Broken, Scene, Verdict, ensure, expect_error, text};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "cache",
    title: "The second time costs nothing",
    origin: "says how long its answers are fresh, and breaks off in the middle of a file; then the network goes",
    promise: "fresh answers take no request, stale ones a 304, half a file its other half; offline, old ones say so",
    play: || Box::pin(play()),
};

const TAG: &str = "\"v1\"";
const FILE_BYTES: usize = 200_000;
const HALF: usize = FILE_BYTES / 2;

async fn play() -> Verdict {
    let file: String = (0..FILE_BYTES / 10).map(|at| format!("{at:09}\n")).collect();
    let served = file.clone();
    let origin = ScriptedServer::builder().handler(move |request| answer(request, &served)).start().await?;
    let line = Line(watch::Sender::new(Network::new(Reach::Online)));
    let network = line.0.clone();
    let env = stage::env(stage::dialer()).with_connectivity(Arc::new(line));
    let client = Client::builder(&env).cache(Cache::memory(1 << 20)).build()?;

    // Fresh.
    let fresh = origin.url("/fresh");
    told(client.get(&fresh)).await?;
    let status = told(client.get(&fresh)).await?;
    let requests = origin.take_requests().len();
    ensure((requests, status.hit) == (1, true), || format!("fresh: {requests} requests, {status:?}"))?;

    // Stale, and confirmed.
    let stale = origin.url("/stale");
    told(client.get(&stale)).await?;
    let status = told(client.get(&stale)).await?;
    let confirmed = status.forwarded_status.map(|status| status.as_u16());
    let asked: Vec<_> =
        origin.take_requests().iter().map(|request| request.header("if-none-match").is_some()).collect();
    ensure((confirmed, asked.as_slice()) == (Some(304), &[false, true]), || {
        format!("stale: confirmed by {confirmed:?}, requests with a condition: {asked:?}")
    })?;

    // Broken off, and completed.
    let half = async { client.get(origin.url("/file")).send().await?.bytes().await }.await;
    expect_error("half a file", half, &[ErrorKind::Incomplete])?;
    let response = client.get(origin.url("/file")).send().await?;
    let why = response.cache_status().and_then(|status| status.forwarded);
    let whole = text(response).await?;
    ensure(whole == file, || format!("{} bytes, not those of the file", whole.len()))?;
    let ranges: Vec<_> =
        origin.take_requests().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    ensure((why, ranges.len()) == (Some(Forwarded::Partial), 2), || format!("the file: {why:?}, ranges {ranges:?}"))?;
    let asked_for = ranges.into_iter().flatten().next().unwrap_or_default();

    // Stale, and no way to ask.
    network.send_replace(Network::new(Reach::Offline));
    let status = told(client.get(&stale)).await?;
    let word = status.detail.unwrap_or_default();
    let requests = origin.take_requests().len();
    ensure((requests, status.hit, word) == (0, true, "offline"), || {
        format!("offline: {requests} requests, {status:?}")
    })?;
    Ok(format!("fresh: 1 request for 2 calls; stale: 304; the rest of the file by {asked_for}; no network: \"{word}\""))
}

/// A network that can be switched off.
#[derive(Debug)]
struct Line(watch::Sender<Network>);

impl Connectivity for Line {
    fn current(&self) -> Network {
        *self.0.borrow()
    }

    fn changed(&self, seen: Network) -> NetworkChange {
        let mut states = self.0.subscribe();
        Box::pin(async move {
            let changed = states.wait_for(|network| *network != seen).await.map(|network| *network);
            match changed {
                Ok(network) => network,
                Err(_) => pending().await,
            }
        })
    }
}

/// Makes a call to its end; what the cache did for it.
async fn told(request: RequestBuilder) -> Result<CacheStatus, Broken> {
    let response = request.send().await?;
    let status = response.cache_status().copied().unwrap_or_default();
    let text = text(response).await?;
    ensure(text == "hello", || format!("{text:?} came in place of hello"))?;
    Ok(status)
}

fn answer(request: &ReceivedRequest, file: &str) -> Reply {
    let reply = |status| Reply::status(status).header("etag", TAG);
    match (request.path(), request.header("if-none-match"), request.header("range")) {
        ("/fresh", ..) => reply(200).header("cache-control", "max-age=60").body("hello"),
        ("/stale", Some(TAG), _) => reply(304).header("cache-control", "max-age=0"),
        ("/stale", ..) => reply(200).header("cache-control", "max-age=0").body("hello"),
        (_, _, None) => {
            reply(200).header("content-length", FILE_BYTES.to_string()).body(file[..HALF].to_owned()).then_close()
        }
        (_, _, Some(range)) => {
            let start: usize =
                range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok()).unwrap_or(0);
            let range = format!("bytes {start}-{}/{FILE_BYTES}", FILE_BYTES - 1);
            reply(206).header("content-range", range).body(file[start.min(FILE_BYTES)..].to_owned())
        }
    }
}
