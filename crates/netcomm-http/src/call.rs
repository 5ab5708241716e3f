//! One call from top to bottom, in the order in which it happens. Decides nothing itself: each decision has a room.
//!
//! call interceptors → for each hop: scope and policy → cookies and credentials → for each attempt: attempt
//! interceptors → pool → connection; then bounds, resumption and decoding. ARCHITECTURE.md gives the reason of each
//! neighbour.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use netcomm_core::{
    Body, CallId, Error, ErrorKind, Event, HttpTransport, Interest, Limits, Observation, Phase, PrivateAddresses, Result,
    Timeouts,
};

use crate::address::{Address, origin_form};
use crate::alarm::Alarm;
use crate::client::{Client, Wire};
use crate::conn::{Bounds, Meta, Upload};
use crate::intercept::{End, Facts as CallFacts, Next};
use crate::pool::{Key, Pool};
use crate::receive::{self, EndReport, Source, bounded};
use crate::redirect::{self, Follow};
use crate::request::{Options, Request};
use crate::response::{Facts, Response};
use crate::timing::{ReceiveTime, Timing};
use crate::{decode, headers, resume};

/// Numbers the calls of the process, so that observations of several clients can be told apart.
static NEXT_CALL: AtomicU64 = AtomicU64::new(1);

/// Repetitions of one attempt on account of connections that had gone stale. The last one takes a fresh connection.
const STALE_REPLAYS: u32 = 2;

/// Runs a call.
pub(crate) async fn run(client: &Client, request: Request) -> Result<Response> {
    let started = client.clock().now();
    let Request { method, address, headers, body, options } = request;
    let mut call = Call::new(client, &options, address.clone(), started);
    call.emit(Interest::CALL, || Event::CallStarted {
        method: method.clone(),
        url: netcomm_core::redact_url(&address.uri.to_string()),
    });
    let deadline = call.deadline;
    let outcome = {
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = address.uri.clone();
        *request.headers_mut() = headers;
        within(client, deadline, call.start(request)).await
    };
    match outcome {
        Ok(response) => Ok(Response::new(response, call.into_facts())),
        Err(error) => {
            let now = client.clock().now();
            call.emit(Interest::CALL, || Event::CallEnded {
                status: None,
                error: Some(error.kind()),
                received_bytes: 0,
                took: now.saturating_duration_since(started),
            });
            Err(error.with_url(&call.address.uri.to_string()))
        }
    }
}

/// The future, as long as the call has time.
async fn within<T>(
    client: &Client,
    deadline: Option<Instant>,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(deadline) = deadline else { return future.await };
    let mut future = pin!(future);
    let mut alarm = Alarm::new(Arc::clone(client.clock()));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome),
        Poll::Pending => alarm.poll(deadline, cx).map(|()| {
            Err(Error::timeout("call", Phase::Total).with_detail("the whole call took too long (timeout total)"))
        }),
    })
    .await
}

/// A call under way: what holds for all of it, and what has become known.
struct Call<'c> {
    client: &'c Client,
    options: &'c Options,
    timeouts: &'c Timeouts,
    limits: &'c Limits,
    private_addresses: PrivateAddresses,
    max_body_bytes: u64,
    id: CallId,
    started: Instant,
    deadline: Option<Instant>,
    address: Address,
    redirects: Vec<Uri>,
    timing: Timing,
    receive: ReceiveTime,
    meta: Option<Arc<Meta>>,
    lost: Option<Lost>,
}

/// What a failed attempt leaves behind.
struct Lost {
    /// The body, if none of it was taken.
    body: Option<Body>,
    /// Whether a connection that had been idle ended under the request before anything came back.
    stale: bool,
}

