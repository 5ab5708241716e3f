//! The client: what it is set to, and how it is handed out.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcomm_core::{
    AnyTransport, Body, Budget, Clock, Env, Error, ErrorKind, HttpTransport, Limits, Policy, Rate, Redacted, Result,
    Scope, Tap, Timeouts,
};
use url::Url;

use crate::address::{Address, Found, IntoAddress, Lately};
use crate::auth::{Credentials, Keyring};
use crate::breaker::Breaker;
use crate::call;
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
use crate::decode;
use crate::headers;
use crate::hedge::Hedge;
use crate::intercept::{Chain, Intercept};
use crate::lane::{self, Apart, LANES};
use crate::limit::{Concurrency, Gates};
use crate::offline::Offline;
use crate::pool::{Http2, Pool, PoolLimits, PoolSnapshot, Settings};
use crate::redirect::Redirects;
use crate::request::{Request, RequestBuilder};
use crate::response::Response;
use crate::retry::Retry;
use crate::standing::{Guards, Resilience};

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
    /// [`ErrorKind::Invalid`] if `audience` is no pattern.
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
        Ok(builder.send().await?.into_http())
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

/// Builds a [`Client`]. A mistake on the way is kept and returned by [`build`](Self::build).
#[must_use]
pub struct ClientBuilder {
    env: Env,
    policy: Policy,
    transport: Option<AnyTransport>,
    base: Option<Url>,
    unix: Option<Arc<Path>>,
    exact_paths: bool,
    redirects: Redirects,
    decode: bool,
    resume: u32,
    pool: PoolLimits,
    http2: Http2,
    headers: HeaderMap,
    secret_headers: Vec<HeaderName>,
    keyring: Keyring,
    #[cfg(feature = "cookies")]
    cookies: Option<CookieJar>,
    call_interceptors: Chain,
    attempt_interceptors: Chain,
    deduplicate: bool,
    retry: Option<Retry>,
    hedge: Option<Hedge>,
    breaker: Option<Breaker>,
    budget: Budget,
    rate: Option<Rate>,
    concurrency: Option<Concurrency>,
    offline: Offline,
    #[cfg(feature = "cache")]
    cache: Option<crate::cache::Cache>,
    #[cfg(feature = "cache")]
    partition: Option<Arc<str>>,
    #[cfg(feature = "outbox")]
    outbox: Option<crate::outbox::Outbox>,
    mistake: Option<Error>,
}

impl ClientBuilder {
    fn new(env: &Env) -> Self {
        let mut headers = HeaderMap::new();
        let agent = HeaderValue::from_static(concat!("netcomm-http/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        Self {
            policy: env.policy().clone(),
            env: env.clone(),
            transport: None,
            base: None,
            unix: None,
            exact_paths: false,
            redirects: Redirects::default(),
            decode: true,
            resume: 0,
            pool: PoolLimits::default(),
            http2: Http2::default(),
            headers,
            secret_headers: Vec::new(),
            keyring: Keyring::default(),
            #[cfg(feature = "cookies")]
            cookies: None,
            call_interceptors: Chain::new(),
            attempt_interceptors: Chain::new(),
            deduplicate: false,
            retry: None,
            hedge: None,
            breaker: None,
            budget: Budget::default(),
            rate: None,
            concurrency: None,
            offline: Offline::default(),
            #[cfg(feature = "cache")]
            cache: None,
            #[cfg(feature = "cache")]
            partition: None,
            #[cfg(feature = "outbox")]
            outbox: None,
            mistake: None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self) -> Result<()>) -> Self {
        if let Err(error) = change(&mut self) {
            self.mistake.get_or_insert(error);
        }
        self
    }

    /// The URL against which relative references are resolved (RFC 3986 §5). Give it a slash at the end: `user` under
    /// `https://a.example/v1` is `https://a.example/user`. Default none.
    pub fn base_url(self, base: &str) -> Self {
        self.with(|this| {
            let invalid = |error| {
                Error::new(ErrorKind::Invalid, "build client")
                    .with_detail("the base is not a URL")
                    .with_url(base)
                    .with_source(error)
            };
            let url = Url::parse(base).map_err(invalid)?;
            Address::from_url(url.clone())?;
            this.base = Some(url);
            Ok(())
        })
    }

    /// A header field that every request has, unless it has one of that name itself.
    pub fn default_header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        self.with(|this| {
            let invalid = |what, error: http::Error| {
                Error::new(ErrorKind::Invalid, "build client").with_detail(what).with_source(error)
            };
            let name = name.try_into().map_err(|error| invalid("not a header name", error.into()))?;
            let value = value.try_into().map_err(|error| invalid("not a header value", error.into()))?;
            this.headers.insert(name, value);
            Ok(())
        })
    }

