//! The batcher: what calls are handed to, and how it is set up.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcomm_core::{Limits, Result, Timeouts};
use tokio::sync::Semaphore;

use super::carry::Shared;
use super::codec::Codec;
use super::window::Bounds;
use crate::address::IntoAddress;
use crate::client::Client;
use crate::request::RequestBuilder;

/// Gathers calls and sends many of them as one request. Cheap to clone; clones gather together.
///
/// The first call opens a batch. It closes when as many calls or bytes are in it as may be, when its time has come, or
/// when it is [flushed](Self::flush). What is called meanwhile goes into the next one. One that finds as many batches in
/// flight as there may be goes on filling until one of them ends.
///
/// Calls share one set of header fields, one handle of a client and so one scope and its credentials: for calls of
/// others there is another batcher.
///
/// All calls of a batch wait in memory, at most [`max_bytes`](BatcherBuilder::max_bytes) (or one larger call) per
/// batch; so does its response, within [`Limits::buffered_bytes`] of the client.
pub struct Batcher<C: Codec> {
    shared: Arc<Shared<C>>,
}

impl<C: Codec> Batcher<C> {
    /// Starts a batcher that sends to that URL through that client.
    pub fn builder(client: &Client, url: impl IntoAddress, codec: C) -> BatcherBuilder<C> {
        BatcherBuilder {
            client: client.clone(),
            request: client.request(Method::POST, url),
            method: Method::POST,
            codec,
            bounds: Bounds::default(),
            max_in_flight: MAX_IN_FLIGHT,
            blocked: client.timeouts().blocked,
        }
    }

    /// Hands in a call and waits for its answer.
    ///
    /// # Errors
    ///
    /// The call's own: what its codec makes of the answer; [`ErrorKind::Protocol`](netcomm_core::ErrorKind::Protocol) if
    /// there was none or more than one. Or that of the whole batch, which every caller in it gets: whatever kept a
    /// response from coming, [`ErrorKind::Status`](netcomm_core::ErrorKind::Status) for a status other than 2xx, a
    /// response that is no answer to a batch. `Timeout` in phase `Blocked` if no batch in flight has ended for
    /// [`Timeouts::blocked`], `Unsupported` outside of a tokio runtime, `Canceled` if the runtime of the call that
    /// opened the batch ends.
    ///
    /// # Cancel safety
    ///
    /// A call whose future is dropped before its batch is sent is left out of it. After that its answer is dropped. The
    /// others of its batch do not notice; when the last of them has left, the batch is called off.
    pub async fn call(&self, call: C::Call) -> Result<C::Answer> {
        self.shared.call(call).await
    }

    /// Sends what has been handed in so far without waiting for more, if there is a place in flight; if not, as soon as
    /// there is one. Does not wait for answers.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> &C {
        &self.shared.codec
    }
}

impl<C: Codec> Clone for Batcher<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Codec> fmt::Debug for Batcher<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.shared.in_flight.available_permits();
        f.debug_struct("Batcher").field("bounds", &self.shared.bounds).field("free", &free).finish_non_exhaustive()
    }
}

const MAX_IN_FLIGHT: usize = 8;

/// Builds a [`Batcher`]. A mistake on the way is kept and returned by [`build`](Self::build).
#[must_use]
pub struct BatcherBuilder<C: Codec> {
    client: Client,
    request: RequestBuilder,
    method: Method,
    codec: C,
    bounds: Bounds,
    max_in_flight: usize,
    blocked: Duration,
}

impl<C: Codec> BatcherBuilder<C> {
    /// The method of the requests. Default `POST`, which is never sent twice; an idempotent one is where that is safe.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets a header field of every request. What the codec sets, such as `Content-Type`, takes its place.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        self.with_request(|request| request.header(name, value))
    }

    /// Sets all these header fields, each in place of those of its name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with_request(|request| request.headers(headers))
    }

    /// The most calls in one batch. Default 100; 0 is read as 1.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.bounds.max_calls = calls;
        self
    }

    /// The most bytes in one batch, as the codec estimates them. Default 1 MiB. A call that is larger goes alone.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bounds.max_bytes = bytes;
        self
    }

    /// The longest that a call waits for others. Default 5 ms: little beside a way through a network, and time for what
    /// one event sets off. Zero gathers what is called before the executor comes to the batch: calls that
    /// one task makes at once. More than a day is read as a day.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.bounds.max_delay = delay;
        self
    }

    /// The most batches in flight. Default 8; 0 is read as 1.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.max_in_flight = batches;
        self
    }

    /// Other limits of time than the client's, for each batch. The time in which calls gather is no part of it.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.blocked = timeouts.blocked;
        self.with_request(|request| request.timeouts(timeouts))
    }

    /// Other limits of size than the client's, for each batch.
    pub fn limits(self, limits: Limits) -> Self {
        self.with_request(|request| request.limits(limits))
    }

    /// The batcher.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](netcomm_core::ErrorKind::Invalid): the first mistake that was made.
    pub fn build(self) -> Result<Batcher<C>> {
        let mut template = self.request.build()?;
        template.method = self.method;
        let in_flight = Semaphore::new(self.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let shared = Shared {
            client: self.client,
            codec: self.codec,
            template: Mutex::new(template),
            bounds: self.bounds,
            in_flight,
            blocked: self.blocked,
            open: Mutex::new(None),
        };
        Ok(Batcher { shared: Arc::new(shared) })
    }

    fn with_request(mut self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        self.request = change(self.request);
        self
    }
}

impl<C: Codec> fmt::Debug for BatcherBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("request", &self.request)
            .field("bounds", &self.bounds)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}