impl<'c> Call<'c> {
    fn new(client: &'c Client, options: &'c Options, address: Address, started: Instant) -> Self {
        let policy = &client.inner.policy;
        let timeouts = options.timeouts.as_deref().unwrap_or(&policy.timeouts);
        let limits = options.limits.as_deref().unwrap_or(&policy.limits);
        let scope = &client.scope;
        let total = [timeouts.total, scope.timeout()].into_iter().flatten().min();
        let private_addresses = match policy.private_addresses {
            PrivateAddresses::Allow => scope.private_addresses(),
            other => other,
        };
        Self {
            client,
            options,
            timeouts,
            limits,
            private_addresses,
            max_body_bytes: scope.max_response_bytes().map_or(limits.body_bytes, |most| most.min(limits.body_bytes)),
            id: CallId(NEXT_CALL.fetch_add(1, Ordering::Relaxed)),
            started,
            deadline: total.map(|total| started + total),
            address,
            redirects: Vec::new(),
            timing: Timing::default(),
            receive: ReceiveTime::default(),
            meta: None,
            lost: None,
        }
    }

    fn emit(&self, interest: Interest, make: impl FnOnce() -> Event) {
        self.client.tap().emit(interest, || {
            Observation::new(self.client.clock().now(), make()).with_call(self.id, self.client.scope.name().cloned())
        });
    }

    fn into_facts(self) -> Facts {
        Facts {
            call: self.id,
            uri: self.address.uri,
            redirects: self.redirects,
            timing: self.timing,
            receive: self.receive,
            meta: self.meta,
            buffered_bytes: self.limits.buffered_bytes.min(usize::try_from(self.max_body_bytes).unwrap_or(usize::MAX)),
        }
    }

    /// The interceptors around the call, then the hops.
    async fn start(&mut self, request: http::Request<Body>) -> Result<http::Response<Body>> {
        let client = self.client;
        if client.inner.call_interceptors.is_empty() {
            return self.hops(request).await;
        }
        let mut end = CallEnd { call: self };
        Next::new(&client.inner.call_interceptors, &mut end).run(request).await
    }

    /// The hops from redirect to redirect.
    async fn hops(&mut self, request: http::Request<Body>) -> Result<http::Response<Body>> {
        let (parts, mut body) = request.into_parts();
        let (mut method, mut headers) = (parts.method, parts.headers);
        // An interceptor may have turned the call elsewhere.
        if parts.uri != self.address.uri {
            self.address = self.client.resolve(parts.uri)?;
        }
        let inner = &self.client.inner;
        let terms = redirect::Terms {
            mode: self.options.redirects.unwrap_or(inner.redirects),
            most: self.limits.redirects,
            allow_downgrade: inner.policy.allow_downgrade,
        };
        loop {
            // A stream that can be sent once is gone after this hop.
            let spare = body.try_clone();
            let response = self.hop(&method, &headers, body).await?;
            let (status, followed) = (response.status(), self.redirects.len());
            let Some(follow) =
                redirect::decide(&self.address, &method, status, response.headers(), followed, terms)?
            else {
                return self.finish(&method, &headers, response);
            };
            body = match spare {
                _ if !follow.keeps_body => Body::empty(),
                Some(body) => body,
                None => {
                    return Err(Error::new(ErrorKind::Redirect, "follow redirect")
                        .with_detail("the body is a stream that can be sent only once; make it with Body::replayable")
                        .with_status(status));
                }
            };
            drop(response);
            self.follow(&mut method, &mut headers, follow, status);
        }
    }

    fn follow(&mut self, method: &mut Method, headers: &mut HeaderMap, follow: Follow, status: StatusCode) {
        redirect::strip(headers, &follow, &self.client.inner.secret_headers);
        self.emit(Interest::CALL, || Event::Redirected {
            status,
            to: netcomm_core::redact_url(&follow.address.uri.to_string()),
            crossed_origin: follow.crosses_origin,
        });
        *method = follow.method;
        let left = std::mem::replace(&mut self.address, follow.address);
        self.redirects.push(left.uri);
    }

