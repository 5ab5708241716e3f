//! The client, and how it is handed out.

mod builder;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use http::{HeaderMap, HeaderName, Method};
use netcomm_core::{
    AnyTransport, Body, Clock, Endless, Env, HttpTransport, Interest, Policy, Redacted, Result, Scope, Tap, Timeouts,
};
use url::Url;

pub use self::builder::ClientBuilder;
use crate::address::{Address, Found, IntoAddress, Lately};
use crate::auth::{Credentials, Keyring};
use crate::call;
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
use crate::headers;
use crate::intercept::Chain;
use crate::lane::{self, Apart, LANES};
use crate::limit::Gates;
use crate::offline::Offline;
use crate::pool::{Pool, PoolSnapshot};
use crate::redirect::Redirects;
use crate::request::{Request, RequestBuilder};
use crate::response::Response;
use crate::standing::Resilience;

/// An HTTP client. Cheap to clone; clones share connections, cookies and credentials.
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// use netcomm_http::Client;
///
/// let env = netcomm_dial::env();
/// let client = Client::builder(&env).base_url("https://api.example.com/v1/").build()?;
/// let user: String = client.get("user/42").query(&[("fields", "name")]).send().await?.error_for_status()?.text().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    pub(crate) scope: Scope,
    /// The limits of the scope's layers.
    pub(crate) gates: Gates,
    pub(crate) session: Arc<Session>,
    /// `None` in what lies in a lane itself.
    lanes: Option<Arc<Lanes>>,
}

/// What requests hold of a client, once for each lane: to count its holders is all that a request writes to it.
type Lanes = [OnceLock<Arc<Lane>>; LANES];

/// A client as the requests of one lane hold it.
pub(crate) struct Lane {
    client: Apart<Client>,
    lately: Mutex<Lately>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client().fmt(f)
    }
}

impl Lane {
    pub(crate) fn client(&self) -> &Client {
        &self.client.0
    }

    /// As [`Client::resolve`], by looking at what was resolved lately.
    pub(crate) fn resolve(&self, address: impl IntoAddress) -> Result<Address> {
        // Whoever finds another one at it reads the address: that takes no longer than to wait.
        let found = match (address.spelled(), self.lately.try_lock()) {
            (Some(spelled), Ok(mut lately)) => lately.find(spelled),
            _ => Found::New,
        };
        match found {
            Found::Known(address) => Ok(address),
            Found::New => self.client().resolve(address),
            Found::Again(mark) => {
                let address = self.client().resolve(address)?;
                if let Ok(mut lately) = self.lately.try_lock() {
                    lately.keep(mark, &address);
                }
                Ok(address)
            }
        }
    }
}

/// What all handles of a client share.
pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) policy: Policy,
    pub(crate) wire: Wire,
    pub(crate) base: Option<Url>,
    pub(crate) unix: Option<Arc<Path>>,
    pub(crate) exact_paths: bool,
    pub(crate) redirects: Redirects,
    pub(crate) decode: bool,
    pub(crate) resume: u32,
    pub(crate) secret_headers: Vec<HeaderName>,
    pub(crate) call_interceptors: Chain,
    pub(crate) attempt_interceptors: Chain,
    pub(crate) deduplicate: bool,
    pub(crate) resilience: Resilience,
    pub(crate) offline: Offline,
    pub(crate) flights: Arc<call::Shared>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<crate::cache::Cache>,
}

/// Where requests go.
pub(crate) enum Wire {
    Pool(Pool),
    Foreign(AnyTransport),
}

/// What belongs to one handle and its clones: the part that a scoped handle does not inherit.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) headers: HeaderMap,
    /// Whether these have nothing to say to a cache, so that this need not be found out with each call.
    #[cfg(feature = "cache")]
    pub(crate) is_plain: bool,
    pub(crate) keyring: Keyring,
    /// Whose stored responses it sees.
    #[cfg(feature = "cache")]
    pub(crate) partition: Option<Arc<str>>,
    /// Whether it was narrowed, so that it must not name a partition of others.
    #[cfg(feature = "cache")]
    pub(crate) is_scoped: bool,
    #[cfg(feature = "cookies")]
    pub(crate) cookies: Option<CookieJar>,
    #[cfg(feature = "outbox")]
    pub(crate) outbox: Option<crate::outbox::Outbox>,
}

