//! The other end of the handshake: a server's, over HTTP/1.1. For tests, and for servers that are nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, StatusCode};
use netcomm_core::{CallId, ConnectInfo, Env, Error, ErrorKind, Io, Phase, Result};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connect::patience::Patience;
use crate::connect::{Opened, Places, h1};
#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::handshake::{self, Judged, OPERATION, Refusal, RequestHead, Terms};
use crate::heartbeat::Heartbeat;
use crate::limits::Limits;
use crate::socket::Manner;

type Check = dyn Fn(&http::Request<()>) -> Result<(), StatusCode> + Send + Sync;

/// How a server takes connections.
///
/// Unless said otherwise: no subprotocol, whoever asks is let in, the [`Limits`] of this crate, and 10 s
/// ([`Timeouts::connect`](netcomm_core::Timeouts::connect)) for the handshake.
#[derive(Clone)]
#[must_use]
pub struct AcceptOptions {
    env: Env,
    subprotocols: Vec<String>,
    check: Option<Arc<Check>>,
    pub(crate) manner: Manner,
    timeout: Option<Duration>,
}

impl AcceptOptions {
    /// The defaults. Of the environment, the clock and the limits are used.
    pub fn new(env: &Env) -> Self {
        Self { env: env.clone(), subprotocols: Vec::new(), check: None, manner: Manner::default(), timeout: None }
    }

    /// The subprotocols that are spoken, most wanted first. The first one that a client asks for as well is chosen; if there is
    /// none, the connection has none (RFC 6455 §4.2.2). Default none.
    pub fn subprotocols(mut self, subprotocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// Who is let in: called with a request that is as it must be; a status refuses it. A server that browsers reach
    /// looks at `Origin` here (RFC 6455 §10.2). Default everybody.
    pub fn check(
        mut self,
        check: impl Fn(&http::Request<()>) -> Result<(), StatusCode> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// How much a connection may hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.manner.limits = limits;
        self
    }

    /// Whether and how messages are compressed, for clients that do it too (RFC 7692). Default: with the defaults of
    /// [`Deflate`]; `None`: not at all.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.manner.compression.deflate = deflate.into();
        self
    }

    /// When a client is asked for signs of life, and when it is held to be gone. Default [`Heartbeat::OFF`].
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.manner.heartbeat = heartbeat;
        self
    }

    /// How long a client may take to answer a goodbye. Default 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.manner.close_timeout = timeout;
        self
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The time for the handshake. Default [`Timeouts::connect`](netcomm_core::Timeouts::connect) of the environment.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// Reads a client's request and answers it. `extensions` is told its fields and says what to answer, and what is agreed
/// on by that.
///
/// # Errors
///
/// `Protocol` for a request that is none, and `Denied` for one that was not let in: both have been told so. `TooLarge`,
/// `Closed`, and `Timeout` with its phase.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(crate) async fn accept<T>(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    options: &AcceptOptions,
    extensions: impl FnOnce(&HeaderMap) -> (Option<HeaderValue>, T),
) -> Result<Opened<T>> {
    let mut io = io;
    let policy = options.env.policy();
    let patience = Patience::new(options.env.clock(), options.timeout.unwrap_or(policy.timeouts.connect));
    let mut buffer = BytesMut::new();
    let reading = async {
        let end = h1::read_head(&mut io, &mut buffer, options.manner.limits.header_bytes).await?;
        Ok(buffer.split_to(end))
    };
    let head = match patience
        .within(Phase::Wait, reading)
        .await
        .and_then(|head| RequestHead::parse(&head, policy.limits.headers))
    {
        Ok(head) => head,
        Err(error) => {
            let status = match error.kind() {
                ErrorKind::Protocol => StatusCode::BAD_REQUEST,
                ErrorKind::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                ErrorKind::Timeout => StatusCode::REQUEST_TIMEOUT,
                _ => return Err(error),
            };
            let refusal = Refusal::new(status, "the request cannot be read");
            // Whether the peer still hears it changes nothing.
            drop(patience.soon(h1::send(&mut io, &refusal.to_answer())).await);
            return Err(error);
        }
    };
    let mut request = http::Request::new(());
    let judged = match handshake::judge(&head, Terms { subprotocols: &options.subprotocols }, extensions) {
        Judged::Refuse(refusal) => Err((refusal, ErrorKind::Protocol)),
        Judged::Open { answer, subprotocol, extensions } => {
            *request.method_mut() = head.method;
            *request.uri_mut() = head.uri;
            *request.headers_mut() = head.headers;
            match options.check.as_ref().map_or(Ok(()), |check| check(&request)) {
                Ok(()) => Ok((answer, subprotocol, extensions)),
                Err(status) => Err((Refusal::new(status, "not let in"), ErrorKind::Denied)),
            }
        }
    };
    let (answer, subprotocol, extensions) = match judged {
        Ok(open) => open,
        Err((refusal, kind)) => {
            drop(patience.soon(h1::send(&mut io, &refusal.to_answer())).await);
            return Err(Error::new(kind, OPERATION).with_status(refusal.status).with_detail(refusal.why));
        }
    };
    patience.within(Phase::Send, h1::send(&mut io, &answer)).await?;
    let (parts, ()) = request.into_parts();
    Ok(Opened {
        io: Io::new(io, ConnectInfo::default()),
        rest: h1::rest(&buffer),
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers: parts.headers,
        subprotocol,
        extensions,
        call: CallId(options.env.random().next_u64() | 1 << 63),
        uri: parts.uri,
        places: Places::default(),
    })
}

