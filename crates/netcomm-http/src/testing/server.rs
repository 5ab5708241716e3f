//! The server itself: who connects, what came, and which script is played.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netcomm_core::{Clock, Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use super::play::play;
use super::received::ReceivedRequest;
use super::reply::Reply;
use super::script::Script;
use super::wire::Bounds;

/// Connections at one time; further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Requests that are kept; of more the oldest are forgotten.
const MAX_REQUESTS: usize = 10_000;

/// A server of HTTP/1.1 that does what scripts say, and keeps what it is sent. Cheap to clone; clones are the same
/// server.
///
/// Without scripts it answers every request with 404 and keeps connections alive. It reads requests by RFC 9112; what is
/// no request is answered with 400 and a close. Dropping the last clone closes the port and every connection.
///
/// # Examples
///
/// On a socket:
///
/// ```
/// use netcomm_http::testing::{Reply, ScriptedServer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let server = ScriptedServer::builder()
///     .route("/x", Reply::status(200).body("x"))
///     .handler(|request| Reply::status(200).body(format!("you asked for {}", request.path())))
///     .start()
///     .await?;
/// let url = server.url("/x");
/// assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/x"));
/// # Ok::<(), netcomm_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// On a stream in memory:
///
/// ```
/// use netcomm_http::testing::{Script, ScriptedServer};
/// use tokio::io::AsyncReadExt;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let server = ScriptedServer::builder().on_connect([Script::new().send("rude").close()]).offline();
/// let (mut near, far) = tokio::io::duplex(64);
/// let served = tokio::spawn(server.serve(far));
/// let mut text = String::new();
/// near.read_to_string(&mut text).await?;
/// assert_eq!(text, "rude");
/// drop(near);
/// served.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedServer {
    shared: Arc<Shared>,
    listener: Option<Arc<Listener>>,
}

/// The open port; dropping it ends the task that owns it and all its connections.
struct Listener {
    address: SocketAddr,
    scheme: &'static str,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedServer {
    /// Starts with a server that answers 404.
    pub fn builder() -> ScriptedServerBuilder {
        ScriptedServerBuilder {
            routes: Vec::new(),
            handler: None,
            connections: Vec::new(),
            clock: None,
            bounds: Bounds { head_bytes: 1024 * 1024, kept_body_bytes: 16 * 1024 * 1024 },
            wrap: None,
        }
    }

    /// The URL of a path: `http://127.0.0.1:PORT/path`; of a server without socket `http://scripted.example/path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match &self.listener {
            Some(listener) => format!("{}://{}{path}", listener.scheme, listener.address),
            None => format!("http://scripted.example{path}"),
        }
    }

    /// The address on which the server listens; of one without socket `0.0.0.0:0`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.as_ref().map_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into(), |listener| listener.address)
    }

    /// What was received, in the order in which it was complete; of more than 10,000 requests the last ones.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.iter().cloned().collect()
    }

    /// What was received; the server forgets it.
    #[must_use]
    pub fn take_requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.drain(..).collect()
    }

    /// How many requests were received so far, forgotten ones included.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.shared.lock().request_count
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().accepted
    }

    /// How many connections are open. A connection that the server closed counts until the client has closed it too.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.lock().open
    }

    /// Waits until `count` requests were received, forgotten ones included.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until_requests(&self, count: usize) {
        self.shared.until(|state| state.request_count >= count).await;
    }

    /// Waits until `count` connections were accepted.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until_connections(&self, count: usize) {
        self.shared.until(|state| state.accepted >= count).await;
    }

    /// Waits until exactly `count` connections are open.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn until_open(&self, count: usize) {
        self.shared.until(|state| state.open == count).await;
    }

    /// Serves a stream as if it were a connection accepted now; ready when it ends. The future borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub fn serve<S>(&self, stream: S) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let visit = Shared::visit(&self.shared);
        play(Arc::clone(&self.shared), visit, stream, |_| {})
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("ScriptedServer")
            .field("address", &self.listener.as_ref().map(|listener| listener.address))
            .field("connections", &state.accepted)
            .field("open_connections", &state.open)
            .field("requests", &state.request_count)
            .finish_non_exhaustive()
    }
}

