//! A client on its own runtime of one thread. Lanes hide the clients' types, so that no call is boxed on its way to a
//! client: what is counted is the client's own.

use std::future::Future;
use std::net::SocketAddr;

use tokio::runtime::Runtime;

use crate::error::{Result, fail};
use crate::sse::corpus::{Corpus, Totals};

/// An open stream of a client under test. Each of its calls is written the way its own documentation would.
pub(super) trait Peer: Sized + 'static {
    /// Its name in the lines.
    const NAME: &'static str;

    /// What all streams of a process share.
    type Shared: Shared;

    /// A stream of which the answer's head has come.
    fn open(shared: &Self::Shared, url: &str) -> impl Future<Output = Result<Self>>;

    /// The length of the next event's data.
    fn next(&mut self) -> impl Future<Output = Result<usize>>;

    /// Reads as many events as the corpus has.
    fn read(&mut self, corpus: &Corpus) -> impl Future<Output = Result<()>> {
        async {
            let mut seen = Totals::default();
            while seen.events < corpus.totals.events {
                seen.add(self.next().await?);
            }
            if seen != corpus.totals {
                return fail(format!("saw {seen:?} instead of {:?}", corpus.totals));
            }
            Ok(())
        }
    }
}

/// What all streams of a client share in a process.
pub(super) trait Shared: Sized {
    fn new() -> Result<Self>;
}

impl Shared for () {
    fn new() -> Result<Self> {
        Ok(())
    }
}

/// What can be asked of any client.
pub(super) trait Lane {
    /// So many further streams, which are kept.
    fn open(&mut self, path: &str, count: usize) -> Result<()>;

    /// Reads one event from each of the last `count` streams.
    fn one_event_on_each(&mut self, count: usize) -> Result<()>;

    /// Reads a whole corpus from the last stream.
    fn read(&mut self, corpus: &Corpus) -> Result<()>;
}

struct Own<P: Peer> {
    runtime: Runtime,
    shared: P::Shared,
    server: SocketAddr,
    streams: Vec<P>,
}

/// The lane of a client, without a stream so far.
pub(super) fn lane<P: Peer>(server: SocketAddr) -> Result<Box<dyn Lane>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = P::Shared::new()?;
    Ok(Box::new(Own::<P> { runtime, shared, server, streams: Vec::new() }))
}

impl<P: Peer> Lane for Own<P> {
    fn open(&mut self, path: &str, count: usize) -> Result<()> {
        let url = format!("http://{}{path}", self.server);
        self.streams.reserve_exact(count);
        self.runtime.block_on(async {
            for _ in 0..count {
                self.streams.push(P::open(&self.shared, &url).await?);
            }
            Ok(())
        })
    }

    fn one_event_on_each(&mut self, count: usize) -> Result<()> {
        let start = self.streams.len().saturating_sub(count);
        self.runtime.block_on(async {
            for stream in &mut self.streams[start..] {
                stream.next().await?;
            }
            Ok(())
        })
    }

    fn read(&mut self, corpus: &Corpus) -> Result<()> {
        match self.streams.last_mut() {
            Some(stream) => self.runtime.block_on(stream.read(corpus)),
            None => fail("no stream"),
        }
    }
}
