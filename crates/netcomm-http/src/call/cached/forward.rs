//! A request that goes on towards the origin, and what becomes of its answer.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, IF_RANGE, PRAGMA, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use netcomm_core::{Body, Result};

use super::{Asked, Sent, Straight};
use crate::cache::{
    self, Arrived, Begun, CacheStatus, EndToEnd, Entry, EntryParts, Forward, Question, Said, Segment, Selecting, Stored,
};
use crate::call::{Call, Fields};

impl Call<'_> {
    /// The request goes on, and its answer is stored, confirms what is stored, or is replaced by it.
    pub(in crate::call) async fn forward(
        &mut self,
        asked: &Asked<'_>,
        forward: Forward,
        body: Body,
    ) -> Result<http::Response<Body>> {
        let mut fields = Cow::Borrowed(&*asked.fields);
        // What would be too large together is asked for as a whole, so that the limit meets it as any other body.
        let most = self.max_body_bytes;
        let gap = forward.gap.as_ref().filter(|(entry, _)| entry.parts().length.is_some_and(|length| length <= most));
        let confirms = match gap {
            Some((entry, gap)) => {
                ask_for_gap(fields.to_mut(), entry, gap);
                false
            }
            None => {
                !forward.candidates.is_empty()
                    && cache::validation::make_conditional(fields.to_mut(), &forward.candidates)
            }
        };
        if let Some(end_to_end) = forward.end_to_end {
            ask_end_to_end(fields.to_mut(), end_to_end);
        }
        let sent = self.sent_now(asked);
        let spare = body.try_clone();
        let outcome = self.attempts(asked.method, Fields::Dressed(&fields), body).await.map(|answer| *answer);
        let failure = outcome.as_ref().map(http::Response::status);
        if failure.is_err() || failure.as_ref().is_ok_and(StatusCode::is_server_error) {
            let rescue = forward.fallback.as_ref().and_then(|entry| {
                cache::rescue(entry, &self.question(asked, self.client.clock().wall()), asked.cache.rules(), failure)
            });
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
        let fields = Fields::Dressed(&asked.fields);
        let response = self.attempts(asked.method, fields, body.unwrap_or_default()).await?;
        self.settle(asked, forward, *response, sent).await
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
        let question = self.question(asked, self.client.clock().wall());
        let rules = asked.cache.rules();
        let mut headers = response.headers().clone();
        drop(response);
        cache::dated(&mut headers, question.now);
        let headers = cache::updated_fields(entry.headers(), &headers, rules);
        let old = entry.parts();
        let selecting = cache::selecting::of(&headers, &asked.fields, question.identity);
        let parts = EntryParts {
            headers: headers.into(),
            segments: old.segments.iter().map(Segment::apart).collect(),
            selecting: selecting.clone().unwrap_or_else(|| old.selecting.clone()),
            requested_at: sent.at,
            received_at: question.now,
            ttl: question.ttl,
            ..old.clone()
        };
        let updated = Entry::answering(parts, sent.moment);
        let arrived = Arrived {
            method: &Method::GET,
            names_itself: false,
            request: &asked.fields,
            is_plain: asked.is_plain,
            status: old.status,
            headers: updated.headers(),
            ttl: question.ttl.is_some(),
        };
        let stored = selecting.is_some() && cache::permits(&arrived, rules).is_ok();
        if stored {
            asked.cache.put(&asked.key, Arc::clone(&updated)).await;
        } else {
            asked.cache.drop_entry(&asked.key, Arc::clone(entry)).await;
        }
        let status = CacheStatus {
            forwarded: Some(forward.why),
            forwarded_status: Some(StatusCode::NOT_MODIFIED),
            stored,
            ..CacheStatus::default()
        };
        let serve = cache::confirmed(&updated, &self.question(asked, self.client.clock().wall()), rules);
        self.serve(asked, &serve, true, status).await
    }

    /// A part that completes a stored response (RFC 9111 §3.3): both together answer. `None` if they do not fit.
    async fn complete(
        &mut self,
        asked: &Asked<'_>,
        forward: &Forward,
        entry: &Arc<Entry>,
        gap: &Range<u64>,
        response: http::Response<Body>,
        sent: Sent,
    ) -> Option<http::Response<Body>> {
        let question = self.question(asked, self.client.clock().wall());
        let rules = asked.cache.rules();
        let old = entry.parts();
        let length = old.length?;
        let (came, of) = cache::range::content_range(response.headers())?;
        let validator = cache::validation::strong_validator(response.headers())?;
        if came != *gap
            || of != Some(length)
            || cache::validation::strong_validator(old.headers.as_map()) != Some(validator)
        {
            return None;
        }
        let before = cache::body_of(cache::range::cover(&old.segments, &(0..gap.start))?).await.ok()?;
        let after = cache::range::cover(&old.segments, &(gap.end..length))?;
        let (mut head, body) = response.into_parts();
        let mut part = cache::stored_fields(&head.headers, true, rules);
        cache::dated(&mut part, question.now);
        let mut headers = old.headers.as_map().clone();
        crate::headers::replace(&mut headers, part.clone());
        let arrived = Arrived {
            method: &Method::GET,
            names_itself: false,
            request: &asked.fields,
            is_plain: asked.is_plain,
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
                    headers: part.into(),
                    requested_at: sent.at,
                    received_at: question.now,
                    ttl: question.ttl,
                    segments: cache::Few::default(),
                    ..old.clone()
                };
                let (cache, key) = (asked.cache.clone(), asked.key.clone());
                let entry = Entry::answering(parts, sent.moment);
                let begun = Begun { entry, start: gap.start, end: Some(gap.end), is_ended: false };
                let (body, stored) = cache::keep(Stored { cache, key, begun }, body).await;
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
        self.tell_stored_head(head.status, || head.headers.clone());
        self.cache_status = Some(status);
        Some(http::Response::from_parts(head, body))
    }

    /// The answer to a request that went straight on: stored at once if nothing has to be waited for, which a store in
    /// memory never asks for. Whether it is settled so.
    pub(super) fn settle_at_once(
        &mut self,
        asked: &mut Asked<'_>,
        straight: &Straight,
        response: &http::Response<Body>,
    ) -> bool {
        let &Straight { why, stores, sent } = straight;
        let (Some(store), Some(bytes)) = (asked.cache.in_memory(), response.body().as_bytes()) else { return false };
        // What another method brings may make something invalid, or be a head alone.
        if *asked.method != Method::GET || !stores {
            return false;
        }
        // What has come is judged in the same way with a network and without.
        let question = self.question_while(asked, self.client.clock().wall(), false);
        let mut status = CacheStatus { forwarded: Some(why), ..CacheStatus::default() };
        match begun(asked, &question, &self.address.uri, response, sent, Some(bytes)) {
            Ok(begun) => {
                status.stored = cache::keep_at_once(asked.cache, store, asked.key.take(), begun, bytes);
            }
            Err(why) => {
                status.detail = Some(why);
                if replaces(response.status()) {
                    asked.cache.drop_answers_at_once(store, &asked.key, &asked.fields, question.identity, sent.moment);
                }
            }
        }
        self.cache_status = Some(status);
        true
    }

    /// An answer of the origin: it is stored if it may be, and makes invalid what it has to.
    pub(super) async fn settle(
        &mut self,
        asked: &Asked<'_>,
        forward: &Forward,
        response: http::Response<Body>,
        mut sent: Sent,
    ) -> Result<http::Response<Body>> {
        let question = self.question(asked, self.client.clock().wall());
        let cache = asked.cache;
        let mut status = CacheStatus { forwarded: Some(forward.why), ..CacheStatus::default() };
        let uri = &self.address.uri;
        let invalid = cache::invalidated(asked.method, uri, response.status(), response.headers());
        if !invalid.is_empty() {
            let groups = cache::invalidated_groups(response.headers());
            cache.invalidate(asked.key.partition(), &invalid, &groups).await;
            // What the answer itself says of the resource holds from now on.
            sent.moment = cache.now();
        }
        if *asked.method == Method::HEAD {
            if forward.stores && response.status() == StatusCode::OK {
                status.stored = update_by_head(asked, &question, response.headers(), sent).await;
            }
            self.cache_status = Some(status);
            return Ok(response);
        }
        let begun = match forward.stores {
            true => begun(asked, &question, uri, &response, sent, None),
            false => Err("bypass"),
        };
        let (head, body) = response.into_parts();
        let body = match begun {
            Ok(begun) => {
                let stored = Stored { cache: cache.clone(), key: asked.key.clone(), begun };
                let (body, stored) = cache::keep(stored, body).await;
                status.stored = stored;
                body
            }
            Err(why) => {
                status.detail = (*asked.method == Method::GET).then_some(why);
                if *asked.method == Method::GET && forward.stores && replaces(head.status) {
                    let fields = asked.fields.clone().into_owned();
                    cache.drop_answers(&asked.key, fields, question.identity, sent.moment).await;
                }
                body
            }
        };
        self.cache_status = Some(status);
        Ok(http::Response::from_parts(head, body))
    }
}