impl fmt::Debug for AcceptOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptOptions")
            .field("subprotocols", &self.subprotocols)
            .field("limits", &self.manner.limits)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use netcomm_tests::{ManualClock, ScriptedDialer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::connect::Connect;
    use crate::handshake::no_extensions;

    fn none(_: &HeaderMap) -> (Option<HeaderValue>, ()) {
        (None, ())
    }

    #[tokio::test]
    async fn both_ends_agree() {
        let dialer = ScriptedDialer::new();
        let env = Env::new(dialer.clone(), ManualClock::new());
        let options = AcceptOptions::new(&env)
            .subprotocols(["v2", "v1"])
            .check(|request| if request.headers().contains_key("x-own") { Ok(()) } else { Err(StatusCode::FORBIDDEN) });
        dialer.serve_all(move |stream| {
            let options = options.clone();
            async move {
                if let Ok(mut opened) = accept(stream, &options, none).await {
                    assert_eq!((opened.subprotocol.as_deref(), opened.uri.path()), (Some("v2"), "/chat"));
                    opened.io.write_all(b"hello").await.expect("sent");
                }
            }
        });
        let connect = Connect::new(&env, "ws://a.example/chat").subprotocols(["v1", "v2"]);
        let error = connect.open(no_extensions).await.expect_err("not let in");
        assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
        let mut opened = connect.header("x-own", "1").open(no_extensions).await.expect("open");
        let mut text = String::from_utf8(opened.rest.to_vec()).expect("text");
        opened.io.read_to_string(&mut text).await.expect("the rest");
        assert_eq!((opened.subprotocol.as_deref(), text.as_str()), (Some("v2"), "hello"));
        dialer.finish().await;
    }

    #[tokio::test]
    async fn bad_requests_are_answered() {
        let env = Env::new(ScriptedDialer::new(), ManualClock::new());
        let options = AcceptOptions::new(&env).limits(Limits::default().with_header_bytes(1000));
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1000));
        for (request, status, kind) in [
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405", ErrorKind::Protocol),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426", ErrorKind::Protocol),
            ("GET / HTTP/1.1\nHost: a\n\n", "400", ErrorKind::Protocol),
            ("hello\r\n\r\n", "400", ErrorKind::Protocol),
            (&long, "431", ErrorKind::TooLarge),
        ] {
            let (mut near, far) = duplex(4096);
            near.write_all(request.as_bytes()).await.expect("sent");
            let error = accept(far, &options, none).await.expect_err(request);
            let mut answer = String::new();
            near.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert_eq!(error.kind(), kind, "{error}");
        }
        let (near, far) = duplex(64);
        drop(near);
        assert_eq!(accept(far, &options, none).await.expect_err("closed").kind(), ErrorKind::Closed);
    }

    #[tokio::test]
    async fn who_says_nothing_is_not_waited_for() {
        let clock = ManualClock::new();
        let env = Env::new(ScriptedDialer::new(), clock.clone());
        let options = AcceptOptions::new(&env).timeout(Duration::from_secs(3));
        let (mut near, far) = duplex(4096);
        near.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
        let late = async {
            clock.until_sleeping(1).await;
            clock.advance(Duration::from_secs(3));
        };
        let (outcome, ()) = tokio::join!(accept(far, &options, none), late);
        let error = outcome.expect_err("too late");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Wait)));
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[test]
    fn options_travel() {
        fn travels<T: Send + Sync + Clone + fmt::Debug>() {}
        travels::<AcceptOptions>();
    }
}
