//! The settings of a [`Dialer`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{AlwaysOnline, Clock, Connectivity, Tap};

use crate::clock::SystemClock;
use crate::dialer::{Dialer, Parts};
use crate::lookup::{Keep, Lookup};
use crate::proxy::Proxies;
use crate::race::{Connect, DEFAULT_DELAY};
use crate::resolve::{AnyResolver, Resolve, SystemResolver};
use crate::tcp::TcpConnector;
use crate::tls::Tls;

/// Makes a [`Dialer`]. Every setting has a default.
#[must_use]
pub struct DialerBuilder {
    resolver: AnyResolver,
    keep: Keep,
    attempt_delay: Duration,
    proxies: Option<Proxies>,
    tls: Tls,
    proxy_tls: Tls,
    tcp: TcpConnector,
    clock: Arc<dyn Clock>,
    connectivity: Arc<dyn Connectivity>,
    tap: Tap,
}

impl Default for DialerBuilder {
    fn default() -> Self {
        Self {
            resolver: AnyResolver::new(SystemResolver),
            keep: Keep::default(),
            attempt_delay: DEFAULT_DELAY,
            proxies: None,
            tls: Tls::default(),
            proxy_tls: Tls::default(),
            tcp: TcpConnector::default(),
            clock: Arc::new(SystemClock),
            connectivity: Arc::new(AlwaysOnline),
            tap: Tap::off(),
        }
    }
}

impl DialerBuilder {
    /// Who finds the addresses of names. Default [`SystemResolver`].
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = AnyResolver::new(resolver);
        self
    }

    /// How many names are kept with their addresses. Default 256, about 50 KiB; 0: none. Lookups
    /// under way are shared in any case.
    pub fn cached_names(mut self, names: usize) -> Self {
        self.keep.names = names;
        self
    }

    /// How long an answer is kept whose resolver does not know better, 10 min at most. Default 30
    /// s; zero: not at all.
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.keep.ttl = ttl;
        self
    }

    /// How long it is remembered that a name could not be resolved. Default 1 s; zero: not at all.
    pub fn failure_ttl(mut self, ttl: Duration) -> Self {
        self.keep.failure_ttl = ttl;
        self
    }

    /// How long one lookup may take, whoever waits for it. Default 10 s.
    pub fn lookup_timeout(mut self, timeout: Duration) -> Self {
        self.keep.timeout = timeout;
        self
    }

    /// The head start that each address has before the next one is tried beside it (RFC 8305 §5).
    /// Default 250 ms; kept within 10 ms and 2 s.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay;
        self
    }

    /// The proxies. Default [`Proxies::from_env`], read when the dialer is built.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// TLS with targets.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// TLS with proxies of scheme `https`. Independent of [`tls`](Self::tls): a client certificate
    /// or a pin that is meant for targets says nothing to a proxy.
    #[cfg(feature = "tls")]
    pub fn proxy_tls(mut self, tls: Tls) -> Self {
        self.proxy_tls = tls;
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). Default `true`.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.tcp.nodelay = nodelay;
        self
    }

    /// After which silence a TCP connection is probed; after four probes without an answer, 15 s
    /// apart, it is given up. Default 60 s; `None`: never.
    pub fn keep_alive(mut self, time: Option<Duration>) -> Self {
        self.tcp.keep_alive = time;
        self
    }

    /// The own address from which TCP connections are made. Addresses of the other family cannot be
    /// reached then. Default `None`: the system chooses.
    pub fn local_address(mut self, address: Option<IpAddr>) -> Self {
        self.tcp.local_address = address;
        self
    }

    /// The clock. Default [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The view of the network: what was resolved in another network is not used. Default: one
    /// network for ever.
    pub fn connectivity(mut self, connectivity: Arc<dyn Connectivity>) -> Self {
        self.connectivity = connectivity;
        self
    }

    /// Where observations leave: [`Event::Resolved`](netcomm_core::Event::Resolved), for every
    /// name. That a connection was made is for its owner to tell, who knows for whom. Default off.
    pub fn tap(mut self, tap: Tap) -> Self {
        self.tap = tap;
        self
    }

    /// The dialer.
    #[must_use]
    pub fn build(self) -> Dialer {
        let tcp = self.tcp.clone();
        Dialer::from_parts(self.parts(tcp))
    }

    /// Everything that a dialer is made of, with `connector` for the network.
    pub(crate) fn parts<C: Connect>(self, connector: C) -> Parts<C> {
        Parts {
            lookup: Lookup::new(self.resolver, Arc::clone(&self.clock), self.connectivity, self.keep),
            attempt_delay: self.attempt_delay,
            proxies: self.proxies.unwrap_or_else(Proxies::from_env),
            tls: self.tls,
            proxy_tls: self.proxy_tls,
            connector,
            clock: self.clock,
            tap: self.tap,
        }
    }
}

impl fmt::Debug for DialerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialerBuilder")
            .field("keep", &self.keep)
            .field("attempt_delay", &self.attempt_delay)
            .field("proxies", &self.proxies)
            .field("tls", &self.tls)
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}
