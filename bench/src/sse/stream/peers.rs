//! What a user would take instead of netcomm-sse, and in which order they are measured.

use std::net::SocketAddr;

use bytes::Bytes;
use eventsource_client::{BoxStream, Client as _, ClientBuilder, SSE};
use futures_util::{StreamExt, TryStreamExt};
use http::{Request, Response, header};
use http_body_util::{BodyDataStream, BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture, TransportError};
use sse_core::SseEvent;
use tokio::net::TcpStream;

use super::lane::{Lane, Peer, Shared, lane};
use super::ours::{HyperNetcomm, InPlace, InPlaceJson, InPlaceRef, InPlaceRefJson, OnTask, OnTaskJson, OnTaskRef};
use super::values::{EventsourceJson, JsonAlone};
use crate::error::{Error, Result, fail};
use crate::sse::corpus::Corpus;

/// All clients; ratios are to the first.
static PEERS: &[Entry] = &[
    entry::<EventsourceClient>(),
    entry::<HyperSseStream>(),
    entry::<HyperSseCore>(),
    entry::<HyperBody>(),
    entry::<HyperNetcomm>(),
    entry::<InPlace>(),
    entry::<InPlaceRef>(),
    entry::<OnTask>(),
    entry::<OnTaskRef>(),
];

/// Those that make a value of each event's data; ratios are to the first.
static PEERS_OF_VALUES: &[Entry] = &[
    entry::<EventsourceJson>(),
    entry::<JsonAlone>(),
    entry::<InPlaceJson>(),
    entry::<InPlaceRefJson>(),
    entry::<OnTaskJson>(),
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

/// The names of those that know events.
pub(super) fn names_of_parsers() -> Vec<&'static str> {
    names().into_iter().filter(|name| *name != HyperBody::NAME).collect()
}

/// The names of those that make values.
pub(super) fn names_of_values() -> Vec<&'static str> {
    PEERS_OF_VALUES.iter().map(|entry| entry.name).collect()
}

/// A lane of the client of that name.
pub(super) fn one(name: &str, server: SocketAddr) -> Result<Box<dyn Lane>> {
    let entry = PEERS.iter().chain(PEERS_OF_VALUES).find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| Error::from(format!("no client `{name}`")))?;
    (entry.lane)(server)
}

/// eventsource-client as it comes, on hyper-util's legacy client with nothing around it. The transport that is offered
/// beside it stands on the same client, with a proxy's and a timeout's layers.
pub(super) struct EventsourceClient {
    events: BoxStream<eventsource_client::Result<SSE>>,
}

impl Peer for EventsourceClient {
    const NAME: &'static str = "eventsource-client";

    type Shared = Transport;

    async fn open(transport: &Transport, url: &str) -> Result<Self> {
        let client = ClientBuilder::for_url(url).map_err(|error| error.to_string())?;
        let mut events = client.build_with_transport(transport.clone()).stream();
        match events.next().await {
            Some(Ok(SSE::Connected(_))) => Ok(Self { events }),
            other => fail(format!("not connected: {other:?}")),
        }
    }

    async fn next(&mut self) -> Result<usize> {
        Ok(self.event().await?.data.len())
    }
}

impl EventsourceClient {
    pub(super) async fn event(&mut self) -> Result<eventsource_client::Event> {
        loop {
            match self.events.next().await {
                Some(Ok(SSE::Event(event))) => return Ok(event),
                Some(Ok(_)) => {}
                other => return fail(format!("no event: {other:?}")),
            }
        }
    }
}

#[derive(Clone)]
pub(super) struct Transport {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Shared for Transport {
    fn new() -> Result<Self> {
        let mut connector = HttpConnector::new();
        // As all the others do.
        connector.set_nodelay(true);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }
}

impl HttpTransport for Transport {
    fn request(&self, request: Request<Option<Bytes>>) -> ResponseFuture {
        let answer = self.client.request(request.map(|body| Full::new(body.unwrap_or_default())));
        Box::pin(async move {
            let (head, body) = answer.await.map_err(TransportError::new)?.into_parts();
            let body: ByteStream = Box::pin(BodyDataStream::new(body).map_err(TransportError::new));
            Ok(Response::from_parts(head, body))
        })
    }
}

/// A stream's body by hyper alone, which waits for no pool. Keep the sender: without it the connection ends.
pub(super) async fn body(url: &str) -> Result<(SendRequest<Full<Bytes>>, Incoming)> {
    let uri: http::Uri = url.parse()?;
    let authority = uri.authority().ok_or("an address without a host")?;
    let stream = TcpStream::connect(authority.as_str()).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // It ends with the process.
        connection.await.ok();
    });
    let request = Request::get(uri.path())
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "text/event-stream")
        .body(Full::default())?;
    let answer = sender.send_request(request).await?;
    if !answer.status().is_success() {
        return fail(format!("answered with {}", answer.status()));
    }
    Ok((sender, answer.into_body()))
}