impl Client {
    /// A client with the default settings in a default environment made on the spot: the system's resolver, proxies
    /// from the environment, TLS with the platform's verifier if feature `tls` is on.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    #[cfg(feature = "dial")]
    pub fn new() -> Result<Self> {
        Self::builder(&netcomm_dial::env()).build()
    }

    /// Starts a client in that environment.
    pub fn builder(env: &Env) -> ClientBuilder {
        ClientBuilder::new(env)
    }

    /// Starts a request.
    pub fn request(&self, method: Method, address: impl IntoAddress) -> RequestBuilder {
        RequestBuilder::new(self.lane(), method, address)
    }

    /// Starts a `GET`.
    pub fn get(&self, address: impl IntoAddress) -> RequestBuilder {
        self.request(Method::GET, address)
    }

    /// Starts a `HEAD`.
    pub fn head(&self, address: impl IntoAddress) -> RequestBuilder {
        self.request(Method::HEAD, address)
    }

    /// Starts a `POST`.
    pub fn post(&self, address: impl IntoAddress) -> RequestBuilder {
        self.request(Method::POST, address)
    }

    /// Starts a `PUT`.
    pub fn put(&self, address: impl IntoAddress) -> RequestBuilder {
        self.request(Method::PUT, address)
    }

    /// Starts a `PATCH`.
    pub fn patch(&self, address: impl IntoAddress) -> RequestBuilder {
        self.request(Method::PATCH, address)
    }

    /// Starts a `DELETE`.
    pub fn delete(&self, address: impl IntoAddress) -> RequestBuilder {
        self.request(Method::DELETE, address)
    }

    /// Sends a request that was built before.
    ///
    /// # Errors
    ///
    /// Whatever kept a response from coming.
    ///
    /// # Cancel safety
    ///
    /// As [`RequestBuilder::send`].
    pub async fn execute(&self, request: Request) -> Result<Response> {
        call::run(self, Box::new(request)).await
    }

    /// A handle that reaches only what both this one and `scope` allow: for a plugin, a tenant, a task.
    ///
    /// It shares the connections and settings of this client, but starts with an empty cookie jar, without the
    /// credentials and without those default header fields that are secret. Interceptors of the client still see its
    /// calls.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a scope is handed over with the handle")]
    pub fn scoped(&self, scope: Scope) -> Self {
        let headers = headers::harmless(&self.session.headers);
        let session = Session {
            #[cfg(feature = "cache")]
            is_plain: crate::cache::is_plain(&headers),
            headers,
            keyring: Keyring::default(),
            #[cfg(feature = "cache")]
            partition: self.narrowed_partition(&scope),
            #[cfg(feature = "cache")]
            is_scoped: true,
            #[cfg(feature = "cookies")]
            cookies: self.session.cookies.as_ref().map(|_| CookieJar::new()),
            #[cfg(feature = "outbox")]
            outbox: self.session.outbox.as_ref().map(|outbox| outbox.narrowed(&scope)),
        };
        let scope = self.scope.narrow(&scope);
        let gates = Gates::of(&scope, self.clock());
        Self::of(Arc::clone(&self.inner), scope, gates, session)
    }

    fn of(inner: Arc<Inner>, scope: Scope, gates: Gates, session: Session) -> Self {
        let lanes = std::array::from_fn(|_| OnceLock::new());
        Self { inner, scope, gates, session: Arc::new(session), lanes: Some(Arc::new(lanes)) }
    }

    /// The client as a request of this thread holds it.
    fn lane(&self) -> Arc<Lane> {
        let make = || Arc::new(Lane { client: Apart(Self { lanes: None, ..self.clone() }), lately: Mutex::default() });
        match &self.lanes {
            Some(lanes) => Arc::clone(lanes[lane::here()].get_or_init(make)),
            None => make(),
        }
    }

    /// A handle of its own sees only what was stored through handles of the same scope.
    #[cfg(feature = "cache")]
    fn narrowed_partition(&self, scope: &Scope) -> Option<Arc<str>> {
        let outer = self.session.partition.as_deref().unwrap_or_default();
        let name = scope.name().map(|name| &**name).unwrap_or_default();
        // No name contains what stands between two.
        Some(format!("{outer}/{}", name.replace('~', "~0").replace('/', "~1").replace(':', "~2")).into())
    }

