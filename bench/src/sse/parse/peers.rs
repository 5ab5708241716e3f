//! What a user would take instead of netcomm-sse's parser, and in which order all are measured.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
use eventsource_stream::Eventsource;
use futures_util::{StreamExt, TryStreamExt};
use http::{Request, Response};
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture};
use sse_core::{SseDecoder, SseEvent};
use sse_stream::SseByteStream;
use tokio::runtime::Runtime;

use super::ours::{Lent, Parser};
use super::reader::{Lane, Reader, Source, lane};
use crate::error::{Error, Result};
use crate::sse::corpus::{Kind, Totals};
use crate::sse::load::{Load, Pieces};

/// All parsers, and what no parser is below.
static PEERS: &[Entry] = &[
    entry::<EventsourceClient>(),
    entry::<EventsourceStream>(),
    entry::<SseStream>(),
    entry::<SseCore>(),
    entry::<Parser>(),
    entry::<Lent>(),
    entry::<LineEnds>(),
];

struct Entry {
    name: &'static str,
    lane: fn() -> Result<Box<dyn Lane>>,
}

const fn entry<R: Reader>() -> Entry {
    Entry { name: R::NAME, lane: lane::<R> }
}

/// The names of those that take part, in order.
pub(super) fn names(load: Load) -> Vec<&'static str> {
    PEERS.iter().map(|entry| entry.name).filter(|name| !takes_minutes(name, load)).collect()
}

/// It reads a line from its start again with each piece, and the line of 5 MiB comes in hundreds of them.
fn takes_minutes(name: &str, load: Load) -> bool {
    name == EventsourceStream::NAME && load.kind == Kind::Huge
}

/// Whether that is neither ours nor no parser at all.
pub(super) fn is_peer(name: &str) -> bool {
    ![Parser::NAME, Lent::NAME, LineEnds::NAME].contains(&name)
}

/// A lane of the parser of that name.
pub(super) fn one(name: &str) -> Result<Box<dyn Lane>> {
    let entry = PEERS.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| Error::from(format!("no parser `{name}`")))?;
    (entry.lane)()
}

/// eventsource-client, whose parser is private: the whole client on a transport in memory.
struct EventsourceClient;

impl Reader for EventsourceClient {
    const NAME: &'static str = "eventsource-client";

    fn read(runtime: &Runtime, pieces: &Pieces) -> Result<Totals> {
        let client = ClientBuilder::for_url("http://127.0.0.1/")
            .map_err(|error| readable(&error))?
            .reconnect(ReconnectOptions::reconnect(false).build())
            .build_with_transport(InMemory { pieces: pieces.pieces.clone() });
        let mut totals = Totals::default();
        runtime.block_on(async {
            let mut events = client.stream();
            loop {
                match events.next().await {
                    Some(Ok(SSE::Event(event))) => totals.add(event.data.len()),
                    Some(Ok(SSE::Connected(_) | SSE::Comment(_))) => {}
                    Some(Err(eventsource_client::Error::Eof)) | None => return Ok(totals),
                    Some(Err(error)) => return Err(readable(&error)),
                }
            }
        })
    }
}

/// Its errors are no `Sync`.
fn readable(error: &eventsource_client::Error) -> Error {
    error.to_string().into()
}

/// Answers each request with the pieces.
#[derive(Clone)]
struct InMemory {
    pieces: Arc<[Bytes]>,
}

impl HttpTransport for InMemory {
    fn request(&self, _: Request<Option<Bytes>>) -> ResponseFuture {
        let source = Source::new(&self.pieces).map_err(|never| match never {});
        let body: ByteStream = Box::pin(source);
        Box::pin(std::future::ready(Ok(Response::new(body))))
    }
}

/// eventsource-stream, on which reqwest-eventsource stands.
struct EventsourceStream;

impl Reader for EventsourceStream {
    const NAME: &'static str = "eventsource-stream";

    fn read(runtime: &Runtime, pieces: &Pieces) -> Result<Totals> {
        let mut totals = Totals::default();
        runtime.block_on(async {
            let mut events = Source::new(&pieces.pieces).eventsource();
            while let Some(event) = events.try_next().await? {
                totals.add(event.data.len());
            }
            Ok(totals)
        })
    }
}

/// sse-stream.
struct SseStream;

impl Reader for SseStream {
    const NAME: &'static str = "sse-stream";

    fn read(runtime: &Runtime, pieces: &Pieces) -> Result<Totals> {
        let mut totals = Totals::default();
        runtime.block_on(async {
            let mut blocks = SseByteStream::new(Source::new(&pieces.pieces));
            while let Some(block) = blocks.try_next().await? {
                if let Some(data) = block.data {
                    totals.add(data.len());
                }
            }
            Ok(totals)
        })
    }
}

/// sse-core's decoder, which does not wait either. Its own limit is below the longest event here, so it gets ours.
struct SseCore;

const MOST_BYTES: NonZeroUsize = NonZeroUsize::new(16 * 1024 * 1024).expect("above 0");

impl Reader for SseCore {
    const NAME: &'static str = "sse-core";

    fn read(_: &Runtime, pieces: &Pieces) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut decoder = SseDecoder::with_limit(MOST_BYTES);
        for piece in pieces.pieces.iter() {
            let mut piece = piece.clone();
            while let Some(event) = decoder.next(&mut piece) {
                if let SseEvent::Message(message) = event? {
                    totals.add(message.data.len());
                }
            }
        }
        Ok(totals)
    }
}

/// The ends of lines found and nothing done with them: no parser is faster.
struct LineEnds;

impl Reader for LineEnds {
    const NAME: &'static str = "line-ends-alone";

    fn read(_: &Runtime, pieces: &Pieces) -> Result<Totals> {
        for piece in pieces.pieces.iter() {
            for end in memchr::memchr2_iter(b'\r', b'\n', piece) {
                black_box(end);
            }
        }
        Ok(pieces.totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::load::LOADS;

    #[test]
    fn all_read_all() {
        for load in LOADS {
            let pieces = load.pieces(100_000);
            for name in names(*load) {
                one(name).unwrap().pass(&pieces).unwrap_or_else(|error| panic!("{name}, {load}: {error}"));
            }
        }
    }
}
