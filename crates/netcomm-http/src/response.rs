//! A response as the user holds it.

use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version};
use http_body::Body as HttpBody;
use netcomm_core::{Body, CallId, Error, ErrorKind, GaveUp, Redacted, Result, TlsInfo, redact_url};

#[cfg(feature = "cache")]
use crate::cache::StoredHead;
use crate::conn::Meta;
use crate::timing::{ReceiveTime, Timing};
use crate::trail::{Attempt, Trail};

/// The response of a call: its head, and a body that is read as it comes.
///
/// Dropping it closes its connection unless the body has been read to the end (or was empty).
pub struct Response {
    /// Boxed, since it is passed from hand to hand.
    inner: Box<Inner>,
}

struct Inner {
    status: StatusCode,
    version: Version,
    extensions: http::Extensions,
    head: Head,
    body: Body,
    facts: Facts,
}

/// The header fields: there, or to be made once somebody looks at them.
#[derive(Default)]
struct Head {
    made: OnceCell<HeaderMap>,
    #[cfg(feature = "cache")]
    stored: Option<StoredHead>,
}

impl Head {
    fn of(headers: HeaderMap) -> Self {
        Self {
            made: OnceCell::from(headers),
            #[cfg(feature = "cache")]
            stored: None,
        }
    }

    fn get(&self) -> &HeaderMap {
        self.made.get_or_init(|| self.make())
    }

    fn into_fields(mut self) -> HeaderMap {
        self.made.take().unwrap_or_else(|| self.make())
    }

    #[cfg(feature = "cache")]
    fn make(&self) -> HeaderMap {
        self.stored.as_ref().map(StoredHead::headers).unwrap_or_default()
    }

    #[cfg(not(feature = "cache"))]
    #[expect(clippy::unused_self, reason = "the cache is a feature")]
    fn make(&self) -> HeaderMap {
        HeaderMap::new()
    }

    /// A field that no cache adds. For one of them the head need not be made.
    fn of_origin(&self, name: &HeaderName) -> Option<&HeaderValue> {
        #[cfg(feature = "cache")]
        if let Some(stored) = &self.stored {
            return stored.of_origin(name);
        }
        self.get().get(name)
    }
}

/// What is known beside the head.
pub(crate) struct Facts {
    pub(crate) call: CallId,
    pub(crate) uri: Uri,
    pub(crate) redirects: Vec<Uri>,
    pub(crate) timing: Timing,
    /// Where the end of the body is told; `None` if it was there with the head.
    pub(crate) receive: Option<ReceiveTime>,
    pub(crate) meta: Option<Arc<Meta>>,
    pub(crate) trail: Trail,
    pub(crate) gave_up: Option<GaveUp>,
    pub(crate) retry_at: Option<Instant>,
    #[cfg(feature = "cache")]
    pub(crate) cache_status: Option<crate::cache::CacheStatus>,
    pub(crate) buffered_bytes: usize,
}

impl Facts {
    /// Of an answer that was made here.
    #[cfg(feature = "outbox")]
    pub(crate) fn of_no_exchange(uri: Uri, buffered_bytes: usize) -> Self {
        Self {
            call: CallId(0),
            uri,
            redirects: Vec::new(),
            timing: Timing::default(),
            receive: None,
            meta: None,
            trail: Trail::default(),
            gave_up: None,
            retry_at: None,
            #[cfg(feature = "cache")]
            cache_status: None,
            buffered_bytes,
        }
    }
}

/// The timing of a response, for whoever wants to read it after the body: cheap to clone.
#[derive(Clone, Debug)]
pub struct TimingWatch {
    timing: Timing,
    receive: Option<ReceiveTime>,
}

impl TimingWatch {
    /// The timing as it is known now.
    #[must_use]
    pub fn get(&self) -> Timing {
        self.timing.with_receive(self.receive.as_ref())
    }
}

