//! Calls that change something, kept on disk until the network lets them through. An [`Outbox`] is handed a request
//! while there is no network, and sends it when there is one: with an idempotency key, in order, as long as it takes.
//!
//! What is kept survives the end of the process at any moment. A call is sent at least once and, by a server that knows
//! idempotency keys (draft-ietf-httpapi-idempotency-key-header), carried out once: whatever happens, each sending of a
//! call has the same key.
//!
//! - **What is kept**: method, URL, the request's own header fields and its body. Default fields, cookies and credentials of
//!   the client are added when it is sent, so that none of them is on disk; nor are the request's limits and callbacks. A
//!   request that has a secret of its own is refused (see [`OutboxBuilder::keep_secrets`]).
//! - **Order**: calls with the same order key (default: the origin) are sent one after the other, in the order in which they
//!   were kept; the next one when it is on disk that the one before has ended.
//! - **What ends a call**: an answer. Success and redirects that are not followed are a delivery; 4xx, 501 and 505 are a
//!   refusal, but for 408, 425, 429, and for 409 to a repetition (the server is still at work on the first one). All other
//!   answers and errors are a failed attempt, but for what cannot change: a policy that forbids the call, an answer
//!   beyond the client's limits. A call that nothing ends expires.
//! - **When it is sent again**: after the server's `Retry-After` (at most an hour), else after a wait by chance below a bound
//!   that doubles from 1 second to 5 minutes. When the network returns or changes, at once.
//! - **What ended without delivery** is told to who watches, and kept in a list of the last 256: see [`Outbox::ended`].
//!   Nothing is ever dropped to make room: a full outbox refuses new calls.

mod admit;
mod deliver;
mod event;
mod keeper;
mod kept;
mod queue;
mod record;
mod shared;
mod store;
mod verdict;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use netcomm_core::{Backoff, Body, Env, Error, ErrorKind, Result, Scope};
use tokio::sync::oneshot;

pub use self::deliver::Delivery;
pub use self::event::{OutboxAnswer, OutboxEvent, Watch};
pub use self::kept::{Cancellation, Damage, End, EndedCall, Failure, KeptCall, KeptId, KeptState, Ticket};

use self::keeper::Keeper;
use self::queue::{Bounds, Lane};
use self::record::Record;
use self::shared::{Command, Settings, Shared, closed};
use crate::client::Client;
use crate::origin::Origin;
use crate::request::Request;

/// Calls that are never older than this are expected to be over before: an expiry beyond it is read as this.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Calls kept on disk until they are delivered: see [the module](self). Cheap to clone; clones are the same outbox.
///
/// Memory: some 500 bytes for each call, its URL and its keys; 2 MiB of the database; the bodies of the calls that are
/// being sent; 256 events with what servers answered (64 KiB each at most) while somebody watches and is behind. It has a
/// thread of its own, which waits for the disk.
///
/// ```
/// # #[cfg(all(feature = "testing", feature = "dial"))]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use netcomm_http::Client;
/// use netcomm_http::outbox::Outbox;
/// use netcomm_http::testing::{Reply, ScriptedServer};
///
/// # let dir = std::env::temp_dir().join(format!("netcomm-outbox-doc-{}", std::process::id()));
/// let server = ScriptedServer::builder().route("/notes", Reply::status(201)).start().await?;
/// let env = netcomm_dial::env();
/// let client = Client::builder(&env).build()?;
///
/// let outbox = Outbox::open(&env, &dir).await?;
/// let note = client.post(server.url("/notes")).body("remember the milk").build()?;
/// let ticket = outbox.keep(note, None).await?;
/// // From here on the call survives whatever happens to this process.
///
/// let delivery = outbox.deliver(&client);
/// outbox.drained().await;
/// assert_eq!(server.requests()[0].header("idempotency-key"), Some(ticket.idempotency_key()));
/// # delivery.stop().await;
/// # outbox.close().await;
/// # std::fs::remove_dir_all(dir).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
    partition: Arc<str>,
    owner: Arc<Owner>,
}

/// The settings of an [`Outbox`].
#[derive(Clone, Debug)]
#[must_use]
pub struct OutboxBuilder {
    env: Env,
    dir: PathBuf,
    settings: Settings,
}

