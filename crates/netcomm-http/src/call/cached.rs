//! The cache's place in a call: between the credentials of a hop and its attempts. What becomes of a request is decided
//! in [`crate::cache`]; here it is done.

mod forward;
mod instant;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use netcomm_core::{Body, Error, ErrorKind, Event, Interest, Reach, Result, Stage};

use super::Call;
use super::shared::{Detached, Way};
use crate::alarm::Alarm;
use crate::cache::{self, Cache, CacheMode, CacheStatus, Excuse, Forward, Forwarded, Key, Plan, Question, Serve};
use crate::offline::Offline;
use crate::receive::Source;
use crate::timing::Timing;

/// When a request was sent.
#[derive(Clone, Copy)]
struct Sent {
    at: SystemTime,
    moment: cache::Moment,
}

/// A request that goes on as if there were no cache; its answer may be stored.
pub(super) struct Straight {
    why: Forwarded,
    /// Whether its answer may be stored.
    stores: bool,
    sent: Sent,
}

/// What the cache goes by throughout one hop.
pub(super) struct Asked<'a> {
    pub(super) cache: &'a Cache,
    pub(super) key: Key,
    pub(super) method: &'a Method,
    /// The fields as they would be sent without the cache.
    pub(super) fields: Cow<'a, HeaderMap>,
    /// Whether these have nothing to say to a cache.
    pub(super) is_plain: bool,
    pub(super) mode: CacheMode,
    /// When it was asked.
    pub(super) at: SystemTime,
    /// Whether the request has content: what it means depends on that (RFC 9110 §9.3.1).
    pub(super) has_content: bool,
}

impl Asked<'_> {
    /// Whether what is stored may answer.
    fn reads(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD) && !self.has_content
    }
}

/// What is known without waiting.
pub(super) enum Looked {
    Answered(http::Response<Body>),
    Planned(Plan),
    /// The store has to be asked first.
    Open,
}

impl<'c> Call<'c> {
    /// Under what this hop is stored, and since when it is asked; what becomes of it if that was found out before.
    pub(super) fn found(&mut self) -> ((Key, SystemTime), Option<Plan>) {
        self.found
            .take()
            .unwrap_or_else(|| ((Key::new(&self.partition(), &self.address.uri), self.client.clock().wall()), None))
    }

    fn cache_mode(&self) -> CacheMode {
        match self.options.cache.as_ref().map(|own| own.mode).unwrap_or_default() {
            CacheMode::Default if self.offline() == Offline::ServeStale && self.network().reach == Reach::Offline => {
                CacheMode::ForceCache
            }
            mode => mode,
        }
    }

