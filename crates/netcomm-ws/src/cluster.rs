//! Several connections as one: what users hold.

mod builder;
mod members;
mod route;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{Env, Error, ErrorKind, Listening, Result, Subscription};

pub use builder::{ClusterBuilder, Member};
use members::Members;
pub use route::Strategy;
pub(crate) use route::stagger;
pub use snapshot::{ClusterSnapshot, MemberSnapshot};

use crate::close::CloseCode;
use crate::connection::{Connection, Delivery, Outbound, Receipt, Rejected};
use crate::message::{Message, Text};

/// Several connections, to several servers or to the same one, as one.
///
/// A handle, cheap to clone. Each member is a [`Connection`] that comes back by itself. A message goes to one of those that are
/// ready, as the [`Strategy`] says; if none is, it waits with the one that it would go to if all were. What waits with a member
/// that is lost moves to one that is ready, unless [`reroute`](ClusterBuilder::reroute) forbids it; what was sent and not acknowledged
/// stays with its member, whose server may have it. Messages of all members arrive at the same listeners. Each topic is kept
/// by one member, and moves when that is lost.
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// use netcomm_ws::{Cluster, Member, Strategy};
///
/// let env = netcomm_dial::env();
/// let (cluster, mut messages) = Cluster::builder(&env)
///     .member(Member::new("wss://one.example/"))
///     .member(Member::new("wss://two.example/").priority(1))
///     .strategy(Strategy::Failover)
///     .open()?;
/// cluster.send("hello").await?;
/// # messages.next().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    members: Arc<Members>,
}

impl Cluster {
    /// Prepares a cluster without members.
    pub fn builder(env: &Env) -> ClusterBuilder {
        ClusterBuilder::new(env)
    }

    /// Takes a message for one of the members.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`] of the member chosen.
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::send`].
    pub async fn send(&self, message: impl Into<Outbound>) -> Result<Receipt, Rejected> {
        self.choose(None).send(message).await
    }

    /// Takes a message for the member that has this key, where the strategy is [`Strategy::Sticky`]; else as
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`] of the member chosen.
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::send`].
    pub async fn send_for(&self, key: impl AsRef<[u8]>, message: impl Into<Outbound>) -> Result<Receipt, Rejected> {
        self.choose(Some(key.as_ref())).send(message).await
    }

    /// Sends a request over one of the members, waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`] of the member chosen.
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::request`].
    pub async fn request(&self, message: impl Into<Outbound>, timeout: Duration) -> Result<Message> {
        self.choose(None).request(message, timeout).await
    }

    /// The member that a message would go to now, with that key.
    #[must_use]
    pub fn choose(&self, key: Option<&[u8]>) -> Connection {
        self.members.choose(key)
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Connection> {
        self.members.named(name)
    }

    /// Listens to all messages of all members that belong to no topic and answer no request, from now on.
    #[must_use]
    pub fn messages(&self, listening: Listening) -> Subscription<Delivery> {
        self.members.listen(listening)
    }

    /// Listens to the messages of a topic, by way of the member that keeps it. While a topic moves, messages may be missed or
    /// come twice, as the servers have it.
    #[must_use]
    pub fn subscribe(&self, topic: impl Into<Text>, listening: Listening) -> Subscription<Delivery> {
        self.members.listen_topic(topic.into(), listening)
    }

    /// All members at this moment.
    #[must_use]
    pub fn snapshot(&self) -> ClusterSnapshot {
        self.members.snapshot()
    }

    /// Waits until one of the members is ready.
    ///
    /// # Errors
    ///
    /// `Closed` if all of them are closed for good.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self) -> Result<()> {
        if self.members.until(|snapshot| snapshot.ready > 0).await {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Closed, "connect").with_detail("all members of the cluster are closed for good"))
    }

    /// Says goodbye on all members, all at once, and waits until each of them is closed.
    ///
    /// # Errors
    ///
    /// As [`Connection::close`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, all members close all the same.
    pub async fn close(&self, code: CloseCode, reason: impl Into<Text>) -> Result<()> {
        self.members.close(code, reason.into()).await
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("Cluster")
            .field("members", &snapshot.members.len())
            .field("ready", &snapshot.ready)
            .finish_non_exhaustive()
    }
}
