//! A peer on its own runtime of one thread. Lanes hide the peers' types, so that no call is boxed
//! on its way to a peer: what is counted is the peer's own.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::server::{JSON_PATH, SINK_PATH, ZEROS_PATH};
use crate::error::{Result, fail};
use crate::serving::JSON_BYTES;

/// A client under test. Each of its calls is written the way its own documentation would.
pub(super) trait Peer: Clone + Send + Sync + 'static {
    /// What it takes as an address without parsing it at each call.
    type Address: Clone + Send + Sync + 'static;

    /// Its name in the lines.
    const NAME: &'static str;

    /// A client with one connection pool.
    fn new() -> Result<Self>;

    fn address(text: &str) -> Result<Self::Address>;

    /// A GET; the length of the body, read as one piece.
    fn get(&self, address: &Self::Address) -> impl Future<Output = Result<usize>> + Send;

    /// A GET; the length of the body, read piece by piece.
    fn download(&self, address: &Self::Address) -> impl Future<Output = Result<u64>> + Send;

    /// A POST of so many zeros; the text that comes back.
    fn upload(&self, address: &Self::Address, bytes: u64) -> impl Future<Output = Result<String>> + Send;
}

/// What can be asked of any peer.
pub(super) trait Lane {
    /// So many GET requests, `in_flight` of them at a time. What does not come out even is left.
    fn requests(&self, count: usize, in_flight: usize) -> Result<()>;

    /// GET requests for that long, `in_flight` of them at a time: how many there were.
    fn requests_for(&self, turn: Duration, in_flight: usize) -> Result<u64>;

    /// Receives that many bytes.
    fn download(&self, bytes: u64) -> Result<()>;

    /// Sends that many bytes.
    fn upload(&self, bytes: u64) -> Result<()>;
}

struct Own<P: Peer> {
    runtime: Runtime,
    peer: P,
    server: SocketAddr,
    json: P::Address,
}

/// The lane of a peer.
pub(super) fn lane<P: Peer>(server: SocketAddr) -> Result<Box<dyn Lane>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Some clients spawn a task when they are made.
    let peer = {
        let _entered = runtime.enter();
        P::new()?
    };
    let json = P::address(&format!("http://{server}{JSON_PATH}"))?;
    Ok(Box::new(Own { runtime, peer, server, json }))
}

impl<P: Peer> Own<P> {
    /// A worker per state, each with one request after the other as long as `goes_on` says so: how
    /// many there were.
    fn work<S: Send + 'static>(&self, states: Vec<S>, goes_on: fn(&mut S) -> bool) -> Result<u64> {
        self.runtime.block_on(async {
            let workers: Vec<_> = states
                .into_iter()
                .map(|mut state| {
                    let (peer, json) = (self.peer.clone(), self.json.clone());
                    tokio::spawn(async move {
                        let mut count = 0;
                        while goes_on(&mut state) {
                            get(&peer, &json).await?;
                            count += 1;
                        }
                        Result::Ok(count)
                    })
                })
                .collect();
            let mut total = 0;
            for worker in workers {
                total += worker.await??;
            }
            Ok(total)
        })
    }
}

impl<P: Peer> Lane for Own<P> {
    fn requests(&self, count: usize, in_flight: usize) -> Result<()> {
        let left = vec![count / in_flight; in_flight];
        self.work(left, |left| {
            let goes_on = *left > 0;
            *left = left.saturating_sub(1);
            goes_on
        })?;
        Ok(())
    }

    fn requests_for(&self, turn: Duration, in_flight: usize) -> Result<u64> {
        let end = Instant::now() + turn;
        self.work(vec![end; in_flight], |end| Instant::now() < *end)
    }

    fn download(&self, bytes: u64) -> Result<()> {
        let address = P::address(&format!("http://{}{ZEROS_PATH}{bytes}", self.server))?;
        let received = self.runtime.block_on(self.peer.download(&address))?;
        if received != bytes {
            return fail(format!("received {received} bytes instead of {bytes}"));
        }
        Ok(())
    }

    fn upload(&self, bytes: u64) -> Result<()> {
        let address = P::address(&format!("http://{}{SINK_PATH}", self.server))?;
        let answer = self.runtime.block_on(self.peer.upload(&address, bytes))?;
        if answer != bytes.to_string() {
            return fail(format!("sent {bytes} bytes, `{answer}` arrived"));
        }
        Ok(())
    }
}

async fn get<P: Peer>(peer: &P, address: &P::Address) -> Result<()> {
    let length = peer.get(address).await?;
    if length != JSON_BYTES {
        return fail(format!("a body of {length} bytes instead of {JSON_BYTES}"));
    }
    Ok(())
}
