//! Users' code around calls and around attempts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use netcomm_core::{Body, CallId, Result, Scope};

type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Code that stands around a call or around an attempt, and may change what goes in and what comes out.
///
/// A client has two slots for it. Around the *call*
/// ([`intercept_calls`](crate::ClientBuilder::intercept_calls)) it sees what the user asked for and what the user
/// gets: once per call, redirects and repetitions inside, the body decoded. Around the *attempt*
/// ([`intercept_attempts`](crate::ClientBuilder::intercept_attempts)) it sees what goes to one origin over one
/// connection: each redirect and each repetition, with the cookies and credentials of that origin, the body as it
/// came. The first one added is the outermost.
///
/// ```
/// use http::{HeaderValue, Request, Response};
/// use netcomm_core::{Body, Result};
/// use netcomm_http::{Intercept, Next};
///
/// struct Tagged;
///
/// impl Intercept for Tagged {
///     async fn intercept(&self, mut request: Request<Body>, mut next: Next<'_>) -> Result<Response<Body>> {
///         request.headers_mut().insert("x-call", HeaderValue::from(next.call().0));
///         next.run(request).await
///     }
/// }
/// ```
pub trait Intercept: Send + Sync + 'static {
    /// Handles one request: [`Next::run`] passes it on, an answer made here ends the matter.
    ///
    /// # Errors
    ///
    /// Whatever it wants; the call fails with it.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped with the call, at any point where it waits.
    fn intercept(&self, request: Request<Body>, next: Next<'_>) -> impl Future<Output = Result<Response<Body>>> + Send;
}

pub(crate) trait InterceptDyn: Send + Sync {
    fn intercept<'a>(&'a self, request: Request<Body>, next: Next<'a>) -> BoxedFuture<'a, Result<Response<Body>>>;
}

impl<T: Intercept> InterceptDyn for T {
    fn intercept<'a>(&'a self, request: Request<Body>, next: Next<'a>) -> BoxedFuture<'a, Result<Response<Body>>> {
        Box::pin(Intercept::intercept(self, request, next))
    }
}

/// A list of interceptors, outermost first.
pub(crate) type Chain = Vec<Arc<dyn InterceptDyn>>;

/// What follows an interceptor: the next one, or the matter itself.
pub struct Next<'a> {
    rest: &'a [Arc<dyn InterceptDyn>],
    end: &'a mut dyn End,
}

/// What stands at the end of a chain.
pub(crate) trait End: Send {
    fn finish<'s>(&'s mut self, request: Request<Body>) -> BoxedFuture<'s, Result<Response<Body>>>;
    fn facts(&self) -> Facts<'_>;
}

/// What an interceptor may know of its call.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) call: CallId,
    pub(crate) attempt: u32,
    pub(crate) scope: &'a Scope,
}

impl<'a> Next<'a> {
    pub(crate) fn new(chain: &'a Chain, end: &'a mut dyn End) -> Self {
        Self { rest: chain, end }
    }

    /// Passes the request on and gives the answer. May be called again: each time the rest of the chain runs anew.
    ///
    /// # Errors
    ///
    /// What the rest of the chain fails with.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future calls the request off; the peer may have seen it.
    pub async fn run(&mut self, request: Request<Body>) -> Result<Response<Body>> {
        match self.rest.split_first() {
            Some((first, rest)) => first.intercept(request, Next { rest, end: &mut *self.end }).await,
            None => self.end.finish(request).await,
        }
    }

    /// The call.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.end.facts().call
    }

    /// The number of the attempt, from 1; 0 around the call.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.end.facts().attempt
    }

    /// The scope under which the call runs.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.end.facts().scope
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("interceptors_left", &self.rest.len()).finish_non_exhaustive()
    }
}