/// hyper with sse-stream.
struct HyperSseStream {
    _sender: SendRequest<Full<Bytes>>,
    blocks: sse_stream::SseStream<Incoming>,
}

impl Peer for HyperSseStream {
    const NAME: &'static str = "hyper+sse-stream";

    type Shared = ();

    async fn open((): &(), url: &str) -> Result<Self> {
        let (sender, body) = body(url).await?;
        Ok(Self { _sender: sender, blocks: sse_stream::SseStream::new(body) })
    }

    async fn next(&mut self) -> Result<usize> {
        loop {
            match self.blocks.try_next().await? {
                Some(block) => {
                    if let Some(data) = block.data {
                        return Ok(data.len());
                    }
                }
                None => return fail("ended"),
            }
        }
    }
}

/// hyper with sse-core.
struct HyperSseCore {
    _sender: SendRequest<Full<Bytes>>,
    events: sse_core::SseStream<BodyDataStream<Incoming>>,
}

impl Peer for HyperSseCore {
    const NAME: &'static str = "hyper+sse-core";

    type Shared = ();

    async fn open((): &(), url: &str) -> Result<Self> {
        let (sender, body) = body(url).await?;
        Ok(Self { _sender: sender, events: sse_core::SseStream::new(BodyDataStream::new(body)) })
    }

    async fn next(&mut self) -> Result<usize> {
        loop {
            match self.events.try_next().await? {
                Some(SseEvent::Message(message)) => return Ok(message.data.len()),
                Some(SseEvent::Retry(_)) => {}
                None => return fail("ended"),
            }
        }
    }
}

/// hyper, and no event is looked for.
struct HyperBody {
    _sender: SendRequest<Full<Bytes>>,
    body: Incoming,
}

impl Peer for HyperBody {
    const NAME: &'static str = "hyper-body-alone";

    type Shared = ();

    async fn open((): &(), url: &str) -> Result<Self> {
        let (sender, body) = body(url).await?;
        Ok(Self { _sender: sender, body })
    }

    /// What came at once.
    async fn next(&mut self) -> Result<usize> {
        match self.body.frame().await {
            Some(frame) => Ok(frame?.data_ref().map_or(0, Bytes::len)),
            None => fail("ended"),
        }
    }

    async fn read(&mut self, corpus: &Corpus) -> Result<()> {
        let mut seen = 0;
        while seen < corpus.text.len() {
            seen += self.next().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::sse::corpus::Kind;
    use crate::sse::stream::server;

    #[test]
    fn all_read_all() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { server::accept(tokio::net::TcpListener::from_std(listener)?).await })
        });
        for name in names() {
            for kind in [Kind::Llm, Kind::Tick, Kind::Large] {
                let mut lane = one(name, address).unwrap();
                lane.open(&server::path(kind, 100_000), 2).unwrap();
                lane.read(&kind.corpus(100_000)).unwrap_or_else(|error| panic!("{name}, {kind}: {error}"));
            }
        }
        for name in names_of_values() {
            for kind in [Kind::Llm, Kind::Tick] {
                let mut lane = one(name, address).unwrap();
                lane.open(&server::path(kind, 100_000), 2).unwrap();
                lane.read(&kind.corpus(100_000)).unwrap_or_else(|error| panic!("{name}, {kind}: {error}"));
            }
        }
        for name in names_of_parsers() {
            let mut lane = one(name, address).unwrap();
            lane.open(&server::path(Kind::Tick, 1), 3).unwrap();
            lane.one_event_on_each(3).unwrap();
        }
    }
}