impl Response {
    pub(crate) fn new(response: http::Response<Body>, facts: Facts) -> Self {
        let (parts, body) = response.into_parts();
        let http::response::Parts { status, version, headers, extensions, .. } = parts;
        Self { inner: Box::new(Inner { status, version, extensions, head: Head::of(headers), body, facts }) }
    }

    /// An answer from store, its head to be made once somebody looks at it.
    #[cfg(feature = "cache")]
    pub(crate) fn stored(head: StoredHead, body: Body, facts: Facts) -> Self {
        Self {
            inner: Box::new(Inner {
                status: head.status(),
                version: Version::default(),
                extensions: http::Extensions::new(),
                head: Head { made: OnceCell::new(), stored: Some(head) },
                body,
                facts,
            }),
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status
    }

    /// The version of HTTP that was spoken.
    #[must_use]
    pub fn version(&self) -> Version {
        self.inner.version
    }

    /// The header fields. `Content-Encoding` and `Content-Length` are gone where a coding was taken off.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.inner.head.get()
    }

    /// The extensions, as interceptors left them.
    #[must_use]
    pub fn extensions(&self) -> &http::Extensions {
        &self.inner.extensions
    }

    /// The URI that answered, after all redirects.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.inner.facts.uri
    }

    /// The URIs that redirected, in order.
    #[must_use]
    pub fn redirects(&self) -> &[Uri] {
        &self.inner.facts.redirects
    }

    /// The call, as observations name it.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.inner.facts.call
    }

    /// The address at the other end of the connection: the origin's or the proxy's. `None` for Unix-domain sockets,
    /// foreign transports and answers made by an interceptor.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.inner.facts.meta.as_ref()?.info.peer
    }

    /// What TLS agreed on; `None` for a clear connection.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.inner.facts.meta.as_ref()?.info.tls.as_ref()
    }

    /// The number of the connection, counted from 1 by its client; equal for calls that shared one.
    #[must_use]
    pub fn connection(&self) -> Option<u64> {
        Some(self.inner.facts.meta.as_ref()?.id)
    }

    /// Every request that was sent for this call, in order: redirects, repetitions and hedges too. Empty for an answer from
    /// store, and for one that [another call](crate::ClientBuilder::deduplicate) has fetched.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        self.inner.facts.trail.as_slice()
    }

    /// Why a response that is a failure was not asked for again, where [`Retry`](crate::Retry) is on.
    #[must_use]
    pub fn gave_up(&self) -> Option<GaveUp> {
        self.inner.facts.gave_up
    }

    /// When the origin, by a failure that was not asked for again, has asked to come back.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        self.inner.facts.retry_at
    }

    /// The receipt of a call that was put into the client's [outbox](crate::outbox) in place of being answered: this
    /// response (202, without content) was made here, and the origin's own comes to whoever
    /// [watches](crate::outbox::Outbox::watch).
    #[cfg(feature = "outbox")]
    #[must_use]
    pub fn queued(&self) -> Option<&crate::outbox::Ticket> {
        self.extensions().get()
    }

    /// What the client's cache did for it; `None` if the client has none. `Cache-Status` says the same (RFC 9211).
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn cache_status(&self) -> Option<&crate::cache::CacheStatus> {
        self.inner.facts.cache_status.as_ref()
    }

    /// Where the time went, as far as it is known now.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.inner.facts.timing.with_receive(self.inner.facts.receive.as_ref())
    }

    /// The timing, to be read after the body.
    #[must_use]
    pub fn timing_watch(&self) -> TimingWatch {
        TimingWatch { timing: self.inner.facts.timing, receive: self.inner.facts.receive.clone() }
    }

    /// How many bytes of the body are left, if that is known; decoded bodies tell nothing.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.inner.body.len()
    }

    /// The response, or an error of kind [`ErrorKind::Status`] for a status of 400 or more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Status`], with the status and the URL.
    pub fn error_for_status(self) -> Result<Self> {
        if self.status().is_client_error() || self.status().is_server_error() {
            let mut error = Error::new(ErrorKind::Status, "call")
                .with_detail(self.status().to_string())
                .with_status(self.status())
                .with_attempts(self.inner.facts.trail.count(), self.inner.facts.timing.total())
                .with_url(&self.inner.facts.uri.to_string());
            if let Some(why) = self.inner.facts.gave_up {
                error = error.with_gave_up(why);
            }
            return Err(match self.inner.facts.retry_at {
                Some(at) => error.with_retry_at(at),
                None => error,
            });
        }
        Ok(self)
    }

    /// The next bytes of the body; `None` at the end.
    ///
    /// # Errors
    ///
    /// Kinds `Incomplete`, `Timeout`, `TooLarge`, `Decode`, `Protocol`. The body is at its end then.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.inner.body.chunk().await.map_err(|error| error.with_url(&self.inner.facts.uri.to_string()))
    }

    /// The whole body, at most [`Limits::buffered_bytes`](netcomm_core::Limits::buffered_bytes).
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), and `TooLarge` for a longer body.
    ///
    /// # Cancel safety
    ///
    /// What was read is lost if the future is dropped.
    pub async fn bytes(mut self) -> Result<Bytes> {
        // Taken out of its box, since the rest of it is large.
        let body = std::mem::take(&mut self.inner.body);
        let most = self.inner.facts.buffered_bytes;
        if let Some(bytes) = body.as_bytes().filter(|bytes| bytes.len() <= most) {
            return Ok(bytes.clone());
        }
        body.collect(most).await.map_err(|error| error.with_url(&self.inner.facts.uri.to_string()))
    }

    /// The whole body as text, in the charset that `Content-Type` names, else UTF-8. Malformed text is an error.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and `Decode` for malformed text, a charset that is not built in, or a content coding
    /// that was not taken off.
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String> {
        self.check_decoded()?;
        let content_type = self.inner.head.of_origin(&CONTENT_TYPE).cloned();
        let url = self.inner.facts.uri.clone();
        crate::charset::text(self.bytes().await?, content_type.as_ref())
            .map_err(|error| error.with_url(&url.to_string()))
    }

    /// The whole body, parsed as JSON.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and `Decode` with line and column for what does not parse.
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        self.check_decoded()?;
        let (status, url) = (self.inner.status, self.inner.facts.uri.clone());
        serde_json::from_slice(&self.bytes().await?).map_err(|error| {
            Error::new(ErrorKind::Decode, "parse json")
                .with_detail(format!("line {} column {}", error.line(), error.column()))
                .with_status(status)
                .with_url(&url.to_string())
                .with_source(error)
        })
    }

    /// The body as a stream of its chunks.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send + Unpin {
        Chunks { body: self.inner.body }
    }

    /// The body alone, within its limits.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.inner.body
    }

    /// The response as the `http` crate knows it; what is known beside the head is lost.
    #[must_use]
    pub fn into_http(self) -> http::Response<Body> {
        let Inner { status, version, extensions, head, body, .. } = *self.inner;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.version_mut() = version;
        *response.headers_mut() = head.into_fields();
        *response.extensions_mut() = extensions;
        response
    }

    fn check_decoded(&self) -> Result<()> {
        match self.inner.head.of_origin(&CONTENT_ENCODING) {
            Some(coding) if !self.inner.body.is_empty() && !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
                Err(Error::new(ErrorKind::Decode, "read body")
                    .with_detail(format!("the content coding {coding:?} was not taken off"))
                    .with_url(&self.inner.facts.uri.to_string()))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.inner.status.as_u16())
            .field("version", &self.inner.version)
            .field("url", &redact_url(&self.inner.facts.uri.to_string()))
            .field("headers", &Redacted(self.headers()))
            .field("body", &self.inner.body)
            .finish_non_exhaustive()
    }
}

struct Chunks {
    body: Body,
}

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}
