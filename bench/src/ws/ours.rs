//! netcomm-ws, twice: the connection that whoever polls it drives, and the one that lives on a task of its own and comes
//! back.

use std::net::SocketAddr;

use bytes::Bytes;
use netcomm_core::{Env, Error};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_ws::{Connection, Delivery, Message, Overflow, QueueLimits, Socket, Subscription};

use super::lane::Peer;
use crate::error::{Result, fail};

/// A socket as it comes.
pub(super) struct Plain {
    socket: Socket,
}

impl Peer for Plain {
    const NAME: &'static str = "netcomm";

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn connect(env: &Env, server: SocketAddr) -> Result<Self> {
        let socket = Socket::builder(env, format!("ws://{server}/")).connect().await?;
        Ok(Self { socket })
    }

    async fn feed(&mut self, payload: Bytes) -> Result<()> {
        Ok(self.socket.feed(Message::Binary(payload)).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.socket.flush().await?)
    }

    async fn send(&mut self, payload: Bytes) -> Result<()> {
        Ok(self.socket.send(Message::Binary(payload)).await?)
    }

    async fn receive(&mut self) -> Result<usize> {
        match self.socket.recv().await? {
            Some(message) => Ok(message.len()),
            None => fail("closed"),
        }
    }
}

/// A connection that comes back, with its heartbeat, its queue, a receipt for each message, and one listener. A sender
/// waits where the queue is full; all else is as it comes.
pub(super) struct Returning {
    connection: Connection,
    messages: Subscription<Delivery>,
}

impl Peer for Returning {
    const NAME: &'static str = "netcomm-returning";

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn connect(env: &Env, server: SocketAddr) -> Result<Self> {
        let queue = QueueLimits::default().with_overflow(Overflow::Wait);
        let (connection, messages) = Connection::builder(env, format!("ws://{server}/")).queue(queue).open()?;
        connection.ready().await?;
        Ok(Self { connection, messages })
    }

    async fn feed(&mut self, payload: Bytes) -> Result<()> {
        self.connection.send(Message::Binary(payload)).await.map_err(Error::from)?;
        Ok(())
    }

    /// Its task does that.
    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn receive(&mut self) -> Result<usize> {
        match self.messages.next().await {
            Some(delivery) => Ok(delivery?.message.len()),
            None => fail("closed"),
        }
    }
}

/// The system's means without its proxies, as the peers have it.
fn env() -> Env {
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    Env::new(dialer, SystemClock)
}
