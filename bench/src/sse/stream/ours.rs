//! netcomm-sse, three times: its parser behind hyper, the source that whoever polls it drives, and the one that lives on
//! a task of its own.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use netcomm_core::{Env, Listening, Subscription};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_sse::{Event, EventSource, EventStream, Item, Notice, Parser, Select};

use super::lane::Peer;
use super::peers::body;
use crate::error::{Result, fail};

/// The parser where somebody else reads the body.
pub(super) struct HyperNetcomm {
    _sender: SendRequest<Full<Bytes>>,
    body: Incoming,
    parser: Parser,
}

impl Peer for HyperNetcomm {
    const NAME: &'static str = "hyper+netcomm";

    type Shared = ();

    fn shared() -> Result<()> {
        Ok(())
    }

    async fn open((): &(), url: &str) -> Result<Self> {
        let (sender, body) = body(url).await?;
        Ok(Self { _sender: sender, body, parser: Parser::new() })
    }

    async fn next(&mut self) -> Result<usize> {
        loop {
            while let Some(item) = self.parser.next_item() {
                if let Item::Event(event) = item? {
                    return Ok(event.data.len());
                }
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(piece) = frame?.into_data() {
                        self.parser.feed(piece);
                    }
                }
                None => return fail("ended"),
            }
        }
    }
}

/// The source that is polled in place, as it comes.
pub(super) struct InPlace {
    events: EventStream,
}

impl Peer for InPlace {
    const NAME: &'static str = "netcomm";

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        let mut events = EventStream::builder(env, url).stream()?;
        loop {
            match events.notice().await {
                Some(Notice::Open(_)) => return Ok(Self { events }),
                Some(Notice::Connecting { .. }) => {}
                other => return fail(format!("not connected: {other:?}")),
            }
        }
    }

    async fn next(&mut self) -> Result<usize> {
        match self.events.next().await {
            Some(event) => Ok(event?.data.len()),
            None => fail("ended"),
        }
    }
}

/// The source on a task, with one subscription to all types, for which it waits.
pub(super) struct OnTask {
    _source: EventSource,
    events: Subscription<Event>,
}

impl Peer for OnTask {
    const NAME: &'static str = "netcomm-source";

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        let source = EventSource::builder(env, url).lazy().open()?;
        let events = source.subscribe(Select::all(), Listening::default());
        source.start();
        source.ready().await?;
        Ok(Self { _source: source, events })
    }

    async fn next(&mut self) -> Result<usize> {
        match self.events.next().await {
            Some(event) => Ok(event?.data.len()),
            None => fail("ended"),
        }
    }
}

/// The system's means without its proxies, as the peers have it.
fn env() -> Env {
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    Env::new(dialer, SystemClock)
}
