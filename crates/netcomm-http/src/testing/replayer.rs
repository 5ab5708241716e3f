//! A transport that answers from a recording.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, ErrorKind, HttpTransport, Result};

use super::recording::{Answer, Checksum, Exchange, Recording, Secrets, header_bytes};

/// How many of the exchanges that are left an error names.
const NAMED: usize = 5;

/// An [`HttpTransport`] that answers from a [`Recording`], each exchange once. Cheap to clone; clones share what is left.
///
/// A request is answered by the first exchange left that has its method and URL (secrets hidden on both sides alike), and
/// with [`match_bodies`](Self::match_bodies) a body of the same bytes. A request without such an exchange is an error of
/// kind [`Invalid`](ErrorKind::Invalid) that says what was asked for and what is left. A response whose body was not
/// recorded to its end fails at that place with [`Incomplete`](ErrorKind::Incomplete).
///
/// # Examples
///
/// ```
/// use http::Request;
/// use netcomm_core::{Body, HttpTransport};
/// use netcomm_http::testing::{Recording, Replayer};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let recording: Recording =
///     r#"{"method":"GET","url":"https://a.example/x","status":200,"body":"aGVsbG8=","complete":true}"#.parse()?;
/// let replayer = Replayer::new(recording);
/// let request = Request::get("https://a.example/x").body(Body::empty())?;
/// let response = replayer.send(request).await?;
/// assert_eq!(response.into_body().collect(100).await?, "hello");
/// replayer.assert_all_used();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Replayer {
    left: Arc<Mutex<Vec<Exchange>>>,
    secrets: Secrets,
    match_bodies: bool,
    in_order: bool,
}

impl Replayer {
    /// Answers from that recording.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        Self {
            left: Arc::new(Mutex::new(recording.exchanges)),
            secrets: Secrets::default(),
            match_bodies: false,
            in_order: false,
        }
    }

    /// Answers from the recording in a file; blocks while it reads.
    ///
    /// # Errors
    ///
    /// As [`Recording::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Recording::load(path).map(Self::new)
    }

    /// Asks for the same bytes in the request's body too.
    #[must_use]
    pub fn match_bodies(mut self) -> Self {
        self.match_bodies = true;
        self
    }

    /// Asks for the requests in the order of the recording. Without this the order counts only among equal requests.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.in_order = true;
        self
    }

    /// Hides the values of another query parameter, as [`Recorder::hide_query`](super::Recorder::hide_query) did when
    /// the recording was made.
    #[must_use]
    pub fn hide_query(mut self, name: impl Into<String>) -> Self {
        self.secrets.queries.push(name.into());
        self
    }

    /// Method and URL of each exchange that no request took yet.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        self.lock().iter().map(Exchange::name).collect()
    }

    /// Makes sure that every exchange was taken.
    ///
    /// # Panics
    ///
    /// If one was not; the message names them.
    #[track_caller]
    pub fn assert_all_used(&self) {
        let left = self.left();
        assert!(left.is_empty(), "exchanges that nobody asked for: {}", some(&left));
    }

    fn take(&self, asked: &Exchange) -> Result<Exchange> {
        let mut left = self.lock();
        let same = |exchange: &Exchange| {
            exchange.method == asked.method
                && exchange.url == asked.url
                && (!self.match_bodies || exchange.request_body == asked.request_body)
        };
        let found =
            if self.in_order { left.first().is_some_and(same).then_some(0) } else { left.iter().position(same) };
        if let Some(index) = found {
            return Ok(left.remove(index));
        }
        let names: Vec<_> = left.iter().map(Exchange::name).collect();
        let detail = format!("nothing was recorded for {}; left: {}", asked.name(), some(&names));
        Err(Error::new(ErrorKind::Invalid, "replay").with_detail(detail).with_url(&asked.url))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first few names of a list.
fn some(names: &[String]) -> String {
    match names.len() {
        0 => "nothing".to_owned(),
        count if count > NAMED => {
            format!("{} and {} more", names[..NAMED].join(", "), count - NAMED)
        }
        _ => names.join(", "),
    }
}

impl Exchange {
    /// What was asked for, in one word more than the method.
    fn name(&self) -> String {
        let name = format!("{} {}", self.method, self.url);
        if self.request_body.bytes == 0 { name } else { format!("{name} ({} bytes)", self.request_body.bytes) }
    }
}

impl HttpTransport for Replayer {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let (head, mut body) = request.into_parts();
        let mut request_body = Checksum::default();
        while let Some(chunk) = body.chunk().await? {
            request_body.add(&chunk);
        }
        let asked = Exchange {
            method: head.method.as_str().to_owned(),
            url: self.secrets.url(&head.uri),
            request_headers: Vec::new(),
            request_body,
            response: None,
            failure: None,
        };
        let exchange = self.take(&asked)?;
        match (exchange.response, exchange.failure) {
            (Some(answer), _) => respond(answer),
            (None, Some(failure)) => Err(failure.error().with_url(&asked.url)),
            (None, None) => Err(Error::new(ErrorKind::Closed, "replay")
                .with_detail("the recording ends before the response")
                .with_url(&asked.url)),
        }
    }
}

fn respond(answer: Answer) -> Result<Response<Body>> {
    let malformed = |what: &str| {
        Error::new(ErrorKind::Decode, "replay").with_detail(format!("the recording holds no valid {what}"))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        let name: HeaderName = name.parse().map_err(|_| malformed("header name"))?;
        let value = HeaderValue::from_bytes(&header_bytes(value)).map_err(|_| malformed("header value"))?;
        headers.append(name, value);
    }
    let mut response = Response::new(match answer.complete {
        true => Body::from(answer.body),
        false => Body::boxed(Box::pin(Torn { data: Some(answer.body.into()) })),
    });
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| malformed("status"))?;
    *response.headers_mut() = headers;
    Ok(response)
}

impl fmt::Debug for Replayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replayer").field("left", &self.lock().len()).finish_non_exhaustive()
    }
}

/// A body that breaks where the recording does.
struct Torn {
    data: Option<Bytes>,
}

impl HttpBody for Torn {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Poll::Ready(Some(match self.data.take().filter(|data| !data.is_empty()) {
            Some(data) => Ok(Frame::data(data)),
            None => Err(Error::new(ErrorKind::Incomplete, "replay").with_detail("the recording of the body ends here")),
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
