//! What a connection is made of: where to, with which fields, under which conditions.

pub(crate) mod address;
pub(crate) mod h1;
#[cfg(feature = "http2")]
mod h2;
mod open;
pub(crate) mod patience;
mod places;
mod redirect;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::{Env, Error, ErrorKind, Redacted, Result, Scope, is_secret_header};

use address::Address;
pub(crate) use open::Opened;
pub(crate) use places::Places;

#[cfg(feature = "deflate")]
use crate::deflate::Deflate;
use crate::heartbeat::Heartbeat;
use crate::limits::Limits;
use crate::socket::Manner;

/// Over which version of HTTP a connection is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.1 alone (RFC 6455). The default: every server speaks it, and each connection is a socket of its own in any
    /// case.
    #[default]
    One,
    /// HTTP/2 alone (RFC 8441): by ALPN for `wss`, without asking for `ws`. A server that does not offer it is an error
    /// of kind [`Unsupported`](ErrorKind::Unsupported).
    #[cfg(feature = "http2")]
    Two,
    /// HTTP/2 where a `wss` server offers it; one that speaks HTTP/2 but no WebSocket over it is dialled again with
    /// HTTP/1.1. For `ws` the same as [`One`](Self::One).
    #[cfg(feature = "http2")]
    Auto,
}

/// Builds a connection. Nothing is dialled, and no error told, before it is opened; it can be opened again and again.
///
/// Unless said otherwise: no subprotocol, no redirect followed, HTTP/1.1, the [`Limits`] of this crate, the policy of the
/// environment, and 10 s ([`Timeouts::connect`](netcomm_core::Timeouts::connect)) from the dial to the end of the handshake.
#[derive(Clone)]
#[must_use]
pub struct Connect {
    env: Env,
    address: Result<Address>,
    headers: Result<HeaderMap>,
    subprotocols: Vec<String>,
    require_subprotocol: bool,
    pub(crate) manner: Manner,
    timeout: Option<Duration>,
    scope: Scope,
    http_version: HttpVersion,
    unix_socket: Option<PathBuf>,
    redirects: usize,
}

impl Connect {
    /// A connection to `url`: `ws` or `wss`, also `http` or `https` for the same. User information in it becomes
    /// `Authorization: Basic`. A fragment is an error.
    pub(crate) fn new(env: &Env, url: impl AsRef<str>) -> Self {
        Self {
            env: env.clone(),
            address: Address::parse(url.as_ref()),
            headers: Ok(HeaderMap::new()),
            subprotocols: Vec::new(),
            require_subprotocol: false,
            manner: Manner::default(),
            timeout: None,
            scope: Scope::unlimited(),
            http_version: HttpVersion::default(),
            unix_socket: None,
            redirects: 0,
        }
    }

    /// Another URL in place of the one it was made with.
    pub fn url(mut self, url: impl AsRef<str>) -> Self {
        self.address = Address::parse(url.as_ref());
        self
    }

    /// Sets a header field; it takes the place of one of that name.
    ///
    /// `Host` may be another than the URL's. Those of the handshake itself may not be set: `Upgrade`, `Connection`, what
    /// begins with `Sec-WebSocket-`, and what tells the length of a body.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        self.headers = self.headers.and_then(|mut headers| {
            let name = name.try_into().map_err(|error| no_field("name of a header field", error))?;
            let mut value = value.try_into().map_err(|error| no_field("value of a header field", error))?;
            value.set_sensitive(value.is_sensitive() || is_secret_header(&name));
            headers.insert(name, value);
            Ok(headers)
        });
        self
    }

    /// Sets all these header fields in place of those set before, on the terms of [`header`](Self::header).
    pub fn headers(mut self, mut headers: HeaderMap) -> Self {
        for (name, value) in &mut headers {
            value.set_sensitive(value.is_sensitive() || is_secret_header(name));
        }
        self.headers = self.headers.map(|_| headers);
        self
    }

    /// The subprotocols asked for, most wanted first (RFC 6455 §1.9): tokens, each once. Default none.
    pub fn subprotocols(mut self, subprotocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a server that chooses none of the [`subprotocols`](Self::subprotocols) is an error. Default `false`: RFC 6455
    /// permits it.
    pub fn require_subprotocol(mut self, require: bool) -> Self {
        self.require_subprotocol = require;
        self
    }

    /// How much the connection may hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.manner.limits = limits;
        self
    }

    /// Whether and how messages are compressed, if the server does it too (RFC 7692). Default: with the defaults of
    /// [`Deflate`]; `None`: not at all.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.manner.compression.deflate = deflate.into();
        self
    }

    /// When the server is asked for signs of life, and when it is held to be gone. Default for a [`Connection`](crate::Connection):
    /// after 20 s of silence, and 20 s later. For a [`Socket`](crate::Socket), which can ask only while it is polled, the default is
    /// [`Heartbeat::OFF`]: there the dialer's TCP keep-alive finds dead links.
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.manner.heartbeat = heartbeat;
        self
    }

    /// How long the server may take to answer a goodbye. Default 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.manner.close_timeout = timeout;
        self
    }

    /// Whether the address is one.
    pub(crate) fn check(&self) -> Result<()> {
        self.address.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    pub(crate) fn scope_name(&self) -> Option<Arc<str>> {
        self.env.policy().scope.narrow(&self.scope).name().cloned()
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The time from the dial to the end of the handshake, redirects included. Default
    /// [`Timeouts::connect`](netcomm_core::Timeouts::connect) of the environment; a scope may have a shorter one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Narrows what may be reached, and how much. What the environment's policy says holds besides. Each dial is one of
    /// the scope's requests, and the connection takes one of its places as long as it lives.
    pub fn scope(mut self, scope: &Scope) -> Self {
        self.scope = self.scope.narrow(scope);
        self
    }

    /// Over which version of HTTP. Default [`HttpVersion::One`].
    pub fn http_version(mut self, http_version: HttpVersion) -> Self {
        self.http_version = http_version;
        self
    }

    /// Dials this Unix-domain socket in place of the URL's host.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// How many redirects are followed. Default 0: a redirect is a refusal, as browsers have it.
    ///
    /// Each hop must be allowed by the scope; where the origin changes, credentials and secret fields stay behind. From
    /// `wss` to `ws` none is followed unless the policy allows it.
    pub fn redirects(mut self, redirects: usize) -> Self {
        self.redirects = redirects;
        self
    }
}

fn no_field(what: &'static str, error: impl Into<http::Error>) -> Error {
    Error::new(ErrorKind::Invalid, "build handshake").with_detail(what).with_source(error.into())
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Connect");
        match &self.address {
            Ok(address) => out.field("url", &netcomm_core::redact_url(&address.uri.to_string())),
            Err(error) => out.field("error", error),
        };
        match &self.headers {
            Ok(headers) => out.field("headers", &Redacted(headers)),
            Err(error) => out.field("error", error),
        };
        out.field("subprotocols", &self.subprotocols)
            .field("http_version", &self.http_version)
            .field("unix_socket", &self.unix_socket)
            .finish_non_exhaustive()
    }
}
