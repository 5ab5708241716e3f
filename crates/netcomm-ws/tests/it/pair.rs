//! Two ends in one test, and a far end that says whatever it is told to.

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use netcomm_core::{ConnectInfo, Env, Io};
use netcomm_tests::{FaultyWire, ScriptedDialer, TokioClock};
use netcomm_ws::{AcceptOptions, Connect, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tungstenite::handshake::derive_accept_key;

/// How two ends are set up.
pub(crate) struct Setup {
    /// How much the wire holds each way.
    pub(crate) wire_bytes: usize,
    pub(crate) client: fn(Connect) -> Connect,
    pub(crate) server: fn(AcceptOptions) -> AcceptOptions,
}

/// No heartbeat and no compression, unless a test is about them.
pub(crate) const QUIET: Setup = Setup {
    wire_bytes: 64 * 1024,
    client: |connect| connect.heartbeat(netcomm_ws::Heartbeat::OFF).deflate(None),
    server: |options| options.heartbeat(netcomm_ws::Heartbeat::OFF).deflate(None),
};

impl Setup {
    /// A client whose wire is in the test's hands, and its server.
    pub(crate) async fn open(&self) -> (Socket, Socket, FaultyWire) {
        let (client, far, wire, env) = self.dial();
        let options = (self.server)(AcceptOptions::new(&env));
        let (client, server) = tokio::join!(client, async {
            let far = far.await.expect("dialled");
            Socket::accept(far, &options).await.expect("a handshake")
        });
        (client, server, wire)
    }

    /// A client, and the bare far end of its wire after the handshake.
    pub(crate) async fn open_raw(&self) -> (Socket, DuplexStream, FaultyWire) {
        let (client, far, wire, _) = self.dial();
        let (client, far) = tokio::join!(client, async {
            let mut far = far.await.expect("dialled");
            shake(&mut far).await;
            far
        });
        (client, far, wire)
    }

    fn dial(&self) -> (impl Future<Output = Socket>, oneshot::Receiver<DuplexStream>, FaultyWire, Env) {
        let dialer = ScriptedDialer::new();
        let env = Env::new(dialer.clone(), TokioClock::new());
        let (near, far) = duplex(self.wire_bytes);
        let wire = FaultyWire::new();
        let near = Io::new(wire.wrap(near), ConnectInfo::default());
        let (give, take) = oneshot::channel();
        dialer.with_next(move |_| async move {
            give.send(far).expect("awaited");
            Ok(near)
        });
        let connect = (self.client)(Socket::builder(&env, "ws://server.test/"));
        (async move { connect.connect().await.expect("open") }, take, wire, env)
    }
}

/// Answers a handshake without an extension.
async fn shake(far: &mut DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(far.read_u8().await.expect("a request"));
    }
    let head = String::from_utf8(head).expect("text");
    let key = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")))
        .expect("a key")
        .1;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    far.write_all(answer.as_bytes()).await.expect("written");
}

/// A frame without a mask, as servers send them.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..126 => out.push(length as u8),
        length @ 126..0x1_0000 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// Reads one frame of a client: its first byte and its payload, without the mask. `None` at the end of the stream.
pub(crate) async fn read_frame(far: &mut DuplexStream) -> Option<(u8, Vec<u8>)> {
    let first = far.read_u8().await.ok()?;
    let second = far.read_u8().await.ok()?;
    assert_eq!(second & 0x80, 0x80, "a client masks");
    let length = match second & 0x7f {
        126 => u64::from(far.read_u16().await.ok()?),
        127 => far.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    far.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; usize::try_from(length).expect("fits")];
    far.read_exact(&mut payload).await.ok()?;
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[at % 4];
    }
    Some((first, payload))
}

/// Polls a future that often, and drops it; what it said if it was ready.
pub(crate) async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}
