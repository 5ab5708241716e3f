//! What is known of the hosts that traffic goes to, and of the calls that are under way.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use lru::LruCache;
use netcomm_core::{CallId, Host};
use nonzero_ext::nonzero;

const MAX_ORIGINS: NonZeroUsize = nonzero!(256_usize);
const MAX_CALLS: NonZeroUsize = nonzero!(4096_usize);
const MAX_CONNECTIONS: NonZeroUsize = nonzero!(64_usize);

/// Where something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Stands for the host, whatever the port.
    pub(super) host: u64,
    /// Whether everybody can reach it, or it is to count as if.
    pub(super) is_public: bool,
    /// Whether it speaks TLS.
    pub(super) is_secure: bool,
}

/// Both ends of a connection, the own one first.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// How many segments a connection had sent when it was last asked, and how many of them again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) sent: u32,
    pub(super) again: u32,
}

/// What is known of origins, calls and connections: as much as fits, the longest unused go.
pub(super) struct Hosts {
    counts_private: bool,
    origins: LruCache<String, Place>,
    calls: LruCache<CallId, Place>,
    /// Connections to public hosts, own end first.
    connections: LruCache<Ends, Segments>,
}

impl Hosts {
    pub(super) fn new(counts_private: bool) -> Self {
        Self {
            counts_private,
            origins: LruCache::new(MAX_ORIGINS),
            calls: LruCache::new(MAX_CALLS),
            connections: LruCache::new(MAX_CONNECTIONS),
        }
    }

    /// The place of an origin, or of a URL: `scheme://host:port/…`.
    pub(super) fn place(&mut self, origin: &str) -> Place {
        let origin = authority(origin);
        if let Some(place) = self.origins.get(origin) {
            return *place;
        }
        let place = self.place_of(origin);
        self.origins.put(origin.to_owned(), place);
        place
    }

    /// A connection to that origin was made: to whom is known now.
    pub(super) fn connected(&mut self, origin: &str, peer: Option<SocketAddr>) -> Place {
        let mut place = self.place(origin);
        if let Some(peer) = peer
            && !self.counts_private
            && !is_public(peer.ip())
        {
            place.is_public = false;
            self.origins.put(authority(origin).to_owned(), place);
        }
        place
    }

    pub(super) fn opened(&mut self, ends: Ends) {
        self.connections.put(ends, Segments::default());
    }

    /// All connections belong to a network that is gone.
    pub(super) fn forget_connections(&mut self) {
        self.connections.clear();
    }

    /// A call is under way. Whether it is a new one.
    pub(super) fn began(&mut self, call: CallId, place: Place) -> bool {
        call != CallId::default() && self.calls.put(call, place).is_none()
    }

    pub(super) fn of_call(&mut self, call: CallId) -> Option<Place> {
        self.calls.get(&call).copied()
    }

    pub(super) fn ended(&mut self, call: CallId) -> Option<Place> {
        self.calls.pop(&call)
    }

    fn place_of(&self, origin: &str) -> Place {
        let (scheme, authority) = origin.split_once("://").unwrap_or(("", origin));
        let host = host_of(authority);
        let is_public = self.counts_private
            || match Host::parse(host) {
                // RFC 6761 §6.3.
                Ok(Host::Name(name)) => name != "localhost" && !name.ends_with(".localhost"),
                Ok(host) => host.ip().is_some_and(is_public),
                Err(_) => false,
            };
        let mut hasher = DefaultHasher::new();
        host.hash(&mut hasher);
        Place { host: hasher.finish(), is_public, is_secure: matches!(scheme, "https" | "wss") }
    }
}

#[cfg_attr(
    not(all(target_os = "linux", feature = "netlink")),
    expect(dead_code, reason = "only the kernel of Linux is asked about connections")
)]
impl Hosts {
    /// Connections to public hosts, the newest first.
    pub(super) fn connections(&self) -> impl Iterator<Item = Ends> + '_ {
        self.connections.iter().map(|(ends, _)| *ends)
    }

    /// A connection has sent so much by now. What it had sent before; `None` if it is not known any more.
    pub(super) fn has_sent(&mut self, ends: &Ends, now: Segments) -> Option<Segments> {
        self.connections.peek_mut(ends).map(|before| std::mem::replace(before, now))
    }

    pub(super) fn closed(&mut self, ends: &Ends) {
        self.connections.pop(ends);
    }
}

/// The part of an origin or a URL up to its path.
fn authority(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// The host of an authority, an IPv6 address in brackets.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether an address is one that everybody can reach.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_public_v4(address),
            None => {
                !(address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local())
            }
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // RFC 6598: shared by a provider's customers.
    let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0b1100_0000 == 64;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || is_shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let mut hosts = Hosts::new(false);
        for (origin, is_public, is_secure) in [
            ("http://a.example:80", true, false),
            ("https://a.example:443", true, true),
            ("wss://a.example/chat?x", true, true),
            ("http://192.168.0.1:80", false, false),
            ("http://100.64.0.1:80", false, false),
            ("http://1.1.1.1:80", true, false),
            ("http://[::1]:80", false, false),
            ("http://[2606:4700::1]:80", true, false),
            ("http://[fe80::1]:80", false, false),
            ("http://localhost:80", false, false),
            ("http://app.localhost:80", false, false),
        ] {
            let place = hosts.place(origin);
            assert_eq!((place.is_public, place.is_secure), (is_public, is_secure), "{origin}");
        }
        assert_eq!(hosts.place("http://a.example:80").host, hosts.place("https://a.example:444/x").host);
        assert_ne!(hosts.place("http://a.example:80").host, hosts.place("http://b.example:80").host);
    }

    #[test]
    fn a_name_of_the_own_network_is_known_by_its_address() {
        let mut hosts = Hosts::new(false);
        let peer = Some("10.0.0.7:80".parse().expect("an address"));
        assert!(hosts.place("http://intra.example:80").is_public);
        assert!(!hosts.connected("http://intra.example:80", peer).is_public);
        assert!(!hosts.place("http://intra.example:80").is_public);
        let mut hosts = Hosts::new(true);
        assert!(
            hosts.connected("http://intra.example:80", peer).is_public && hosts.place("http://127.0.0.1:1").is_public
        );
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut hosts = Hosts::new(false);
        for number in 1..20_000_u64 {
            let place = hosts.place(&format!("http://h{number}.example:80"));
            assert!(hosts.began(CallId(number), place));
            assert!(!hosts.began(CallId(number), place));
        }
        assert_eq!((hosts.origins.len(), hosts.calls.len()), (MAX_ORIGINS.get(), MAX_CALLS.get()));
        assert!(hosts.ended(CallId(1)).is_none() && hosts.ended(CallId(19_999)).is_some());
    }
}
