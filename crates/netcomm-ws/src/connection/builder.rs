//! How a connection is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::actor::{Actor, Membership, Plan};
use super::session::{AnyGreet, AnyPrepare, Greet, Prepare};
use super::shared::Shared;
use super::state::Delivery;
use super::{Connection, Handle};
use crate::connect::Connect;
use crate::dialect::Dialect;
use crate::heartbeat::Heartbeat;
use crate::queue::QueueLimits;
use netcomm_core::{Env, Error, ErrorKind, Feed, Listening, Reconnect, Result, Subscription};

/// Messages are numbered, kept until the peer acknowledges them, and sent again on the next connection if it did not: each
/// arrives at least once, in the order of sending. Needs a [`Dialect`] that writes numbers and reads acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AtLeastOnce {
    /// Messages that may be on their way without acknowledgement; further ones wait in the queue. Default 1000; 0 is read as 1.
    pub window: usize,
    /// Whether numbered messages that come are acknowledged as soon as their listeners have them in their queues. Default true.
    pub acknowledges: bool,
}

impl Default for AtLeastOnce {
    fn default() -> Self {
        Self { window: 1000, acknowledges: true }
    }
}

impl AtLeastOnce {
    /// The same with another [`window`](Self::window).
    #[must_use]
    pub const fn with_window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// The same with another [`acknowledges`](Self::acknowledges).
    #[must_use]
    pub const fn with_acknowledges(self, acknowledges: bool) -> Self {
        Self { acknowledges, ..self }
    }
}

/// Builds a [`Connection`].
#[derive(Clone)]
#[must_use]
pub struct ConnectionBuilder {
    env: Env,
    connect: Connect,
    prepare: Option<AnyPrepare>,
    greet: Option<AnyGreet>,
    prepare_timeout: Duration,
    greet_timeout: Duration,
    reconnect: Reconnect,
    queue: QueueLimits,
    listening: Listening,
    dialect: Option<Arc<dyn Dialect>>,
    at_least_once: Option<AtLeastOnce>,
    ping_interval: Option<Duration>,
    probe_timeout: Duration,
    is_lazy: bool,
}

impl ConnectionBuilder {
    pub(crate) fn new(env: &Env, connect: Connect) -> Self {
        Self {
            env: env.clone(),
            connect: connect.heartbeat(Heartbeat::default()),
            prepare: None,
            greet: None,
            prepare_timeout: Duration::from_secs(30),
            greet_timeout: Duration::from_secs(10),
            reconnect: Reconnect::default(),
            queue: QueueLimits::default(),
            listening: Listening::default(),
            dialect: None,
            at_least_once: None,
            ping_interval: None,
            probe_timeout: Duration::from_secs(5),
            is_lazy: false,
        }
    }

    /// Changes how each connection is made: headers, subprotocols, limits, heartbeat, compression.
    ///
    /// ```no_run
    /// # fn example(env: &netcomm_core::Env) {
    /// use netcomm_ws::Connection;
    ///
    /// Connection::builder(env, "wss://server.example/").connect(|connect| connect.subprotocols(["v2"]));
    /// # }
    /// ```
    pub fn connect(mut self, change: impl FnOnce(Connect) -> Connect) -> Self {
        self.connect = change(self.connect);
        self
    }

    /// Asks anew at each try where to connect, and with what.
    pub fn prepare(mut self, prepare: impl Prepare) -> Self {
        self.prepare = Some(AnyPrepare::new(prepare));
        self
    }

    /// How long it may take to say that. Default 30 s.
    pub fn prepare_timeout(mut self, timeout: Duration) -> Self {
        self.prepare_timeout = timeout;
        self
    }

    /// The first words on each new connection. Without any it is ready with its handshake.
    pub fn greet(mut self, greet: impl Greet) -> Self {
        self.greet = Some(AnyGreet::new(greet));
        self
    }

    /// How long the first words may take. Default 10 s.
    pub fn greet_timeout(mut self, timeout: Duration) -> Self {
        self.greet_timeout = timeout;
        self
    }

    /// Whether and when a lost connection is made again.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// How much waits to be sent, and what gives way. Default: 1000 messages, 16 MiB, the sender gets what does not fit
    /// back.
    pub fn queue(mut self, queue: QueueLimits) -> Self {
        self.queue = queue;
        self
    }

    /// How much waits for the first listener, the one that [`open`](Self::open) gives, and what happens if it is slow.
    pub fn listening(mut self, listening: Listening) -> Self {
        self.listening = listening;
        self
    }

    /// What messages mean. Default [`Plain`](crate::Plain): nothing beyond themselves.
    pub fn dialect(mut self, dialect: impl Dialect) -> Self {
        self.dialect = Some(Arc::new(dialect));
        self
    }

    /// Numbers messages, keeps them until they are acknowledged, sends them again after a loss. Default: not so.
    pub fn at_least_once(mut self, at_least_once: AtLeastOnce) -> Self {
        self.at_least_once = Some(at_least_once);
        self
    }

    /// Sends the dialect's own ping so often, for servers that do not answer pings of the protocol: its answer is a sign of
    /// life like any message. Default: never.
    pub fn application_ping(mut self, interval: Duration) -> Self {
        self.ping_interval = Some(interval.max(Duration::from_millis(1)));
        self
    }

    /// How long the peer has to show life after the network changed. Default 5 s.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout;
        self
    }

    /// Whether the first connection is made only when it is wanted: by the first message, or by
    /// [`start`](Connection::start). Default false: at once.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.is_lazy = lazy;
        self
    }

    /// Starts the connection's task, and gives the connection and the first listener to its messages. Messages sent before
    /// the connection is ready wait in the queue.
    ///
    /// # Errors
    ///
    /// `Invalid` outside of a tokio runtime, and for an address that is none.
    pub fn open(self) -> Result<(Connection, Subscription<Delivery>)> {
        let (subscription, channel) = Subscription::new(self.listening);
        let connection = self.open_as(channel, None)?;
        Ok((connection, subscription))
    }

    /// The same with a listener that is there already, as a member of a cluster or on its own.
    pub(crate) fn open_as(self, first: Arc<Feed<Delivery>>, membership: Option<Membership>) -> Result<Connection> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Invalid, "open connection").with_detail("no tokio runtime").with_source(error)
        })?;
        self.connect.check()?;
        let shared = Shared::new(self.queue, Arc::clone(self.env.clock()));
        shared.listen(first);
        let plan = Plan {
            env: self.env,
            connect: self.connect,
            prepare: self.prepare,
            greet: self.greet,
            prepare_timeout: self.prepare_timeout,
            greet_timeout: self.greet_timeout,
            reconnect: self.reconnect,
            dialect: self.dialect,
            window: self.at_least_once.map(|mode| mode.window),
            acknowledges: self.at_least_once.is_some_and(|mode| mode.acknowledges),
            ping_interval: self.ping_interval,
            probe_timeout: self.probe_timeout,
            is_lazy: self.is_lazy,
            membership,
        };
        // Its end is told through the state.
        drop(runtime.spawn(Actor::new(Arc::clone(&shared), plan).run()));
        Ok(Connection { handle: Arc::new(Handle { shared }) })
    }
}

impl fmt::Debug for ConnectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBuilder")
            .field("connect", &self.connect)
            .field("reconnect", &self.reconnect)
            .field("queue", &self.queue)
            .field("dialect", &self.dialect)
            .field("at_least_once", &self.at_least_once)
            .finish_non_exhaustive()
    }
}
