//! One call from top to bottom, in the order in which it happens. Decides nothing itself: each decision has a room.
//!
//! call interceptors → for each hop: scope and policy → cookies and credentials → cache → deduplication → for each try:
//! network → breaker → limits → attempt interceptors → pool → connection; then bounds, resumption and decoding.
//! ARCHITECTURE.md gives the reason of each neighbour.

mod attempt;
#[cfg(feature = "cache")]
mod cached;
mod content;
mod guarded;
mod hedged;
#[cfg(feature = "outbox")]
mod kept;
mod report;
mod shared;
mod tries;

pub(crate) use shared::Shared;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Instant;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use netcomm_core::{
    Body, CallId, Error, ErrorKind, Event, GaveUp, Interest, Limits, Phase, PrivateAddresses, Result, Stage, Timeouts,
};

use self::report::{End, Unfinished};
use crate::address::Address;
use crate::alarm::{Alarm, after};
use crate::auth::Credentials;
use crate::client::Client;
use crate::conn::{Meta, Upload};
use crate::intercept::{End as ChainEnd, Facts as CallFacts, Next};
use crate::limit::Permits;
use crate::redirect::{self, Follow};
use crate::request::{Continued, Options, Request};
use crate::response::{Facts, Response};
use crate::timing::{ReceiveTime, Timing};
use crate::trail::{Reason, Trail};
use crate::{decode, headers, lane, resume};

/// Repetitions of a request that may have been sent, on account of connections that had gone stale. The last one takes
/// a fresh connection.
const STALE_REPLAYS: u32 = 2;
/// Repetitions of a request that was surely not processed: each costs its peer a connection that it gave up.
const UNSENT_REPLAYS: u32 = 16;

/// Runs a call.
pub(crate) async fn run(client: &Client, request: Box<Request>) -> Result<Response> {
    #[cfg(feature = "outbox")]
    if let Some(outbox) = kept::outbox_of(client, &request) {
        return Box::pin(kept::run(client, outbox, request)).await;
    }
    made(client, request).await
}

/// The call as it is made, kept nowhere.
async fn made(client: &Client, request: Box<Request>) -> Result<Response> {
    let started = client.clock().now();
    // The options are only read: they stay in the box, since to take them out would be to copy them.
    let options = &request.options;
    // It lies in this future from its first moment: to hand it on would be to copy it.
    let mut call = Call::new(client, options, request.address, started);
    if let Some(response) = begun(&mut call, &request.method, &request.headers, &request.body) {
        return Ok(response);
    }
    call.wanted = Some(Wanted { method: request.method, headers: request.headers, body: request.body });
    call.proceed().await
}

/// What can be done without waiting: the answer, if it is there.
#[cfg_attr(not(feature = "cache"), expect(clippy::needless_pass_by_ref_mut, reason = "the cache is a feature"))]
fn begun(call: &mut Call<'_>, method: &Method, headers: &HeaderMap, body: &Body) -> Option<Response> {
    if call.is_whole() {
        call.emit_at(call.started, Interest::CALL, || Event::CallStarted {
            method: method.clone(),
            url: call.address.redacted(),
        });
    }
    #[cfg(feature = "cache")]
    {
        let unfinished = call.unfinished();
        let answer = call.at_once(method, headers, body);
        unfinished.disarm();
        if let Some((head, mut body)) = answer {
            call.tell_stored_head(head.status(), || head.headers());
            call.tell_body(&mut body);
            if call.is_whole() {
                call.report_end(head.status());
            }
            return Some(Response::stored(head, body, call.facts()));
        }
    }
    #[cfg(not(feature = "cache"))]
    let (_, _) = (headers, body);
    None
}

