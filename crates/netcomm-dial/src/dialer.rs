//! The dialer: one dial, from top to bottom.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{
    AddressFamily, Clock, ConnectInfo, Dial, Endpoint, Error, ErrorKind, Event, ForwardProxy, Host, Interest, Io,
    Observation, Phase, PrivateAddresses, Result, Tap, Target, TlsTarget,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::builder::DialerBuilder;
use crate::connect;
use crate::deadline::Deadline;
use crate::guard;
use crate::lookup::Lookup;
use crate::proxy::{Ask, Proxies, Route};
use crate::race::{self, Connect, Race};
use crate::server::{Scheme, Server};
use crate::socks;
use crate::tcp::TcpConnector;
use crate::tls::{Plan, Tls};
use crate::unix;

/// To how many of a name's addresses a proxy is asked for a tunnel, one after the other.
const MAX_TUNNELS: usize = 4;
/// How many failed addresses an error names.
const MAX_FAILURES_SHOWN: usize = 6;

/// The default [`Dial`]: resolves names, races their addresses, passes through proxies, and puts
/// TLS on top.
///
/// Cheap to clone; clones share kept addresses, lookups under way and TLS sessions. It needs a
/// tokio runtime with I/O and time enabled.
///
/// # Examples
///
/// ```no_run
/// use netcomm_core::{Dial, Host, PrivateAddresses, Target, TlsTarget};
/// use netcomm_dial::Dialer;
///
/// # async fn run() -> netcomm_core::Result<()> {
/// let dialer = Dialer::new();
/// let target = Target::tcp(Host::parse("example.com")?, 443)
///     .with_tls(TlsTarget::default())
///     .with_private_addresses(PrivateAddresses::Deny);
/// let io = dialer.dial(&target).await?;
/// println!("connected to {:?} in {:?}", io.info().peer, io.info().steps.total());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dialer {
    parts: Arc<Parts<TcpConnector>>,
}

impl Dialer {
    /// A dialer with all defaults: the system's resolver, proxies from the process environment
    /// (read now), the platform's certificates.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings of one's own.
    pub fn builder() -> DialerBuilder {
        DialerBuilder::default()
    }

    pub(crate) fn from_parts(parts: Parts<TcpConnector>) -> Self {
        Self { parts: Arc::new(parts) }
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

impl Dial for Dialer {
    /// Connects to `target`.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid), [`Unsupported`](ErrorKind::Unsupported): the server name,
    ///   the ALPN list or the proxy's URL cannot be used, or TLS or Unix sockets are not built in.
    ///   Nothing was opened.
    /// - [`Denied`](ErrorKind::Denied): the guard is on and an address is not public.
    /// - [`Dns`](ErrorKind::Dns): the name, or the proxy's, could not be resolved.
    /// - [`Connect`](ErrorKind::Connect): every address failed; the detail lists them.
    /// - [`Proxy`](ErrorKind::Proxy): the proxy refused, with its status if it speaks HTTP.
    /// - [`Tls`](ErrorKind::Tls): the handshake failed.
    /// - [`Timeout`](ErrorKind::Timeout): the time ran out, in the phase `Dns`, `Connect`, `Proxy`
    ///   or `Tls`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    async fn dial(&self, target: &Target) -> Result<Io> {
        self.parts.dial(target).await
    }
}

/// What a dialer is made of. `C` opens connections; it is the network everywhere but in tests.
pub(crate) struct Parts<C = TcpConnector> {
    pub(crate) lookup: Lookup,
    pub(crate) attempt_delay: Duration,
    pub(crate) proxies: Proxies,
    pub(crate) tls: Tls,
    pub(crate) proxy_tls: Tls,
    pub(crate) connector: C,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tap: Tap,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream of whatever layers a proxy needs.
type Layers = Box<dyn Stream>;

impl<C: Connect> Parts<C> {
    pub(crate) async fn dial(&self, target: &Target) -> Result<Io> {
        let mut deadline = Deadline::new(&*self.clock, target.timeout);
        match &target.endpoint {
            Endpoint::Tcp { host, port } => self.dial_tcp(target, host, *port, &mut deadline).await,
            Endpoint::Unix { path } => self.dial_unix(target, path, &mut deadline).await,
            _ => Err(Error::new(ErrorKind::Unsupported, "dial").with_detail("this kind of endpoint is not known")),
        }
    }