    /// The answer: resumption beneath, decoding on top.
    fn finish(
        &self,
        method: &Method,
        headers: &HeaderMap,
        response: http::Response<Body>,
    ) -> Result<http::Response<Body>> {
        let response = match self.options.resume.unwrap_or(self.client.inner.resume) {
            0 => response,
            times => {
                let rest = resume::Rest {
                    client: self.client.clone(),
                    call: self.id,
                    options: self.options.clone(),
                    address: self.address.clone(),
                    headers: headers.clone(),
                    deadline: self.deadline,
                };
                resume::attach(rest, method, times, response)
            }
        };
        if !self.decodes(headers) || *method == Method::HEAD {
            return Ok(response);
        }
        let codings = match decode::plan(response.headers(), self.limits)? {
            decode::Plan::Decode(codings) => codings,
            decode::Plan::Identity | decode::Plan::Unknown(_) => return Ok(response),
        };
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(CONTENT_ENCODING);
        parts.headers.remove(CONTENT_LENGTH);
        let limits = self.limits.with_body_bytes(self.max_body_bytes);
        Ok(http::Response::from_parts(parts, decode::decode(body, codings, &limits)))
    }

    /// Whether content codings are this call's own affair: not if the caller asked for some, or for a part.
    fn decodes(&self, headers: &HeaderMap) -> bool {
        self.options.decode.unwrap_or(self.client.inner.decode)
            && !headers.contains_key(ACCEPT_ENCODING)
            && !headers.contains_key(RANGE)
    }

    /// One hop: who may go there, with which cookies and credentials. Sent once more if a fresh token may help.
    async fn hop(&mut self, method: &Method, headers: &HeaderMap, body: Body) -> Result<http::Response<Body>> {
        let client = self.client;
        let policy = &client.inner.policy;
        client.scope.check(method, &self.address.uri)?;
        policy.scope.check(method, &self.address.uri)?;
        let credentials = match headers.contains_key(AUTHORIZATION) || client.session.keyring.is_empty() {
            true => None,
            false => client.session.keyring.find(&self.address.origin, self.address.uri.path()).cloned(),
        };
        let Some(credentials) = credentials else {
            return self.attempts(method, headers, None, body).await;
        };
        let (value, generation) = credentials.value(client.clock(), client.tap()).await?;
        let spare = generation.and_then(|_| body.try_clone());
        let response = self.attempts(method, headers, Some(value), body).await?;
        let (Some(generation), Some(body), StatusCode::UNAUTHORIZED) = (generation, spare, response.status()) else {
            return Ok(response);
        };
        drop(response);
        credentials.refresh(generation, client.clock(), client.tap()).await?;
        let (value, _) = credentials.value(client.clock(), client.tap()).await?;
        self.attempts(method, headers, Some(value), body).await
    }

    /// The attempts of a hop: one, unless the connection turns out to have been given up by its peer.
    async fn attempts(
        &mut self,
        method: &Method,
        headers: &HeaderMap,
        authorization: Option<HeaderValue>,
        mut body: Body,
    ) -> Result<http::Response<Body>> {
        let mut replays = 0;
        loop {
            self.client.scope.spend_request()?;
            self.timing = Timing { attempt: self.timing.attempt + 1, ..Timing::default() };
            let spare = body.try_clone();
            let request = self.dress(method, headers, authorization.as_ref(), body);
            let outcome = self.attempt(request, replays >= STALE_REPLAYS - 1).await;
            let error = match outcome {
                Ok(response) => {
                    self.keep_cookies(response.headers());
                    return Ok(response);
                }
                Err(error) => error,
            };
            let Some(lost) = self.lost.take() else { return Err(error) };
            // RFC 9110 §9.2.2, RFC 9112 §9.3.1: again without asking only what was not processed, or may be processed
            // twice, on a connection that its peer may have closed while it was idle.
            let may_replay = error.is_unsent() && error.kind() == ErrorKind::Closed
                || lost.stale && method.is_idempotent();
            body = match lost.body.or(spare) {
                Some(body) if may_replay && replays < STALE_REPLAYS => body,
                _ => return Err(error),
            };
            replays += 1;
        }
    }

