//! The one error of the whole family, and the questions it answers.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::redact::redact_url;

/// The result of every netcomm operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a program wants to tell cases apart.
///
/// The kind is set where it is known; nobody has to walk the source chain to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the caller handed in is malformed: a URL, a header, a setting. Nothing was sent.
    Invalid,
    /// A policy, a scope or the guard against private addresses said no. Nothing was sent to the refused place.
    Denied,
    /// The network is known to be away, or the call was told not to use it.
    Offline,
    /// The name could not be resolved.
    Dns,
    /// No connection could be made.
    Connect,
    /// The proxy refused, or did not speak as a proxy.
    Proxy,
    /// The TLS handshake failed, or the certificate was not accepted.
    Tls,
    /// A time limit passed; [`Error::phase`] tells which.
    Timeout,
    /// The peer closed or reset the connection before an answer came.
    Closed,
    /// A body ended before its promised end.
    Incomplete,
    /// The peer broke the protocol.
    Protocol,
    /// A limit on size or count was passed; the detail names the limit.
    TooLarge,
    /// Content could not be decoded: a content coding, a charset, JSON.
    Decode,
    /// A redirect could not or may not be followed.
    Redirect,
    /// The status of a response was made an error on request.
    Status,
    /// Credentials could not be had.
    Auth,
    /// A local limit on work in progress was reached (pool, rate, concurrency, budget of a scope).
    Busy,
    /// The peer is not asked for now, since it failed too often (circuit breaker). Nothing was sent.
    Unavailable,
    /// The operation was called off: the handle was revoked or its owner is gone.
    Canceled,
    /// What was asked for is not built in, or not possible here.
    Unsupported,
    /// A local file or device failed.
    Io,
    /// The caller's own code (interceptor, body maker, token provider) failed.
    User,
}

impl ErrorKind {
    /// The kind in words, as [`Error`]'s `Display` prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid input",
            Self::Denied => "denied by policy",
            Self::Offline => "offline",
            Self::Dns => "name not resolved",
            Self::Connect => "could not connect",
            Self::Proxy => "proxy failed",
            Self::Tls => "tls failed",
            Self::Timeout => "timed out",
            Self::Closed => "connection closed",
            Self::Incomplete => "body incomplete",
            Self::Protocol => "protocol violated by peer",
            Self::TooLarge => "limit exceeded",
            Self::Decode => "could not decode",
            Self::Redirect => "redirect not followed",
            Self::Status => "unsuccessful status",
            Self::Auth => "no credentials",
            Self::Busy => "busy",
            Self::Unavailable => "peer not asked for now",
            Self::Canceled => "canceled",
            Self::Unsupported => "not supported",
            Self::Io => "local i/o failed",
            Self::User => "caller's code failed",
        }
    }
}

/// The phase of an exchange in which something happened, or in which time passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a free connection or a free place.
    Blocked,
    /// Resolving a name.
    Dns,
    /// Making the connection, all steps together.
    Connect,
    /// Speaking with a proxy.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the head of the response.
    Wait,
    /// Receiving the body.
    Receive,
    /// The whole call.
    Total,
}

impl Phase {
    /// The phase in one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Receive => "receive",
            Self::Total => "total",
        }
    }
}

/// The stage of a call that stopped it: those that decide stand before the attempt on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The access policy or the scope of the handle.
    Policy,
    /// The credentials for the origin could not be had.
    Credentials,
    /// The cache: the call might use nothing but what is stored.
    Cache,
    /// The gate that looks whether there is a network.
    Offline,
    /// The circuit breaker of the origin.
    Breaker,
    /// A limit on rate or concurrency.
    Limit,
    /// An attempt: making a connection, sending, waiting for the head of the response.
    Attempt,
    /// A redirect that could not be followed.
    Redirect,
}

impl Stage {
    /// The stage in one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Credentials => "credentials",
            Self::Cache => "cache",
            Self::Offline => "offline",
            Self::Breaker => "breaker",
            Self::Limit => "limit",
            Self::Attempt => "attempt",
            Self::Redirect => "redirect",
        }
    }
}

