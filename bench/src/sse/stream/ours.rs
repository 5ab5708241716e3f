//! netcomm-sse: its parser behind hyper, the source that whoever polls it drives, and the one that lives on a task of its
//! own; the latter two also where values are wanted.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use netcomm_core::{Env, Listening};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_sse::{EventSource, EventStream, EventSubscription, Item, Notice, Parser, Select, TypedSubscription};

use super::lane::Peer;
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

/// The same source, whose events are lent.
pub(super) struct InPlaceRef(InPlace);

impl Peer for InPlaceRef {
    const NAME: &'static str = "netcomm-ref";

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        Ok(Self(InPlace::open(env, url).await?))
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

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        let (source, events) = listen(env, url, |source| source.subscribe(Select::all(), Listening::default())).await?;
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

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        Ok(Self(OnTask::open(env, url).await?))
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

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        Ok(Self(InPlace::open(env, url).await?))
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

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        Ok(Self(InPlace::open(env, url).await?))
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

    type Shared = Env;

    fn shared() -> Result<Env> {
        Ok(env())
    }

    async fn open(env: &Env, url: &str) -> Result<Self> {
        let (source, values) =
            listen(env, url, |source| source.subscribe_as(Select::all(), Listening::default())).await?;
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
async fn listen<L>(env: &Env, url: &str, subscribe: impl FnOnce(&EventSource) -> L) -> Result<(EventSource, L)> {
    let source = EventSource::builder(env, url).lazy().open()?;
    let listener = subscribe(&source);
    source.start();
    source.ready().await?;
    Ok((source, listener))
}

/// The system's means without its proxies, as the peers have it.
fn env() -> Env {
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    Env::new(dialer, SystemClock)
}
