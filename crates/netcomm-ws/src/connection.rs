//! A connection that comes back: what users hold.

mod actor;
mod builder;
mod counters;
mod outbound;
mod receipt;
mod session;
mod shared;
mod state;
mod window;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use netcomm_core::{Env, Error, ErrorKind, Listening, Phase, Result, Slow, Subscription};
use tokio::sync::watch;

pub(crate) use actor::Membership;
pub use builder::{AtLeastOnce, ConnectionBuilder};
pub use outbound::{Outbound, Rejected};
pub use receipt::{Dropped, Receipt, Status};
pub use session::{Greet, Greeting, Link, Prepare, Resume};
use shared::Order;
pub(crate) use shared::Shared;
pub use state::{Counts, Delivery, Event, Snapshot, State};
pub use window::Ack;

use crate::close::{CloseBody, CloseCode, Closed};
use crate::connect::Connect;
use crate::message::{Message, Text};

/// A WebSocket connection that comes back.
///
/// A handle, cheap to clone; the connection lives on a task of its own, until [`close`](Self::close) is called, the last handle is
/// dropped, or nothing promises that another try would go better. When it is lost it is dialled again ([`Reconnect`]); what
/// is sent meanwhile waits ([`QueueLimits`]), and of each message its [`Receipt`] tells what became of it.
///
/// | a message that is | after a loss |
/// |---|---|
/// | waiting | waits for the next connection; if it is volatile, it is dropped |
/// | handed over, not yet with the operating system | [`Unknown`](Status::Unknown) |
/// | with the operating system | [`Written`](Status::Written): the last that is known |
/// | numbered and not acknowledged ([`AtLeastOnce`]) | sent again, marked, before all that waits |
///
/// [`Reconnect`]: crate::Reconnect
/// [`QueueLimits`]: crate::QueueLimits
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// use netcomm_ws::Connection;
///
/// let env = netcomm_dial::env();
/// let (connection, mut messages) = Connection::builder(&env, "wss://server.example/").open()?;
/// connection.send("hello").await?;
/// while let Some(Ok(delivery)) = messages.next().await {
///     println!("{:?}", delivery.message.as_text());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// The last one closes the connection.
struct Handle {
    shared: Arc<Shared>,
}

impl Connection {
    /// Prepares a connection to a `ws` or `wss` URL.
    pub fn builder(env: &Env, url: impl AsRef<str>) -> ConnectionBuilder {
        ConnectionBuilder::new(env, Connect::new(env, url))
    }

    /// Takes a message, to be sent as soon as it can be. Where the queue is full and set to
    /// [`Wait`](crate::Overflow::Wait), it waits for room.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the message: where the queue is full and set to [`Reject`](crate::Overflow::Reject), where the message
    /// alone is larger than the queue may be, and where the connection is closed for good.
    ///
    /// # Cancel safety
    ///
    /// A future that was dropped before it was ready has taken nothing.
    pub async fn send(&self, message: impl Into<Outbound>) -> Result<Receipt, Rejected> {
        let shared = &self.handle.shared;
        shared.when_room(message.into(), |outbound| shared.push(outbound)).await
    }

    /// Takes a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); with [`Wait`](crate::Overflow::Wait) too where it would have to wait.
    pub fn try_send(&self, message: impl Into<Outbound>) -> Result<Receipt, Rejected> {
        self.handle.shared.push(message.into()).map_err(|pushback| match pushback {
            Pushback::Wait(outbound) => Rejected { outbound, why: Dropped::Full },
            Pushback::Rejected(rejected) => rejected,
        })
    }

    /// Sends a request, waits for its answer. Needs a [`Dialect`](crate::Dialect) that knows requests.
    ///
    /// # Errors
    ///
    /// `Timeout` if no answer came in time, `Closed` if the connection was lost after the request was sent (the peer may have
    /// acted on it; with [`AtLeastOnce`] it is sent again instead) or is closed for good, `Busy` if the queue had no room for
    /// it or others took its place, those of [`send`](Self::send), and those of the dialect. What was certainly not sent is
    /// marked as [unsent](Error::is_unsent).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the request out of the queue if it still waits; an answer that comes later is
    /// [`Unclaimed`](Event::Unclaimed).
    pub async fn request(&self, message: impl Into<Outbound>, timeout: Duration) -> Result<Message> {
        self.handle.shared.request(message.into(), timeout).await
    }

    /// Acknowledges a message that came with a number, where that is not done as soon as it comes
    /// ([`AtLeastOnce::acknowledges`]): for those who have to do something with it first. Needs a
    /// [`Dialect`](crate::Dialect) that knows how.
    ///
    /// Without a connection it waits for the next one that takes up the session ([`Greeting::recovered`]). One of a
    /// session that is over, or without a number, changes nothing.
    pub fn acknowledge(&self, delivery: &Delivery) {
        if let Some(sequence) = delivery.sequence {
            self.handle.shared.acknowledge(delivery.session, sequence);
        }
    }

    /// Listens to all messages that belong to no topic and answer no request, from now on. The one that
    /// [`open`](ConnectionBuilder::open) gave hears them too.
    #[must_use]
    pub fn messages(&self, listening: Listening) -> Subscription<Delivery> {
        let (subscription, channel) = Subscription::new(listening);
        self.handle.shared.listen(channel);
        subscription
    }

