//! Trying again: what the user may set. When it is done is decided in [`decide`]; the loop itself is part of the call.

mod decide;
mod feedback;
mod spool;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri};
use netcomm_core::{Backoff, Error};

pub(crate) use self::decide::{Decision, Failure, SoFar, decide};
pub(crate) use self::feedback::Feedback;
pub(crate) use self::spool::spool;

/// Whether and when a call that failed is tried again.
///
/// A request is sent again only where that is safe: its method is idempotent (RFC 9110 §9.2.2), it carries an
/// `Idempotency-Key`, its caller has [said so](crate::RequestBuilder::idempotent), or the peer has surely not processed it
/// ([`Error::is_unsent`]). Whether it is worth it, its outcome says: by default [`netcomm_core::classify`]. Repetitions of
/// an origin share one [`Budget`](netcomm_core::Budget).
///
/// A response that still is a failure when nothing more is tried is returned as it came.
///
/// ```
/// use std::time::Duration;
///
/// use netcomm_http::{Backoff, Retry};
///
/// let patient = Retry::default().attempts(6).elapsed(Duration::from_secs(120));
/// let quick = Retry::default().backoff(Backoff::new(Duration::from_millis(20), Duration::from_millis(200)));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Retry {
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) max_wait: Duration,
    pub(crate) spool_bytes: usize,
    classifier: Option<Arc<Classifier>>,
}

type Classifier = dyn Fn(&Tried<'_>) -> Verdict + Send + Sync;

/// What one try came to, as a classifier sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tried<'a> {
    /// The method.
    pub method: &'a Method,
    /// Where it was sent.
    pub uri: &'a Uri,
    /// How many tries there were, this one too.
    pub tries: u32,
    /// The head of the response, or why there is none.
    pub outcome: Result<(StatusCode, &'a HeaderMap), &'a Error>,
}

/// What a classifier says of a try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// What would be said without it.
    #[default]
    Default,
    /// It stays as it is.
    Final,
    /// Another try may help. Where that is not safe it is not made all the same.
    Again,
    /// Another try may help after that time, which is in place of the backoff; at most what
    /// [`max_wait`](Retry::max_wait) allows.
    AgainAfter(Duration),
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            elapsed: Duration::from_secs(60),
            backoff: Backoff::default(),
            max_wait: Duration::from_secs(60),
            spool_bytes: 0,
            classifier: None,
        }
    }
}

impl Retry {
    /// No repetition, for requests that want otherwise than their client.
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// How many tries there may be, the first one too. Default 4; 0 is read as 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long after the first try another one may begin. Default 60 s. The call's own deadline goes first.
    pub fn elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// How long to wait where the peer does not say. Default 200 ms, doubled up to 20 s, with full jitter.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The longest wait that a peer may ask for, by `Retry-After` (RFC 9110 §10.2.3) or `RateLimit`
    /// (draft-ietf-httpapi-ratelimit-headers). Default 60 s. Who asks for more is not asked again by this call.
    pub fn max_wait(mut self, most: Duration) -> Self {
        self.max_wait = most;
        self
    }

    /// Keeps up to that many bytes of a body that can be sent only once, while it is being sent, so that it can be sent
    /// again. Default 0: such a body is not sent again. A body that turns out longer is sent on, and not kept.
    pub fn spool(mut self, max_bytes: usize) -> Self {
        self.spool_bytes = max_bytes;
        self
    }

    /// Asks `classifier` what an outcome means. It sees every response and every error of a try; it must be quick.
    pub fn classify(mut self, classifier: impl Fn(&Tried<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        self.classifier = Some(Arc::new(classifier));
        self
    }

    pub(crate) fn verdict(&self, tried: &Tried<'_>) -> Verdict {
        self.classifier.as_ref().map_or(Verdict::Default, |classifier| classifier(tried))
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("attempts", &self.attempts)
            .field("elapsed", &self.elapsed)
            .field("backoff", &self.backoff)
            .field("max_wait", &self.max_wait)
            .field("spool_bytes", &self.spool_bytes)
            .field("classifier", &self.classifier.as_ref().map(Arc::as_ptr))
            .finish()
    }
}
