//! netcomm-sse: its parser behind hyper, the source that whoever polls it drives, and the one that lives on a task of its
//! own; the latter two also where values are wanted.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use netcomm_core::{Env, Listening};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_http::{Client, PoolLimits};
use netcomm_sse::{
    Builder, EventSource, EventStream, EventSubscription, Item, Notice, Parser, Select, TypedSubscription,
};

use super::lane::{Peer, Shared};
use super::peers::body;
use super::values::{self, Value};
use crate::error::{Result, fail};
use crate::sse::corpus::Corpus;

/// The parser where somebody else reads the body.
pub(super) struct HyperNetcomm {
    _sender: SendRequest<Full<Bytes>>,
    body: Incoming,
    parser: Parser,
}

impl Peer for HyperNetcomm {
    const NAME: &'static str = "hyper+netcomm";

    type Shared = ();

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

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        let mut events = means.source(url).stream()?;
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

/// The same source, whose events are lent.
pub(super) struct InPlaceRef(InPlace);

impl Peer for InPlaceRef {
    const NAME: &'static str = "netcomm-ref";

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        Ok(Self(InPlace::open(means, url).await?))
    }

    async fn next(&mut self) -> Result<usize> {
        match self.0.events.next_ref().await {
            Some(event) => Ok(event?.data.len()),
            None => fail("ended"),
        }
    }
}

/// The source on a task, with one subscription to all types, for which it waits.
pub(super) struct OnTask {
    _source: EventSource,
    events: EventSubscription,
}

impl Peer for OnTask {
    const NAME: &'static str = "netcomm-source";

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        let (source, events) =
            listen(means, url, |source| source.subscribe(Select::all(), Listening::default())).await?;
        Ok(Self { _source: source, events })
    }

    async fn next(&mut self) -> Result<usize> {
        match self.events.next().await {
            Some(event) => Ok(event?.data.len()),
            None => fail("ended"),
        }
    }
}

/// The same source, whose listener is lent its events.
pub(super) struct OnTaskRef(OnTask);

impl Peer for OnTaskRef {
    const NAME: &'static str = "netcomm-source-ref";

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        Ok(Self(OnTask::open(means, url).await?))
    }

    async fn next(&mut self) -> Result<usize> {
        match self.0.events.next_ref().await {
            Some(event) => Ok(event?.data.len()),
            None => fail("ended"),
        }
    }
}

/// The source that is polled in place, and each event's data as a value.
pub(super) struct InPlaceJson(InPlace);

impl Peer for InPlaceJson {
    const NAME: &'static str = "netcomm-json";

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        Ok(Self(InPlace::open(means, url).await?))
    }

    async fn next(&mut self) -> Result<usize> {
        match self.0.events.next().await {
            Some(event) => Ok(event?.json::<Value>()?.sum()),
            None => fail("ended"),
        }
    }

    async fn read(&mut self, corpus: &Corpus) -> Result<()> {
        values::read(self, corpus).await
    }
}

/// The same, of events that are lent.
pub(super) struct InPlaceRefJson(InPlace);

impl Peer for InPlaceRefJson {
    const NAME: &'static str = "netcomm-ref-json";

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        Ok(Self(InPlace::open(means, url).await?))
    }

    async fn next(&mut self) -> Result<usize> {
        match self.0.events.next_ref().await {
            Some(event) => Ok(event?.json::<Value>()?.sum()),
            None => fail("ended"),
        }
    }

    async fn read(&mut self, corpus: &Corpus) -> Result<()> {
        values::read(self, corpus).await
    }
}

/// The source on a task, with one subscription to values.
pub(super) struct OnTaskJson {
    _source: EventSource,
    values: TypedSubscription<Value>,
}

impl Peer for OnTaskJson {
    const NAME: &'static str = "netcomm-typed";

    type Shared = Means;

    async fn open(means: &Means, url: &str) -> Result<Self> {
        let (source, values) =
            listen(means, url, |source| source.subscribe_as(Select::all(), Listening::default())).await?;
        Ok(Self { _source: source, values })
    }

    async fn next(&mut self) -> Result<usize> {
        match self.values.next().await {
            Some(value) => Ok(value?.sum()),
            None => fail("ended"),
        }
    }

    async fn read(&mut self, corpus: &Corpus) -> Result<()> {
        values::read(self, corpus).await
    }
}

/// A source on a task with a listener, once its stream is open.
async fn listen<L>(means: &Means, url: &str, subscribe: impl FnOnce(&EventSource) -> L) -> Result<(EventSource, L)> {
    let source = means.source(url).lazy().open()?;
    let listener = subscribe(&source);
    source.start();
    source.ready().await?;
    Ok((source, listener))
}

/// What all streams of a process share: a client, as the peers' share their transport, and the system's means without its
/// proxies, as they have it.
pub(super) struct Means {
    env: Env,
    client: Client,
}

impl Shared for Means {
    fn new() -> Result<Self> {
        let dialer = Dialer::builder().proxies(Proxies::none()).build();
        let env = Env::new(dialer, SystemClock);
        // Each stream has a connection to itself, and there are thousands.
        let mut limits = PoolLimits::default();
        (limits.per_origin, limits.total) = (usize::MAX, usize::MAX);
        let client = Client::builder(&env).pool(limits).build()?;
        Ok(Self { env, client })
    }
}

impl Means {
    fn source(&self, url: &str) -> Builder {
        EventStream::builder(&self.env, url).transport(self.client.clone())
    }
}