fn out_of_time(stage: Option<Stage>) -> Error {
    let error = Error::timeout("call", Phase::Total).with_detail("the whole call took too long (timeout total)");
    match stage {
        Some(stage) => error.with_stage(stage),
        None => error,
    }
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
    /// The present moment, as long as nothing that takes time has happened since it was looked up.
    moment: Option<Instant>,
    deadline: Option<Instant>,
    address: Address,
    redirects: Vec<Uri>,
    /// Whether a redirect has led to another origin: from then on no secret of the handle's defaults is sent.
    crossed: bool,
    timing: Timing,
    receive: Option<ReceiveTime>,
    meta: Option<Arc<Meta>>,
    /// What is asked for, until the first hop has it.
    wanted: Option<Wanted>,
    /// The request on its way down, from the attempt to the wire: passed here once instead of through each step.
    outgoing: Option<http::Request<Upload>>,
    lost: Option<Lost>,
    end: End,
    /// What the present attempt has passed, until its body has it.
    permits: Option<Permits>,
    trail: Trail,
    /// How many attempts there are in all, once two parts of the call make them side by side.
    made: Option<Arc<AtomicU32>>,
    /// Where the call is, as far as its deadline may find it there.
    stage: Option<Stage>,
    gave_up: Option<GaveUp>,
    retry_at: Option<Instant>,
    #[cfg(feature = "cache")]
    cache_status: Option<crate::cache::CacheStatus>,
    /// What was found out about the first hop before it began: its key and when that was, and what becomes of it.
    #[cfg(feature = "cache")]
    found: Option<((crate::cache::Key, std::time::SystemTime), Option<crate::cache::Plan>)>,
}

/// What a call asks for, beside where.
#[derive(Default)]
struct Wanted {
    method: Method,
    headers: HeaderMap,
    body: Body,
}

/// The fields of a request on its way to the attempts.
#[derive(Clone, Copy)]
enum Fields<'a> {
    /// Those of the hop, to be dressed for each attempt: cookies and tokens change.
    Bare(&'a HeaderMap, Option<&'a HeaderValue>),
    /// Those that were looked at in full.
    Dressed(&'a HeaderMap),
}

/// The answer on its way up. Boxed, since it is passed from step to step.
type Answer = Box<http::Response<Body>>;

/// What a failed attempt leaves behind.
struct Lost {
    /// The body, if none of it was taken.
    body: Option<Body>,
    /// Whether a connection that had been idle ended under the request before anything came back.
    stale: bool,
}

impl<'c> Call<'c> {
    fn new(client: &'c Client, options: &'c Options, address: Address, started: Instant) -> Self {
        let id = match options.continues {
            Some(part_of) => part_of.call,
            None => lane::next_call(),
        };
        Self::with_id(client, options, id, address, started)
    }