/// Lets the thread go with the last handle.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.send(Command::Close { done: None });
    }
}

impl Outbox {
    /// Opens a directory with the default settings, or makes it (for its owner alone, where the system knows such a thing).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if another process has it open, or another outbox of this one; [`ErrorKind::Unsupported`] if it
    /// was written by a later version; [`ErrorKind::Io`] if it cannot be used. A file that is damaged as a whole is no
    /// error: it is moved aside, see [`damage`](Self::damage).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the directory is closed as soon as it is open.
    pub async fn open(env: &Env, dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(env, dir).open().await
    }

    /// Settings beside the directory. Of the environment it takes clock, network and source of chance.
    pub fn builder(env: &Env, dir: impl Into<PathBuf>) -> OutboxBuilder {
        OutboxBuilder {
            env: env.clone(),
            dir: dir.into(),
            settings: Settings {
                bounds: Bounds { calls: 10_000, bytes: 64 << 20, concurrent: 4 },
                body_bytes: 1 << 20,
                answer_bytes: 64 << 10,
                expiry: Duration::from_secs(7 * 24 * 3600),
                keeps_secrets: false,
                backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
                max_retry_after: Duration::from_secs(3600),
                events: 256,
            },
        }
    }

    /// The part of the outbox of that name: it keeps, lists, calls off and delivers its own calls only. For whoever calls
    /// are made with other credentials or another [scope](Client::scoped): what a plugin has kept must not be sent with
    /// what the application may do. Bounds hold for all parts together. The part without a name is `""`.
    #[must_use]
    pub fn partition(&self, name: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), partition: name.into(), owner: Arc::clone(&self.owner) }
    }

    /// Keeps a call: it is on disk when this returns. Calls with the same `order_key` are sent one after the other; `None` is
    /// the origin of the URL ([`order_key`](Self::order_key)).
    ///
    /// A body that is a stream is read to its end first. A request without `Idempotency-Key` is given one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a method that changes nothing (`GET`, `HEAD`, …), for a secret among header fields or
    /// query (named in the detail; see [`OutboxBuilder::keep_secrets`]), an idempotency key that is no text, an order key of
    /// more than 1024 bytes; [`ErrorKind::TooLarge`] for a body beyond the bound; [`ErrorKind::Busy`] if the outbox is full
    /// (the detail names the bound); [`ErrorKind::Io`] if it could not be written: then it is not kept;
    /// [`ErrorKind::Canceled`] once the outbox is closed; what the body fails with.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the call may be kept or not.
    pub async fn keep(&self, request: Request, order_key: Option<&str>) -> Result<Ticket> {
        let Request { method, address, headers, body, .. } = request;
        self.keep_parts(method, address.uri, headers, body, order_key, false).await
    }

    /// Whether such a call would be kept, if there is room: by its own header fields.
    pub(crate) fn takes(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        admit::check(method, uri, headers, self.shared.settings.keeps_secrets)
    }

    /// The idempotency key of a request, which is given one if it has none. For one that is sent before it is kept: each
    /// sending needs the same key.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) -> Result<Arc<str>> {
        Ok(admit::idempotency_key(headers, self.shared.env.random())?.into())
    }

    /// `maybe_sent`: whether it was sent already and may have reached the server.
    pub(crate) async fn keep_parts(
        &self,
        method: Method,
        uri: Uri,
        mut headers: HeaderMap,
        body: Body,
        order_key: Option<&str>,
        maybe_sent: bool,
    ) -> Result<Ticket> {
        let settings = &self.shared.settings;
        self.takes(&method, &uri, &headers)?;
        let order = order_key.map_or_else(|| Self::order_of(&uri), Into::into);
        admit::check_order(&order)?;
        admit::strip(&mut headers);
        let key = self.mark(&mut headers)?;
        let body = self.collect(body, &uri).await?;
        let kept_at = self.shared.wall();
        let expires_at = kept_at.checked_add(settings.expiry.min(LONGEST)).unwrap_or(kept_at);
        let partition = Arc::clone(&self.partition);
        let record = Record { partition, order, kept_at, expires_at, method, uri, headers, body };
        let (ticket, wait) = self.shared.insert(record, key, maybe_sent)?;
        wait.await.map_err(|_| closed())??;
        Ok(ticket)
    }

    /// The whole body, as far as it may be kept.
    pub(crate) async fn collect(&self, body: Body, uri: &Uri) -> Result<Bytes> {
        let most = self.shared.settings.body_bytes;
        body.collect(most).await.map_err(|error| match error.kind() {
            ErrorKind::TooLarge => Error::new(ErrorKind::TooLarge, "keep call")
                .with_detail(format!("the body has more than {most} bytes (bound max_body_bytes)"))
                .with_url(&uri.to_string()),
            _ => error,
        })
    }

    /// The part of a handle that is narrowed by that scope. No name contains what stands between two.
    pub(crate) fn narrowed(&self, scope: &Scope) -> Self {
        let name = scope.name().map(|name| &**name).unwrap_or_default();
        self.partition(&format!("{}/{}", self.partition, name.replace('~', "~0").replace('/', "~1")))
    }

    /// The order key of a request that is kept without one: scheme, host and port of its URL.
    #[must_use]
    pub fn order_key(request: &Request) -> String {
        String::from(&*Self::order_of(request.uri()))
    }

    fn order_of(uri: &Uri) -> Arc<str> {
        Origin::of(uri).map_or_else(|| "".into(), |origin| origin.to_text().into())
    }

    /// Whether calls with that order key are kept: a new one has to queue behind them.
    #[must_use]
    pub fn has_pending(&self, order_key: &str) -> bool {
        let lane = Lane { partition: Arc::clone(&self.partition), order: order_key.into() };
        self.shared.look(|queue| queue.has(&lane))
    }

    /// Delivers the calls that are kept, and those to come, through that client, until what this returns is dropped. Each goes
    /// the way of any call of the client, interceptors and all. Several deliveries share the work; none sends what another
    /// one is sending.
    ///
    /// Calls are sent while the environment's network is neither `Offline` nor `Captive`, where a portal would answer in the
    /// server's name.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn deliver(&self, client: &Client) -> Delivery {
        Delivery::start(self.clone(), client.clone())
    }

    /// The calls that are kept, in the order in which they were.
    #[must_use]
    pub fn list(&self) -> Vec<KeptCall> {
        self.shared.look(|queue| queue.list(&self.partition))
    }

    /// How many calls are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.look(|queue| queue.len(&self.partition))
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until nothing is kept, or the outbox is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn drained(&self) {
        let mut changes = self.shared.changes();
        loop {
            changes.mark_unchanged();
            if self.is_empty() || self.shared.is_closed() || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Calls a call off, also one that is being sent: what became of it. It is off the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if that could not be written: it is not sent any more by this process, but by the next one if
    /// nothing is written before; [`ErrorKind::Canceled`] once the outbox is closed.
    ///
    /// # Cancel safety
    ///
    /// It is carried out even if the future is dropped, once it was polled.
    pub async fn cancel(&self, id: KeptId) -> Result<Cancellation> {
        if self.shared.is_closed() {
            return Err(closed());
        }
        let Some((maybe_sent, wait)) = self.shared.cancel(&self.partition, id) else {
            return Ok(Cancellation::NotKept);
        };
        wait.await.map_err(|_| closed())??;
        Ok(if maybe_sent { Cancellation::MaybeSent } else { Cancellation::Unsent })
    }

    /// What happens from now on. Who does not take events in time misses some, and is told how many: 256 wait
    /// ([`OutboxBuilder::max_events`]).
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(Arc::clone(&self.partition), self.shared.events())
    }

    /// The last 256 calls (of all parts) that ended without being delivered, until they are [forgotten](Self::forget).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if they cannot be read; [`ErrorKind::Canceled`] once the outbox is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ended(&self) -> Result<Vec<EndedCall>> {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Ended { done });
        let rows = wait.await.map_err(|_| closed())??;
        let own = |(partition, ended): (Arc<str>, _)| (partition == self.partition).then_some(ended);
        Ok(rows.iter().filter_map(record::decode_ended).filter_map(own).collect())
    }

    /// Forgets a call that [ended](Self::ended): whoever had to know of it does.
    ///
    /// # Errors
    ///
    /// As [`ended`](Self::ended).
    ///
    /// # Cancel safety
    ///
    /// It is carried out even if the future is dropped, once it was polled.
    pub async fn forget(&self, id: KeptId) -> Result<()> {
        if !self.ended().await?.iter().any(|ended| ended.id == id) {
            return Ok(());
        }
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Forget { id, done });
        wait.await.map_err(|_| closed())?
    }

    /// What could not be read back since the outbox was opened.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.shared.damage()
    }

    /// Closes the outbox, for all its clones, and waits until another one may open the directory. What is kept stays kept;
    /// deliveries end.
    ///
    /// # Cancel safety
    ///
    /// It is carried out even if the future is dropped.
    pub fn close(self) -> impl Future<Output = ()> + Send + 'static {
        let (done, wait) = oneshot::channel();
        self.shared.send(Command::Close { done: Some(done) });
        async move {
            // The thread may have ended before.
            drop(wait.await);
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("partition", &self.partition)
            .field("len", &self.len())
            .field("settings", &self.shared.settings)
            .field("clones", &Arc::strong_count(&self.owner))
            .finish_non_exhaustive()
    }
}