    /// The request as it leaves: the handle's default fields, the cookies and credentials of this origin.
    fn dress(
        &self,
        method: &Method,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
        body: Body,
    ) -> http::Request<Body> {
        let mut dressed = headers.clone();
        headers::fill(&mut dressed, &self.client.session.headers);
        if !self.decodes(headers) && !headers.contains_key(ACCEPT_ENCODING) {
            dressed.remove(ACCEPT_ENCODING);
        }
        if let Some(authorization) = authorization {
            dressed.insert(AUTHORIZATION, authorization.clone());
        }
        #[cfg(feature = "cookies")]
        if let Some(jar) = &self.client.session.cookies
            && !headers.contains_key(http::header::COOKIE)
            && let Some(cookie) = jar.cookie_header(&self.address.uri, self.client.clock().wall())
        {
            dressed.insert(http::header::COOKIE, cookie);
        }
        let mut request = http::Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.address.uri.clone();
        *request.headers_mut() = dressed;
        request
    }

    #[cfg_attr(not(feature = "cookies"), expect(unused_variables, clippy::unused_self, reason = "cookies are a feature"))]
    fn keep_cookies(&self, headers: &HeaderMap) {
        #[cfg(feature = "cookies")]
        if let Some(jar) = &self.client.session.cookies {
            let cookies = headers.get_all(http::header::SET_COOKIE).iter();
            jar.store(&self.address.uri, cookies, self.client.clock().wall(), |reason| {
                self.emit(Interest::DECISION, || Event::CookieRefused {
                    host: self.address.origin.host().to_owned(),
                    reason,
                });
            });
        }
    }

    /// One attempt: the interceptors around it, then the wire.
    async fn attempt(&mut self, request: http::Request<Body>, fresh: bool) -> Result<http::Response<Body>> {
        let client = self.client;
        let begun = client.clock().now();
        let number = self.timing.attempt;
        self.timing.before = begun.saturating_duration_since(self.started);
        self.emit(Interest::ATTEMPT, || Event::AttemptStarted { number, origin: self.address.origin.to_string() });
        let outcome = if client.inner.attempt_interceptors.is_empty() {
            self.wire(request, fresh, begun).await
        } else {
            let mut end = AttemptEnd { call: self, fresh };
            Next::new(&client.inner.attempt_interceptors, &mut end).run(request).await
        };
        self.emit(Interest::ATTEMPT, || Event::AttemptEnded {
            number,
            status: outcome.as_ref().ok().map(http::Response::status),
            error: outcome.as_ref().err().map(Error::kind),
            reused: self.timing.reused,
            took: client.clock().now().saturating_duration_since(begun),
        });
        outcome
    }

    /// Over the wire, or over the transport that stands in for it.
    async fn wire(&mut self, request: http::Request<Body>, fresh: bool, begun: Instant) -> Result<http::Response<Body>> {
        match &self.client.inner.wire {
            Wire::Pool(pool) => self.exchange(pool, request, fresh, begun).await,
            Wire::Foreign(transport) => {
                let response = transport.send(request).await?;
                let now = self.client.clock().now();
                self.timing.wait = now.saturating_duration_since(begun);
                let (parts, body) = response.into_parts();
                let source = Source::Foreign(body, Alarm::new(Arc::clone(self.client.clock())));
                let body = self.bound(source, parts.status, now);
                Ok(http::Response::from_parts(parts, body))
            }
        }
    }

