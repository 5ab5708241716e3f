//! One handshake from top to bottom, in the order in which it happens.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bytes::BytesMut;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use netcomm_core::{
    CallId, Dial as _, Error, Event, Interest, Io, Observation, Phase, PrivateAddresses, Refused, Result, Scope, Stage,
    Target, TlsTarget,
};
use tungstenite::handshake::client::generate_key;

use super::address::Address;
use super::h1::{self, Bounds};
#[cfg(feature = "http2")]
use super::h2::{self as second, Outcome};
use super::patience::Patience;
use super::places::Places;
use super::redirect;
use super::{Connect, HttpVersion};
use crate::handshake::{self, Ask, Asked};

/// A connection on which the handshake is done: what comes next are frames.
#[derive(Debug)]
pub(crate) struct Opened<T> {
    pub(crate) io: Io,
    /// What came behind the head: the first frames of an eager peer. No memory if there are none.
    pub(crate) rest: BytesMut,
    /// The answer's status: 101, or 200 over HTTP/2. What a server opens has the status that it answered.
    #[cfg_attr(not(test), expect(dead_code, reason = "the fields say all that users ask for"))]
    pub(crate) status: StatusCode,
    /// The other side's header fields.
    pub(crate) headers: HeaderMap,
    pub(crate) subprotocol: Option<String>,
    /// What was agreed on of extensions.
    pub(crate) extensions: T,
    /// Where it leads, after redirects; for a server what was asked for.
    pub(crate) uri: Uri,
    /// The number of the connection, for observers.
    pub(crate) call: CallId,
    /// To be kept as long as the connection lives.
    pub(crate) places: Places,
}

/// What one hop comes to.
enum Hop<T> {
    Open(Box<Opened<T>>),
    Refused(Refused),
}

impl Connect {
    /// Dials and shakes hands. `extensions` is told the answer's fields and says what was agreed on, or what is wrong
    /// with it.
    ///
    /// # Errors
    ///
    /// Those of the dialer; `Denied`, `Canceled` and `Busy` of the scope; `Status` with [`Refused`] as its source;
    /// `Redirect`; `Protocol` and `TooLarge` for an answer that is none; `Closed`; `Timeout` with its phase; `Invalid`
    /// for what the caller has set, before anything is dialled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub(crate) async fn open<T>(&self, extensions: impl Fn(&HeaderMap) -> Result<T, String>) -> Result<Opened<T>> {
        let (mut address, mut headers) = self.checked()?;
        let env = &self.env;
        let scope = env.policy().scope.narrow(&self.scope);
        let timeout = self.timeout.unwrap_or_else(|| env.policy().timeouts.connect);
        let timeout = scope.timeout().map_or(timeout, |most| most.min(timeout));
        let patience = Patience::new(env.clock(), timeout);
        let refused = |error: Error| error.with_stage(Stage::Policy);
        let offer = self.manner.compression.offer();
        let call = CallId(env.random().next_u64() | 1 << 63);
        let mut places = None;
        let mut followed = 0;
        let asked = AtomicU32::new(0);
        loop {
            let journey = Journey {
                connect: self,
                address: &address,
                headers: &headers,
                scope: &scope,
                patience,
                offer: &offer,
                call,
                asked: &asked,
            };
            let url = address.uri.to_string();
            scope.check(&Method::GET, &address.uri).map_err(refused)?;
            if places.is_none() {
                places = Some(Places::take(&scope, &patience).await.map_err(|error| error.with_url(&url))?);
            }
            match journey.hop(&extensions).await.map_err(|error| error.with_url(&url))? {
                Hop::Open(mut opened) => {
                    opened.places = places.unwrap_or_default();
                    return Ok(*opened);
                }
                Hop::Refused(refused) => {
                    let terms = redirect::Terms {
                        most: self.redirects,
                        allow_downgrade: env.policy().allow_downgrade,
                        is_local: self.unix_socket.is_some(),
                    };
                    let to = redirect::decide(&address, refused.status, &refused.headers, followed, terms)
                        .map_err(|error| error.with_url(&url).with_stage(Stage::Redirect))?;
                    let Some(to) = to else {
                        let error = refused.into_error(handshake::OPERATION, env.clock().now(), || env.clock().wall());
                        return Err(error.with_url(&url));
                    };
                    let crossed_origin = !address.is_same_origin(&to);
                    let status = refused.status;
                    journey.emit(Interest::CALL, || Event::Redirected {
                        status,
                        to: netcomm_core::redact_url(&to.uri.to_string()),
                        crossed_origin,
                    });
                    redirect::strip(&mut headers, crossed_origin);
                    address = to;
                    followed += 1;
                }
            }
        }
    }

    /// What was set, if all of it is good.
    fn checked(&self) -> Result<(Address, HeaderMap)> {
        let address = self.address.clone()?;
        let url = address.uri.to_string();
        let mut headers = self.headers.clone().map_err(|error| error.with_url(&url))?;
        handshake::check_headers(&headers)
            .and_then(|()| handshake::check_subprotocols(&self.subprotocols))
            .map_err(|error| error.with_url(&url))?;
        if let Some(credentials) = &address.credentials
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
        Ok((address, headers))
    }
}

