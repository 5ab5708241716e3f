//! Connections in memory, and dials that fail or never end.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use netcomm_core::{Clock, ConnectInfo, Dial, Error, ErrorKind, Io, Phase, Result, Target};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Bytes that each direction of a connection holds before its writer waits.
const BUFFER_BYTES: usize = 64 * 1024;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Outcome {
    Serve(Box<dyn FnOnce(DuplexStream) -> BoxFuture<()> + Send>),
    With(Box<dyn FnOnce(Target) -> BoxFuture<Result<Io>> + Send>),
    Fail(ErrorKind),
    Hang,
}

/// A [`Dial`] without sockets: each dial takes the next outcome of a queue, or the one for all others; without any it
/// fails with [`ErrorKind::Connect`]. Cheap to clone; clones share everything.
///
/// Each connection is a pair of pipes in memory, 64 KiB each way. Its far half goes to a handler, which runs on a task
/// of its own until it ends or the dialer and all its connections are gone. A handler that panics makes the drop of the
/// last clone panic, so that an assertion in a handler fails the test.
///
/// # Examples
///
/// ```
/// use netcomm_core::{Dial, ErrorKind, Host, Target};
/// use netcomm_tests::ScriptedDialer;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let dialer = ScriptedDialer::new();
/// dialer.fail_next(ErrorKind::Dns);
/// dialer.serve_all(|mut stream| async move {
///     stream.write_all(b"hello").await.unwrap();
/// });
///
/// let target = Target::tcp(Host::parse("example.com").unwrap(), 80);
/// assert!(dialer.dial(&target).await.unwrap_err().is_dns());
/// let mut io = dialer.dial(&target).await.unwrap();
/// let mut text = String::new();
/// io.read_to_string(&mut text).await.unwrap();
/// assert_eq!(text, "hello");
/// assert_eq!((dialer.dials(), dialer.open_connections()), (2, 1));
/// # });
/// ```
#[derive(Clone)]
pub struct ScriptedDialer {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    queue: VecDeque<Outcome>,
    fallback: Box<dyn Fn() -> Outcome + Send>,
    clock: Option<Arc<dyn Clock>>,
    info: ConnectInfo,
    buffer_bytes: usize,
    targets: Vec<Target>,
    opened: usize,
    open: usize,
    handlers: JoinSet<()>,
}

impl ScriptedDialer {
    /// A dialer without outcomes: every dial fails until the test adds some.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            queue: VecDeque::new(),
            fallback: Box::new(|| Outcome::Fail(ErrorKind::Connect)),
            clock: None,
            info: ConnectInfo::default(),
            buffer_bytes: BUFFER_BYTES,
            targets: Vec::new(),
            opened: 0,
            open: 0,
            handlers: JoinSet::new(),
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Queues a connection whose far half `handler` serves.
    pub fn serve_next<F>(&self, handler: impl FnOnce(DuplexStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.push(Outcome::Serve(Box::new(|stream| Box::pin(handler(stream)))));
    }

    /// Lets `handler` serve the far half of every connection that no queued outcome is for.
    pub fn serve_all<F>(&self, handler: impl Fn(DuplexStream) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.inner.lock().fallback = Box::new(move || {
            let handler = Arc::clone(&handler);
            Outcome::Serve(Box::new(move |stream| Box::pin(handler(stream))))
        });
    }

    /// Queues a refusal of that kind. A [`ErrorKind::Timeout`] is one of connecting.
    pub fn fail_next(&self, kind: ErrorKind) {
        self.push(Outcome::Fail(kind));
    }

    /// Refuses every dial that no queued outcome is for.
    pub fn fail_all(&self, kind: ErrorKind) {
        self.inner.lock().fallback = Box::new(move || Outcome::Fail(kind));
    }

    /// Queues a dial that does not end by itself; with a [clock](Self::with_clock) it ends as a timeout when the time of
    /// its target is over.
    pub fn hang_next(&self) {
        self.push(Outcome::Hang);
    }

    /// Lets every dial hang that no queued outcome is for, as [`hang_next`](Self::hang_next).
    pub fn hang_all(&self) {
        self.inner.lock().fallback = Box::new(|| Outcome::Hang);
    }

    /// Queues whatever `outcome` gives: a connection of another kind, one that comes later, an error with details.
    pub fn with_next<F>(&self, outcome: impl FnOnce(Target) -> F + Send + 'static)
    where
        F: Future<Output = Result<Io>> + Send + 'static,
    {
        self.push(Outcome::With(Box::new(|target| Box::pin(outcome(target)))));
    }

    /// Gives whatever `outcome` gives to every dial that no queued outcome is for.
    pub fn with_all<F>(&self, outcome: impl Fn(Target) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<Io>> + Send + 'static,
    {
        let outcome = Arc::new(outcome);
        self.inner.lock().fallback = Box::new(move || {
            let outcome = Arc::clone(&outcome);
            Outcome::With(Box::new(move |target| Box::pin(outcome(target))))
        });
    }

    /// Keeps the time limit of every target by that clock. Without one no dial times out.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        self.inner.lock().clock = Some(Arc::new(clock));
        self
    }

    /// Tells this about every connection that a handler serves from now on. Default: nothing is known.
    pub fn set_info(&self, info: ConnectInfo) {
        self.inner.lock().info = info;
    }

    /// Pretends from now on that ALPN agreed on that protocol.
    pub fn set_alpn(&self, protocol: &[u8]) {
        self.inner.lock().info.alpn = Some(protocol.to_vec());
    }

    /// Bytes that each direction of later connections holds before its writer waits. Default 64 KiB.
    pub fn set_buffer_bytes(&self, bytes: usize) {
        self.inner.lock().buffer_bytes = bytes;
    }

    /// Every target dialled, in order.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.inner.lock().targets.clone()
    }

    /// How many dials were begun.
    #[must_use]
    pub fn dials(&self) -> usize {
        self.inner.lock().targets.len()
    }

    /// How many connections were opened.
    #[must_use]
    pub fn opened_connections(&self) -> usize {
        self.inner.lock().opened
    }

    /// How many connections their users still hold.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.inner.lock().open
    }