    /// Listens to the messages of a topic. The peer is asked for them in the words of the [`Dialect`](crate::Dialect) by the first
    /// listener, again on each new connection, and asked no more after the last one has left.
    #[must_use]
    pub fn subscribe(&self, topic: impl Into<Text>, listening: Listening) -> Subscription<Delivery> {
        let topic = topic.into();
        let (subscription, channel) = Subscription::new(listening);
        self.handle.shared.listen_topic(&topic, channel);
        let shared = Arc::downgrade(&self.handle.shared);
        subscription.with_leave(move || {
            if let Some(shared) = shared.upgrade() {
                shared.leave_topic(&topic);
            }
        })
    }

    /// Listens to what happens to the connection, from now on: the last 64 things, unless `listening` says otherwise. What
    /// happens does not wait to be heard: [`Slow::Wait`] is read as [`Slow::DropOldest`].
    #[must_use]
    pub fn events(&self, listening: impl Into<Option<Listening>>) -> Subscription<Event> {
        let few = Listening::default().with_items(64).with_slow(Slow::DropOldest);
        let mut listening = listening.into().unwrap_or(few);
        if listening.slow == Slow::Wait {
            listening.slow = Slow::DropOldest;
        }
        let (subscription, channel) = Subscription::new(listening);
        self.handle.shared.listen_events(channel);
        subscription
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.shared.state().borrow().clone()
    }

    /// Where it stands, and word of each change.
    #[must_use]
    pub fn states(&self) -> States {
        States { state: self.handle.shared.state() }
    }

    /// Where it stands, and what happened so far, in numbers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.handle.shared.snapshot()
    }

    /// Waits until messages flow.
    ///
    /// # Errors
    ///
    /// What made the connection give up, or `Closed`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self) -> Result<()> {
        let mut states = self.states();
        loop {
            match states.current() {
                State::Ready => return Ok(()),
                State::Closed { cause, closed } => {
                    return Err(cause.unwrap_or_else(|| {
                        let error = Error::new(ErrorKind::Closed, "connect");
                        match closed {
                            Some(closed) => error.with_source(closed),
                            None => error,
                        }
                    }));
                }
                _ => {}
            }
            if states.changed().await.is_none() {
                return Err(Error::new(ErrorKind::Closed, "connect"));
            }
        }
    }

    /// Waits until nothing waits any more: all was written and, with [`AtLeastOnce`], acknowledged. Tells whether that came to
    /// pass; `false` if the connection was closed for good before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn drained(&self) -> bool {
        self.handle.shared.idle().await
    }

    /// Connects, where that was left for [later](ConnectionBuilder::lazy); ends the wait before the next try.
    pub fn start(&self) {
        self.handle.shared.order(Order::Start);
    }

    /// Drops the connection of now, without a goodbye, and makes another at once: for new credentials, or another server.
    pub fn renew(&self) {
        self.handle.shared.order(Order::Renew);
    }

    /// Says goodbye and does not come back. What still waits is [`Dropped::Closed`]: who wants it to be sent waits for
    /// [`drained`](Self::drained) before. Gives how the last connection ended, where there was one.
    ///
    /// # Errors
    ///
    /// `Invalid` for a code that may not be sent, or a reason of more than 123 bytes.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the connection closes all the same.
    pub async fn close(&self, code: CloseCode, reason: impl Into<Text>) -> Result<Option<Closed>> {
        self.start_close(code, reason.into())?;
        Ok(self.until_closed().await)
    }

    pub(crate) fn start_close(&self, code: CloseCode, reason: Text) -> Result<()> {
        self.handle.shared.order(Order::Close(CloseBody::checked(code, reason)?));
        Ok(())
    }

    pub(crate) async fn until_closed(&self) -> Option<Closed> {
        let mut states = self.states();
        loop {
            if let State::Closed { closed, .. } = states.current() {
                return closed;
            }
            states.changed().await?;
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.order(Order::Close(CloseBody::code_alone(CloseCode::NORMAL)));
    }
}

/// Where a connection stands, and word of each change.
#[derive(Clone, Debug)]
pub struct States {
    state: watch::Receiver<State>,
}

impl States {
    /// Where it stands now.
    #[must_use]
    pub fn current(&mut self) -> State {
        self.state.borrow_and_update().clone()
    }

    /// Waits for it to stand elsewhere than when it was last asked; passes over what it only went through. `None` when nothing
    /// will change any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn changed(&mut self) -> Option<State> {
        if self.state.borrow().is_closed() && !self.state.has_changed().unwrap_or(false) {
            return None;
        }
        self.state.changed().await.ok()?;
        Some(self.current())
    }
}

/// Why a message was not taken.
enum Pushback {
    /// There is no room yet.
    Wait(Outbound),
    Rejected(Rejected),
}

impl Shared {
    async fn request(self: &Arc<Self>, outbound: Outbound, timeout: Duration) -> Result<Message> {
        /// A request that nobody waits for any more is forgotten, and not sent if it still can be.
        struct Asked<'a> {
            shared: &'a Arc<Shared>,
            number: u64,
            receipt: Option<Receipt>,
        }
        impl Drop for Asked<'_> {
            fn drop(&mut self) {
                self.shared.forget_request(self.number);
                if let Some(receipt) = &self.receipt {
                    let _in_time = receipt.cancel();
                }
            }
        }
        let number = self.new_request();
        let mut asked = Asked { shared: self, number, receipt: None };
        let mut patience = self.clock().sleep_until(self.now() + timeout);
        let mut answer = pin!(async {
            let (receipt, answered) = self.when_room(outbound, |outbound| self.ask(number, outbound)).await?;
            asked.receipt = Some(receipt);
            answered.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Closed, "request").with_detail("the connection is closed for good"))
            })
        });
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            patience.as_mut().poll(cx).map(|()| Err(Error::timeout("request", Phase::Wait)))
        })
        .await
    }
}
