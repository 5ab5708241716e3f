//! A hit without a future, and without a copy of its head: a plain `GET` whose answer lies in memory, fresh and whole.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method};
use netcomm_core::Body;

use super::{Asked, Call, Excuse};
use crate::cache::{self, CacheStatus, Key, Plan, Serve, StoredHead};

impl Call<'_> {
    /// The answer to the call that begins, if it needs nothing else. If it does, what was found out is kept for the way
    /// that all other calls take, which also tells why one may not go there.
    pub(in crate::call) fn at_once(
        &mut self,
        method: &Method,
        headers: &HeaderMap,
        body: &Body,
    ) -> Option<(StoredHead, Body)> {
        let client = self.client;
        let (inner, session) = (&client.inner, &client.session);
        let cache = inner.cache.as_ref()?;
        let fields = self.plain_dress(method, headers, None).filter(|_| session.is_plain)?;
        let is_plain = body.as_bytes().is_some_and(Bytes::is_empty)
            && self.options.continues.is_none()
            && self.options.resume.unwrap_or(inner.resume) == 0
            && inner.call_interceptors.is_empty()
            && session.keyring.is_empty();
        let uri = &self.address.uri;
        if !is_plain {
            return None;
        }
        let asked = Asked {
            cache,
            key: Key::new(&self.partition(), uri),
            method,
            fields: Cow::Borrowed(fields),
            is_plain: true,
            mode: self.cache_mode(),
            at: client.clock().wall(),
            has_content: false,
        };
        let plan = cache.known(&asked.key).map(|variants| self.plan(&asked, &variants, asked.at));
        match plan {
            Some(Plan::Serve(serve)) => match self.body_at_once(&serve, headers).filter(|_| self.may_ask(method)) {
                Some(bytes) => Some(self.given_out(&asked, serve, bytes)),
                None => {
                    self.found = Some(((asked.key, asked.at), Some(Plan::Serve(serve))));
                    None
                }
            },
            plan => {
                self.found = Some(((asked.key, asked.at), plan));
                None
            }
        }
    }

    fn may_ask(&self, method: &Method) -> bool {
        let (own, all) = (&self.client.scope, &self.client.inner.policy.scope);
        let uri = &self.address.uri;
        own.check(method, uri).is_ok() && all.check(method, uri).is_ok()
    }

    /// The body of an answer from store, if neither it nor the head has to be looked at on the way out.
    fn body_at_once(&self, serve: &Serve, headers: &HeaderMap) -> Option<Bytes> {
        let entry = &serve.entry;
        let is_coded = entry.headers().contains_key(CONTENT_ENCODING) && self.decodes(headers);
        if serve.refresh || is_coded || entry.status().is_redirection() {
            return None;
        }
        let segments = cache::whole_as_stored(serve)?;
        cache::body_in_memory(segments).filter(|bytes| bytes.len() as u64 <= self.max_body_bytes)
    }

    fn given_out(&mut self, asked: &Asked<'_>, serve: Serve, bytes: Bytes) -> (StoredHead, Body) {
        let told = CacheStatus {
            hit: true,
            ttl: Some(serve.ttl),
            detail: serve.excuse.map(Excuse::as_str),
            ..CacheStatus::default()
        };
        self.cache_status = Some(told);
        let body = self.bound_whole(bytes);
        self.tell(&told);
        (StoredHead::of(serve, told, asked.cache.name()), body)
    }
}