/// Why a call that failed was not tried once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaveUp {
    /// It would be the same again.
    Final,
    /// The peer may have acted on the request, and to send it twice is not known to be safe: the method is not
    /// idempotent and the request has no idempotency key.
    Unsafe,
    /// The body was a stream that can be sent only once.
    BodySpent,
    /// As many attempts were made as may be.
    Attempts,
    /// The time for attempts was over, or would have been before the next one.
    Elapsed,
    /// The call's own deadline would have passed before the next attempt.
    Deadline,
    /// The budget for repetitions was used up.
    Budget,
    /// The peer wants to be left alone for longer than the call may wait.
    RetryAfter,
}

impl GaveUp {
    /// The reason in a few lower-case words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Final => "it would be the same again",
            Self::Unsafe => "not safe to send twice",
            Self::BodySpent => "the body can be sent only once",
            Self::Attempts => "all attempts made",
            Self::Elapsed => "the time for attempts is over",
            Self::Deadline => "the deadline is too near",
            Self::Budget => "the retry budget is used up",
            Self::RetryAfter => "the peer asks for a longer wait than allowed",
        }
    }
}

/// The error of every netcomm crate: a kind, where it happened, and what lies beneath.
///
/// `Display` is one lower-case line without the source's text (walk [`source`](StdError::source) for that). URLs are
/// kept without user information and query; secrets never appear. One pointer in size. A clone tells the same failure
/// to another caller: both have the one source, and what is added to either later stays with it.
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    detail: Option<Cow<'static, str>>,
    url: Option<String>,
    status: Option<StatusCode>,
    phase: Option<Phase>,
    unsent: bool,
    trail: Trail,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What came before the end of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trail {
    stage: Option<Stage>,
    attempts: u32,
    elapsed: Option<Duration>,
    gave_up: Option<GaveUp>,
    retry_at: Option<Instant>,
    /// Whether an earlier attempt may have been processed, whatever became of the last one.
    maybe_sent: bool,
}

