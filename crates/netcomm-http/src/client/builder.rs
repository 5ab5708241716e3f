//! What a client is set to, before there is one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::{
    AnyTransport, Budget, Env, Error, ErrorKind, HttpTransport, Limits, Policy, Rate, Result, Timeouts,
};
use url::Url;

use super::{Client, Inner, Session, Wire};
use crate::address::Address;
use crate::auth::{Credentials, Keyring};
use crate::breaker::Breaker;
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
use crate::decode;
use crate::headers;
use crate::hedge::Hedge;
use crate::intercept::{Chain, Intercept};
use crate::limit::{Concurrency, Gates};
use crate::offline::Offline;
use crate::pool::{Http2, Pool, PoolLimits, Settings};
use crate::redirect::Redirects;
use crate::retry::Retry;
use crate::standing::{Guards, Resilience};

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
    pub(super) fn new(env: &Env) -> Self {
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

    /// How often a download that breaks off goes on; see [`RequestBuilder::resume`](crate::RequestBuilder::resume). Default 0.
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
    /// [`ErrorKind::Incomplete`], and can go on by [`resume`](crate::RequestBuilder::resume). With a cache, what is shared is
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
    /// no limit. A [`Scope`](netcomm_core::Scope) may have a limit of its own over all origins.
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