impl OutboxBuilder {
    /// How many calls are kept at most. Default 10,000.
    pub fn max_calls(mut self, max_calls: usize) -> Self {
        self.settings.bounds.calls = max_calls;
        self
    }

    /// How many bytes the calls may have in all, as they are written down. Default 64 MiB. The file may be twice as large.
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.settings.bounds.bytes = max_bytes;
        self
    }

    /// How long a body may be. Default 1 MiB.
    pub fn max_body_bytes(mut self, max_body_bytes: usize) -> Self {
        self.settings.body_bytes = max_body_bytes;
        self
    }

    /// How much of an answer's body is handed on with its event; the rest is not read. Default 64 KiB.
    pub fn max_answer_bytes(mut self, max_answer_bytes: usize) -> Self {
        self.settings.answer_bytes = max_answer_bytes;
        self
    }

    /// How long a call is kept, by the civil time. Default 7 days. It is ended by a delivery, or as room is wanted.
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.settings.expiry = expiry;
        self
    }

    /// How many calls are sent at one time, at least 1. Default 4.
    pub fn max_concurrent(mut self, max_concurrent: usize) -> Self {
        self.settings.bounds.concurrent = max_concurrent.max(1);
        self
    }

    /// How many events wait for who watches and is behind, at least 1. Default 256.
    pub fn max_events(mut self, max_events: usize) -> Self {
        self.settings.events = max_events.clamp(1, 1 << 20);
        self
    }

    /// The waits between attempts. Default: by chance below a bound that doubles from 1 second to 5 minutes.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// The longest wait that a server may ask for by `Retry-After`. Default 1 hour.
    pub fn max_retry_after(mut self, max_retry_after: Duration) -> Self {
        self.settings.max_retry_after = max_retry_after.min(LONGEST);
        self
    }

    /// Whether requests are kept that have a secret of their own among their header fields or in their query: it is on
    /// disk then, readable for who may read the directory. Default `false`: they are refused. What a body holds is not
    /// looked at.
    pub fn keep_secrets(mut self, keep_secrets: bool) -> Self {
        self.settings.keeps_secrets = keep_secrets;
        self
    }

    /// Opens the directory: see [`Outbox::open`].
    ///
    /// # Errors
    ///
    /// As [`Outbox::open`].
    ///
    /// # Cancel safety
    ///
    /// As [`Outbox::open`].
    pub async fn open(self) -> Result<Outbox> {
        let (shared, commands) = Shared::new(self.env, self.settings);
        let (opened, wait) = oneshot::channel();
        let (own, dir) = (Arc::clone(&shared), self.dir);
        let thread = std::thread::Builder::new().name("netcomm-outbox".to_owned());
        thread
            .spawn(move || Keeper::run(&own, &dir, commands, opened))
            .map_err(|error| Error::new(ErrorKind::Io, "open outbox").with_source(error))?;
        let owner = Arc::new(Owner { shared: Arc::clone(&shared) });
        wait.await.map_err(|_| Error::new(ErrorKind::Io, "open outbox").with_detail("the database is damaged"))??;
        Ok(Outbox { shared, partition: "".into(), owner })
    }
}
