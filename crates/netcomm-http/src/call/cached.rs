//! The cache's place in a call: between the credentials of a hop and its attempts. What becomes of a request is decided
//! in [`crate::cache`]; here it is done.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, IF_RANGE, PRAGMA, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use netcomm_core::{Body, Error, ErrorKind, Event, Interest, Reach, Result};

use super::{Call, Fields};
use crate::alarm::Alarm;
use crate::cache::{
    self, Arrived, Cache, CacheMode, CacheStatus, EndToEnd, Entry, EntryParts, Excuse, Forward, Forwarded, Key, Plan,
    Question, Serve, Stored,
};
use crate::receive::Source;
use crate::request::{Continued, Options};
use crate::timing::Timing;

/// When a request was sent.
#[derive(Clone, Copy)]
struct Sent {
    at: SystemTime,
    moment: cache::Moment,
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
        let key = Key::new(&self.partition(), &self.address.uri);
        let mode = self.options.cache.as_ref().map(|own| own.mode).unwrap_or_default();
        let asked = Asked { cache, key, method, fields, mode };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let plan = if reads && !body.is_empty() {
            // What it means depends on its content (RFC 9110 §9.3.1).
            cache::passed_by(&self.question(&asked))
        } else {
            let variants = if reads { cache.get(&asked.key).await } else { Arc::default() };
            cache::plan(&self.question(&asked), &variants, cache.rules())
        };
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
                        if cache::is_only_for_the_store(&self.question(&asked)) {
                            return self.unsatisfiable(&asked);
                        }
                        self.forward(&asked, Forward::plain(Forwarded::UriMiss, true), body).await
                    }
                }
            }
        }
    }

    fn sent_now(&self, asked: &Asked<'_>) -> Sent {
        Sent { at: self.client.clock().wall(), moment: asked.cache.now() }
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

    /// Whose responses the call may see. A handle with a scope has only parts of its own partition to choose from.
    fn partition(&self) -> Cow<'_, str> {
        let session = &self.client.session;
        let outer = session.partition.as_deref().unwrap_or_default();
        match self.options.cache.as_ref().and_then(|own| own.partition.as_deref()) {
            Some(own) if session.is_scoped => Cow::Owned(format!("{outer}/{own}")),
            Some(own) => Cow::Borrowed(own),
            None => Cow::Borrowed(outer),
        }
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

    /// The request goes on, and its answer is stored, confirms what is stored, or is replaced by it.
    async fn forward(&mut self, asked: &Asked<'_>, forward: Forward, body: Body) -> Result<http::Response<Body>> {
        let mut fields = asked.fields.clone();
        // What would be too large together is asked for as a whole, so that the limit meets it as any other body.
        let most = self.max_body_bytes;
        let gap = forward.gap.as_ref().filter(|(entry, _)| entry.parts().length.is_some_and(|length| length <= most));
        let confirms = match gap {
            Some((entry, gap)) => {
                ask_for_gap(&mut fields, entry, gap);
                false
            }
            None => {
                !forward.candidates.is_empty() && cache::validation::make_conditional(&mut fields, &forward.candidates)
            }
        };
        ask_end_to_end(&mut fields, forward.end_to_end);
        let sent = self.sent_now(asked);
        let spare = body.try_clone();
        let outcome = self.attempts(asked.method, Fields::Dressed(fields), body).await;
        let failure = outcome.as_ref().map(http::Response::status);
        if failure.is_err() || failure.as_ref().is_ok_and(StatusCode::is_server_error) {
            let rescue = forward
                .fallback
                .as_ref()
                .and_then(|entry| cache::rescue(entry, &self.question(asked), asked.cache.rules(), failure));
            if let Some(serve) = rescue {
                let status = CacheStatus {
                    forwarded: Some(forward.why),
                    forwarded_status: outcome.as_ref().ok().map(http::Response::status),
                    ..CacheStatus::default()
                };
                if let Some(response) = self.serve(asked, &serve, false, status).await {
                    return Ok(response);
                }
            }
        }
        let response = outcome?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && confirms {
            let confirmed = cache::validation::confirmed(&forward.candidates, &asked.fields, response.headers());
            let entry = confirmed.map(Arc::clone);
            match entry {
                Some(entry) => {
                    if let Some(response) = self.confirm(asked, &forward, &entry, response, sent).await {
                        return Ok(response);
                    }
                }
                // It answers the user's own condition.
                None if cache::validation::is_conditional(&asked.fields) => {
                    return self.settle(asked, &forward, response, sent).await;
                }
                None => {}
            }
            // What was confirmed is not there any more, or was never asked for.
            return self.again(asked, &forward, spare).await;
        }
        if let Some((entry, gap)) = gap {
            match status {
                StatusCode::PARTIAL_CONTENT => {
                    return match self.complete(asked, &forward, entry, gap, response, sent).await {
                        Some(response) => Ok(response),
                        None => self.again(asked, &forward, spare).await,
                    };
                }
                StatusCode::RANGE_NOT_SATISFIABLE => return self.again(asked, &forward, spare).await,
                _ => {}
            }
        }
        self.settle(asked, &forward, response, sent).await
    }

    /// The request once more, as if nothing were stored.
    async fn again(
        &mut self,
        asked: &Asked<'_>,
        forward: &Forward,
        body: Option<Body>,
    ) -> Result<http::Response<Body>> {
        let sent = self.sent_now(asked);
        let fields = Fields::Dressed(asked.fields.clone());
        let response = self.attempts(asked.method, fields, body.unwrap_or_default()).await?;
        self.settle(asked, forward, response, sent).await
    }

    /// The origin has confirmed what is stored (RFC 9111 §4.3.4): its head is brought up to date, and it answers.
    async fn confirm(
        &mut self,
        asked: &Asked<'_>,
        forward: &Forward,
        entry: &Arc<Entry>,
        response: http::Response<Body>,
        sent: Sent,
    ) -> Option<http::Response<Body>> {
        let question = self.question(asked);
        let rules = asked.cache.rules();
        let mut headers = response.headers().clone();
        drop(response);
        cache::dated(&mut headers, question.now);
        let headers = cache::updated_fields(entry.headers(), &headers, rules);
        let old = entry.parts();
        let selecting = cache::selecting::of(&headers, &asked.fields, question.identity);
        let parts = EntryParts {
            headers,
            selecting: selecting.clone().unwrap_or_else(|| old.selecting.clone()),
            requested_at: sent.at,
            received_at: question.now,
            ttl: question.ttl,
            ..old.clone()
        };
        let arrived = Arrived {
            method: &Method::GET,
            names_itself: false,
            request: &asked.fields,
            status: old.status,
            headers: &parts.headers,
            ttl: question.ttl.is_some(),
        };
        let stored = selecting.is_some() && cache::permits(&arrived, rules).is_ok();
        let updated = Arc::new(Entry::new(parts.clone()));
        if stored {
            asked.cache.put(&asked.key, parts, sent.moment).await;
        } else {
            asked.cache.drop_entry(&asked.key, Arc::clone(entry)).await;
        }
        let status = CacheStatus {
            forwarded: Some(forward.why),
            forwarded_status: Some(StatusCode::NOT_MODIFIED),
            stored,
            ..CacheStatus::default()
        };
        let ttl = asked.cache.freshness(&updated, question.now).1;
        self.serve(asked, &Serve { entry: updated, ttl, excuse: None, refresh: false }, true, status).await
    }

    /// A part that completes a stored response (RFC 9111 §3.3): both together answer. `None` if they do not fit.
    async fn complete(
        &mut self,
        asked: &Asked<'_>,
        forward: &Forward,
        entry: &Arc<Entry>,
        gap: &std::ops::Range<u64>,
        response: http::Response<Body>,
        sent: Sent,
    ) -> Option<http::Response<Body>> {
        let question = self.question(asked);
        let rules = asked.cache.rules();
        let old = entry.parts();
        let length = old.length?;
        let (came, of) = cache::range::content_range(response.headers())?;
        let validator = cache::validation::strong_validator(response.headers())?;
        if came != *gap || of != Some(length) || cache::validation::strong_validator(&old.headers) != Some(validator) {
            return None;
        }
        let before = cache::body_of(cache::range::cover(&old.segments, &(0..gap.start))?).await.ok()?;
        let after = cache::range::cover(&old.segments, &(gap.end..length))?;
        let (mut head, body) = response.into_parts();
        let mut part = cache::stored_fields(&head.headers, true, rules);
        cache::dated(&mut part, question.now);
        let mut headers = old.headers.clone();
        crate::headers::replace(&mut headers, part.clone());
        let arrived = Arrived {
            method: &Method::GET,
            names_itself: false,
            request: &asked.fields,
            status: StatusCode::OK,
            headers: &headers,
            ttl: question.ttl.is_some(),
        };
        let mut status = CacheStatus {
            forwarded: Some(forward.why),
            forwarded_status: Some(StatusCode::PARTIAL_CONTENT),
            ..CacheStatus::default()
        };
        let body = match cache::permits(&arrived, rules) {
            Ok(()) => {
                let parts = EntryParts {
                    headers: part,
                    requested_at: sent.at,
                    received_at: question.now,
                    ttl: question.ttl,
                    segments: Vec::new(),
                    ..old.clone()
                };
                let (cache, key) = (asked.cache.clone(), asked.key.clone());
                let (body, stored) = cache::keep(
                    Stored { cache, key, parts, sent: sent.moment, start: gap.start, end: Some(gap.end) },
                    body,
                )
                .await;
                status.stored = stored;
                body
            }
            Err(why) => {
                status.detail = Some(why);
                body
            }
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        head.headers = headers;
        head.status = StatusCode::OK;
        let body = cache::chained(before, Some(body), after, length);
        Some(self.told(asked, http::Response::from_parts(head, body), status))
    }

    /// An answer of the origin: it is stored if it may be, and makes invalid what it has to.
    async fn settle(
        &mut self,
        asked: &Asked<'_>,
        forward: &Forward,
        response: http::Response<Body>,
        mut sent: Sent,
    ) -> Result<http::Response<Body>> {
        let question = self.question(asked);
        let cache = asked.cache;
        let (head, body) = response.into_parts();
        let mut status = CacheStatus { forwarded: Some(forward.why), ..CacheStatus::default() };
        let uri = &self.address.uri;
        let invalid = cache::invalidated(asked.method, uri, head.status, &head.headers);
        if !invalid.is_empty() {
            let groups = cache::invalidated_groups(&head.headers);
            cache.invalidate(asked.key.partition(), &invalid, &groups).await;
            // What the answer itself says of the resource holds from now on.
            sent.moment = cache.now();
        }
        if *asked.method == Method::HEAD {
            if forward.stores && head.status == StatusCode::OK {
                status.stored = update_by_head(asked, &question, &head.headers, sent).await;
            }
            return Ok(self.told(asked, http::Response::from_parts(head, body), status));
        }
        let stores = match forward.stores {
            true => parts_of(asked, &question, uri, &head, body.len(), sent),
            false => Err("bypass"),
        };
        let body = match stores {
            Ok((parts, start, end)) => {
                let stored =
                    Stored { cache: cache.clone(), key: asked.key.clone(), parts, sent: sent.moment, start, end };
                let (body, stored) = cache::keep(stored, body).await;
                status.stored = stored;
                body
            }
            Err(why) => {
                status.detail = (*asked.method == Method::GET).then_some(why);
                // RFC 9111 §4.3.3: what the origin has replaced is not used again. An answer about a part, or about the
                // caller's own condition, replaces nothing.
                let replaces = *asked.method == Method::GET
                    && forward.stores
                    && !head.status.is_server_error()
                    && !matches!(head.status.as_u16(), 206 | 304 | 412 | 416);
                if replaces {
                    cache.drop_answers(&asked.key, asked.fields.clone(), question.identity, sent.moment).await;
                }
                body
            }
        };
        Ok(self.told(asked, http::Response::from_parts(head, body), status))
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

/// What is stored of an answer, where its body begins and where it should end; if nothing is, why.
fn parts_of(
    asked: &Asked<'_>,
    question: &Question<'_>,
    uri: &http::Uri,
    head: &http::response::Parts,
    body_bytes: Option<u64>,
    sent: Sent,
) -> Result<(EntryParts, u64, Option<u64>), &'static str> {
    let rules = asked.cache.rules();
    let names_itself = *asked.method == Method::POST && cache::names_itself(&head.headers, uri);
    let arrived = Arrived {
        method: asked.method,
        names_itself,
        request: &asked.fields,
        status: head.status,
        headers: &head.headers,
        ttl: question.ttl.is_some(),
    };
    cache::permits(&arrived, rules)?;
    let is_part = head.status == StatusCode::PARTIAL_CONTENT;
    let selecting = cache::selecting::of(&head.headers, &asked.fields, question.identity).ok_or("vary")?;
    let (start, end, length) = match is_part {
        false => (0, None, body_bytes),
        true => {
            let (range, length) = cache::range::content_range(&head.headers).ok_or("content-range")?;
            (range.start, Some(range.end), length)
        }
    };
    let mut headers = cache::stored_fields(&head.headers, is_part, rules);
    cache::dated(&mut headers, question.now);
    let parts = EntryParts {
        status: if is_part { StatusCode::OK } else { head.status },
        headers,
        selecting,
        requested_at: sent.at,
        received_at: question.now,
        ttl: question.ttl,
        length,
        segments: Vec::new(),
    };
    Ok((parts, start, end))
}

/// Brings what is stored up to date by the answer to a `HEAD`, or forgets it (RFC 9111 §4.3.5).
async fn update_by_head(asked: &Asked<'_>, question: &Question<'_>, head: &HeaderMap, sent: Sent) -> bool {
    let rules = asked.cache.rules();
    let mut head = head.clone();
    cache::dated(&mut head, question.now);
    let mut updated = false;
    for entry in asked.cache.get(&asked.key).await.iter() {
        let old = entry.parts();
        if old.status != StatusCode::OK || !cache::selecting::matches(old, &asked.fields, question.identity) {
            continue;
        }
        if !cache::validation::same_representation(old, &head) {
            asked.cache.drop_entry(&asked.key, Arc::clone(entry)).await;
            continue;
        }
        let headers = cache::updated_fields(&old.headers, &head, rules);
        let parts = EntryParts { headers, requested_at: sent.at, received_at: question.now, ..old.clone() };
        asked.cache.put(&asked.key, parts, sent.moment).await;
        updated = true;
    }
    updated
}

/// Asks for the part that is missing, if the representation is still the same one (RFC 9110 §13.1.5).
fn ask_for_gap(sent: &mut HeaderMap, entry: &Entry, gap: &std::ops::Range<u64>) {
    let range = match entry.parts().length {
        Some(length) if length == gap.end => format!("bytes={}-", gap.start),
        _ => format!("bytes={}-{}", gap.start, gap.end - 1),
    };
    if let Ok(range) = HeaderValue::try_from(range) {
        sent.insert(RANGE, range);
    }
    if let Some(validator) = cache::validation::strong_validator(entry.headers()) {
        sent.insert(IF_RANGE, validator.clone());
    }
}

/// What a mode tells other caches on the way, unless the caller has told them something.
fn ask_end_to_end(sent: &mut HeaderMap, end_to_end: Option<EndToEnd>) {
    let directive = match end_to_end {
        None => return,
        Some(EndToEnd::Reload) => "no-cache",
        Some(EndToEnd::Revalidate) => "max-age=0",
    };
    if end_to_end == Some(EndToEnd::Reload) && !sent.contains_key(CACHE_CONTROL) {
        sent.entry(PRAGMA).or_insert(HeaderValue::from_static("no-cache"));
    }
    sent.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(directive));
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
