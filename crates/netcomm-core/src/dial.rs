//! From a target to a stream of bytes.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::Result;
use crate::host::Host;
use crate::policy::PrivateAddresses;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A host and a TCP port.
    Tcp {
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
    /// A Unix-domain socket. Proxies and the guard against private addresses do not apply: who may name a path is
    /// the caller's decision.
    Unix {
        /// Its path.
        path: PathBuf,
    },
}

/// A family of internet addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl AddressFamily {
    /// Which one an address is of. An IPv4 address inside an IPv6 one is of IPv6.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What is dialled, and under which conditions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// Where to.
    pub endpoint: Endpoint,
    /// TLS on top; `None` for a clear connection.
    pub tls: Option<TlsTarget>,
    /// Whether addresses of no public host may be dialled.
    pub private_addresses: PrivateAddresses,
    /// Only addresses of that family are dialled; `None` for both.
    pub family: Option<AddressFamily>,
    /// For all steps together.
    pub timeout: Duration,
    /// Whether the caller can speak to a forward proxy in absolute form (RFC 9112 §3.2.2). Without it a proxy is always
    /// asked for a tunnel.
    pub forward_proxy: bool,
}

/// What TLS shall agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsTarget {
    /// The name that the certificate must be for and that is sent as SNI; `None`: the endpoint's host.
    pub server_name: Option<String>,
    /// The protocols offered by ALPN (RFC 7301), most wanted first.
    pub alpn: Vec<Vec<u8>>,
}

impl Target {
    /// A clear connection to a host and port: private addresses allowed, 10 s for all steps, proxies by tunnel.
    #[must_use]
    pub fn tcp(host: Host, port: u16) -> Self {
        Self::new(Endpoint::Tcp { host, port })
    }

    /// A clear connection to a Unix-domain socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Endpoint::Unix { path: path.into() })
    }

    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            tls: None,
            private_addresses: PrivateAddresses::Allow,
            family: None,
            timeout: Duration::from_secs(10),
            forward_proxy: false,
        }
    }

    /// The same with TLS on top.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsTarget) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same with the guard on or off.
    #[must_use]
    pub fn with_private_addresses(mut self, private_addresses: PrivateAddresses) -> Self {
        self.private_addresses = private_addresses;
        self
    }

    /// The same over addresses of one family alone; `None` for both. The name must be looked up here for that: where a proxy
    /// would do it, dialling fails with [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    #[must_use]
    pub fn with_family(mut self, family: Option<AddressFamily>) -> Self {
        self.family = family;
        self
    }

    /// The same with another time limit for all steps together.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same for a caller that can, or cannot, speak to a forward proxy in absolute form.
    #[must_use]
    pub fn with_forward_proxy(mut self, forward_proxy: bool) -> Self {
        self.forward_proxy = forward_proxy;
        self
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How long each step of a connection took; `None` for a step that was not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Steps {
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// From the first address dialled to the connection that won.
    pub connect: Option<Duration>,
    /// Speaking with the proxy.
    pub proxy: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
}

impl Steps {
    /// All steps together.
    #[must_use]
    pub fn total(&self) -> Duration {
        [self.dns, self.connect, self.proxy, self.tls].into_iter().flatten().sum()
    }
}

/// What TLS agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: String,
    /// The cipher suite, by its IANA name.
    pub cipher_suite: String,
    /// The peer's own certificate, DER.
    pub peer_certificate: Option<Bytes>,
}

/// A forward proxy at the other end: requests must be sent in absolute form.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ForwardProxy {
    /// The value for `Proxy-Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
}

/// What is known about a connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The address dialled: the peer's, or the proxy's.
    pub peer: Option<SocketAddr>,
    /// The own address.
    pub local: Option<SocketAddr>,
    /// The protocol that ALPN chose.
    pub alpn: Option<Vec<u8>>,
    /// What TLS agreed on; `None` for a clear connection.
    pub tls: Option<TlsInfo>,
    /// Set where a forward proxy answers.
    pub forward_proxy: Option<ForwardProxy>,
    /// The time of each step.
    pub steps: Steps,
}

impl ConnectInfo {
    /// Whether the peer is a proxy, which leads on to the target.
    #[must_use]
    pub const fn is_through_proxy(&self) -> bool {
        self.forward_proxy.is_some() || self.steps.proxy.is_some()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection: a stream of bytes both ways, and what is known about it.
pub struct Io {
    stream: Box<dyn Stream>,
    info: ConnectInfo,
}

impl Io {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, info: ConnectInfo) -> Self {
        Self { stream: Box::new(stream), info }
    }

    /// What is known about it.
    #[must_use]
    pub fn info(&self) -> &ConnectInfo {
        &self.info
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("info", &self.info).finish_non_exhaustive()
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream).poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Makes connections. The default one is in `netcomm-dial`; tests bring a scripted one.
pub trait Dial: Send + Sync + 'static {
    /// Connects to `target`, within its timeout and under its conditions.
    ///
    /// # Errors
    ///
    /// Kinds `Dns`, `Connect`, `Proxy`, `Tls`, `Denied`, or `Timeout` with the phase in which the time ran out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    fn dial(&self, target: &Target) -> impl Future<Output = Result<Io>> + Send;
}

/// Any [`Dial`], as a handle that is cheap to clone and has no type parameter.
#[derive(Clone)]
pub struct AnyDial(Arc<dyn DialDyn>);

trait DialDyn: Send + Sync {
    fn dial<'a>(&'a self, target: &'a Target) -> Pin<Box<dyn Future<Output = Result<Io>> + Send + 'a>>;
}

impl<T: Dial> DialDyn for T {
    fn dial<'a>(&'a self, target: &'a Target) -> Pin<Box<dyn Future<Output = Result<Io>> + Send + 'a>> {
        Box::pin(Dial::dial(self, target))
    }
}

impl AnyDial {
    /// Wraps a dialer.
    #[must_use]
    pub fn new(dialer: impl Dial) -> Self {
        Self(Arc::new(dialer))
    }
}

impl Dial for AnyDial {
    async fn dial(&self, target: &Target) -> Result<Io> {
        self.0.dial(target).await
    }
}

impl fmt::Debug for AnyDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyDial")
    }
}