type Handler = Arc<dyn Fn(&ReceivedRequest) -> Script + Send + Sync>;
type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type Wrap = Arc<dyn Fn(TcpStream, Arc<Shared>, Visit) -> BoxFuture + Send + Sync>;

/// Builds a [`ScriptedServer`].
#[must_use]
pub struct ScriptedServerBuilder {
    routes: Vec<Route>,
    handler: Option<Handler>,
    connections: Vec<Script>,
    clock: Option<Arc<dyn Clock>>,
    bounds: Bounds,
    wrap: Option<(&'static str, Wrap)>,
}

struct Route {
    method: Option<String>,
    path: String,
    scripts: Vec<Script>,
    used: AtomicUsize,
}

impl ScriptedServerBuilder {
    /// Answers requests for that path, whatever their query, with a [`Reply`] or a [`Script`]. `"POST /path"` is for one
    /// method alone. The first route that fits is taken.
    pub fn route(self, path: &str, answer: impl Into<Script>) -> Self {
        self.route_each(path, [answer])
    }

    /// As [`route`](Self::route), with an answer for each request in turn; the last one serves all that come after. Of
    /// none, the path answers 404.
    pub fn route_each(mut self, path: &str, answers: impl IntoIterator<Item = impl Into<Script>>) -> Self {
        let (method, path) = match path.split_once(' ') {
            Some((method, path)) => (Some(method.to_owned()), path.to_owned()),
            None => (None, path.to_owned()),
        };
        let mut scripts: Vec<Script> = answers.into_iter().map(Into::into).collect();
        if scripts.is_empty() {
            scripts.push(not_found());
        }
        self.routes.push(Route { method, path, scripts, used: AtomicUsize::new(0) });
        self
    }