    async fn dial_tcp(&self, target: &Target, host: &Host, port: u16, deadline: &mut Deadline<'_>) -> Result<Io> {
        // What cannot work is refused before anything is opened.
        let plan = target.tls.as_ref().map(|tls| Plan::new(tls, Some(host))).transpose()?;
        match self.proxies.route(host, target)? {
            Route::Direct => {
                let addresses = self.addresses(host, target, deadline).await?;
                let (stream, info) = self.connect(&addresses, port, deadline).await?;
                self.finish(stream, info, plan, deadline).await
            }
            Route::Forward(_) | Route::Tunnel(_, Ask::Host) if target.family.is_some() => {
                Err(Error::new(ErrorKind::Unsupported, "dial")
                    .with_detail("the proxy, not this side, chooses the address family"))
            }
            Route::Forward(proxy) => {
                let addresses = self.proxy_addresses(proxy, deadline).await?;
                let (stream, mut info) = self.reach(proxy, &addresses, deadline).await?;
                let mut forward = ForwardProxy::default();
                forward.authorization = proxy.authorization();
                info.forward_proxy = Some(forward);
                self.finish(stream, info, plan, deadline).await
            }
            Route::Tunnel(proxy, ask) => {
                let ends = match ask {
                    Ask::Host => vec![host.clone()],
                    Ask::Address => {
                        let addresses = self.addresses(host, target, deadline).await?;
                        race::interleave(&addresses).into_iter().take(MAX_TUNNELS).map(Host::from).collect()
                    }
                };
                let (stream, info) = self.tunnel(proxy, &ends, port, deadline).await?;
                self.finish(stream, info, plan, deadline).await
            }
        }
    }

    /// Every address of `host`; all of them allowed, or none given.
    async fn addresses(&self, host: &Host, target: &Target, deadline: &mut Deadline<'_>) -> Result<Arc<[IpAddr]>> {
        let addresses = self.all_addresses(host, deadline).await?;
        if target.private_addresses != PrivateAddresses::Allow {
            guard::check(host, &addresses)?;
        }
        let Some(family) = target.family else { return Ok(addresses) };
        let kept: Arc<[IpAddr]> =
            addresses.iter().copied().filter(|address| AddressFamily::of(*address) == family).collect();
        if kept.is_empty() {
            return Err(Error::new(ErrorKind::Dns, "resolve").with_detail(format!("{host} has no {family} address")));
        }
        Ok(kept)
    }

    async fn all_addresses(&self, host: &Host, deadline: &mut Deadline<'_>) -> Result<Arc<[IpAddr]>> {
        Ok(match host {
            Host::Name(name) => self.resolve(name, deadline).await?,
            Host::V4(address) => Arc::from([IpAddr::V4(*address)]),
            Host::V6(address) => Arc::from([IpAddr::V6(*address)]),
        })
    }

    async fn resolve(&self, name: &str, deadline: &mut Deadline<'_>) -> Result<Arc<[IpAddr]>> {
        let began = deadline.now();
        let found = deadline.step(Phase::Dns, self.lookup.find(name)).await;
        self.tap.emit(Interest::CONNECTION, || {
            let at = deadline.now();
            let (addresses, cached) = found.as_ref().map_or((0, false), |found| (found.addresses.len(), found.cached));
            let took = at.saturating_duration_since(began);
            Observation::new(at, Event::Resolved { host: name.to_owned(), addresses, cached, took })
        });
        Ok(found?.addresses)
    }

    /// The proxy's addresses: the operator's word, not checked.
    async fn proxy_addresses(&self, proxy: &Server, deadline: &mut Deadline<'_>) -> Result<Arc<[IpAddr]>> {
        self.all_addresses(&proxy.host, deadline).await
    }

    async fn connect(
        &self,
        addresses: &[IpAddr],
        port: u16,
        deadline: &mut Deadline<'_>,
    ) -> Result<(C::Stream, ConnectInfo)> {
        let race = Race::new(addresses, port, self.attempt_delay);
        let run = async { race::run(race, &self.connector, &*self.clock).await.map_err(all_failed) };
        let (stream, peer) = deadline.step(Phase::Connect, run).await?;
        let mut info = ConnectInfo::default();
        info.peer = Some(peer);
        info.local = C::local(&stream);
        Ok((stream, info))
    }

