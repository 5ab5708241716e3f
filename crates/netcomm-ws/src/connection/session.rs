//! The owner's part in each new connection: where to and with what, and the first words.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use netcomm_core::{Attempt, Error, ErrorKind, Result};

use crate::connect::Connect;
use crate::message::{Message, Text};
use crate::socket::Socket;

/// Messages that a greeting may put aside.
const MOST_KEPT: usize = 1024;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says anew at each try where to connect, and with what: URL, headers, tokens, subprotocols.
///
/// Closures of that shape do it too.
///
/// ```no_run
/// use netcomm_ws::{Attempt, Connect, Connection};
///
/// async fn token(fresh: bool) -> netcomm_core::Result<String> {
///     Ok(if fresh { "new" } else { "kept" }.to_owned())
/// }
///
/// # fn example(env: &netcomm_core::Env) {
/// Connection::builder(env, "wss://server.example/").prepare(|connect: Connect, attempt: Attempt| async move {
///     let token = token(attempt.refresh).await?;
///     Ok(connect.header("authorization", format!("Bearer {token}")))
/// });
/// # }
/// ```
pub trait Prepare: Send + Sync + 'static {
    /// Changes what was set when the connection was built. An error counts as a failed try; one of kind `User` or `Auth` with
    /// no retryable source ends the connection, see [`Reconnect`](crate::Reconnect).
    fn prepare(&self, connect: Connect, attempt: Attempt) -> impl Future<Output = Result<Connect>> + Send;
}

impl<F, R> Prepare for F
where
    F: Fn(Connect, Attempt) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Connect>> + Send,
{
    fn prepare(&self, connect: Connect, attempt: Attempt) -> impl Future<Output = Result<Connect>> + Send {
        self(connect, attempt)
    }
}

/// The first words on each new connection, before any message: to log in, to take up a session.
///
/// The order on a new connection: handshake, greeting, subscriptions to topics, unacknowledged messages in their order, then what
/// waits.
pub trait Greet: Send + Sync + 'static {
    /// Speaks on the new connection. As long as it does, nothing else is sent, and what comes is its own: what is not
    /// for it, it gives back with [`Link::keep`].
    ///
    /// An error ends the connection and counts as a failed try.
    fn greet(&self, link: &mut Link<'_>, resume: &Resume) -> impl Future<Output = Result<Greeting>> + Send;
}

/// What a new connection can take up.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Resume {
    /// The session, as the last greeting named it.
    pub session: Option<Text>,
    /// The number up to which messages have come without a gap, where the dialect numbers them.
    pub received_up_to: Option<u64>,
    /// The first own number that is not acknowledged, where acknowledgements are in use.
    pub unacknowledged_from: Option<u64>,
}

/// What a greeting came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Greeting {
    /// The name of the session, for the next time.
    pub session: Option<Text>,
    /// Whether the peer has taken up the session of before, so that its numbers go on. Default false: they begin anew.
    pub recovered: bool,
    /// The own number up to which the peer has everything: those messages are not sent again.
    pub acknowledged_up_to: Option<u64>,
}

impl Greeting {
    /// A new session.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with the name of the session.
    #[must_use]
    pub fn with_session(self, session: impl Into<Text>) -> Self {
        Self { session: Some(session.into()), ..self }
    }

    /// The same as the session of before.
    #[must_use]
    pub fn with_recovered(self, recovered: bool) -> Self {
        Self { recovered, ..self }
    }

    /// The same with what the peer has.
    #[must_use]
    pub fn with_acknowledged_up_to(self, sequence: u64) -> Self {
        Self { acknowledged_up_to: Some(sequence), ..self }
    }
}

/// A new connection in the hands of its [`Greet`].
#[derive(Debug)]
pub struct Link<'a> {
    socket: &'a mut Socket,
    kept: &'a mut Vec<Message>,
}

impl<'a> Link<'a> {
    pub(super) fn new(socket: &'a mut Socket, kept: &'a mut Vec<Message>) -> Self {
        Self { socket, kept }
    }

    /// Sends a message as it is.
    ///
    /// # Errors
    ///
    /// As [`Socket::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Socket::send`].
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<()> {
        self.socket.send(message).await
    }

    /// The next message, as it came.
    ///
    /// # Errors
    ///
    /// As [`Socket::recv`], and `Closed` where the peer says goodbye.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<Message> {
        match self.socket.recv().await? {
            Some(message) => Ok(message),
            None => Err(self.socket.farewell("greet")),
        }
    }

    /// Puts a message aside that was not for the greeting: it is delivered like others, before those that follow.
    ///
    /// # Errors
    ///
    /// `TooLarge` for more than 1024 of them.
    pub fn keep(&mut self, message: Message) -> Result<()> {
        if self.kept.len() == MOST_KEPT {
            let detail = "more than 1024 messages put aside";
            return Err(Error::new(ErrorKind::TooLarge, "greet").with_detail(detail));
        }
        self.kept.push(message);
        Ok(())
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.socket.subprotocol()
    }

    /// The headers of the handshake's answer.
    #[must_use]
    pub fn headers(&self) -> &http::HeaderMap {
        self.socket.headers()
    }
}

/// Any [`Prepare`], without a type parameter.
#[derive(Clone)]
pub(crate) struct AnyPrepare(Arc<dyn PrepareDyn>);

trait PrepareDyn: Send + Sync {
    fn prepare(&self, connect: Connect, attempt: Attempt) -> BoxFuture<'_, Result<Connect>>;
}

impl<T: Prepare> PrepareDyn for T {
    fn prepare(&self, connect: Connect, attempt: Attempt) -> BoxFuture<'_, Result<Connect>> {
        Box::pin(Prepare::prepare(self, connect, attempt))
    }
}

impl AnyPrepare {
    pub(super) fn new(prepare: impl Prepare) -> Self {
        Self(Arc::new(prepare))
    }

    pub(super) async fn prepare(&self, connect: Connect, attempt: Attempt) -> Result<Connect> {
        self.0.prepare(connect, attempt).await
    }
}

impl fmt::Debug for AnyPrepare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyPrepare")
    }
}

/// Any [`Greet`], without a type parameter.
#[derive(Clone)]
pub(crate) struct AnyGreet(Arc<dyn GreetDyn>);

trait GreetDyn: Send + Sync {
    fn greet<'a>(&'a self, link: &'a mut Link<'_>, resume: &'a Resume) -> BoxFuture<'a, Result<Greeting>>;
}

impl<T: Greet> GreetDyn for T {
    fn greet<'a>(&'a self, link: &'a mut Link<'_>, resume: &'a Resume) -> BoxFuture<'a, Result<Greeting>> {
        Box::pin(Greet::greet(self, link, resume))
    }
}

impl AnyGreet {
    pub(super) fn new(greet: impl Greet) -> Self {
        Self(Arc::new(greet))
    }

    pub(super) async fn greet(&self, link: &mut Link<'_>, resume: &Resume) -> Result<Greeting> {
        self.0.greet(link, resume).await
    }
}

impl fmt::Debug for AnyGreet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyGreet")
    }
}