    /// A connection from the pool, one request over it, and the head of the response.
    async fn exchange(
        &mut self,
        pool: &Pool,
        request: http::Request<Body>,
        fresh: bool,
        begun: Instant,
    ) -> Result<http::Response<Body>> {
        let client = self.client;
        let address = match *request.uri() == self.address.uri {
            true => None,
            // An interceptor around the attempt turned it elsewhere: that place must be allowed too.
            false => {
                client.scope.check(request.method(), request.uri())?;
                Some(client.resolve(request.uri())?)
            }
        };
        let origin = &address.as_ref().unwrap_or(&self.address).origin;
        let key = Key {
            origin: origin.clone(),
            private_addresses: self.private_addresses,
            unix: client.inner.unix.clone(),
        };
        let checkout = pool.checkout(&key, fresh, self.timeouts).await?;
        let meta = Arc::clone(checkout.wire.meta());
        let ready = client.clock().now();
        let waited = ready.saturating_duration_since(begun);
        self.timing.reused = checkout.reused;
        if checkout.reused {
            self.timing.blocked = waited;
        } else {
            self.timing.set_steps(&meta.info.steps);
            self.timing.blocked = waited.saturating_sub(meta.info.steps.total());
        }
        let (mut parts, body) = request.into_parts();
        address_for(&mut parts, &key, &meta, checkout.wire.is_http2());
        let max_upload = client.scope.max_request_bytes();
        if let Some((most, length)) = max_upload.zip(body.len()).filter(|(most, length)| length > most) {
            return Err(Error::new(ErrorKind::TooLarge, "send body").with_unsent().with_detail(format!(
                "{length} bytes, the scope allows {most} (limit max_request_bytes)"
            )));
        }
        let (upload, watch) = Upload::new(body, self.options.upload.clone(), max_upload, client.clock());
        let bounds = Bounds { timeouts: self.timeouts, limits: self.limits, watch, started: ready };
        let reused = checkout.reused;
        let outcome = checkout.wire.send(http::Request::from_parts(parts, upload), &bounds).await;
        let now = client.clock().now();
        if let Some(watch) = &bounds.watch {
            self.timing.send = watch.last_progress().saturating_duration_since(ready);
        }
        self.timing.wait = now.saturating_duration_since(ready).saturating_sub(self.timing.send);
        self.meta = Some(meta);
        match outcome {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = self.bound(Source::Wire(body), parts.status, now);
                Ok(http::Response::from_parts(parts, body))
            }
            Err(failed) => {
                let body = failed.request.and_then(|request| request.into_body().into_untouched());
                self.lost = Some(Lost { body, stale: failed.before_response && reused });
                Err(failed.error)
            }
        }
    }

    fn bound(&self, source: Source, status: StatusCode, head_at: Instant) -> Body {
        let client = self.client;
        let terms = receive::Terms {
            max_bytes: self.max_body_bytes,
            idle: self.timeouts.idle_body,
            min_rate: self.timeouts.min_rate,
            deadline: self.deadline,
            progress: self.options.download.clone(),
        };
        let report = client.tap().wants(Interest::CALL).then(|| {
            Box::new(EndReport {
                tap: client.tap().clone(),
                clock: Arc::clone(client.clock()),
                call: self.id,
                scope: client.scope.name().cloned(),
                status,
                started: self.started,
            })
        });
        bounded(source, terms, client.clock(), head_at, self.receive.clone(), report)
    }
}

/// Puts the request into the form that its connection wants: target, `Host`, the proxy's credentials.
fn address_for(parts: &mut http::request::Parts, key: &Key, meta: &Meta, http2: bool) {
    if http2 {
        // RFC 9113 §8.3.1: the authority goes into its own field.
        parts.version = http::Version::HTTP_2;
        parts.headers.remove(HOST);
        return;
    }
    if !parts.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_maybe_shared(bytes::Bytes::copy_from_slice(key.origin.authority().as_str().as_bytes()))
    {
        parts.headers.insert(HOST, host);
    }
    match &meta.info.forward_proxy {
        // RFC 9112 §3.2.2: a proxy wants the absolute form.
        Some(proxy) => {
            if let Some(authorization) = &proxy.authorization {
                parts.headers.insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
        None => parts.uri = origin_form(&parts.uri),
    }
}

struct CallEnd<'e, 'c> {
    call: &'e mut Call<'c>,
}

impl End for CallEnd<'_, '_> {
    fn finish<'s>(
        &'s mut self,
        request: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send + 's>> {
        Box::pin(self.call.hops(request))
    }

    fn facts(&self) -> CallFacts<'_> {
        CallFacts { call: self.call.id, attempt: 0, scope: &self.call.client.scope }
    }
}

struct AttemptEnd<'e, 'c> {
    call: &'e mut Call<'c>,
    fresh: bool,
}

impl End for AttemptEnd<'_, '_> {
    fn finish<'s>(
        &'s mut self,
        request: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send + 's>> {
        let begun = self.call.client.clock().now();
        Box::pin(self.call.wire(request, self.fresh, begun))
    }

    fn facts(&self) -> CallFacts<'_> {
        CallFacts { call: self.call.id, attempt: self.call.timing.attempt, scope: &self.call.client.scope }
    }
}
