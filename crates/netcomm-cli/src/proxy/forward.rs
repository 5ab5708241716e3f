//! One request from its head to its answer, in the order in which it happens. Decides nothing itself.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use netcomm::core::{Phase, is_secret_header, redact_url};
use netcomm::http::Client;
use netcomm::{Body, Error};

use super::hop::{self, Answers};
use super::ledger::Ledger;
use super::outgoing::Outgoing;
use super::refusal::{Refusal, failure};
use super::target::Aim;

/// What all connections share.
pub(super) struct Forward {
    pub(super) client: Client,
    pub(super) aim: Aim,
    /// The name by which `Via`, `Proxy-Status` and `Cache-Status` call this proxy.
    pub(super) name: String,
    /// Whether the next server is told who the client is.
    pub(super) tells_client: bool,
    /// Whether a line on stderr tells of each request.
    pub(super) verbose: bool,
}

/// A client's connection, as its requests see it.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) peer: SocketAddr,
    pub(super) ledger: &'a Arc<Ledger>,
}

/// What is told of a request in the end.
struct Story {
    begun: Instant,
    method: String,
    url: String,
    /// What the cache did.
    cache: Option<String>,
    /// Requests that were sent for the answer; an error tells its own.
    attempts: usize,
    error: Option<String>,
}

impl Forward {
    /// Answers a request.
    pub(super) async fn answer(&self, from: From<'_>, request: Request<Body>) -> Response<Outgoing> {
        let version = request.version();
        let mut story = Story {
            begun: Instant::now(),
            method: request.method().to_string(),
            url: redact_url(&request.uri().to_string()),
            cache: None,
            attempts: 0,
            error: None,
        };
        let response = match from.ledger.begin_answer() {
            Err(refusal) => {
                // What came in its place is none of the client's.
                (story.method, story.url) = ("-".to_owned(), "-".to_owned());
                story.error = Some(refusal.reason.to_owned());
                refusal.last_response(&self.name)
            }
            Ok(()) => match self.pass_on(from, request, &mut story).await {
                Ok(response) => response,
                Err(refusal) => {
                    story.error = Some(refusal.reason.to_owned());
                    refusal.response(&self.name)
                }
            },
        };
        self.tell_at_end(from, story, version, response)
    }

    /// To the next server and back.
    async fn pass_on(
        &self,
        from: From<'_>,
        request: Request<Body>,
        story: &mut Story,
    ) -> Result<Response<Body>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let (address, mut answers) = self.aim.address(&parts.method, &parts.uri)?;
        if answers == Answers::Next {
            story.url = redact_url(&address.to_string());
        }
        hop::check_loop(&parts.headers, &self.name)?;
        if answers == Answers::Next {
            answers = hop::count_down(&parts.method, &mut parts.headers)?;
        }
        if answers == Answers::Here {
            return Ok(own_answer(&parts.method, &parts.uri, &parts.headers));
        }
        hop::take_expectation(&mut parts.headers, parts.version)?;
        let asked_for = parts.headers.get(HOST).cloned();
        hop::pass_on_request(&mut parts.headers, parts.version, &self.name);
        if self.tells_client {
            let host = asked_for.as_ref().and_then(|host| host.to_str().ok());
            hop::add_forwarded(&mut parts.headers, from.peer.ip(), host);
        }

        let request = self.client.request(parts.method.clone(), address).headers(parts.headers).body(body);
        match request.send().await {
            Ok(response) => {
                story.attempts = response.attempts().len();
                let response = response.into_http();
                if self.verbose {
                    story.cache = told_by_cache(response.headers(), &self.name);
                }
                Ok(self.pass_back(&parts.method, response))
            }
            Err(error) => match content_refusal(from.ledger, &error) {
                Some(refusal) => {
                    story.error = Some(refusal.reason.to_owned());
                    Ok(refusal.last_response(&self.name))
                }
                None => {
                    story.error = Some(error.to_string());
                    Ok(failure(&error, &self.name, Instant::now()))
                }
            },
        }
    }

    fn pass_back(&self, method: &Method, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        let about = (method, parts.status);
        hop::pass_back_response(&mut parts.headers, about, parts.version, &self.name, body.len());
        let mut response = Response::new(match hop::has_content(method, parts.status) {
            true => body,
            false => Body::empty(),
        });
        (*response.status_mut(), *response.headers_mut()) = (parts.status, parts.headers);
        response
    }

    /// Sees to it that the end of the answer is noted, and told if that is wanted.
    fn tell_at_end(
        &self,
        from: From<'_>,
        story: Story,
        version: Version,
        response: Response<Body>,
    ) -> Response<Outgoing> {
        let (parts, body) = response.into_parts();
        let (ledger, status, verbose) = (Arc::clone(from.ledger), parts.status, self.verbose);
        // An HTTP/1.0 client takes the end of the connection for the end of a body without length.
        let ends_with_connection = version == Version::HTTP_10 && body.len().is_none();
        let body = Outgoing::new(body, move |bytes, error| {
            if ends_with_connection && error.is_some() {
                ledger.demand_reset();
            }
            ledger.answer_ended();
            if verbose {
                story.tell(status, bytes, error);
            }
        });
        Response::from_parts(parts, body)
    }
}

/// Why the client's own content kept the request from being answered, if it did.
fn content_refusal(ledger: &Ledger, error: &Error) -> Option<Refusal> {
    let late = error.is_timeout() && error.phase() == Some(Phase::Send) && ledger.is_content_awaited();
    let late = late.then_some(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the content stood still"));
    ledger.content_refusal().or(late)
}

/// What the cache of that name says that it did (RFC 9211): its member is the last one.
fn told_by_cache(headers: &HeaderMap, name: &str) -> Option<String> {
    let own = headers.get_all("cache-status").iter().next_back()?.to_str().ok()?.strip_prefix(name)?;
    own.strip_prefix("; ").map(str::to_owned)
}

/// The answer of the proxy itself, where a request must go no further (RFC 9110 §7.6.2, §9.3.7, §9.3.8).
fn own_answer(method: &Method, target: &Uri, headers: &HeaderMap) -> Response<Body> {
    if method != Method::TRACE {
        return Response::new(Body::empty());
    }
    let mut text = format!("TRACE {target} HTTP/1.1\r\n").into_bytes();
    // Secrets are not sent around, not even back.
    for (name, value) in headers.iter().filter(|(name, _): &(&HeaderName, _)| !is_secret_header(name)) {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
    response
}

impl Story {
    /// Writes one line to stderr; whether somebody reads it is not the request's concern.
    fn tell(&self, status: StatusCode, bytes: u64, error: Option<&Error>) {
        let millis = self.begun.elapsed().as_secs_f64() * 1000.0;
        let mut line = format!("{} {} {} {bytes} bytes {millis:.1} ms", self.method, self.url, status.as_u16());
        if let Some(cache) = &self.cache {
            write!(line, " [{cache}]").expect("a string takes all text");
        }
        if self.attempts > 1 {
            write!(line, " [{} attempts]", self.attempts).expect("a string takes all text");
        }
        if let Some(error) = error.map(ToString::to_string).or_else(|| self.error.clone()) {
            write!(line, " ({error})").expect("a string takes all text");
        }
        line.push('\n');
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}
