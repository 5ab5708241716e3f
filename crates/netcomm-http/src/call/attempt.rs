//! One attempt of a call: the interceptors around it, a connection, one request over it, and the head of the response.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, HOST, PROXY_AUTHORIZATION};
use netcomm_core::{AnyTransport, Body, Error, ErrorKind, Event, HttpTransport, Interest, Phase, Result, Stage, Steps};

use super::report::End;
use super::{Call, Lost, guarded, same};
use crate::address::origin_form;
use crate::alarm::{Alarm, after};
use crate::client::Wire;
use crate::conn::{self, Bounds, Meta, Upload, Watch, WireBody};
use crate::intercept::{End as ChainEnd, Facts, Next};
use crate::pool::{Checkout, Key, Pool};
use crate::receive::{self, EndReport, Source, bounded};
use crate::timing::ReceiveTime;
use crate::trail::Reason;

impl Call<'_> {
    /// One attempt: the interceptors around it, then the wire.
    pub(super) async fn attempt(&mut self, fresh: bool, reason: Reason) -> Result<http::Response<Body>> {
        let client = self.client;
        let number = self.timing.attempt;
        let begun = self.soon();
        self.moment = None;
        self.stage = Some(Stage::Attempt);
        self.timing.before = begun.saturating_duration_since(self.started);
        self.lost = None;
        self.trail.begin(reason, self.timing.before);
        self.emit_at(begun, Interest::ATTEMPT, || Event::AttemptStarted {
            number,
            origin: self.address.origin.to_text(),
        });
        let underway = client.tap().wants(Interest::ATTEMPT).then(|| Box::new(self.underway(begun)));
        let outcome = if client.inner.attempt_interceptors.is_empty() {
            self.wire(fresh, begun).await
        } else {
            let request = self.outgoing.take().unwrap_or_default();
            let mut end = AttemptEnd { call: self, fresh };
            Next::new(&client.inner.attempt_interceptors, &mut end).run(request).await
        };
        let outcome = outcome.map_err(|error| error.with_stage(Stage::Attempt));
        let told = outcome.as_ref().map(http::Response::status).map_err(Error::kind);
        let version = outcome.as_ref().ok().map(http::Response::version);
        // How long the answer took is known from its steps.
        let took = match told {
            Ok(_) => self.timing.total().saturating_sub(self.timing.before),
            Err(_) => client.clock().now().saturating_duration_since(begun),
        };
        self.trail.end(took, told);
        if let Some(underway) = underway {
            underway.end(told, version, &self.timing, took);
        }
        outcome
    }

    /// Over the wire, or over the transport that stands in for it.
    async fn wire(&mut self, fresh: bool, begun: Instant) -> Result<http::Response<Body>> {
        match &self.client.inner.wire {
            Wire::Pool(pool) => self.exchange(pool, fresh, begun).await,
            Wire::Foreign(transport) => {
                let mut request = self.outgoing.take().unwrap_or_default();
                if self.tells_content() {
                    request = self.tell_foreign(request);
                }
                let response = Box::pin(self.over(transport, request, begun)).await?;
                let now = self.client.clock().now();
                self.timing.wait = now.saturating_duration_since(begun);
                let (parts, body) = response.into_parts();
                self.tell_head(&parts);
                let source = Source::Foreign(body, Alarm::new(Arc::clone(self.client.clock())));
                let body = self.bound(source, parts.status, now);
                Ok(http::Response::from_parts(parts, body))
            }
        }
    }

    /// Over a transport that the user brought, which may have no limits of its own.
    fn over<'t>(
        &self,
        transport: &'t AnyTransport,
        request: http::Request<Body>,
        begun: Instant,
    ) -> impl Future<Output = Result<http::Response<Body>>> + Send + use<'t> {
        let mut alarm = Alarm::new(Arc::clone(self.client.clock()));
        let limit = self.timeouts.header;
        async move {
            let mut sending = pin!(transport.send(request));
            poll_fn(|cx| match sending.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending => alarm.poll(after(begun, limit), cx).map(|()| {
                    Err(Error::timeout("exchange", Phase::Wait)
                        .with_detail(format!("no response head for {limit:?} (timeout header)")))
                }),
            })
            .await
        }
    }

    /// A connection from the pool, one request over it, and the head of the response.
    async fn exchange(&mut self, pool: &Pool, fresh: bool, begun: Instant) -> Result<http::Response<Body>> {
        let client = self.client;
        let key = self.key()?;
        let Checkout { wire, reused, waited } = pool.checkout(&key, fresh, begun, self.timeouts).await?;
        let meta = Arc::clone(wire.meta());
        let ready = if waited { client.clock().now() } else { begun };
        self.timing.reused = reused;
        self.timing.blocked = ready.saturating_duration_since(begun);
        if !reused {
            self.timing.set_steps(&meta.info.steps);
            self.timing.blocked = self.timing.blocked.saturating_sub(meta.info.steps.total());
        }
        self.emit_at(ready, Interest::ATTEMPT, || Event::ConnectionTaken {
            number: self.timing.attempt,
            peer: meta.info.peer,
            local: meta.info.local,
            reused,
            blocked: self.timing.blocked,
            steps: if reused { Steps::default() } else { meta.info.steps },
        });
        let (request, watch) = self.upload(&meta, wire.is_http2())?;
        self.meta = Some(meta);
        let bounds = Bounds {
            timeouts: self.timeouts,
            limits: self.limits,
            watch,
            on_interim: self.options.interim.as_ref(),
            started: ready,
        };
        let outcome = conn::send(wire, request, &bounds).await;
        let now = client.clock().now();
        if let Some(watch) = &bounds.watch {
            self.timing.send = watch.last_progress().saturating_duration_since(ready);
        }
        self.timing.wait = now.saturating_duration_since(ready).saturating_sub(self.timing.send);
        match outcome {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                self.tell_head(&parts);
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

    /// Which connections will do for the request on its way.
    fn key(&self) -> Result<Key> {
        let client = self.client;
        let mut origin = self.address.origin.clone();
        // An interceptor around the attempt may have turned it elsewhere: that place must be allowed too.
        if !client.inner.attempt_interceptors.is_empty()
            && let Some(request) = self.outgoing.as_ref().filter(|request| !same(request.uri(), &self.address.uri))
        {
            client.scope.check(request.method(), request.uri())?;
            origin = client.resolve(request.uri())?.origin;
        }
        Ok(Key { origin, private_addresses: self.private_addresses, unix: client.inner.unix.clone() })
    }

    /// The request in the form that its connection wants, its body under watch.
    fn upload(&mut self, meta: &Meta, http2: bool) -> Result<(http::Request<Upload>, Option<Watch>)> {
        let (mut parts, body) = self.outgoing.take().unwrap_or_default().into_parts();
        let told = self.tells_content().then(|| parts.uri.clone());
        address_for(&mut parts, meta, http2);
        let most = self.client.scope.max_request_bytes();
        if let Some((most, length)) = most.zip(body.len()).filter(|(most, length)| length > most) {
            return Err(Error::new(ErrorKind::TooLarge, "send body")
                .with_unsent()
                .with_detail(format!("{length} bytes, the scope allows {most} (limit max_request_bytes)")));
        }
        let on_piece = told.map(|uri| {
            self.tell_request(&uri, &parts, &body);
            self.on_piece()
        });
        let (upload, watch) = Upload::new(body, self.options.upload.clone(), on_piece, most, self.client.clock());
        Ok((http::Request::from_parts(parts, upload), watch))
    }

    pub(super) fn bound(&mut self, source: Source, status: StatusCode, head_at: Instant) -> Body {
        let client = self.client;
        let permits = self.permits.take().map(|permits| permits.judged(guarded::load_of(status)));
        let source = match source {
            Source::Wire(WireBody::Whole(bytes)) if bytes.len() as u64 <= self.max_body_bytes => {
                if !bytes.is_empty() {
                    self.emit(Interest::TRANSFER, || Event::BodyReceived { bytes: bytes.len() as u64 });
                }
                return self.bound_whole(bytes);
            }
            source => source,
        };
        let receive = ReceiveTime::new();
        self.receive = Some(receive.clone());
        let terms = receive::Terms {
            max_bytes: self.max_body_bytes,
            idle: self.timeouts.idle_body,
            min_rate: self.timeouts.min_rate,
            deadline: self.deadline,
            progress: self.options.download.clone(),
        };
        let is_heard = client.tap().wants(Interest::CALL) || client.tap().wants(Interest::TRANSFER);
        let report = is_heard.then(|| {
            Arc::new(EndReport {
                tap: client.tap().clone(),
                clock: Arc::clone(client.clock()),
                call: self.id,
                scope: client.scope.name().cloned(),
                status,
                started: self.started,
                progress: Mutex::default(),
            })
        });
        self.end = report.clone().map_or(End::Now(0), End::Later);
        bounded(source, terms, client.clock(), head_at, receive, report, permits)
    }

    /// A body that was there with its head needs no watching.
    pub(super) fn bound_whole(&mut self, bytes: Bytes) -> Body {
        let received_bytes = bytes.len() as u64;
        self.receive = None;
        self.timing.receive = Some(Duration::ZERO);
        if let Some(progress) = self.options.download.as_ref().filter(|_| received_bytes > 0) {
            progress.report(received_bytes, Some(received_bytes));
        }
        self.end = End::Now(received_bytes);
        bytes.into()
    }
}

/// Puts the request into the form that its connection wants: target, `Host`, the proxy's credentials.
fn address_for(parts: &mut http::request::Parts, meta: &Meta, http2: bool) {
    if http2 {
        // RFC 9113 §8.3.1: the authority goes into its own field.
        parts.version = http::Version::HTTP_2;
        parts.headers.remove(HOST);
        // RFC 9113 §8.2.2: it has no say here, and the engine would take out what it names: `TE: trailers`.
        parts.headers.remove(CONNECTION);
        return;
    }
    parts.headers.entry(HOST).or_insert_with(|| meta.host.clone());
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

struct AttemptEnd<'e, 'c> {
    call: &'e mut Call<'c>,
    fresh: bool,
}

impl ChainEnd for AttemptEnd<'_, '_> {
    fn finish<'s>(
        &'s mut self,
        request: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send + 's>> {
        let begun = self.call.client.clock().now();
        self.call.outgoing = Some(request);
        Box::pin(self.call.wire(self.fresh, begun))
    }

    fn facts(&self) -> Facts<'_> {
        Facts { call: self.call.id, attempt: self.call.timing.attempt, scope: &self.call.client.scope }
    }
}