    /// The same handle with these credentials too; see [`ClientBuilder::credentials`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](netcomm_core::ErrorKind::Invalid) if `audience` is no pattern.
    pub fn with_credentials(&self, audience: &str, credentials: Credentials) -> Result<Self> {
        let mut session = Session::clone(&self.session);
        session.keyring.add(audience.parse()?, credentials);
        Ok(Self::of(Arc::clone(&self.inner), self.scope.clone(), self.gates.clone(), session))
    }

    /// The same handle with these default header fields in place of those of their names.
    #[must_use]
    pub fn with_headers(&self, new: HeaderMap) -> Self {
        let mut session = Session::clone(&self.session);
        headers::replace(&mut session.headers, new);
        headers::mark(&mut session.headers, &self.inner.secret_headers);
        #[cfg(feature = "cache")]
        {
            session.is_plain = crate::cache::is_plain(&session.headers);
        }
        Self::of(Arc::clone(&self.inner), self.scope.clone(), self.gates.clone(), session)
    }

    /// The scope of this handle.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The jar of this handle, if it keeps cookies.
    #[cfg(feature = "cookies")]
    #[must_use]
    pub fn cookies(&self) -> Option<&CookieJar> {
        self.session.cookies.as_ref()
    }

    /// The cache, if there is one. `None` for a [scoped](Self::scoped) handle: it holds the responses of others too.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn cache(&self) -> Option<&crate::cache::Cache> {
        self.inner.cache.as_ref().filter(|_| !self.session.is_scoped)
    }

    /// The outbox of this handle, if it has one. That of a [scoped](Self::scoped) handle is a part of its own, to be
    /// [delivered](crate::outbox::Outbox::deliver) through that handle.
    #[cfg(feature = "outbox")]
    #[must_use]
    pub fn outbox(&self) -> Option<&crate::outbox::Outbox> {
        self.session.outbox.as_ref()
    }

    /// The connections that there are. Empty for a client over a foreign transport.
    #[must_use]
    pub fn pool(&self) -> PoolView<'_> {
        PoolView { wire: &self.inner.wire }
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.inner.policy.timeouts
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.inner.env.clock()
    }

    pub(crate) fn tap(&self) -> &Tap {
        self.inner.env.tap()
    }

    pub(crate) fn resolve(&self, address: impl IntoAddress) -> Result<Address> {
        let inner = &self.inner;
        // Rules name paths: where there are some, no path may mean another place to the server than to them.
        let exact = inner.exact_paths
            && self.scope.is_unlimited()
            && inner.policy.scope.is_unlimited()
            && self.session.keyring.is_empty();
        address.into_address(inner.base.as_ref(), exact)
    }
}

impl HttpTransport for Client {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>> {
        let (parts, body) = request.into_parts();
        let mut builder = self.request(parts.method, parts.uri).body(body);
        if !parts.headers.is_empty() {
            builder = builder.headers(parts.headers);
        }
        if parts.extensions.get::<Endless>().is_some() {
            builder = builder.endless();
        }
        let response = builder.send().await?;
        let call = response.call();
        let mut response = response.into_http();
        if self.tap().wants(Interest::NONE) {
            response.extensions_mut().insert(call);
        }
        Ok(response)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Client");
        out.field("headers", &Redacted(&self.session.headers)).field("keyring", &self.session.keyring);
        if !self.scope.is_unlimited() {
            out.field("scope", &self.scope);
        }
        if let Wire::Pool(pool) = &self.inner.wire {
            out.field("pool", pool);
        }
        out.finish_non_exhaustive()
    }
}

/// A look at a client's connections.
#[derive(Clone, Copy)]
pub struct PoolView<'a> {
    wire: &'a Wire,
}

impl PoolView<'_> {
    /// What there is at this moment.
    #[must_use]
    pub fn snapshot(self) -> PoolSnapshot {
        match self.wire {
            Wire::Pool(pool) => pool.snapshot(),
            Wire::Foreign(_) => PoolSnapshot::default(),
        }
    }

    /// Closes every idle connection now, and every other one at the end of what it is doing.
    pub fn evict_all(self) {
        if let Wire::Pool(pool) = self.wire {
            pool.evict_all();
        }
    }
}

impl fmt::Debug for PoolView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
