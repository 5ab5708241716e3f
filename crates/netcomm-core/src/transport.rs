//! Whoever can carry an HTTP request to its origin and bring the response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};

use crate::body::Body;
use crate::error::Result;

/// Sends one HTTP request and gives its response: what event streams, push and sync want of an HTTP client, without
/// caring whose it is.
///
/// The URI of the request is absolute. A response of any status is `Ok`. A transport that is observed may put the
/// [`CallId`](crate::CallId) into its extensions, so that what is observed of its content later is known to belong to it.
pub trait HttpTransport: Send + Sync + 'static {
    /// Sends `request`.
    ///
    /// # Errors
    ///
    /// Whatever kept the head of a response from arriving. What goes wrong later fails the body.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future calls the request off; the peer may have seen it.
    fn send(&self, request: Request<Body>) -> impl Future<Output = Result<Response<Body>>> + Send;
}

/// Put into the extensions of a request: its answer is a stream that goes on for as long as somebody reads it.
///
/// A transport that knows it sets no limit to the time between two bytes of the body, to the time of the whole, to its rate,
/// its size and how far it may be compressed, and neither stores the answer, shares it with an equal request, nor repeats the request on its own: all
/// that is the business of whoever asks. Other transports pass it over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endless;

/// Any [`HttpTransport`], as a handle that is cheap to clone and has no type parameter.
#[derive(Clone)]
pub struct AnyTransport(Arc<dyn HttpTransportDyn>);

trait HttpTransportDyn: Send + Sync {
    fn send<'a>(&'a self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send + 'a>>;
}

impl<T: HttpTransport> HttpTransportDyn for T {
    fn send<'a>(&'a self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send + 'a>> {
        Box::pin(HttpTransport::send(self, request))
    }
}

impl AnyTransport {
    /// Wraps a transport.
    #[must_use]
    pub fn new(transport: impl HttpTransport) -> Self {
        Self(Arc::new(transport))
    }
}

impl HttpTransport for AnyTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        self.0.send(request).await
    }
}

impl fmt::Debug for AnyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyTransport")
    }
}