    fn with_id(client: &'c Client, options: &'c Options, id: CallId, address: Address, started: Instant) -> Self {
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
            id,
            started,
            moment: Some(started),
            deadline: total.map(|total| after(started, total)),
            address,
            redirects: Vec::new(),
            crossed: false,
            timing: Timing::default(),
            receive: None,
            meta: None,
            wanted: None,
            outgoing: None,
            lost: None,
            end: End::Now(0),
            permits: None,
            trail: Trail::default(),
            made: None,
            stage: None,
            gave_up: None,
            retry_at: None,
            #[cfg(feature = "cache")]
            cache_status: None,
            #[cfg(feature = "cache")]
            found: None,
        }
    }

    /// All that may have to wait.
    async fn proceed(&mut self) -> Result<Response> {
        let mut ending = self.deadline.map(|deadline| (deadline, Alarm::new(Arc::clone(self.client.clock()))));
        let unfinished = self.unfinished();
        let outcome = {
            let mut started = pin!(self.start());
            poll_fn(|cx| match (started.as_mut().poll(cx), &mut ending) {
                (Poll::Pending, Some((deadline, alarm))) => alarm.poll(*deadline, cx).map(|()| Err(None)),
                (polled, _) => polled.map(|outcome| outcome.map_err(Some)),
            })
            .await
        };
        let outcome = outcome.map_err(|error| error.unwrap_or_else(|| out_of_time(self.stage)));
        match outcome {
            Ok(mut answer) => {
                unfinished.disarm();
                self.tell_body(answer.body_mut());
                if self.is_whole() {
                    self.report_end(answer.status());
                }
                Ok(Response::new(*answer, self.facts()))
            }
            Err(error) => {
                unfinished.end(error.kind());
                let took = self.client.clock().now().saturating_duration_since(self.started);
                Err(error.with_attempts(self.attempts_made(), took).with_url(&self.address.uri.to_string()))
            }
        }
    }

    /// How many attempts there were so far, those of a hedge too.
    fn attempts_made(&self) -> u32 {
        self.made.as_ref().map_or(self.timing.attempt, |made| made.load(Ordering::Relaxed))
    }

    /// The number of the attempt that begins now.
    fn next_attempt(&self) -> u32 {
        1 + self.made.as_ref().map_or(self.timing.attempt, |made| made.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether it is no part of another one.
    fn is_whole(&self) -> bool {
        self.options.continues.is_none()
    }

    fn unfinished(&self) -> Unfinished<'c> {
        Unfinished { client: self.client, call: self.id, started: self.started, whole: self.is_whole() }
    }

    /// What the response knows beside its head. The call has nothing left to say.
    fn facts(&mut self) -> Facts {
        Facts {
            call: self.id,
            uri: std::mem::take(&mut self.address.uri),
            redirects: std::mem::take(&mut self.redirects),
            timing: self.timing,
            receive: self.receive.take(),
            meta: self.meta.take(),
            trail: std::mem::take(&mut self.trail),
            gave_up: self.gave_up,
            retry_at: self.retry_at,
            #[cfg(feature = "cache")]
            cache_status: self.cache_status,
            buffered_bytes: self.limits.buffered_bytes.min(usize::try_from(self.max_body_bytes).unwrap_or(usize::MAX)),
        }
    }

    /// The interceptors around the call, then the hops.
    async fn start(&mut self) -> Result<Answer> {
        let client = self.client;
        if client.inner.call_interceptors.is_empty() {
            return self.hops().await;
        }
        let Wanted { method, headers, body } = self.wanted.take().unwrap_or_default();
        let request = assemble(method, self.address.uri.clone(), headers, body);
        self.moment = None;
        let mut end = CallEnd { call: self };
        Next::new(&client.inner.call_interceptors, &mut end).run(request).await.map(Box::new)
    }

    /// The hops from redirect to redirect.
    async fn hops(&mut self) -> Result<Answer> {
        let Wanted { mut method, mut headers, mut body } = self.wanted.take().unwrap_or_default();
        // An interceptor may run all this again.
        self.redirects.clear();
        self.crossed = self.options.continues.is_some_and(|part_of| part_of.crossed);
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
            let follow = redirect::decide(&self.address, &method, status, response.headers(), followed, terms);
            let Some(follow) = follow.map_err(|error| error.with_stage(Stage::Redirect))? else {
                return self.finish(&method, &headers, response);
            };
            body = match spare {
                _ if !follow.keeps_body => Body::empty(),
                Some(body) => body,
                None => {
                    return Err(Error::new(ErrorKind::Redirect, "follow redirect")
                        .with_stage(Stage::Redirect)
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
        self.crossed |= follow.crosses_origin;
        self.emit(Interest::CALL, || Event::Redirected {
            status,
            to: follow.address.redacted(),
            crossed_origin: follow.crosses_origin,
        });
        *method = follow.method;
        let left = std::mem::replace(&mut self.address, follow.address);
        self.redirects.push(left.uri);
    }

    /// The answer: resumption beneath, decoding on top.
    fn finish(&mut self, method: &Method, headers: &HeaderMap, mut response: Answer) -> Result<Answer> {
        match self.options.resume.unwrap_or(self.client.inner.resume) {
            0 => {}
            times => {
                let rest = resume::Rest {
                    client: self.client.clone(),
                    part_of: Continued { call: self.id, crossed: self.crossed },
                    options: self.options.clone(),
                    address: self.address.clone(),
                    headers: headers.clone(),
                    max_bytes: self.max_body_bytes,
                    same: resume::Same::default(),
                    deadline: self.deadline,
                };
                let mut report = match &self.end {
                    End::Later(report) => Some(Arc::clone(report)),
                    End::Now(_) | End::Elsewhere => None,
                };
                resume::attach(rest, method, times, &mut response, &mut report);
                if report.is_none() && matches!(self.end, End::Later(_)) {
                    self.end = End::Elsewhere;
                }
            }
        }
        if !self.decodes(headers) || *method == Method::HEAD {
            return Ok(response);
        }
        let codings = match decode::plan(response.headers(), self.limits)? {
            decode::Plan::Decode(codings) => codings,
            decode::Plan::Identity | decode::Plan::Unknown(_) => return Ok(response),
        };
        response.headers_mut().remove(CONTENT_ENCODING);
        response.headers_mut().remove(CONTENT_LENGTH);
        let limits = self.limits.with_body_bytes(self.max_body_bytes);
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = decode::decode(body, codings, &limits);
        Ok(response)
    }

    /// Whether content codings are this call's own affair: not if the caller asked for some, or for a part.
    fn decodes(&self, headers: &HeaderMap) -> bool {
        self.options.decode.unwrap_or(self.client.inner.decode)
            && !headers.contains_key(ACCEPT_ENCODING)
            && !headers.contains_key(RANGE)
    }

    /// One hop: who may go there, and with which credentials.
    async fn hop(&mut self, method: &Method, headers: &HeaderMap, body: Body) -> Result<Answer> {
        let client = self.client;
        let policy = &client.inner.policy;
        let refused = |error: Error| error.with_stage(Stage::Policy);
        client.scope.check(method, &self.address.uri).map_err(refused)?;
        policy.scope.check(method, &self.address.uri).map_err(refused)?;
        let credentials = match headers.contains_key(AUTHORIZATION) || client.session.keyring.is_empty() {
            true => None,
            false => client.session.keyring.find(&self.address.origin, self.address.uri.path()).cloned(),
        };
        match credentials {
            None => self.pass(method, headers, None, body).await,
            Some(credentials) => Box::pin(self.prove(&credentials, method, headers, body)).await,
        }
    }

    /// A hop with credentials: sent once more if a fresh token may help.
    async fn prove(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Answer> {
        let client = self.client;
        let refused = |error: Error| error.with_stage(Stage::Credentials);
        self.stage = Some(Stage::Credentials);
        let (value, generation) = credentials.value(client.clock(), client.tap()).await.map_err(refused)?;
        self.moment = None;
        let spare = generation.and_then(|_| body.try_clone());
        let response = self.pass(method, headers, Some(&value), body).await?;
        let (Some(generation), Some(body), StatusCode::UNAUTHORIZED) = (generation, spare, response.status()) else {
            return Ok(response);
        };
        drop(response);
        self.stage = Some(Stage::Credentials);
        credentials.refresh(generation, client.clock(), client.tap()).await.map_err(refused)?;
        let (value, _) = credentials.value(client.clock(), client.tap()).await.map_err(refused)?;
        self.pass(method, headers, Some(&value), body).await
    }

    /// By way of the cache, if there is one.
    async fn pass(
        &mut self,
        method: &Method,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
        body: Body,
    ) -> Result<Answer> {
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.client.inner.cache {
            let (found, plan) = self.found();
            let mut asked = self.ask(cache, found, method, headers, authorization, &body);
            let plan = match self.look(&asked, plan) {
                cached::Looked::Answered(response) => return Ok(Box::new(response)),
                cached::Looked::Planned(plan) => Some(plan),
                cached::Looked::Open => None,
            };
            // Not in the arms of the match: what it looks at would stay in the future beside what comes of it.
            let straight = match self.straight(&asked, plan) {
                Ok(straight) => straight,
                Err(plan) => return Box::pin(self.cached(asked, plan, headers, body)).await.map(Box::new),
            };
            let mut response = self.attempts(method, Fields::Dressed(&asked.fields), body).await?;
            return match self.take_at_once(&mut asked, &straight, &mut response) {
                true => Ok(response),
                false => Box::pin(self.take(&asked, &straight, *response)).await.map(Box::new),
            };
        }
        if self.shares() && matches!(*method, Method::GET | Method::HEAD) && body.is_empty() {
            let fields = self.dress(method, headers, authorization, true);
            return Box::pin(self.join(self.detached(method, fields))).await.map(Box::new);
        }
        self.attempts(method, Fields::Bare(headers, authorization), body).await
    }

    /// One try: one attempt, unless the connection turns out to have been given up by its peer.
    async fn send(
        &mut self,
        method: &Method,
        fields: Fields<'_>,
        mut body: Body,
        mut reason: Reason,
    ) -> Result<Answer> {
        let (mut replays, mut unsent_replays) = (0, 0);
        loop {
            self.client.scope.spend_request().map_err(|error| error.with_stage(Stage::Policy))?;
            self.timing = Timing { attempt: self.next_attempt(), ..Timing::default() };
            let spare = body.try_clone();
            let dressed = match fields {
                Fields::Bare(headers, authorization) => self.dress(method, headers, authorization, body.is_empty()),
                Fields::Dressed(headers) => headers::copied(headers),
            };
            self.set_out(method.clone(), dressed, body);
            let outcome = self.attempt(replays == STALE_REPLAYS || unsent_replays > 1, reason).await;
            let error = match outcome {
                Ok(response) => {
                    self.keep_cookies(response.headers());
                    return Ok(response);
                }
                Err(error) => error,
            };
            let said = self.is_said_idempotent();
            let Some(lost) = &mut self.lost else { return Err(error) };
            // RFC 9110 §9.2.2, RFC 9112 §9.3.1: again without asking only what was not processed, or may be processed
            // twice, on a connection that its peer may have closed while it was idle.
            let may_replay = if error.is_unsent() && error.kind() == ErrorKind::Closed {
                unsent_replays += 1;
                unsent_replays <= UNSENT_REPLAYS
            } else if lost.stale && method.is_idempotent() && said != Some(false) {
                replays += 1;
                replays <= STALE_REPLAYS
            } else {
                false
            };
            if !may_replay {
                return Err(error);
            }
            let Some(again) = lost.body.take().or(spare) else { return Err(error) };
            self.lost = None;
            body = again;
            reason = Reason::Replay;
        }
    }

    /// The fields as they leave: with the handle's defaults, the cookies and credentials of this origin.
    fn dress(
        &self,
        method: &Method,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
        is_empty: bool,
    ) -> HeaderMap {
        let mut dressed = headers.clone();
        if self.crossed {
            headers::fill(&mut dressed, &headers::harmless(&self.client.session.headers));
        } else {
            headers::fill(&mut dressed, &self.client.session.headers);
        }
        if self.client.inner.decode && !self.decodes(headers) && !headers.contains_key(ACCEPT_ENCODING) {
            dressed.remove(ACCEPT_ENCODING);
        }
        // RFC 9110 §8.6: methods that expect content say that there is none.
        if is_empty && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            dressed.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        if let Some(authorization) = authorization {
            dressed.insert(AUTHORIZATION, authorization.clone());
        }
        #[cfg(feature = "cookies")]
        if let Some(jar) = &self.client.session.cookies
            && !headers.contains_key(http::header::COOKIE)
            && let Some(cookie) = jar.header_of(&self.address, self.client.clock().wall())
        {
            dressed.insert(http::header::COOKIE, cookie);
        }
        dressed
    }

    /// The fields as they leave, if they are no other than the handle's defaults: then nothing need be copied to look at
    /// them.
    #[cfg(feature = "cache")]
    fn plain_dress(
        &self,
        method: &Method,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Option<&'c HeaderMap> {
        let client = self.client;
        let plain = headers.is_empty()
            && authorization.is_none()
            && !self.crossed
            && *method == Method::GET
            && self.decodes(headers) == client.inner.decode;
        #[cfg(feature = "cookies")]
        let plain = plain && client.session.cookies.is_none();
        plain.then_some(&client.session.headers)
    }

    #[cfg_attr(
        not(feature = "cookies"),
        expect(unused_variables, clippy::unused_self, reason = "cookies are a feature")
    )]
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
}

/// Whether two URIs are equal; told at a glance where one is a clone of the other.
fn same(a: &Uri, b: &Uri) -> bool {
    fn parts(uri: &Uri) -> Option<(&str, &str)> {
        Some((uri.authority()?.as_str(), uri.path_and_query()?.as_str()))
    }
    let clones = match (parts(a), parts(b)) {
        (Some(a), Some(b)) => std::ptr::eq(a.0, b.0) && std::ptr::eq(a.1, b.1),
        _ => false,
    };
    if clones { a.scheme() == b.scheme() } else { a == b }
}

fn assemble(method: Method, uri: Uri, headers: HeaderMap, body: Body) -> http::Request<Body> {
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

struct CallEnd<'e, 'c> {
    call: &'e mut Call<'c>,
}

impl ChainEnd for CallEnd<'_, '_> {
    fn finish<'s>(
        &'s mut self,
        request: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send + 's>> {
        let (parts, body) = request.into_parts();
        Box::pin(async move {
            // The interceptors may have turned the call elsewhere.
            if !same(&parts.uri, &self.call.address.uri) {
                self.call.address = self.call.client.resolve(parts.uri)?;
            }
            self.call.wanted = Some(Wanted { method: parts.method, headers: parts.headers, body });
            self.call.hops().await.map(|answer| *answer)
        })
    }

    fn facts(&self) -> CallFacts<'_> {
        CallFacts { call: self.call.id, attempt: 0, scope: &self.call.client.scope }
    }
}