    /// Answers whatever no route is for. Default: 404.
    pub fn handler<A>(mut self, handler: impl Fn(&ReceivedRequest) -> A + Send + Sync + 'static) -> Self
    where
        A: Into<Script>,
    {
        self.handler = Some(Arc::new(move |request| handler(request).into()));
        self
    }

    /// Plays these scripts on whole connections, from their first moment: the first on the first connection and so on,
    /// the last one on all that come after. Routes and handler are without effect then.
    pub fn on_connect(mut self, scripts: impl IntoIterator<Item = Script>) -> Self {
        self.connections = scripts.into_iter().collect();
        self
    }

    /// The clock by which scripts pause. Default: tokio's time.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Bytes of one request head; longer ones are answered with 400. Default 1 MiB.
    pub fn head_bytes(mut self, bytes: usize) -> Self {
        self.bounds.head_bytes = bytes;
        self
    }

    /// Bytes of one request body that are kept; the rest is read, counted and forgotten. Default 16 MiB.
    pub fn kept_body_bytes(mut self, bytes: usize) -> Self {
        self.bounds.kept_body_bytes = bytes;
        self
    }

    /// Lays something over each TCP connection before the script begins, such as TLS (scheme `https`). A connection on
    /// which that fails is dropped. [`Script::reset`] drops what was laid over the socket, without a reset.
    pub fn over<S, F>(mut self, scheme: &'static str, wrap: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
    {
        let wrap: Wrap = Arc::new(move |stream, shared, visit| {
            let wrapped = wrap(stream);
            Box::pin(async move {
                if let Ok(stream) = wrapped.await {
                    play(shared, visit, stream, |_| {}).await;
                }
            })
        });
        self.wrap = Some((scheme, wrap));
        self
    }

    /// Listens on a free port of 127.0.0.1. Needs a tokio runtime with I/O enabled, and time too if a script pauses
    /// without a [`clock`](Self::clock).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the system gives no port.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the port.
    pub async fn start(mut self) -> Result<ScriptedServer> {
        let failed = |error: io::Error| Error::new(ErrorKind::Io, "start scripted server").with_source(error);
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let (scheme, wrap) = match self.wrap.take() {
            Some((scheme, wrap)) => (scheme, wrap),
            None => ("http", plain()),
        };
        let shared = self.shared();
        let task = tokio::spawn(accept(socket, Arc::clone(&shared), wrap));
        Ok(ScriptedServer { shared, listener: Some(Arc::new(Listener { address, scheme, task })) })
    }

    /// A server without socket: it serves the streams that [`ScriptedServer::serve`] is given.
    #[must_use]
    pub fn offline(self) -> ScriptedServer {
        ScriptedServer { shared: self.shared(), listener: None }
    }

    fn shared(self) -> Arc<Shared> {
        Arc::new(Shared {
            routes: self.routes,
            handler: self.handler,
            connections: self.connections,
            clock: self.clock,
            bounds: self.bounds,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }
}

impl fmt::Debug for ScriptedServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.routes.iter().map(|route| &route.path);
        f.debug_struct("ScriptedServerBuilder")
            .field("routes", &routes.collect::<Vec<_>>())
            .field("handler", &self.handler.is_some())
            .field("connections", &self.connections.len())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

fn not_found() -> Script {
    Reply::status(404).into()
}

fn plain() -> Wrap {
    Arc::new(|stream, shared, visit| {
        // A socket that cannot be set to reset is closed instead.
        Box::pin(play(shared, visit, stream, |stream: &TcpStream| drop(stream.set_zero_linger())))
    })
}

/// Accepts until the task is aborted; that drops the set, and with it all connections.
async fn accept(socket: TcpListener, shared: Arc<Shared>, wrap: Wrap) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    // Pieces shall leave as the script cuts them.
                    drop(stream.set_nodelay(true));
                    let visit = Shared::visit(&shared);
                    connections.spawn(wrap(stream, Arc::clone(&shared), visit));
                }
                // A connection that died in the queue, or no descriptors left: others may still come.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What all connections of a server share.
pub(super) struct Shared {
    routes: Vec<Route>,
    handler: Option<Handler>,
    connections: Vec<Script>,
    clock: Option<Arc<dyn Clock>>,
    bounds: Bounds,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    accepted: usize,
    open: usize,
    request_count: usize,
    requests: VecDeque<ReceivedRequest>,
}

/// A connection while it lasts.
pub(super) struct Visit {
    number: usize,
    shared: Arc<Shared>,
}

impl Visit {
    /// Its number, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.lock().open -= 1;
        self.shared.changed.notify_waiters();
    }
}

impl Shared {
    fn visit(shared: &Arc<Self>) -> Visit {
        let number = {
            let mut state = shared.lock();
            state.open += 1;
            state.accepted += 1;
            state.accepted
        };
        shared.changed.notify_waiters();
        Visit { number, shared: Arc::clone(shared) }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn connection_script(&self, number: usize) -> Option<Script> {
        self.connections.get(number - 1).or_else(|| self.connections.last()).cloned()
    }

    pub(super) fn script_for(&self, request: &ReceivedRequest) -> Script {
        let fits = |route: &&Route| {
            route.path == request.path() && route.method.as_ref().is_none_or(|method| *method == request.method)
        };
        if let Some(route) = self.routes.iter().find(fits) {
            let turn = route.used.fetch_add(1, Ordering::Relaxed).min(route.scripts.len() - 1);
            return route.scripts[turn].clone();
        }
        self.handler.as_ref().map_or_else(not_found, |handler| handler(request))
    }

    pub(super) fn keep(&self, request: ReceivedRequest) {
        {
            let mut state = self.lock();
            if state.requests.len() == MAX_REQUESTS {
                state.requests.pop_front();
            }
            state.requests.push_back(request);
            state.request_count += 1;
        }
        self.changed.notify_waiters();
    }

    pub(super) async fn sleep(&self, pause: Duration) {
        match &self.clock {
            Some(clock) => clock.sleep_until(clock.now() + pause).await,
            None => tokio::time::sleep(pause).await,
        }
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            if reached(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
