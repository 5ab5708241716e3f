//! A request as the user puts it together.

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use netcomm_core::{Body, CallId, Error, ErrorKind, Limits, Redacted, Result, Secret, Timeouts, redact_url};
use serde::Serialize;

use crate::address::{Address, IntoAddress};
use crate::auth::Credentials;
use crate::call;
use crate::client::Lane;
use crate::conn::OnInterim;
use crate::hedge::Hedge;
use crate::idempotency;
use crate::offline::Offline;
use crate::progress::{OnProgress, Progress};
use crate::redirect::Redirects;
use crate::response::Response;
use crate::retry::Retry;

/// What a single request wants otherwise than its client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) timeouts: Option<Box<Timeouts>>,
    pub(crate) limits: Option<Box<Limits>>,
    pub(crate) redirects: Option<Redirects>,
    pub(crate) decode: Option<bool>,
    pub(crate) resume: Option<u32>,
    pub(crate) continues: Option<Continued>,
    pub(crate) deduplicate: Option<bool>,
    pub(crate) resilience: Option<Box<ResilienceOptions>>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<Box<CacheOptions>>,
    pub(crate) interim: Option<OnInterim>,
    pub(crate) upload: Option<OnProgress>,
    pub(crate) download: Option<OnProgress>,
}

/// What a single request wants done against failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResilienceOptions {
    pub(crate) retry: Option<Retry>,
    pub(crate) hedge: Option<Option<Hedge>>,
    pub(crate) offline: Option<Offline>,
    pub(crate) idempotent: Option<bool>,
    #[cfg(feature = "outbox")]
    pub(crate) outbox_order: Option<Arc<str>>,
}

/// What a single request wants of the cache.
#[cfg(feature = "cache")]
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheOptions {
    pub(crate) mode: crate::cache::CacheMode,
    pub(crate) ttl: Option<std::time::Duration>,
    pub(crate) partition: Option<Arc<str>>,
    /// Whether the cache itself asks, to confirm what it holds.
    pub(crate) refreshes: bool,
}

/// The call of which a request is a part, where it asks for the rest of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Continued {
    pub(crate) call: CallId,
    /// Whether the call has come here from another origin.
    pub(crate) crossed: bool,
}

/// A request, ready to be sent by [`Client::execute`](crate::Client::execute).
pub struct Request {
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) options: Options,
}

impl Request {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The absolute URI in canonical form, without user information and fragment.
    #[must_use]
    pub fn uri(&self) -> &http::Uri {
        &self.address.uri
    }

    /// The header fields set so far. The client adds its defaults when it sends.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The same request again, unless its body is a stream that can be sent only once.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            address: self.address.clone(),
            headers: self.headers.clone(),
            body: self.body.try_clone()?,
            options: self.options.clone(),
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &redact_url(&self.address.uri.to_string()))
            .field("headers", &Redacted(&self.headers))
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Puts a request together. A mistake on the way is kept and returned by [`send`](Self::send) or
/// [`build`](Self::build).
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Arc<Lane>,
    /// Boxed, since it is passed from setter to setter.
    request: Result<Box<Request>>,
}

impl RequestBuilder {
    pub(crate) fn new(client: Arc<Lane>, method: Method, address: impl IntoAddress) -> Self {
        let request = client.resolve(address).and_then(|mut address| {
            let mut headers = HeaderMap::new();
            if let Some((user, password)) = address.user.take() {
                headers.insert(AUTHORIZATION, fixed(&Credentials::basic(&user, &password)?)?);
            }
            Ok(Box::new(Request { method, address, headers, body: Body::empty(), options: Options::default() }))
        });
        Self { client, request }
    }