    /// A connection to the proxy itself, with TLS if it wants that.
    async fn reach(
        &self,
        proxy: &Server,
        addresses: &[IpAddr],
        deadline: &mut Deadline<'_>,
    ) -> Result<(Layers, ConnectInfo)> {
        let (stream, info) = self.connect(addresses, proxy.port, deadline).await.map_err(|error| {
            let detail = format!("proxy {proxy}: {}", error.detail().unwrap_or_default());
            error.with_detail(detail)
        })?;
        if proxy.scheme != Scheme::Https {
            return Ok((Box::new(stream), info));
        }
        let mut tls = TlsTarget::default();
        tls.alpn.push(b"http/1.1".to_vec());
        let plan = Plan::new(&tls, Some(&proxy.host))?;
        let secured = deadline.step(Phase::Proxy, self.proxy_tls.handshake(stream, &plan)).await?;
        Ok((Box::new(secured.stream), info))
    }

    /// A tunnel to the first of `ends` that the proxy reaches; each try needs a connection of its
    /// own.
    async fn tunnel(
        &self,
        proxy: &Server,
        ends: &[Host],
        port: u16,
        deadline: &mut Deadline<'_>,
    ) -> Result<(Layers, ConnectInfo)> {
        let addresses = self.proxy_addresses(proxy, deadline).await?;
        let mut last_error = Error::new(ErrorKind::Dns, "dial").with_detail("no address to ask the proxy for");
        for end in ends {
            let (stream, info) = self.reach(proxy, &addresses, deadline).await?;
            let asked = ask(stream, proxy, end, port);
            match deadline.step(Phase::Proxy, asked).await {
                Ok(stream) => return Ok((stream, info)),
                Err(error) if error.kind() == ErrorKind::Proxy && error.is_retryable() => last_error = error,
                Err(error) => return Err(error),
            }
        }
        Err(last_error)
    }

    async fn dial_unix(&self, target: &Target, path: &Path, deadline: &mut Deadline<'_>) -> Result<Io> {
        let plan = target.tls.as_ref().map(|tls| Plan::new(tls, None)).transpose()?;
        let stream = deadline.step(Phase::Connect, unix::connect(path)).await?;
        self.finish(stream, ConnectInfo::default(), plan, deadline).await
    }

    /// TLS if planned, and the account of it all.
    async fn finish<S>(
        &self,
        stream: S,
        mut info: ConnectInfo,
        plan: Option<Plan>,
        deadline: &mut Deadline<'_>,
    ) -> Result<Io>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(plan) = plan else {
            info.steps = deadline.steps();
            return Ok(Io::new(stream, info));
        };
        let secured = deadline.step(Phase::Tls, self.tls.handshake(stream, &plan)).await?;
        info.tls = Some(secured.info);
        info.alpn = secured.alpn;
        info.steps = deadline.steps();
        Ok(Io::new(secured.stream, info))
    }
}

/// Asks the proxy for a tunnel to `end`.
async fn ask(stream: Layers, proxy: &Server, end: &Host, port: u16) -> Result<Layers> {
    match proxy.scheme {
        Scheme::Http | Scheme::Https => Ok(Box::new(connect::tunnel(stream, proxy, &format!("{end}:{port}")).await?)),
        Scheme::Socks5 | Scheme::Socks5h => {
            let end = match end {
                Host::Name(name) => socks::End::Name(name, port),
                Host::V4(address) => socks::End::Address((*address, port).into()),
                Host::V6(address) => socks::End::Address((*address, port).into()),
            };
            socks::tunnel(stream, proxy, end).await
        }
    }
}

/// The error when no address could be connected to: which ones, and why.
fn all_failed(failures: Vec<(SocketAddr, io::Error)>) -> Error {
    let mut detail = String::new();
    for (address, error) in failures.iter().take(MAX_FAILURES_SHOWN) {
        if !detail.is_empty() {
            detail.push_str(", ");
        }
        detail.push_str(&format!("{address}: {error}"));
    }
    if let Some(more) = failures.len().checked_sub(MAX_FAILURES_SHOWN).filter(|&more| more > 0) {
        detail.push_str(&format!(", and {more} more"));
    }
    let error = Error::new(ErrorKind::Connect, "dial").with_detail(detail);
    match failures.into_iter().next() {
        Some((_, first)) => error.with_source(first),
        None => error,
    }
}

impl<C> fmt::Debug for Parts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("lookup", &self.lookup)
            .field("attempt_delay", &self.attempt_delay)
            .field("proxies", &self.proxies)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