/// Whether an answer that is not stored makes what is stored useless all the same (RFC 9111 §4.3.3: what the origin has
/// replaced is not used again). One about a part, or about the caller's own condition, replaces nothing.
fn replaces(status: StatusCode) -> bool {
    !status.is_server_error() && !matches!(status.as_u16(), 206 | 304 | 412 | 416)
}

/// What is stored of an answer, but for its body; if nothing is, why. A body that is there and small may be copied beside
/// its head.
fn begun(
    asked: &Asked<'_>,
    question: &Question<'_>,
    uri: &http::Uri,
    response: &http::Response<Body>,
    sent: Sent,
    body: Option<&[u8]>,
) -> Result<Begun, &'static str> {
    let rules = asked.cache.rules();
    let (status, headers) = (response.status(), response.headers());
    let names_itself = *asked.method == Method::POST && cache::names_itself(headers, uri);
    let arrived = Arrived {
        method: asked.method,
        names_itself,
        request: &asked.fields,
        is_plain: asked.is_plain,
        status,
        headers,
        ttl: question.ttl.is_some(),
    };
    let said = Said::of(headers, rules);
    cache::permits_by(&arrived, &said, rules)?;
    let is_part = status == StatusCode::PARTIAL_CONTENT;
    let selecting = match said.varies {
        true => cache::selecting::of(headers, &asked.fields, question.identity).ok_or("vary")?,
        false => Selecting { fields: Vec::new(), identity: question.identity },
    };
    let (start, end, length) = match is_part {
        false => (0, None, response.body().len()),
        true => {
            let (range, length) = cache::range::content_range(headers).ok_or("content-range")?;
            (range.start, Some(range.end), length)
        }
    };
    let body = body.filter(|_| !is_part);
    let (fields, body) = cache::packed_fields(headers, &said, is_part, rules, question.now, body);
    let is_ended = body.is_some();
    let length = body.as_ref().map_or(length, |body| Some(body.len() as u64));
    let segments = match body {
        Some(body) if !body.is_empty() => cache::Few::one(Segment::whole(0, cache::Blob::memory(body))),
        _ => cache::Few::default(),
    };
    let parts = EntryParts {
        status: if is_part { StatusCode::OK } else { status },
        headers: fields,
        selecting,
        requested_at: sent.at,
        received_at: question.now,
        ttl: question.ttl,
        length,
        segments,
    };
    Ok(Begun { entry: Entry::answering(parts, sent.moment), start, end, is_ended })
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
        let headers = cache::updated_fields(old.headers.as_map(), &head, rules);
        let parts = EntryParts {
            headers: headers.into(),
            segments: old.segments.iter().map(Segment::apart).collect(),
            requested_at: sent.at,
            received_at: question.now,
            ..old.clone()
        };
        asked.cache.put(&asked.key, Entry::answering(parts, sent.moment)).await;
        updated = true;
    }
    updated
}

/// Asks for the part that is missing, if the representation is still the same one (RFC 9110 §13.1.5).
fn ask_for_gap(sent: &mut HeaderMap, entry: &Entry, gap: &Range<u64>) {
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
fn ask_end_to_end(sent: &mut HeaderMap, end_to_end: EndToEnd) {
    let directive = match end_to_end {
        EndToEnd::Reload => "no-cache",
        EndToEnd::Revalidate => "max-age=0",
    };
    if end_to_end == EndToEnd::Reload && !sent.contains_key(CACHE_CONTROL) {
        sent.entry(PRAGMA).or_insert(HeaderValue::from_static("no-cache"));
    }
    sent.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(directive));
}
