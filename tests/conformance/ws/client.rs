//! The client under test: all that the runner knows of it stands here.

use netcomm_core::{Env, Result};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_ws::{Deflate, Message, Socket};

/// Opens connections as an application would, but for two things: no proxy, and small messages are compressed too, since
/// the suite is content with none of them compressed.
#[derive(Clone, Debug)]
pub(crate) struct Client(Env);

impl Client {
    pub(crate) fn new() -> Self {
        Self(Env::new(Dialer::builder().proxies(Proxies::none()).build(), SystemClock))
    }

    pub(crate) async fn connect(&self, url: &str) -> Result<Connection> {
        let deflate = Deflate::new().with_threshold_bytes(0);
        Ok(Connection(Socket::builder(&self.0, url).deflate(deflate).connect().await?))
    }
}

/// A connection, which closes properly by itself.
#[derive(Debug)]
pub(crate) struct Connection(Socket);

impl Connection {
    /// The next message; `None` at the end.
    pub(crate) async fn recv(&mut self) -> Result<Option<Message>> {
        self.0.recv().await
    }

    pub(crate) async fn send(&mut self, message: Message) -> Result<()> {
        self.0.send(message).await
    }
}