    /// Queued outcomes that no dial took yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.inner.lock().queue.len()
    }

    /// Waits until `count` dials were begun.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until_dials(&self, count: usize) {
        self.until(|state| state.targets.len() >= count).await;
    }

    /// Waits until exactly `count` connections are open.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until_open(&self, count: usize) {
        self.until(|state| state.open == count).await;
    }

    /// Waits until the handlers of all connections so far have ended.
    ///
    /// # Panics
    ///
    /// With the panic of a handler that panicked.
    ///
    /// # Cancel safety
    ///
    /// Handlers that have not ended are called off if the future is dropped.
    pub async fn finish(&self) {
        let mut handlers = std::mem::take(&mut self.inner.lock().handlers);
        while let Some(ended) = handlers.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                resume_unwind(error.into_panic());
            }
        }
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.inner.changed.notified();
            if reached(&self.inner.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn push(&self, outcome: Outcome) {
        self.inner.lock().queue.push_back(outcome);
    }

    fn open(&self, stream: impl Stream, info: ConnectInfo) -> Io {
        {
            let mut state = self.inner.lock();
            state.opened += 1;
            state.open += 1;
        }
        self.inner.changed.notify_waiters();
        Io::new(Counted { stream: Box::new(stream), inner: Arc::clone(&self.inner) }, info)
    }

    async fn settle(&self, outcome: Outcome, target: &Target) -> Result<Io> {
        match outcome {
            Outcome::Serve(handler) => {
                let (near, info) = {
                    let mut state = self.inner.lock();
                    let (near, far) = tokio::io::duplex(state.buffer_bytes);
                    state.handlers.spawn(handler(far));
                    (near, state.info.clone())
                };
                Ok(self.open(near, info))
            }
            Outcome::With(outcome) => {
                let io = outcome(target.clone()).await?;
                let info = io.info().clone();
                Ok(self.open(io, info))
            }
            Outcome::Fail(ErrorKind::Timeout) => Err(Error::timeout("dial", Phase::Connect)),
            Outcome::Fail(kind) => Err(Error::new(kind, "dial").with_detail("scripted")),
            Outcome::Hang => pending().await,
        }
    }
}

impl Dial for ScriptedDialer {
    async fn dial(&self, target: &Target) -> Result<Io> {
        let (outcome, clock) = {
            let mut state = self.inner.lock();
            state.targets.push(target.clone());
            let outcome = state.queue.pop_front().unwrap_or_else(|| (state.fallback)());
            (outcome, state.clock.clone())
        };
        self.inner.changed.notify_waiters();
        let settled = self.settle(outcome, target);
        let Some(clock) = clock else {
            return settled.await;
        };
        tokio::select! {
            biased;
            io = settled => io,
            () = clock.sleep_until(clock.now() + target.timeout) => Err(Error::timeout("dial", Phase::Connect)),
        }
    }
}

impl Default for ScriptedDialer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScriptedDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("ScriptedDialer")
            .field("dials", &state.targets.len())
            .field("open_connections", &state.open)
            .field("left", &state.queue.len())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut handlers = std::mem::take(&mut self.lock().handlers);
        while let Some(ended) = handlers.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
                && !std::thread::panicking()
            {
                resume_unwind(error.into_panic());
            }
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A connection that says so when it is dropped.
struct Counted {
    stream: Box<dyn Stream>,
    inner: Arc<Inner>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.inner.lock().open -= 1;
        self.inner.changed.notify_waiters();
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