    /// What this hop asks of the cache.
    pub(super) fn ask<'a>(
        &self,
        cache: &'a Cache,
        (key, at): (Key, SystemTime),
        method: &'a Method,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
        body: &Body,
    ) -> Asked<'a>
    where
        'c: 'a,
    {
        let (fields, is_plain) = match self.plain_dress(method, headers, authorization) {
            Some(fields) => (Cow::Borrowed(fields), self.client.session.is_plain),
            None => {
                let fields = self.dress(method, headers, authorization, body.is_empty());
                let is_plain = cache::is_plain(&fields);
                (Cow::Owned(fields), is_plain)
            }
        };
        let mode = self.cache_mode();
        Asked { cache, key, method, fields, is_plain, mode, at, has_content: !body.is_empty() }
    }

    /// Answers from memory, if that needs nothing else. A hit must cost next to nothing.
    pub(super) fn look(&mut self, asked: &Asked<'_>, plan: Option<Plan>) -> Looked {
        let plan = match plan {
            Some(plan) => plan,
            None => {
                let known =
                    if asked.reads() { asked.cache.known(&asked.key) } else { Some(cache::Variants::default()) };
                let Some(variants) = known else { return Looked::Open };
                self.plan(asked, &variants, asked.at)
            }
        };
        if let Plan::Serve(serve @ Serve { refresh: false, .. }) = &plan
            && let Some(answered) = Self::answered(asked, serve, false)
            && let Some(bytes) = cache::body_in_memory(&answered.body)
        {
            let status = CacheStatus { hit: true, ..CacheStatus::default() };
            self.took_no_exchange();
            let body = self.stored_bytes(bytes, answered.status);
            let mut response = self.respond(answered.status, answered.headers, body, serve, status);
            self.told(asked, &mut response);
            return Looked::Answered(response);
        }
        Looked::Planned(plan)
    }

    fn plan(&self, asked: &Asked<'_>, variants: &[Arc<cache::Entry>], now: SystemTime) -> Plan {
        if asked.has_content && matches!(*asked.method, Method::GET | Method::HEAD) {
            return cache::passed_by(&self.question(asked, now));
        }
        if variants.is_empty()
            && let Some(plan) = cache::unknown(asked.method, asked.is_plain, asked.mode)
        {
            return plan;
        }
        cache::plan(&self.question(asked, now), variants, asked.cache.rules())
    }

    /// A plan by which nothing stored has a part in the answer, and nobody shares it; else all is given back. The usual
    /// miss needs no future of its own before its answer is there, and most often none after that.
    pub(super) fn straight(&self, asked: &Asked<'_>, plan: Option<Plan>) -> Result<Straight, Option<Plan>> {
        match plan {
            Some(Plan::Forward(forward)) if forward.is_straight() && !self.shares_asked(asked) => {
                // No time has passed since it was asked.
                let sent = Sent { at: asked.at, moment: asked.cache.now() };
                Ok(Straight { why: forward.why, stores: forward.stores, sent })
            }
            plan => Err(plan),
        }
    }

    /// What the cache makes of the answer to a request that went straight on, if that needs no waiting. Whether it is done.
    pub(super) fn take_at_once(
        &mut self,
        asked: &mut Asked<'_>,
        straight: &Straight,
        response: &mut http::Response<Body>,
    ) -> bool {
        let is_settled = self.settle_at_once(asked, straight, response);
        if is_settled {
            self.told(asked, response);
        }
        is_settled
    }

    /// The same with waiting.
    pub(super) async fn take(
        &mut self,
        asked: &Asked<'_>,
        &Straight { why, stores, sent }: &Straight,
        response: http::Response<Body>,
    ) -> Result<http::Response<Body>> {
        let mut response = self.settle(asked, &Forward::plain(why, stores), response, sent).await?;
        self.told(asked, &mut response);
        Ok(response)
    }

    /// One hop with a cache before it, from where [`look`](Self::look) has left it.
    pub(super) async fn cached(
        &mut self,
        asked: Asked<'_>,
        plan: Option<Plan>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<http::Response<Body>> {
        let plan = match plan {
            Some(plan) => plan,
            None => {
                let variants = asked.cache.get(&asked.key).await;
                self.moment = None;
                self.plan(&asked, &variants, self.client.clock().wall())
            }
        };
        let mut response = match plan {
            Plan::Forward(forward) => self.send_on(&asked, forward, body).await?,
            Plan::Unsatisfiable => self.unsatisfiable(&asked)?,
            Plan::Serve(serve) => {
                let status = CacheStatus { hit: true, ..CacheStatus::default() };
                match self.serve(&asked, &serve, false, status).await {
                    Some(response) => {
                        if serve.refresh {
                            self.refresh(&asked, headers);
                        }
                        response
                    }
                    None => {
                        asked.cache.drop_entry(&asked.key, serve.entry).await;
                        if cache::is_only_for_the_store(&self.question(&asked, asked.at)) {
                            self.unsatisfiable(&asked)?
                        } else {
                            let forward = Forward::plain(Forwarded::UriMiss, true);
                            self.send_on(&asked, forward, body).await?
                        }
                    }
                }
            }
        };
        self.told(&asked, &mut response);
        Ok(response)
    }

    /// Alone, or together with an equal request that is in flight.
    async fn send_on(&mut self, asked: &Asked<'_>, forward: Forward, body: Body) -> Result<http::Response<Body>> {
        if !self.shares_asked(asked) {
            return self.forward(asked, forward, body).await;
        }
        let flight = Detached {
            client: self.client.clone(),
            options: self.detached_options(),
            address: self.address.clone(),
            method: asked.method.clone(),
            fields: asked.fields.clone().into_owned(),
            way: Way::Cached { cache: asked.cache.clone(), key: asked.key.clone(), mode: asked.mode, forward },
        };
        self.join(flight).await
    }

    fn shares_asked(&self, asked: &Asked<'_>) -> bool {
        asked.reads() && self.shares() && matches!(asked.mode, CacheMode::Default | CacheMode::ForceCache)
    }

    fn sent_now(&self, asked: &Asked<'_>) -> Sent {
        Sent { at: self.client.clock().wall(), moment: asked.cache.now() }
    }

    fn question<'a>(&self, asked: &'a Asked<'_>, now: SystemTime) -> Question<'a> {
        self.question_while(asked, now, self.is_offline())
    }

    fn is_offline(&self) -> bool {
        self.client.inner.env.connectivity().current().reach == Reach::Offline
    }

    fn question_while<'a>(&self, asked: &'a Asked<'_>, now: SystemTime, offline: bool) -> Question<'a> {
        let own = self.options.cache.as_deref();
        Question {
            method: asked.method,
            headers: &asked.fields,
            is_plain: asked.is_plain,
            mode: asked.mode,
            ttl: own.and_then(|own| own.ttl),
            identity: if asked.is_plain { None } else { asked.cache.identity(asked.fields.get(AUTHORIZATION)) },
            refreshes: own.is_some_and(|own| own.refreshes),
            offline,
            now,
        }
    }

    /// Whose responses the call may see. A handle with a scope has only parts of its own partition to choose from.
    pub(super) fn partition(&self) -> Cow<'_, str> {
        let session = &self.client.session;
        let outer = session.partition.as_deref().unwrap_or_default();
        match self.options.cache.as_ref().and_then(|own| own.partition.as_deref()) {
            Some(own) if session.is_scoped => Cow::Owned(format!("{outer}:{own}")),
            Some(own) => Cow::Borrowed(own),
            None => Cow::Borrowed(outer),
        }
    }

    /// The answer says what the cache did for it.
    fn told(&self, asked: &Asked<'_>, response: &mut http::Response<Body>) {
        if let Some(status) = &self.cache_status {
            status.add_to(response.headers_mut(), asked.cache.name().as_str());
            self.tell(status);
        }
    }

    fn tell(&self, status: &CacheStatus) {
        self.emit(Interest::DECISION, || Event::CacheAsked {
            hit: status.hit,
            forwarded: status.forwarded.map(Forwarded::as_str),
            stored: status.stored,
            detail: status.detail,
        });
    }

    /// The head of an answer from store, and the pieces of its body.
    fn answered<'s>(asked: &Asked<'_>, serve: &'s Serve, confirmed: bool) -> Option<cache::Answered<'s>> {
        let is_head = *asked.method == Method::HEAD;
        cache::answered(serve, is_head, confirmed, asked.cache.rules())
    }

    /// An answer from store. `None` if its body is not there any more.
    async fn serve(
        &mut self,
        asked: &Asked<'_>,
        serve: &Serve,
        confirmed: bool,
        status: CacheStatus,
    ) -> Option<http::Response<Body>> {
        let answered = Self::answered(asked, serve, confirmed)?;
        let body = cache::body_of(answered.body.into_owned()).await.ok()?;
        if status.hit {
            self.took_no_exchange();
        }
        let body = self.stored_body(body, answered.status);
        Some(self.respond(answered.status, answered.headers, body, serve, status))
    }

    fn respond(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        body: Body,
        serve: &Serve,
        told: CacheStatus,
    ) -> http::Response<Body> {
        self.tell_stored_head(status, || headers.clone());
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        self.cache_status =
            Some(CacheStatus { ttl: Some(serve.ttl), detail: serve.excuse.map(Excuse::as_str), ..told });
        response
    }

    /// What was known of an earlier exchange is not of this answer.
    fn took_no_exchange(&mut self) {
        self.timing = Timing { attempt: self.timing.attempt, ..Timing::default() };
        self.meta = None;
        (self.gave_up, self.retry_at) = (None, None);
    }

    /// A stored body, within the bounds of the call.
    fn stored_body(&mut self, body: Body, status: StatusCode) -> Body {
        if let Some(bytes) = body.as_bytes() {
            return self.stored_bytes(bytes.clone(), status);
        }
        let clock = self.client.clock();
        let now = clock.now();
        self.bound(Source::Foreign(body, Alarm::new(Arc::clone(clock))), status, now)
    }

    /// The same of a body that lies in memory.
    fn stored_bytes(&mut self, bytes: Bytes, status: StatusCode) -> Body {
        if bytes.len() as u64 <= self.max_body_bytes {
            return self.bound_whole(bytes);
        }
        let clock = self.client.clock();
        let now = clock.now();
        self.bound(Source::Foreign(bytes.into(), Alarm::new(Arc::clone(clock))), status, now)
    }

    /// Nothing stored answers, and the request may not be sent on.
    fn unsatisfiable(&mut self, asked: &Asked<'_>) -> Result<http::Response<Body>> {
        if asked.mode == CacheMode::OnlyIfCached {
            return Err(Error::new(ErrorKind::Offline, "cache")
                .with_stage(Stage::Cache)
                .with_unsent()
                .with_detail("nothing that answers is stored, and the call may not use the network"));
        }
        self.took_no_exchange();
        // RFC 9111 §5.2.1.7.
        let mut response = http::Response::new(self.stored_body(Body::empty(), StatusCode::GATEWAY_TIMEOUT));
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        self.cache_status = Some(CacheStatus { detail: Some("only-if-cached"), ..CacheStatus::default() });
        Ok(response)
    }

    /// Confirms what is stored in the background (RFC 5861 §3), unless that is being done.
    fn refresh(&self, asked: &Asked<'_>, headers: &HeaderMap) {
        let (Some(turn), Ok(runtime)) = (asked.cache.begin_refresh(&asked.key), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let client = self.client.clone();
        let mut options = self.detached_options();
        let mut own = options.cache.take().unwrap_or_default();
        own.refreshes = true;
        own.mode = CacheMode::Default;
        options.cache = Some(own);
        let (address, method, headers) = (self.address.clone(), asked.method.clone(), headers.clone());
        drop(runtime.spawn(async move {
            let started = client.clock().now();
            let mut call = Call::new(&client, &options, address, started);
            if let Ok(response) = Box::pin(call.hop(&method, &headers, Body::empty())).await {
                let mut body = response.into_body();
                while let Ok(Some(_)) = body.chunk().await {}
            }
            drop(turn);
        }));
    }
}

impl Excuse {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "stale-asked-for",
            Self::Revalidating => "stale-while-revalidate",
            Self::Offline => "offline",
            Self::Unreachable => "unreachable",
            Self::Error => "stale-if-error",
        }
    }
}
