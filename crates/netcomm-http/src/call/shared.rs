//! A call's part in flights: equal requests that are under way at the same time share one answer.

#[cfg(feature = "cache")]
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Method};
use netcomm_core::{Body, GaveUp, Result};

use super::{Call, Fields};
use crate::address::Address;
use crate::alarm::Alarm;
#[cfg(feature = "cache")]
use crate::cache::{Cache, CacheMode, CacheStatus, Forward, Key};
use crate::client::Client;
use crate::conn::Meta;
use crate::flight::{Flights, Landed};
use crate::receive::Source;
use crate::request::{Continued, Options};
use crate::timing::Timing;
use crate::trail::Trail;

/// The flights of a client.
pub(crate) type Shared = Flights<Box<[u8]>, Facts>;

/// What is known of an exchange beside its answer.
#[derive(Clone)]
pub(crate) struct Facts {
    timing: Timing,
    trail: Trail,
    gave_up: Option<GaveUp>,
    retry_at: Option<Instant>,
    meta: Option<Arc<Meta>>,
    #[cfg(feature = "cache")]
    cache_status: Option<CacheStatus>,
    /// Kept for as long as the flight has a place in the list, where the jar's address is a part of the key.
    #[cfg(feature = "cookies")]
    _jar: Option<crate::cookie::CookieJar>,
}

/// A hop that outlives the call that began it.
pub(super) struct Detached {
    pub(super) client: Client,
    pub(super) options: Options,
    pub(super) address: Address,
    pub(super) method: Method,
    pub(super) fields: HeaderMap,
    pub(super) way: Way,
}

/// Where a hop goes on from.
pub(super) enum Way {
    Straight,
    #[cfg(feature = "cache")]
    Cached {
        cache: Cache,
        key: Key,
        mode: CacheMode,
        forward: Forward,
    },
}

impl Detached {
    async fn run(self) -> Result<(http::Response<Body>, Facts)> {
        let Self { client, options, address, method, fields, way } = self;
        let started = client.clock().now();
        let mut call = Call::new(&client, &options, address, started);
        // That of its scope runs from the start of each call that takes part.
        call.deadline = None;
        let response = match way {
            Way::Straight => {
                call.attempts(&method, Fields::Dressed(&fields), Body::empty()).await.map(|answer| *answer)?
            }
            #[cfg(feature = "cache")]
            Way::Cached { cache, key, mode, forward } => {
                let method = &method;
                let fields = Cow::Owned(fields);
                let is_plain = crate::cache::is_plain(&fields);
                let at = client.clock().wall();
                let asked =
                    super::cached::Asked { cache: &cache, key, method, fields, is_plain, mode, at, has_content: false };
                call.forward(&asked, forward, Body::empty()).await?
            }
        };
        let facts = Facts {
            timing: call.timing,
            trail: call.trail,
            gave_up: call.gave_up,
            retry_at: call.retry_at,
            meta: call.meta.clone(),
            #[cfg(feature = "cache")]
            cache_status: call.cache_status,
            #[cfg(feature = "cookies")]
            _jar: client.session.cookies.clone(),
        };
        Ok((response, facts))
    }
}

impl Call<'_> {
    /// Whether the call shares what it asks for.
    pub(super) fn shares(&self) -> bool {
        self.options.deduplicate.unwrap_or(self.client.inner.deduplicate) && self.options.continues.is_none()
    }

    /// The request as a hop of its own, to be shared; without the cache.
    pub(super) fn detached(&self, method: &Method, fields: HeaderMap) -> Detached {
        Detached {
            client: self.client.clone(),
            options: self.detached_options(),
            address: self.address.clone(),
            method: method.clone(),
            fields,
            way: Way::Straight,
        }
    }

    /// What a hop that outlives its call keeps of the call's own settings. The time that the call has in all is the
    /// call's affair, as is word of progress.
    pub(super) fn detached_options(&self) -> Options {
        let mut options = Options {
            continues: Some(Continued { call: self.id, crossed: self.crossed }),
            limits: self.options.limits.clone(),
            timeouts: Some(Box::new(self.timeouts.with_total(None))),
            resilience: self.options.resilience.clone(),
            ..Options::default()
        };
        #[cfg(feature = "cache")]
        options.cache.clone_from(&self.options.cache);
        options.deduplicate = Some(false);
        options
    }

    /// Takes part in the flight of this hop, or begins it.
    pub(super) async fn join(&mut self, detached: Detached) -> Result<http::Response<Body>> {
        let key = self.flight_key(&detached);
        let flight = self.client.inner.flights.join(key, || Box::pin(detached.run()));
        let Landed { response, facts, collapsed } = flight.await?;
        let attempts = if collapsed { 0 } else { facts.trail.count() };
        self.timing = Timing { attempt: self.timing.attempt + attempts, ..facts.timing };
        if !collapsed {
            self.trail.merge(&facts.trail);
        }
        (self.gave_up, self.retry_at) = (facts.gave_up, facts.retry_at);
        self.meta = facts.meta;
        #[cfg(feature = "cache")]
        {
            self.cache_status = facts.cache_status.map(|status| CacheStatus { collapsed, ..status });
        }
        let (head, body) = response.into_parts();
        if collapsed {
            self.tell_stored_head(head.status, || head.headers.clone());
        }
        // The caller's own bounds hold for its own reading.
        let body = match body.as_bytes() {
            Some(bytes) if bytes.len() as u64 <= self.max_body_bytes => {
                let bytes = bytes.clone();
                self.bound_whole(bytes)
            }
            _ => {
                let clock = self.client.clock();
                let now = clock.now();
                self.bound(Source::Foreign(body, Alarm::new(Arc::clone(clock))), head.status, now)
            }
        };
        Ok(http::Response::from_parts(head, body))
    }

    /// What makes requests equal: all that is sent, the settings under which it is, and whose jar and cache are used.
    fn flight_key(&self, detached: &Detached) -> Box<[u8]> {
        let mut key = Vec::with_capacity(512);
        let mut add = |part: &[u8]| {
            key.extend_from_slice(&(part.len() as u64).to_be_bytes());
            key.extend_from_slice(part);
        };
        add(detached.method.as_str().as_bytes());
        add(self.address.uri.to_string().as_bytes());
        // The order of fields of different names means nothing (RFC 9110 §5.3); that of values of one name stays.
        let mut fields: Vec<_> = detached.fields.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in fields {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        add(b"");
        let settings = (self.max_body_bytes, self.private_addresses, self.timeouts.with_total(None), self.limits);
        add(format!("{settings:?}").as_bytes());
        add(format!("{:?}", self.options.resilience).as_bytes());
        add(self.client.scope.name().map(|name| name.as_bytes()).unwrap_or_default());
        #[cfg(feature = "cookies")]
        add(&self.client.session.cookies.as_ref().map_or(0, crate::cookie::CookieJar::address).to_ne_bytes());
        #[cfg(feature = "cache")]
        {
            let own = self.options.cache.as_ref();
            add(self.partition().as_bytes());
            add(format!("{:?}", own.map(|own| (own.mode, own.ttl, own.refreshes))).as_bytes());
        }
        key.into()
    }
}
