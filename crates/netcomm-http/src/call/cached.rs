//! The cache's place in a call: between the credentials of a hop and its attempts. What becomes of a request is decided
//! in [`crate::cache`]; here it is done.

mod forward;

use std::sync::Arc;
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use netcomm_core::{Body, Error, ErrorKind, Event, Interest, Reach, Result};

use super::Call;
use crate::alarm::Alarm;
use crate::cache::{self, Cache, CacheMode, CacheStatus, Excuse, Forward, Forwarded, Key, Plan, Question, Serve};
use crate::receive::Source;
use crate::request::{Continued, Options};
use crate::timing::Timing;

/// When a request was sent.
#[derive(Clone, Copy)]
struct Sent {
    at: SystemTime,
    epoch: cache::Epoch,
}

/// What the cache goes by throughout one hop.
struct Asked<'a> {
    cache: &'a Cache,
    key: Key,
    method: &'a Method,
    /// The fields as they would be sent without the cache.
    fields: HeaderMap,
    mode: CacheMode,
}

impl Call<'_> {
    /// One hop with a cache before it.
    pub(super) async fn cached(
        &mut self,
        cache: &Cache,
        method: &Method,
        headers: &HeaderMap,
        authorization: Option<HeaderValue>,
        body: Body,
    ) -> Result<http::Response<Body>> {
        let fields = self.dress(method, headers, authorization.as_ref(), body.is_empty());
        let key = Key::new(self.partition(), &self.address.uri);
        let mode = self.options.cache.as_ref().map(|own| own.mode).unwrap_or_default();
        let asked = Asked { cache, key, method, fields, mode };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if reads && !body.is_empty() {
            // What it means depends on its content (RFC 9110 §9.3.1).
            return self.forward(&asked, Forward::plain(Forwarded::Bypass, false), body).await;
        }
        let variants = if reads { cache.get(&asked.key).await } else { Arc::default() };
        let plan = cache::plan(&self.question(&asked), &variants, cache.rules());
        drop(variants);
        match plan {
            Plan::Forward(forward) => self.forward(&asked, forward, body).await,
            Plan::Unsatisfiable => self.unsatisfiable(&asked),
            Plan::Serve(serve) => {
                let status = CacheStatus { hit: true, ..CacheStatus::default() };
                match self.serve(&asked, &serve, false, status).await {
                    Some(response) => {
                        if serve.refresh {
                            self.refresh(&asked, headers);
                        }
                        Ok(response)
                    }
                    None => {
                        cache.drop_entry(&asked.key, serve.entry).await;
                        self.forward(&asked, Forward::plain(Forwarded::UriMiss, true), body).await
                    }
                }
            }
        }
    }

    fn sent_now(&self, asked: &Asked<'_>) -> Sent {
        Sent { at: self.client.clock().wall(), epoch: asked.cache.epoch() }
    }

    fn question<'a>(&self, asked: &'a Asked<'_>) -> Question<'a> {
        let own = self.options.cache.as_deref();
        Question {
            method: asked.method,
            headers: &asked.fields,
            mode: asked.mode,
            ttl: own.and_then(|own| own.ttl),
            identity: asked.cache.identity(asked.fields.get(AUTHORIZATION)),
            refreshes: own.is_some_and(|own| own.refreshes),
            offline: self.client.inner.env.connectivity().current().reach == Reach::Offline,
            now: self.client.clock().wall(),
        }
    }

    /// Whose responses the call may see.
    fn partition(&self) -> &str {
        let own = self.options.cache.as_ref().and_then(|own| own.partition.as_deref());
        own.or(self.client.session.partition.as_deref()).unwrap_or_default()
    }

    /// The answer, with what the cache did for it.
    fn told(
        &mut self,
        asked: &Asked<'_>,
        mut response: http::Response<Body>,
        status: CacheStatus,
    ) -> http::Response<Body> {
        status.add_to(response.headers_mut(), asked.cache.name());
        self.cache_status = Some(status);
        self.emit(Interest::DECISION, || Event::CacheAsked {
            hit: status.hit,
            forwarded: status.forwarded.map(Forwarded::as_str),
            stored: status.stored,
            detail: status.detail,
        });
        response
    }

    /// An answer from store. `None` if its body is not there any more.
    async fn serve(
        &mut self,
        asked: &Asked<'_>,
        serve: &Serve,
        confirmed: bool,
        mut status: CacheStatus,
    ) -> Option<http::Response<Body>> {
        let how = cache::answer(&serve.entry, asked.method, &asked.fields);
        let is_head = *asked.method == Method::HEAD;
        let now = self.client.clock().wall();
        let answered = cache::answered(&serve.entry, &how, is_head, confirmed, asked.cache.rules(), now)?;
        let body = cache::body_of(answered.body).await.ok()?;
        let mut response = http::Response::new(self.stored_body(body, answered.status));
        *response.status_mut() = answered.status;
        *response.headers_mut() = answered.headers;
        status.ttl = Some(serve.ttl);
        status.detail = serve.excuse.map(Excuse::as_str);
        Some(self.told(asked, response, status))
    }

    /// A stored body, within the bounds of the call. Nothing of it was received.
    fn stored_body(&mut self, body: Body, status: StatusCode) -> Body {
        self.timing = Timing { attempt: self.timing.attempt, ..Timing::default() };
        self.meta = None;
        match body.as_bytes() {
            Some(bytes) if bytes.len() as u64 <= self.max_body_bytes => {
                let bytes = bytes.clone();
                self.bound_whole(bytes)
            }
            _ => {
                let clock = self.client.clock();
                let now = clock.now();
                self.bound(Source::Foreign(body, Alarm::new(Arc::clone(clock))), status, now)
            }
        }
    }

    /// Nothing stored answers, and the request may not be sent on.
    fn unsatisfiable(&mut self, asked: &Asked<'_>) -> Result<http::Response<Body>> {
        if asked.mode == CacheMode::OnlyIfCached {
            return Err(Error::new(ErrorKind::Offline, "cache")
                .with_unsent()
                .with_detail("nothing that answers is stored, and the call may not use the network"));
        }
        // RFC 9111 §5.2.1.7.
        let mut response = http::Response::new(self.stored_body(Body::empty(), StatusCode::GATEWAY_TIMEOUT));
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        let status = CacheStatus { detail: Some("only-if-cached"), ..CacheStatus::default() };
        Ok(self.told(asked, response, status))
    }

    /// Confirms what is stored in the background (RFC 5861 §3), unless that is being done.
    fn refresh(&self, asked: &Asked<'_>, headers: &HeaderMap) {
        let (Some(turn), Ok(runtime)) = (asked.cache.begin_refresh(&asked.key), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let client = self.client.clone();
        let mut options =
            Options { continues: Some(Continued { call: self.id, crossed: self.crossed }), ..Options::default() };
        options.timeouts.clone_from(&self.options.timeouts);
        options.limits.clone_from(&self.options.limits);
        let mut own = self.options.cache.clone().unwrap_or_default();
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