    /// Forgets the default header fields set so far, `User-Agent` included: for gateways, which pass on what others say.
    ///
    /// What a request needs by the protocol is added all the same (`Host`, `Content-Length`); so is `Accept-Encoding`,
    /// unless [`decode`](Self::decode) is off.
    pub fn no_default_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// Names a header field that is a secret though its name does not tell: it is shown nowhere and dropped on
    /// redirects to another origin. The names of [`is_secret_header`](netcomm_core::is_secret_header) are known.
    pub fn secret_header(self, name: &str) -> Self {
        self.with(|this| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| {
                Error::new(ErrorKind::Invalid, "build client").with_detail("not a header name").with_source(error)
            })?;
            this.secret_headers.push(name);
            Ok(())
        })
    }

    /// Credentials for the destinations that `audience` (a [`Pattern`](netcomm_core::Pattern)) matches, and for no
    /// other, also after redirects. A request's own `Authorization` goes first; of several audiences that match, the
    /// first one added.
    pub fn credentials(self, audience: &str, credentials: Credentials) -> Self {
        self.with(|this| {
            this.keyring.add(audience.parse()?, credentials);
            Ok(())
        })
    }

    /// Keeps cookies in that jar. Default: none are kept.
    #[cfg(feature = "cookies")]
    pub fn cookies(mut self, jar: CookieJar) -> Self {
        self.cookies = Some(jar);
        self
    }

    /// Other limits of time than the environment's.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.policy.timeouts = timeouts;
        self
    }

    /// Other limits of size than the environment's.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.policy.limits = limits;
        self
    }

    /// Another access policy than the environment's, its limits included.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How many connections there may be, and for how long.
    pub fn pool(mut self, limits: PoolLimits) -> Self {
        self.pool = limits;
        self
    }

    /// Which version of HTTP is spoken. Without feature `http2` it is HTTP/1.1.
    pub fn http2(mut self, http2: Http2) -> Self {
        self.http2 = http2;
        self
    }

    /// What is done with redirects.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Whether content codings are asked for and taken off. Default `true`, for those that are built in.
    pub fn decode(mut self, decode: bool) -> Self {
        self.decode = decode;
        self
    }

    /// How often a download that breaks off goes on; see [`RequestBuilder::resume`]. Default 0.
    pub fn resume(mut self, times: u32) -> Self {
        self.resume = times;
        self
    }

    /// Whether equal `GET`s and `HEAD`s without content that are under way at the same time share one answer, streamed to
    /// each: equal in URI, all header fields, limits, timeouts (but for `total`, which each has to itself), scope, cookie
    /// jar and partition. The exchange goes on as long as anybody waits for it; whoever began it may leave. A failure is
    /// everybody's. Default `false`.
    ///
    /// A reader that falls more than 1 MiB behind another one of the same answer fails with
    /// [`ErrorKind::Incomplete`], and can go on by [`resume`](RequestBuilder::resume). With a cache, what is shared is
    /// the way to the origin, and `Cache-Status` says `collapsed`. Interim responses are told to nobody.
    pub fn deduplicate(mut self, deduplicate: bool) -> Self {
        self.deduplicate = deduplicate;
        self
    }

    /// Tries calls that failed again, where that is safe. Default: not at all, but for connections that their peer had given
    /// up while they were idle.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sends safe calls that are slow a second time. Default: not at all.
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.hedge = Some(hedge);
        self
    }

    /// Stops asking origins that fail, until they are back. Default: never.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// How many repetitions and hedges each origin may be sent. Default [`Budget::default`]. Each origin has a purse of its
    /// own; all handles of the client share it.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// How often each origin is sent a request, redirects and repetitions counted. Calls wait for their turn, first come
    /// first served, as long as their deadline and [`Timeouts::blocked`] allow; one that cannot make it fails at once. Default:
    /// no limit. A [`Scope`] may have a limit of its own over all origins.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// How many requests to each origin may be under way at a time. Calls wait as for [`rate`](Self::rate). Default: no limit
    /// but that of the pool.
    pub fn concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// Where calls that say [`Offline::Outbox`] are put. They are [delivered](crate::outbox::Outbox::deliver) by whoever
    /// is told to.
    #[cfg(feature = "outbox")]
    pub fn outbox(mut self, outbox: crate::outbox::Outbox) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// What becomes of calls while there is no network. Default [`Offline::Fail`].
    pub fn offline(mut self, offline: Offline) -> Self {
        self.offline = offline;
        self
    }

    /// Keeps responses in that cache, and answers from it (RFC 9111). Clients that are given the same one share what is
    /// stored. Default: nothing is kept.
    ///
    /// It stands between the interceptors around the call and those around the attempt: what it answers itself makes no
    /// attempt. [Scoped](Client::scoped) handles have a partition of their own in it.
    #[cfg(feature = "cache")]
    pub fn cache(mut self, cache: crate::cache::Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The part of the cache that this client sees and adds to: a name for whoever its calls are made for. Default: the
    /// part without a name.
    #[cfg(feature = "cache")]
    pub fn cache_partition(mut self, partition: &str) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// Sends every request over this Unix-domain socket, whatever host its URL names.
    pub fn unix_socket(mut self, path: impl AsRef<Path>) -> Self {
        self.unix = Some(Arc::from(path.as_ref()));
        self
    }

    /// Whether path and query of an address that is given as an [`http::Uri`] are sent byte for byte: for gateways, which
    /// must not change what they pass on (RFC 9110 §7.7). Default `false`: they become canonical as in any browser, dot
    /// segments resolved. Addresses given as text always do; so do all where a scope or credentials have rules for paths.
    pub fn exact_paths(mut self, exact: bool) -> Self {
        self.exact_paths = exact;
        self
    }

    /// Sends every request over this transport in place of own connections: a recording, a tower service.
    pub fn transport(mut self, transport: impl HttpTransport) -> Self {
        self.transport = Some(AnyTransport::new(transport));
        self
    }

    /// Adds code around calls; the first one added is the outermost.
    pub fn intercept_calls(mut self, interceptor: impl Intercept) -> Self {
        self.call_interceptors.push(Arc::new(interceptor));
        self
    }

    /// Adds code around attempts; the first one added is the outermost.
    pub fn intercept_attempts(mut self, interceptor: impl Intercept) -> Self {
        self.attempt_interceptors.push(Arc::new(interceptor));
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the first mistake that was made. [`ErrorKind::Unsupported`] for HTTP/2 where it is not
    /// built in.
    pub fn build(self) -> Result<Client> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if self.http2 == Http2::Always && !cfg!(feature = "http2") {
            return Err(Error::new(ErrorKind::Unsupported, "build client").with_detail("feature http2 is off"));
        }
        let mut headers = self.headers;
        if self.decode
            && let Some(codings) = decode::accept_encoding()
        {
            headers.entry(ACCEPT_ENCODING).or_insert(codings);
        }
        headers::mark(&mut headers, &self.secret_headers);
        let env = self.env.with_policy(self.policy.clone());
        let settings = Settings { limits: self.pool, http2: self.http2 };
        let wire = match self.transport {
            Some(transport) => Wire::Foreign(transport),
            None => Wire::Pool(Pool::new(&env, settings)),
        };
        let gates = Gates::of(&self.policy.scope, env.clock());
        let scope = self.policy.scope.clone();
        let session = Session {
            #[cfg(feature = "cache")]
            is_plain: crate::cache::is_plain(&headers),
            headers,
            keyring: self.keyring,
            #[cfg(feature = "cache")]
            partition: self.partition,
            #[cfg(feature = "cache")]
            is_scoped: false,
            #[cfg(feature = "cookies")]
            cookies: self.cookies,
            #[cfg(feature = "outbox")]
            outbox: self.outbox,
        };
        let inner = Inner {
            env,
            policy: self.policy,
            wire,
            base: self.base,
            unix: self.unix,
            exact_paths: self.exact_paths,
            redirects: self.redirects,
            decode: self.decode,
            resume: self.resume,
            secret_headers: self.secret_headers,
            call_interceptors: self.call_interceptors,
            attempt_interceptors: self.attempt_interceptors,
            deduplicate: self.deduplicate,
            resilience: Resilience::new(Guards {
                retry: self.retry,
                hedge: self.hedge,
                breaker: self.breaker,
                budget: self.budget,
                rate: self.rate,
                concurrency: self.concurrency,
            }),
            offline: self.offline,
            flights: Arc::default(),
            #[cfg(feature = "cache")]
            cache: self.cache,
        };
        Ok(Client::of(Arc::new(inner), scope, gates, session))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("policy", &self.policy).field("pool", &self.pool).finish_non_exhaustive()
    }
}
