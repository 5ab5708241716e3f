//! One attempt of a call: the interceptors around it, a connection, one request over it, and the head of the response.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, StatusCode, Uri};
use netcomm_core::{AnyTransport, Body, Error, ErrorKind, Event, HttpTransport, Interest, Phase, Result, Stage, Steps};

use super::report::End;
use super::{Answer, Call, Lost, guarded, same};
use crate::address::origin_form;
use crate::alarm::{Alarm, after};
use crate::client::Wire;
use crate::conn::{self, Bounds, Meta, Received, Upload, Watch, WireBody};
use crate::intercept::{End as ChainEnd, Facts, Next};
use crate::pool::{Checkout, Key, Pool};
use crate::receive::{self, EndReport, Source, bounded};
use crate::timing::ReceiveTime;
use crate::trail::Reason;

impl Call<'_> {
    /// The request for the next attempt.
    pub(super) fn set_out(&mut self, method: Method, headers: HeaderMap, body: Body) {
        // The wire takes no more than a part of the URI. Only others have to see it whole.
        let uri = if self.is_intercepted() { self.address.uri.clone() } else { Uri::default() };
        let request = self.outgoing.insert(http::Request::new(Upload::new(body)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
    }

    /// Whether somebody takes the request before the connection does, who may change it.
    fn is_intercepted(&self) -> bool {
        let inner = &self.client.inner;
        !inner.attempt_interceptors.is_empty() || matches!(inner.wire, Wire::Foreign(_))
    }

    /// One attempt: the interceptors around it, then the wire.
    pub(super) async fn attempt(&mut self, fresh: bool, reason: Reason) -> Result<Answer> {
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
            let request = self.outgoing.take().unwrap_or_default().map(Upload::into_body);
            let mut end = AttemptEnd { call: self, fresh };
            Next::new(&client.inner.attempt_interceptors, &mut end).run(request).await.map(Box::new)
        };
        let outcome = outcome.map_err(|error| error.with_stage(Stage::Attempt));
        let told = outcome.as_ref().map(|answer| answer.status()).map_err(Error::kind);
        let version = outcome.as_ref().ok().map(|answer| answer.version());
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
    async fn wire(&mut self, fresh: bool, begun: Instant) -> Result<Answer> {
        match &self.client.inner.wire {
            Wire::Pool(pool) => self.exchange(pool, fresh, begun).await,
            Wire::Foreign(transport) => {
                let mut request = self.outgoing.take().unwrap_or_default().map(Upload::into_body);
                if self.tells_content() {
                    request = self.tell_foreign(request);
                }
                let response = Box::pin(self.over(transport, request, begun)).await?;
                let now = self.client.clock().now();
                self.timing.wait = now.saturating_duration_since(begun);
                let mut answer = Box::new(response);
                self.tell_head(&answer);
                let body = std::mem::take(answer.body_mut());
                let source = Source::Foreign(body, Alarm::new(Arc::clone(self.client.clock())));
                *answer.body_mut() = self.bound(source, answer.status(), now);
                Ok(answer)
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
    async fn exchange(&mut self, pool: &Pool, fresh: bool, begun: Instant) -> Result<Answer> {
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
        let watch = self.upload(&meta, wire.is_http2())?;
        self.meta = Some(meta);
        let bounds = Bounds {
            timeouts: self.timeouts,
            limits: self.limits,
            watch,
            on_interim: self.options.interim.as_ref(),
            started: ready,
        };
        let outcome = conn::send(wire, &mut self.outgoing, &bounds).await;
        let now = client.clock().now();
        if let Some(watch) = &bounds.watch {
            self.timing.send = watch.last_progress().saturating_duration_since(ready);
        }
        self.timing.wait = now.saturating_duration_since(ready).saturating_sub(self.timing.send);
        match outcome {
            Ok(Received { mut head, body }) => {
                self.tell_head(&head);
                *head.body_mut() = self.bound(Source::Wire(body), head.status(), now);
                Ok(head)
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
    fn upload(&mut self, meta: &Meta, http2: bool) -> Result<Option<Watch>> {
        let uri = if self.is_intercepted() { None } else { Some(&self.address.uri) };
        let request = self.outgoing.get_or_insert_default();
        let told = self.client.tap().wants(Interest::CONTENT).then(|| uri.unwrap_or_else(|| request.uri()).clone());
        address_for(request, uri, meta, http2);
        let most = self.client.scope.max_request_bytes();
        if let Some((most, length)) = most.zip(request.body().len()).filter(|(most, length)| length > most) {
            return Err(Error::new(ErrorKind::TooLarge, "send body")
                .with_unsent()
                .with_detail(format!("{length} bytes, the scope allows {most} (limit max_request_bytes)")));
        }
        let on_piece = told.zip(self.outgoing.as_ref()).map(|(uri, request)| {
            self.tell_request(&uri, request, request.body().len());
            self.on_piece()
        });
        let progress = self.options.upload.clone();
        let watch = |upload: &mut Upload| upload.watch(progress, on_piece, most, self.client.clock());
        Ok(self.outgoing.as_mut().map(http::Request::body_mut).and_then(watch))
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
///
/// `uri` is where it goes, if that does not stand in the request.
fn address_for(request: &mut http::Request<Upload>, uri: Option<&Uri>, meta: &Meta, http2: bool) {
    let is_absolute = http2 || meta.info.forward_proxy.is_some();
    match (is_absolute, uri) {
        (true, Some(uri)) => *request.uri_mut() = uri.clone(),
        (true, None) => {}
        (false, _) => *request.uri_mut() = origin_form(uri.unwrap_or_else(|| request.uri())),
    }
    if http2 {
        // RFC 9113 §8.3.1: the authority goes into its own field.
        *request.version_mut() = http::Version::HTTP_2;
        request.headers_mut().remove(HOST);
        // RFC 9113 §8.2.2: it has no say here, and the engine would take out what it names: `TE: trailers`.
        request.headers_mut().remove(CONNECTION);
        return;
    }
    request.headers_mut().entry(HOST).or_insert_with(|| meta.host.clone());
    // RFC 9112 §3.2.2: a proxy wants the absolute form.
    let proxy = meta.info.forward_proxy.as_ref();
    if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization.as_ref()) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
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
        self.call.outgoing = Some(request.map(Upload::new));
        Box::pin(async move { self.call.wire(self.fresh, begun).await.map(|answer| *answer) })
    }

    fn facts(&self) -> Facts<'_> {
        Facts { call: self.call.id, attempt: self.call.timing.attempt, scope: &self.call.client.scope }
    }
}