impl Error {
    /// A new error of `kind`, that happened during `operation` (a short lower-case noun or verb: `"connect"`).
    #[must_use]
    #[cold]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                detail: None,
                url: None,
                status: None,
                phase: None,
                unsent: false,
                trail: Trail::default(),
                source: None,
            }),
        }
    }

    /// A timeout in `phase`.
    #[must_use]
    #[cold]
    pub fn timeout(operation: &'static str, phase: Phase) -> Self {
        Self::new(ErrorKind::Timeout, operation).with_phase(phase)
    }

    /// Adds what exactly was wrong. Must not hold a secret.
    #[must_use]
    #[cold]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.inner.detail = Some(detail.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    #[cold]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds the URL concerned; user information, query and fragment are dropped first. The first URL given stays: it is
    /// the one nearest to the failure.
    #[must_use]
    #[cold]
    pub fn with_url(mut self, url: &str) -> Self {
        if self.inner.url.is_none() {
            self.inner.url = Some(redact_url(url));
        }
        self
    }

    /// Adds the status of the response concerned.
    #[must_use]
    #[cold]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Adds the phase in which it happened.
    #[must_use]
    #[cold]
    pub fn with_phase(mut self, phase: Phase) -> Self {
        self.inner.phase = Some(phase);
        self
    }

    /// Marks that the peer has not processed the request: sending it again is safe for every method (RFC 9110 §9.2.2).
    #[must_use]
    #[cold]
    pub fn with_unsent(mut self) -> Self {
        self.inner.unsent = true;
        self
    }

    /// Adds the stage that stopped the call. The first stage given stays: it is the one nearest to the failure.
    #[must_use]
    #[cold]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.inner.trail.stage.get_or_insert(stage);
        self
    }

    /// Adds how many attempts were made and how long it all took.
    #[must_use]
    #[cold]
    pub fn with_attempts(mut self, attempts: u32, elapsed: Duration) -> Self {
        self.inner.trail.attempts = attempts;
        self.inner.trail.elapsed = Some(elapsed);
        self
    }

    /// Adds why no further attempt was made.
    #[must_use]
    #[cold]
    pub fn with_gave_up(mut self, why: GaveUp) -> Self {
        self.inner.trail.gave_up = Some(why);
        self
    }

    /// Marks that an earlier attempt may have been processed, so that the failure of the last one says nothing about all.
    #[must_use]
    #[cold]
    pub fn with_maybe_sent(mut self) -> Self {
        self.inner.trail.maybe_sent = true;
        self
    }

    /// Adds when it makes sense to come back.
    #[must_use]
    #[cold]
    pub fn with_retry_at(mut self, at: Instant) -> Self {
        self.inner.trail.retry_at = Some(at);
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What exactly was wrong, if more is known than the kind.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.inner.detail.as_deref()
    }

    /// The URL concerned, without user information, query and fragment.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.inner.url.as_deref()
    }

    /// The status of the response, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// The phase in which it happened, where known; always set for [`ErrorKind::Timeout`].
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.inner.phase
    }

    /// Which stage of a call stopped it, where that is known.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.inner.trail.stage
    }

    /// How many attempts were made on the wire before this was told; 0 where none was, or where it is not counted.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.trail.attempts
    }

    /// From the start of the call to its failure, where that is known.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.inner.trail.elapsed
    }

    /// Why no further attempt was made, where retries were on.
    #[must_use]
    pub fn gave_up(&self) -> Option<GaveUp> {
        self.inner.trail.gave_up
    }

    /// When it makes sense to come back, by the clock of the environment: what the peer has said, when the breaker lets
    /// a trial through, or when a limit has room. `None` where nobody knows.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        self.inner.trail.retry_at
    }

    /// Whether the peer surely has not processed the request.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        !self.inner.trail.maybe_sent && self.failed_unsent()
    }

    /// Whether what failed last was surely not processed.
    fn failed_unsent(&self) -> bool {
        self.inner.unsent
            || matches!(
                self.inner.kind,
                ErrorKind::Invalid
                    | ErrorKind::Denied
                    | ErrorKind::Offline
                    | ErrorKind::Dns
                    | ErrorKind::Connect
                    | ErrorKind::Proxy
                    | ErrorKind::Tls
                    | ErrorKind::Unavailable
            )
            || matches!(
                self.inner.phase,
                Some(Phase::Blocked | Phase::Dns | Phase::Connect | Phase::Proxy | Phase::Tls)
            )
    }

    /// Whether a time limit passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == ErrorKind::Timeout
    }

    /// Whether no usable connection could be made: name, connection, proxy, TLS, or the time for them ran out.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        match self.inner.kind {
            ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Proxy | ErrorKind::Tls => true,
            ErrorKind::Timeout => {
                matches!(self.inner.phase, Some(Phase::Dns | Phase::Connect | Phase::Proxy | Phase::Tls))
            }
            _ => false,
        }
    }

    /// Whether the name could not be resolved.
    #[must_use]
    pub fn is_dns(&self) -> bool {
        self.inner.kind == ErrorKind::Dns || (self.is_timeout() && self.inner.phase == Some(Phase::Dns))
    }

    /// Whether TLS failed.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.inner.kind == ErrorKind::Tls
    }

    /// Whether the connection went away in the middle.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Closed | ErrorKind::Incomplete)
    }

    /// Whether a policy, a scope or the guard refused.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.inner.kind == ErrorKind::Denied
    }

    /// Whether the same operation may succeed later, as far as the error itself can tell. Whether it is *safe* to send
    /// again is another question: see [`is_unsent`](Self::is_unsent) and the method's idempotence.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.inner.kind {
            ErrorKind::Offline
            | ErrorKind::Dns
            | ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Closed
            | ErrorKind::Incomplete
            | ErrorKind::Busy
            | ErrorKind::Unavailable => true,
            ErrorKind::Status => self
                .inner
                .status
                .is_some_and(|status| matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)),
            _ => self.inner.unsent,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        write!(f, "{}: {}", inner.operation, inner.kind.as_str())?;
        if let Some(detail) = &inner.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(phase) = inner.phase {
            write!(f, " [{}]", phase.as_str())?;
        }
        if let Some(url) = &inner.url {
            write!(f, " ({url})")?;
        }
        if inner.trail.attempts > 1 {
            write!(f, " after {} attempts", inner.trail.attempts)?;
            if let Some(elapsed) = inner.trail.elapsed {
                write!(f, " in {elapsed:.1?}")?;
            }
        }
        match inner.trail.gave_up {
            None | Some(GaveUp::Final) => Ok(()),
            Some(why) => write!(f, "; {}", why.as_str()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("operation", &inner.operation);
        if let Some(detail) = &inner.detail {
            out.field("detail", detail);
        }
        if let Some(phase) = &inner.phase {
            out.field("phase", phase);
        }
        if let Some(status) = &inner.status {
            out.field("status", &status.as_u16());
        }
        if let Some(url) = &inner.url {
            out.field("url", url);
        }
        if inner.unsent {
            out.field("unsent", &true);
        }
        if inner.trail != Trail::default() {
            out.field("trail", &inner.trail);
        }
        if let Some(source) = &inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_lower_case_line_without_secrets() {
        let error = Error::timeout("send", Phase::Wait)
            .with_detail("no response head within 30s")
            .with_url("https://user:hunter2@example.com/a/b?token=hunter2#hunter2")
            .with_source("inner text");
        assert_eq!(error.to_string(), "send: timed out: no response head within 30s [wait] (https://example.com/a/b)");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("inner text"));
    }

    #[test]
    fn what_came_before_is_told() {
        let start = Instant::now();
        let error = Error::new(ErrorKind::Closed, "exchange")
            .with_stage(Stage::Attempt)
            .with_stage(Stage::Policy)
            .with_attempts(3, Duration::from_millis(2140))
            .with_gave_up(GaveUp::Budget)
            .with_retry_at(start)
            .with_url("http://a/");
        let text = "exchange: connection closed (http://a/) after 3 attempts in 2.1s; the retry budget is used up";
        assert_eq!(error.to_string(), text);
        assert_eq!((error.stage(), error.attempts()), (Some(Stage::Attempt), 3), "the first stage stays");
        assert_eq!((error.gave_up(), error.retry_at()), (Some(GaveUp::Budget), Some(start)));
        assert!(Error::new(ErrorKind::Dns, "x").is_unsent());
        assert!(!Error::new(ErrorKind::Dns, "x").with_maybe_sent().is_unsent(), "one before may have been");
        let single = Error::new(ErrorKind::Closed, "x").with_attempts(1, Duration::ZERO).with_gave_up(GaveUp::Final);
        assert_eq!(single.to_string(), "x: connection closed");
    }

    #[test]
    fn one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_clone_shares_the_source_and_nothing_that_is_added_later() {
        let error = Error::new(ErrorKind::Closed, "read body").with_source(std::io::Error::other("inner text"));
        let told = error.clone().with_url("http://a/").with_unsent();
        assert_eq!((told.kind(), told.operation()), (ErrorKind::Closed, "read body"));
        assert_eq!((error.url(), error.is_unsent()), (None, false));
        let source = |error: &Error| {
            let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
            std::ptr::from_ref(source.expect("the type of the source stays"))
        };
        assert_eq!(source(&told), source(&error));
    }

    #[test]
    fn questions() {
        let cases = [
            (Error::new(ErrorKind::Dns, "x"), [true, true, false, true, true]),
            (Error::new(ErrorKind::Tls, "x"), [true, false, false, false, true]),
            (Error::timeout("x", Phase::Dns), [true, true, true, true, true]),
            (Error::timeout("x", Phase::Wait), [false, false, true, true, false]),
            (Error::timeout("x", Phase::Blocked), [false, false, true, true, true]),
            (Error::new(ErrorKind::Closed, "x"), [false, false, false, true, false]),
            (Error::new(ErrorKind::Closed, "x").with_unsent(), [false, false, false, true, true]),
            (Error::new(ErrorKind::Protocol, "x"), [false, false, false, false, false]),
            (Error::new(ErrorKind::Protocol, "x").with_unsent(), [false, false, false, true, true]),
            (Error::new(ErrorKind::Status, "x").with_status(StatusCode::NOT_FOUND), [false; 5]),
        ];
        for (error, expected) in cases {
            let got = [error.is_connect(), error.is_dns(), error.is_timeout(), error.is_retryable(), error.is_unsent()];
            assert_eq!(got, expected, "{error:?}");
        }
        let status = Error::new(ErrorKind::Status, "x").with_status(StatusCode::SERVICE_UNAVAILABLE);
        assert!(status.is_retryable());
    }

    #[test]
    fn the_first_url_stays() {
        let error = Error::new(ErrorKind::Connect, "x").with_url("http://a/").with_url("http://b/");
        assert_eq!(error.url(), Some("http://a/"));
    }
}
