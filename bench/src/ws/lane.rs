//! A peer on its own runtime of one thread. Lanes hide the peers' types, so that no call is boxed on its way to a peer:
//! what is counted is the peer's own.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::load::Load;
use crate::error::{Result, fail};

/// A connection of a client under test. Each of its calls is written the way its own documentation would.
pub(super) trait Peer: Sized + 'static {
    /// Its name in the lines.
    const NAME: &'static str;

    /// What all connections share.
    type Shared;

    fn shared() -> Result<Self::Shared>;

    /// A connection of which the handshake is done.
    fn connect(shared: &Self::Shared, server: SocketAddr) -> impl Future<Output = Result<Self>>;

    /// Takes a binary message, which may stay here until the next flush.
    fn feed(&mut self, payload: Bytes) -> impl Future<Output = Result<()>>;

    fn flush(&mut self) -> impl Future<Output = Result<()>>;

    /// The length of the next message.
    fn receive(&mut self) -> impl Future<Output = Result<usize>>;

    /// Sends one message.
    fn send(&mut self, payload: Bytes) -> impl Future<Output = Result<()>> {
        async {
            self.feed(payload).await?;
            self.flush().await
        }
    }
}

/// A TCP connection as all peers get it that take one.
pub(super) async fn dial(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What can be asked of any peer.
pub(super) trait Lane {
    /// So many rounds of the load.
    fn rounds(&mut self, load: Load, count: usize) -> Result<()>;

    /// Rounds for that long: how many messages came back.
    fn rounds_for(&mut self, load: Load, turn: Duration) -> Result<u64>;

    /// So many further connections, which are kept.
    fn open(&mut self, count: usize) -> Result<()>;

    /// One message of that size there and back on each of those.
    fn echo_on_each(&mut self, bytes: usize) -> Result<()>;
}

struct Own<P: Peer> {
    runtime: Runtime,
    shared: P::Shared,
    server: SocketAddr,
    connection: P,
    kept: Vec<P>,
}

/// The lane of a peer, with one connection.
pub(super) fn lane<P: Peer>(server: SocketAddr) -> Result<Box<dyn Lane>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = P::shared()?;
    let connection = runtime.block_on(P::connect(&shared, server))?;
    Ok(Box::new(Own { runtime, shared, server, connection, kept: Vec::new() }))
}

impl<P: Peer> Lane for Own<P> {
    fn rounds(&mut self, load: Load, count: usize) -> Result<()> {
        let payload = payload(load.bytes);
        self.runtime.block_on(async {
            for _ in 0..count {
                round(&mut self.connection, &payload, load.window).await?;
            }
            Ok(())
        })
    }

    fn rounds_for(&mut self, load: Load, turn: Duration) -> Result<u64> {
        let payload = payload(load.bytes);
        self.runtime.block_on(async {
            let end = Instant::now() + turn;
            let mut messages = 0;
            while Instant::now() < end {
                round(&mut self.connection, &payload, load.window).await?;
                messages += load.window as u64;
            }
            Ok(messages)
        })
    }

    fn open(&mut self, count: usize) -> Result<()> {
        self.kept.reserve_exact(count);
        self.runtime.block_on(async {
            for _ in 0..count {
                self.kept.push(P::connect(&self.shared, self.server).await?);
            }
            Ok(())
        })
    }

    fn echo_on_each(&mut self, bytes: usize) -> Result<()> {
        let payload = payload(bytes);
        self.runtime.block_on(async {
            for connection in &mut self.kept {
                round(connection, &payload, 1).await?;
            }
            Ok(())
        })
    }
}

async fn round<P: Peer>(connection: &mut P, payload: &Bytes, window: usize) -> Result<()> {
    if window == 1 {
        connection.send(payload.clone()).await?;
    } else {
        for _ in 0..window {
            connection.feed(payload.clone()).await?;
        }
        connection.flush().await?;
    }
    for _ in 0..window {
        let length = connection.receive().await?;
        if length != payload.len() {
            return fail(format!("a message of {length} bytes instead of {}", payload.len()));
        }
    }
    Ok(())
}

/// No two bytes in a row are alike.
fn payload(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}
