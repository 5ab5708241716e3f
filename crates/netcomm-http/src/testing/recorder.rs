//! A transport that keeps what passes through another one.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{AnyTransport, Body, Error, ErrorKind, HttpTransport, Result};

use super::recording::{Answer, Checksum, Exchange, Failure, Recording, Secrets};

/// Bytes of response bodies that are kept, all together.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// An [`HttpTransport`] that passes everything on to another one and keeps the exchanges, without the secrets. Cheap to
/// clone; clones keep into the same recording.
///
/// Secrets are hidden before anything is kept: header values that are marked as sensitive or whose name
/// [`is_secret_header`](netcomm_core::is_secret_header) knows, query values whose name
/// [`is_secret_query`](netcomm_core::is_secret_query) knows, user information, request bodies. **Response bodies are
/// kept as they are**: do not record what hands out tokens, or edit the text.
///
/// At most 64 MiB of response bodies are kept; what comes after that passes through and is marked as incomplete.
/// Trailers pass through and are not kept.
///
/// # Examples
///
/// ```
/// use netcomm_core::{AnyTransport, HttpTransport};
/// use netcomm_http::testing::Recorder;
///
/// async fn record(transport: AnyTransport) -> netcomm_core::Result<()> {
///     let recorder = Recorder::new(transport).hide_header("x-customer")?;
///     // Hand `recorder.clone()` to whatever wants a transport, then:
///     recorder.save("tests/customers.jsonl")
/// }
/// # drop(record);
/// ```
#[derive(Clone)]
pub struct Recorder {
    transport: AnyTransport,
    secrets: Secrets,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

impl Recorder {
    /// Records what passes through that transport.
    #[must_use]
    pub fn new(transport: impl HttpTransport) -> Self {
        Self { transport: AnyTransport::new(transport), secrets: Secrets::default(), kept: Arc::default() }
    }

    /// Hides the values of another header too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no header name.
    pub fn hide_header(mut self, name: &str) -> Result<Self> {
        let name: HeaderName = name.parse().map_err(|error: http::header::InvalidHeaderName| {
            Error::new(ErrorKind::Invalid, "hide header").with_source(error)
        })?;
        self.secrets.headers.push(name);
        Ok(self)
    }

    /// Hides the values of another query parameter too; case does not matter.
    #[must_use]
    pub fn hide_query(mut self, name: impl Into<String>) -> Self {
        self.secrets.queries.push(name.into());
        self
    }

    /// What was kept so far; bodies that are still being read are in it as far as they came.
    #[must_use]
    pub fn recording(&self) -> Recording {
        Recording { exchanges: lock(&self.kept).exchanges.clone() }
    }

    /// Writes what was kept so far to a file; blocks while it does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.recording().save(path)
    }
}

impl HttpTransport for Recorder {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let exchange = Exchange {
            method: request.method().as_str().to_owned(),
            url: self.secrets.url(request.uri()),
            request_headers: self.secrets.headers(request.headers()),
            request_body: Checksum::default(),
            response: None,
            failure: None,
        };
        let place = {
            let mut kept = lock(&self.kept);
            kept.exchanges.push(exchange);
            Place { kept: Arc::clone(&self.kept), index: kept.exchanges.len() - 1 }
        };
        let sent = self.transport.send(request.map(|body| place.watch_request(body))).await;
        match sent {
            Err(error) => {
                place.with(|exchange| exchange.failure = Some(Failure::of(&error)));
                Err(error)
            }
            Ok(response) => {
                let answer = Answer {
                    status: response.status().as_u16(),
                    headers: self.secrets.headers(response.headers()),
                    body: Vec::new(),
                    complete: false,
                };
                place.with(|exchange| exchange.response = Some(answer));
                Ok(response.map(|body| Watched::boxed(body, place, Role::Response { cut: false })))
            }
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("exchanges", &lock(&self.kept).exchanges.len()).finish_non_exhaustive()
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where an exchange is kept.
#[derive(Clone)]
struct Place {
    kept: Arc<Mutex<Kept>>,
    index: usize,
}

impl Place {
    fn with(&self, change: impl FnOnce(&mut Exchange)) {
        change(&mut lock(&self.kept).exchanges[self.index]);
    }

    /// Keeps a piece of the response's body; `false` if there is no room left.
    fn keep(&self, data: &[u8]) -> bool {
        let mut kept = lock(&self.kept);
        let fits = kept.bytes + data.len() <= MAX_BYTES;
        if fits {
            kept.bytes += data.len();
            if let Some(answer) = &mut kept.exchanges[self.index].response {
                answer.body.extend_from_slice(data);
            }
        }
        fits
    }

    /// The body with a checksum taken as it is sent. Bodies in memory and bodies that can be sent again stay so.
    fn watch_request(&self, body: Body) -> Body {
        if let Some(bytes) = body.as_bytes() {
            let mut sum = Checksum::default();
            sum.add(bytes);
            self.with(|exchange| exchange.request_body = sum);
            return body;
        }
        let watched = |place: &Self, body| Watched::boxed(body, place.clone(), Role::Request(Checksum::default()));
        if body.try_clone().is_none() {
            return watched(self, body);
        }
        // A body of which there is one copy has more; the lock is for its missing `Sync`.
        let (place, original) = (self.clone(), Mutex::new(body));
        Body::replayable(move || {
            let again = original.lock().unwrap_or_else(PoisonError::into_inner).try_clone();
            watched(&place, again.unwrap_or_default())
        })
    }
}

enum Role {
    /// The checksum so far.
    Request(Checksum),
    /// Whether something was left away.
    Response { cut: bool },
}

/// A body that is looked at while it passes.
struct Watched {
    body: Body,
    place: Place,
    role: Role,
}

impl Watched {
    fn boxed(body: Body, place: Place, role: Role) -> Body {
        let watched = Self { body, place, role };
        watched.see_end(false);
        Body::boxed(Box::pin(watched))
    }

    fn see(&mut self, data: &[u8]) {
        match &mut self.role {
            Role::Request(sum) => {
                sum.add(data);
                let sum = *sum;
                self.place.with(|exchange| exchange.request_body = sum);
            }
            Role::Response { cut } => *cut |= !self.place.keep(data),
        }
    }

    fn see_end(&self, ended: bool) {
        if matches!(self.role, Role::Response { cut: false }) && (ended || self.body.is_end_stream()) {
            self.place.with(|exchange| {
                if let Some(answer) = &mut exchange.response {
                    answer.complete = true;
                }
            });
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.see(data);
        }
        self.see_end(frame.is_none());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
