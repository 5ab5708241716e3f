//! A client as a tower service, and a tower service as a client's transport.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use netcomm_core::{Body, Error, ErrorKind, HttpTransport, Result};
use tower_service::Service;

use crate::client::Client;

type ServiceFuture = Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send>>;

/// Ready at all times: what a client has to wait for, it waits for inside the call, under its timeouts.
impl Service<http::Request<Body>> for Client {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = ServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> ServiceFuture {
        let client = self.clone();
        Box::pin(async move { client.send(request).await })
    }
}

impl Service<http::Request<Body>> for &Client {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = ServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> ServiceFuture {
        Service::call(&mut (*self).clone(), request)
    }
}

/// A tower service as [`HttpTransport`]: for [`ClientBuilder::transport`](crate::ClientBuilder::transport), or for
/// whatever else takes one.
///
/// Each request gets a clone of the service, as tower's own clients do. Errors that are no
/// [`Error`] become one of kind [`ErrorKind::User`].
#[derive(Clone)]
pub struct ServiceTransport<S> {
    service: S,
}

impl<S> ServiceTransport<S> {
    /// Wraps a service.
    pub fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S> HttpTransport for ServiceTransport<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>> {
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(own)?;
        service.call(request).await.map_err(own)
    }
}

fn own(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(own) => *own,
        Err(foreign) => Error::new(ErrorKind::User, "call service").with_source(foreign),
    }
}

impl<S> fmt::Debug for ServiceTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTransport").finish_non_exhaustive()
    }
}