/// One place to go to, and what to ask for there.
#[derive(Clone, Copy)]
struct Journey<'a> {
    connect: &'a Connect,
    address: &'a Address,
    headers: &'a HeaderMap,
    scope: &'a Scope,
    patience: Patience<'a>,
    /// What is offered of extensions.
    offer: &'a Option<HeaderValue>,
    call: CallId,
    /// How many requests there were, for observers of their contents.
    asked: &'a AtomicU32,
}

impl Journey<'_> {
    async fn hop<T>(&self, extensions: &impl Fn(&HeaderMap) -> Result<T, String>) -> Result<Hop<T>> {
        #[cfg(feature = "http2")]
        if self.connect.http_version != HttpVersion::One {
            let is_clear = !self.address.is_secure;
            // Over a clear connection nothing tells what the server speaks: only who is sure of it goes ahead.
            if self.connect.http_version == HttpVersion::Two || !is_clear {
                let io = self.dial(self.connect.http_version).await?;
                if is_clear || io.info().alpn.as_deref() == Some(b"h2") {
                    match self.over_h2(io, extensions).await? {
                        Some(hop) => return Ok(hop),
                        None if self.connect.http_version == HttpVersion::Auto => {}
                        None => {
                            return Err(unsupported(
                                "the server's SETTINGS lack ENABLE_CONNECT_PROTOCOL (RFC 8441 §3)",
                            ));
                        }
                    }
                } else if self.connect.http_version == HttpVersion::Two {
                    return Err(unsupported("the server did not choose h2 (ALPN)"));
                } else {
                    return self.over_h1(io, extensions).await;
                }
            }
        }
        let io = self.dial(HttpVersion::One).await?;
        self.over_h1(io, extensions).await
    }

    async fn dial(&self, version: HttpVersion) -> Result<Io> {
        self.scope.spend_request().map_err(|error| error.with_stage(Stage::Policy))?;
        let connect = self.connect;
        let target = self.target(version);
        let dialled = self.patience.within(Phase::Connect, connect.env.dialer().dial(&target)).await;
        match &dialled {
            Ok(io) => self.emit(Interest::CONNECTION, || Event::Connected {
                peer: io.info().peer,
                local: io.info().local,
                through_proxy: io.info().is_through_proxy(),
                origin: self.address.origin(),
                steps: io.info().steps,
            }),
            Err(error) => self.emit(Interest::CONNECTION, || Event::ConnectFailed {
                origin: self.address.origin(),
                error: error.kind(),
            }),
        }
        dialled
    }

    fn target(&self, version: HttpVersion) -> Target {
        let policy = self.connect.env.policy();
        let private_addresses = match policy.private_addresses {
            PrivateAddresses::Allow => self.scope.private_addresses(),
            other => other,
        };
        let target = match &self.connect.unix_socket {
            Some(path) => Target::unix(path),
            None => Target::tcp(self.address.host.clone(), self.address.port),
        };
        let target = target.with_timeout(self.patience.left()).with_private_addresses(private_addresses);
        if !self.address.is_secure {
            return target;
        }
        let alpn: &[&[u8]] = match version {
            HttpVersion::One => &[b"http/1.1"],
            #[cfg(feature = "http2")]
            HttpVersion::Two => &[b"h2"],
            #[cfg(feature = "http2")]
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
        };
        let server_name = self.connect.unix_socket.as_ref().map(|_| self.address.host.to_string());
        target.with_tls(TlsTarget { server_name, alpn: alpn.iter().map(|name| name.to_vec()).collect() })
    }

    async fn over_h1<T>(&self, mut io: Io, extensions: &impl Fn(&HeaderMap) -> Result<T, String>) -> Result<Hop<T>> {
        let key = generate_key();
        let request = handshake::over_h1(&self.wish(), &key);
        let is_heard = self.connect.env.tap().wants(Interest::CONTENT);
        if is_heard {
            self.tell_request(handshake::fields_over_h1(&self.wish(), &key), Version::HTTP_11, self.now());
        }
        let mut buffer = BytesMut::new();
        let head = h1::ask(&mut io, &request, &mut buffer, self.bounds(), &self.patience).await;
        let head = head.map_err(|error| self.fell(error))?;
        self.tell_answer(head.status, Version::HTTP_11, &head.headers);
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            let refused = h1::refused(&mut io, head, buffer, &self.patience).await;
            self.tell_refusal(&refused);
            self.disconnected("refused");
            return Ok(Hop::Refused(refused));
        }
        let agreed =
            handshake::check_upgrade(&head, &key, self.asked(), extensions).map_err(|error| self.fell(error))?;
        Ok(Hop::Open(Box::new(self.opened(io, h1::rest(&buffer), (head.status, head.headers), agreed))))
    }

    /// `None` if the server speaks HTTP/2 but no WebSocket over it.
    #[cfg(feature = "http2")]
    async fn over_h2<T>(
        &self,
        io: Io,
        extensions: &impl Fn(&HeaderMap) -> Result<T, String>,
    ) -> Result<Option<Hop<T>>> {
        let headers = handshake::over_h2(&self.wish())?;
        let uri = self.stream_uri()?;
        let heard = self.connect.env.tap().wants(Interest::CONTENT).then(|| (headers.clone(), self.now()));
        let outcome = second::ask(io, &uri, headers, self.bounds(), &self.patience).await;
        // Whether anything was asked is known only by now.
        let was_asked = match &outcome {
            Ok(outcome) => !matches!(outcome, Outcome::NotSpoken),
            Err(error) => !error.is_unsent(),
        };
        if let Some((headers, at)) = heard.filter(|_| was_asked) {
            self.tell_request(headers, Version::HTTP_2, at);
        }
        match outcome.map_err(|error| self.fell(error))? {
            Outcome::NotSpoken => {
                self.disconnected("no extended CONNECT");
                Ok(None)
            }
            Outcome::Refused(refused) => {
                self.tell_answer(refused.status, Version::HTTP_2, &refused.headers);
                self.tell_refusal(&refused);
                self.disconnected("refused");
                Ok(Some(Hop::Refused(refused)))
            }
            Outcome::Open(open) => {
                let (io, status, headers) = *open;
                self.tell_answer(status, Version::HTTP_2, &headers);
                let agreed = handshake::check(&headers, self.asked(), extensions).map_err(|error| self.fell(error))?;
                Ok(Some(Hop::Open(Box::new(self.opened(io, BytesMut::new(), (status, headers), agreed)))))
            }
        }
    }

    /// RFC 8441 §4 wants the scheme of HTTP; the authority is the caller's `Host`, if there is one.
    #[cfg(feature = "http2")]
    fn stream_uri(&self) -> Result<Uri> {
        let host = self.headers.get(http::header::HOST).map(HeaderValue::as_bytes);
        let authority = host.unwrap_or_else(|| self.address.authority().as_bytes());
        let scheme = if self.address.is_secure { "https" } else { "http" };
        Uri::builder().scheme(scheme).authority(authority).path_and_query(self.address.target()).build().map_err(
            |error| {
                Error::new(netcomm_core::ErrorKind::Invalid, "build handshake")
                    .with_detail("host: no authority")
                    .with_source(error)
            },
        )
    }

    fn opened<T>(
        &self,
        io: Io,
        rest: BytesMut,
        (status, headers): (StatusCode, HeaderMap),
        agreed: handshake::Agreed<T>,
    ) -> Opened<T> {
        Opened {
            io,
            rest,
            status,
            headers,
            subprotocol: agreed.subprotocol,
            extensions: agreed.extensions,
            uri: self.address.uri.clone(),
            call: self.call,
            places: Places::default(),
        }
    }

    fn wish(&self) -> Ask<'_> {
        Ask {
            authority: self.address.authority(),
            target: self.address.target(),
            headers: self.headers,
            subprotocols: &self.connect.subprotocols,
            extensions: self.offer.as_ref(),
        }
    }

    fn asked(&self) -> Asked<'_> {
        let connect = self.connect;
        Asked { subprotocols: &connect.subprotocols, require_subprotocol: connect.require_subprotocol }
    }

    fn bounds(&self) -> Bounds {
        let limits = &self.connect.env.policy().limits;
        let header_bytes = self.connect.manner.limits.header_bytes;
        Bounds { header_bytes, headers: limits.headers, interim: limits.interim }
    }

    /// The connection was there, and the handshake came to nothing.
    fn fell(&self, error: Error) -> Error {
        self.disconnected("handshake failed");
        error
    }

    fn disconnected(&self, reason: &'static str) {
        self.emit(Interest::CONNECTION, || Event::Disconnected { origin: self.address.origin(), reason });
    }

    fn now(&self) -> Instant {
        self.connect.env.clock().now()
    }

    fn emit(&self, interest: Interest, event: impl FnOnce() -> Event) {
        self.connect.env.tap().emit(interest, || self.observation(self.now(), event()));
    }

    fn observation(&self, at: Instant, event: Event) -> Observation {
        Observation::new(at, event).with_call(self.call, self.scope.name().cloned())
    }

    fn tell_request(&self, headers: HeaderMap, version: Version, at: Instant) {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let method = if version == Version::HTTP_2 { Method::CONNECT } else { Method::GET };
        let url = self.address.uri.to_string();
        let event = Event::RequestHead { number, method, url, version, headers };
        self.connect.env.tap().emit(Interest::CONTENT, || self.observation(at, event));
    }

    fn tell_answer(&self, status: StatusCode, version: Version, headers: &HeaderMap) {
        self.emit(Interest::CONTENT, || Event::ResponseHead {
            number: self.asked.load(Ordering::Relaxed),
            status,
            version,
            headers: headers.clone(),
        });
    }

    /// What a server says beside its no.
    fn tell_refusal(&self, refused: &Refused) {
        if !refused.body.is_empty() {
            self.emit(Interest::CONTENT, || Event::ResponseBody { data: refused.body.clone() });
        }
    }
}

#[cfg(feature = "http2")]
fn unsupported(why: &'static str) -> Error {
    Error::new(netcomm_core::ErrorKind::Unsupported, "connect").with_detail(why).with_unsent()
}