    fn with(mut self, change: impl FnOnce(&mut Request) -> Result<()>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            self.request = Err(error.with_url(&request.address.uri.to_string()));
        }
        self
    }

    /// Sets a header field; it takes the place of one of that name, also of the client's default.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        let inner = Arc::clone(&self.client.client().inner);
        self.with(|request| {
            let (name, value) = field(name, value, &inner.secret_headers)?;
            request.headers.insert(name, value);
            Ok(())
        })
    }

    /// Adds a header field beside those of the same name.
    pub fn header_append<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        let inner = Arc::clone(&self.client.client().inner);
        self.with(|request| {
            let (name, value) = field(name, value, &inner.secret_headers)?;
            request.headers.append(name, value);
            Ok(())
        })
    }

    /// Sets all these header fields, each in place of those of its name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        let inner = Arc::clone(&self.client.client().inner);
        self.with(|request| {
            crate::headers::replace(&mut request.headers, headers);
            crate::headers::mark(&mut request.headers, &inner.secret_headers);
            Ok(())
        })
    }

    /// `Authorization: Basic` (RFC 7617). Dropped on a redirect to another origin.
    pub fn basic_auth(self, user: &str, password: impl Into<Secret>) -> Self {
        self.with(|request| {
            let value = fixed(&Credentials::basic(user, &password.into())?)?;
            request.headers.insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// `Authorization: Bearer` (RFC 6750). Dropped on a redirect to another origin.
    pub fn bearer_auth(self, token: impl Into<Secret>) -> Self {
        self.with(|request| {
            let value = fixed(&Credentials::bearer(&token.into())?)?;
            request.headers.insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// Appends name-value pairs to the query, `application/x-www-form-urlencoded`: anything that serialises as a map,
    /// a struct or a sequence of pairs.
    pub fn query(self, pairs: &(impl Serialize + ?Sized)) -> Self {
        self.with(|request| {
            let added = serde_urlencoded::to_string(pairs)
                .map_err(|error| Error::new(ErrorKind::Invalid, "encode query").with_detail(error.to_string()))?;
            if added.is_empty() {
                return Ok(());
            }
            let uri = &request.address.uri;
            let joint = match uri.query() {
                None => "?",
                Some("") => "",
                Some(_) => "&",
            };
            request.address = Address::parse(&format!("{uri}{joint}{added}"), None)?;
            Ok(())
        })
    }

    /// Sets the body: bytes, text, or any [`Body`]. Its type is for the caller to name.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|request| {
            request.body = body.into();
            Ok(())
        })
    }

    /// Sets the body to name-value pairs, `application/x-www-form-urlencoded`.
    pub fn form(self, pairs: &(impl Serialize + ?Sized)) -> Self {
        self.with(|request| {
            let text = serde_urlencoded::to_string(pairs)
                .map_err(|error| Error::new(ErrorKind::Invalid, "encode form").with_detail(error.to_string()))?;
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers.entry(CONTENT_TYPE).or_insert(form);
            request.body = text.into();
            Ok(())
        })
    }

    /// Sets the body to JSON (RFC 8259).
    #[cfg(feature = "json")]
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        self.with(|request| {
            let bytes = serde_json::to_vec(value)
                .map_err(|error| Error::new(ErrorKind::Invalid, "encode json").with_source(error))?;
            request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            request.body = bytes.into();
            Ok(())
        })
    }

    /// Sets the body to a form of several parts (RFC 7578).
    #[cfg(feature = "multipart")]
    pub fn multipart(self, form: crate::multipart::Form) -> Self {
        self.with(|request| {
            request.headers.insert(CONTENT_TYPE, form.content_type());
            request.body = form.into_body();
            Ok(())
        })
    }

    /// Other limits of time than the client's.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.with(|request| {
            request.options.timeouts = Some(Box::new(timeouts));
            Ok(())
        })
    }

    /// The most that the whole call may take, to the last byte of the body.
    pub fn timeout(self, total: std::time::Duration) -> Self {
        let timeouts = self.client.client().timeouts().with_total(Some(total));
        self.with(|request| {
            let own = request.options.timeouts.take().map_or(timeouts, |own| own.with_total(Some(total)));
            request.options.timeouts = Some(Box::new(own));
            Ok(())
        })
    }

    /// Other limits of size than the client's. Limits on the head of a response can only be narrowed here.
    pub fn limits(self, limits: Limits) -> Self {
        self.with(|request| {
            request.options.limits = Some(Box::new(limits));
            Ok(())
        })
    }

    /// For an answer that goes on for as long as somebody reads it, such as an event stream: no limit to the time between
    /// two bytes of its body ([`Timeouts::idle_body`]), to its rate, its time as a whole, its size and how far it may be
    /// compressed (what is said again and again is no bomb to who reads it as it comes); it is not stored, not shared with
    /// an equal call, and the call is neither tried again nor resumed nor put off. What a scope says still counts.
    /// [`Endless`](netcomm_core::Endless) in the extensions of a request does the same where a client is used as a transport.
    pub fn endless(self) -> Self {
        let policy = &self.client.client().inner.policy;
        let timeouts = policy.timeouts.with_idle_body(std::time::Duration::MAX).with_min_rate(None).with_total(None);
        let limits = policy.limits.with_body_bytes(u64::MAX).with_decode_ratio(u64::MAX);
        let endless = self.timeouts(timeouts).limits(limits);
        #[cfg(feature = "cache")]
        let endless = endless.cache_mode(crate::cache::CacheMode::NoStore);
        endless.deduplicate(false).resume(0).retry(Retry::never()).hedge(None).offline(Offline::Fail)
    }

    /// Whether redirects are followed.
    pub fn redirects(self, redirects: Redirects) -> Self {
        self.with(|request| {
            request.options.redirects = Some(redirects);
            Ok(())
        })
    }

    /// Whether content codings are asked for and taken off.
    pub fn decode(self, decode: bool) -> Self {
        self.with(|request| {
            request.options.decode = Some(decode);
            Ok(())
        })
    }

    /// Lets a download that breaks off go on from where it stood, at most `times` times: the rest is asked for by
    /// `Range` and `If-Range` (RFC 9110 §13.1.5, §14.2). It takes a `GET` and a response with a strong entity tag or a
    /// modification date; without them, or if the resource has changed meanwhile, the break is the error that it was.
    pub fn resume(self, times: u32) -> Self {
        self.with(|request| {
            request.options.resume = Some(times);
            Ok(())
        })
    }

    /// Called with each interim response (RFC 9110 §15.2), such as 103 with links to load ahead (RFC 8297): its status and
    /// its fields. Not with 101, which ends the exchange. Redirects and repetitions are told too: each has its own.
    ///
    /// It is HTTP/1.1 that is told: the wire engine keeps interim responses of HTTP/2 to itself. How many may come is a
    /// [limit](Limits::interim).
    pub fn on_interim(self, told: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        self.with(|request| {
            request.options.interim = Some(OnInterim(Arc::new(told)));
            Ok(())
        })
    }

    /// How the call uses the client's cache, if there is one. Default [`CacheMode::Default`](crate::cache::CacheMode).
    #[cfg(feature = "cache")]
    pub fn cache_mode(self, mode: crate::cache::CacheMode) -> Self {
        self.with_cache(|cache| cache.mode = mode)
    }

    /// How long a response is fresh, in place of what it says itself: what comes is stored for that long, whatever its
    /// `Cache-Control` (a status that is no success is stored only if it is cacheable by default, RFC 9110 §15.1), and
    /// what is stored answers if it is younger. For an origin whose word is known to be wrong.
    #[cfg(feature = "cache")]
    pub fn cache_ttl(self, ttl: std::time::Duration) -> Self {
        self.with_cache(|cache| cache.ttl = Some(ttl))
    }

    /// Whose stored responses the call sees and adds to: those of other partitions are as if they did not exist. In
    /// place of the client's partition; see [`ClientBuilder::cache_partition`](crate::ClientBuilder::cache_partition).
    /// Through a [scoped](crate::Client::scoped) handle it names a part of that handle's own partition.
    #[cfg(feature = "cache")]
    pub fn cache_partition(self, partition: &str) -> Self {
        self.with_cache(|cache| cache.partition = Some(partition.into()))
    }

    #[cfg(feature = "cache")]
    fn with_cache(self, change: impl FnOnce(&mut CacheOptions)) -> Self {
        self.with(|request| {
            change(request.options.cache.get_or_insert_default());
            Ok(())
        })
    }

    /// Whether the call shares the answer of an equal one that is under way; see
    /// [`ClientBuilder::deduplicate`](crate::ClientBuilder::deduplicate).
    pub fn deduplicate(self, deduplicate: bool) -> Self {
        self.with(|request| {
            request.options.deduplicate = Some(deduplicate);
            Ok(())
        })
    }

    /// Whether and when the call is tried again, in place of the client's [`Retry`]. Budgets stay those of the client.
    pub fn retry(self, retry: Retry) -> Self {
        self.with_resilience(|own| own.retry = Some(retry))
    }

    /// Whether the call is sent a second time where it is slow, in place of what the client does.
    pub fn hedge(self, hedge: Option<Hedge>) -> Self {
        self.with_resilience(|own| own.hedge = Some(hedge))
    }

    /// What becomes of the call while there is no network.
    pub fn offline(self, offline: Offline) -> Self {
        self.with_resilience(|own| own.offline = Some(offline))
    }

    /// Which calls are delivered one after the other, where this one is put into the client's
    /// [outbox](crate::outbox): those with the same key. Default: those to the same origin.
    #[cfg(feature = "outbox")]
    pub fn outbox_order(self, key: &str) -> Self {
        self.with_resilience(|own| own.outbox_order = Some(key.into()))
    }

    /// Whether the request may be sent more than once though its method is not idempotent, or must not though it is. For
    /// calls of which the caller knows. An [`idempotency_key`](Self::idempotency_key) says so to both sides.
    pub fn idempotent(self, idempotent: bool) -> Self {
        self.with_resilience(|own| own.idempotent = Some(idempotent))
    }

    /// Sets `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), by which the origin knows a repetition when it
    /// sees one. The request may be sent more than once then, whatever its method. Give each act a key of its own.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.with(|request| {
            let invalid =
                || Error::new(ErrorKind::Invalid, "build request").with_detail("an idempotency key is printable ASCII");
            let key = sfv::StringRef::from_str(key).map_err(|error| invalid().with_source(error))?;
            let value = HeaderValue::try_from(sfv::ItemSerializer::new().bare_item(key).finish())
                .map_err(|error| invalid().with_source(error))?;
            request.headers.insert(idempotency::KEY, value);
            Ok(())
        })
    }

    /// The same with a key made for this request: 128 bits from the environment's source of chance, in hexadecimal.
    pub fn new_idempotency_key(self) -> Self {
        let value = idempotency::made(self.client.client().inner.env.random());
        self.with(|request| {
            request.headers.insert(idempotency::KEY, value);
            Ok(())
        })
    }

    fn with_resilience(self, change: impl FnOnce(&mut ResilienceOptions)) -> Self {
        self.with(|request| {
            change(request.options.resilience.get_or_insert_default());
            Ok(())
        })
    }

    /// Called with each piece of the request's body that was handed to the connection.
    pub fn on_upload(self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.with(|request| {
            request.options.upload = Some(OnProgress(Arc::new(progress)));
            Ok(())
        })
    }

    /// Called with each piece of the response's body, before it is decoded.
    pub fn on_download(self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.with(|request| {
            request.options.download = Some(OnProgress(Arc::new(progress)));
            Ok(())
        })
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the first mistake that was made.
    pub fn build(self) -> Result<Request> {
        self.request.map(|request| *request)
    }

    /// Sends the request and waits for the head of the response. A response of any status is `Ok`: see
    /// [`Response::error_for_status`].
    ///
    /// # Errors
    ///
    /// The first mistake in the request, or whatever kept a response from coming: any [`ErrorKind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future calls the request off and closes the connection that it was using; the server may have
    /// seen it.
    pub async fn send(self) -> Result<Response> {
        let Self { client, request } = self;
        call::run(client.client(), request?).await
    }
}

fn fixed(credentials: &Credentials) -> Result<HeaderValue> {
    credentials.fixed().ok_or_else(|| Error::new(ErrorKind::Invalid, "build request"))
}

fn field<N, V>(name: N, value: V, secret: &[HeaderName]) -> Result<(HeaderName, HeaderValue)>
where
    N: TryInto<HeaderName>,
    N::Error: Into<http::Error>,
    V: TryInto<HeaderValue>,
    V::Error: Into<http::Error>,
{
    let invalid =
        |what, error: http::Error| Error::new(ErrorKind::Invalid, "build request").with_detail(what).with_source(error);
    let name = name.try_into().map_err(|error| invalid("not a header name", error.into()))?;
    let mut value = value.try_into().map_err(|error| invalid("not a header value", error.into()))?;
    if secret.contains(&name) {
        value.set_sensitive(true);
    }
    Ok((name, value))
}
