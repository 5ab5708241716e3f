//! What a user would take instead of netcomm-ws, and in which order they are measured.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, handshake};
use futures_util::{SinkExt, StreamExt};
use http::{Request, header};
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::lane::{Lane, Peer, dial, lane};
use super::ours::{Plain, Returning};
use crate::error::{Error, Result, fail};

/// All peers; ratios are to the first.
static PEERS: &[Entry] = &[
    entry::<Tungstenite>(),
    entry::<Tungstenite4k>(),
    entry::<TokioWebsockets>(),
    entry::<FastWebsockets>(),
    entry::<Plain>(),
    entry::<Returning>(),
];

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

/// A lane of the peer of that name.
pub(super) fn one(name: &str, server: SocketAddr) -> Result<Box<dyn Lane>> {
    let entry = PEERS.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| Error::from(format!("no peer `{name}`")))?;
    (entry.lane)(server)
}

/// tokio-tungstenite as it comes.
struct Tungstenite {
    stream: WebSocketStream<TcpStream>,
}

impl Tungstenite {
    async fn connect_with(server: SocketAddr, config: WebSocketConfig) -> Result<Self> {
        let stream = dial(server).await?;
        let (stream, _) = client_async_with_config(format!("ws://{server}/"), stream, Some(config)).await?;
        Ok(Self { stream })
    }
}

impl Peer for Tungstenite {
    const NAME: &'static str = "tungstenite";

    type Shared = ();

    fn shared() -> Result<()> {
        Ok(())
    }

    async fn connect((): &(), server: SocketAddr) -> Result<Self> {
        Self::connect_with(server, WebSocketConfig::default()).await
    }

    async fn feed(&mut self, payload: Bytes) -> Result<()> {
        Ok(self.stream.feed(Message::Binary(payload)).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<usize> {
        match self.stream.next().await {
            Some(message) => Ok(message?.len()),
            None => fail("closed"),
        }
    }
}

/// The same with a small buffer for reading, which it fills with zeros before each read.
struct Tungstenite4k(Tungstenite);

impl Peer for Tungstenite4k {
    const NAME: &'static str = "tungstenite-4k";

    type Shared = ();

    fn shared() -> Result<()> {
        Ok(())
    }

    async fn connect((): &(), server: SocketAddr) -> Result<Self> {
        let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
        Tungstenite::connect_with(server, config).await.map(Self)
    }

    async fn feed(&mut self, payload: Bytes) -> Result<()> {
        self.0.feed(payload).await
    }

    async fn flush(&mut self) -> Result<()> {
        self.0.flush().await
    }

    async fn receive(&mut self) -> Result<usize> {
        self.0.receive().await
    }
}

/// tokio-websockets, with masks by SIMD.
struct TokioWebsockets {
    stream: tokio_websockets::WebSocketStream<TcpStream>,
}

impl Peer for TokioWebsockets {
    const NAME: &'static str = "tokio-websockets";

    type Shared = ();

    fn shared() -> Result<()> {
        Ok(())
    }

    async fn connect((): &(), server: SocketAddr) -> Result<Self> {
        let stream = dial(server).await?;
        let builder = tokio_websockets::ClientBuilder::new().uri(&format!("ws://{server}/"))?;
        let (stream, _) = builder.connect_on(stream).await?;
        Ok(Self { stream })
    }

    async fn feed(&mut self, payload: Bytes) -> Result<()> {
        Ok(self.stream.feed(tokio_websockets::Message::binary(payload)).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<usize> {
        match self.stream.next().await {
            Some(message) => Ok(message?.as_payload().len()),
            None => fail("closed"),
        }
    }
}

/// fastwebsockets. It has no buffer for writing: each message is a call to the system.
struct FastWebsockets {
    stream: FragmentCollector<TokioIo<Upgraded>>,
}

impl Peer for FastWebsockets {
    const NAME: &'static str = "fastwebsockets";

    type Shared = ();

    fn shared() -> Result<()> {
        Ok(())
    }

    async fn connect((): &(), server: SocketAddr) -> Result<Self> {
        let stream = dial(server).await?;
        let request = Request::get(format!("http://{server}/"))
            .header(header::HOST, server.to_string())
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "upgrade")
            .header(header::SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::<Bytes>::new())?;
        let (stream, _) = handshake::client(&Spawn, request, stream).await?;
        Ok(Self { stream: FragmentCollector::new(stream) })
    }

    async fn feed(&mut self, payload: Bytes) -> Result<()> {
        Ok(self.stream.write_frame(Frame::binary(Payload::Borrowed(&payload))).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn receive(&mut self) -> Result<usize> {
        let frame = self.stream.read_frame().await?;
        if frame.opcode != OpCode::Binary {
            return fail("not a message");
        }
        Ok(frame.payload.len())
    }
}

struct Spawn;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Spawn {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}
