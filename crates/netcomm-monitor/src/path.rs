//! The ways out of this machine: interfaces, their addresses, and the default routes.

mod interface;
#[cfg(all(target_os = "linux", feature = "netlink"))]
mod linux;
mod manual;
#[cfg(feature = "netwatch")]
mod others;
mod source;
mod system;

use std::net::IpAddr;

use netcomm_core::AddressFamily;

pub use interface::{Interface, InterfaceAddress, InterfaceKind};
#[cfg(all(target_os = "linux", feature = "netlink"))]
pub use linux::LinuxPaths;
pub use manual::{ManualPaths, ManualSource};
#[cfg(feature = "netwatch")]
pub use others::NetwatchPaths;
pub use source::{AnyPathSource, PathSource};
pub use system::system_paths;

/// The route of last resort of one address family: the one with the least metric over an interface that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DefaultRoute {
    /// The number of its interface.
    pub interface: u32,
    /// The next hop; `None` where the link itself leads on (point to point).
    pub gateway: Option<IpAddr>,
    /// How much the system prefers others to it.
    pub metric: u32,
}

impl DefaultRoute {
    /// A route over that interface.
    #[must_use]
    pub const fn new(interface: u32, gateway: Option<IpAddr>) -> Self {
        Self { interface, gateway, metric: 0 }
    }

    /// The same with another metric.
    #[must_use]
    pub const fn with_metric(self, metric: u32) -> Self {
        Self { metric, ..self }
    }
}

/// All ways out of this machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathState {
    /// The default route of IPv4.
    pub default_v4: Option<DefaultRoute>,
    /// The default route of IPv6.
    pub default_v6: Option<DefaultRoute>,
    /// All interfaces, sorted by number.
    pub interfaces: Vec<Interface>,
}

/// Tells networks apart, to know again one that was left: the kind of the interface, its name, the gateway, and the
/// network part of its first routable address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkKey {
    kind: InterfaceKind,
    name: String,
    gateway: Option<IpAddr>,
    network: Option<(IpAddr, u8)>,
}

impl NetworkKey {
    /// The kind of its interface.
    #[must_use]
    pub const fn kind(&self) -> InterfaceKind {
        self.kind
    }
}

impl PathState {
    /// No way out.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The same with another interface.
    #[must_use]
    pub fn with_interface(mut self, interface: Interface) -> Self {
        self.interfaces.retain(|other| other.index != interface.index);
        self.interfaces.push(interface);
        self.interfaces.sort_by_key(|interface| interface.index);
        self
    }

    /// The same with another default route of a family; `None` takes it away.
    #[must_use]
    pub fn with_default(mut self, family: AddressFamily, route: Option<DefaultRoute>) -> Self {
        match family {
            AddressFamily::V4 => self.default_v4 = route,
            AddressFamily::V6 => self.default_v6 = route,
        }
        self
    }

    /// The default route of a family.
    #[must_use]
    pub const fn default_route(&self, family: AddressFamily) -> Option<&DefaultRoute> {
        match family {
            AddressFamily::V4 => self.default_v4.as_ref(),
            AddressFamily::V6 => self.default_v6.as_ref(),
        }
    }

    /// An interface by its number.
    #[must_use]
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.index == index)
    }

    /// Whether there is a way out over addresses of that family: a default route over an interface that runs.
    #[must_use]
    pub fn has_path(&self, family: AddressFamily) -> bool {
        self.way_out(family).is_some()
    }

    /// Whether there is a way out at all.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.has_path(AddressFamily::V4) || self.has_path(AddressFamily::V6)
    }

    /// The interface over which traffic leaves: IPv4's, else IPv6's.
    #[must_use]
    pub fn main_interface(&self) -> Option<&Interface> {
        self.way_out(AddressFamily::V4).or_else(|| self.way_out(AddressFamily::V6)).map(|(_, interface)| interface)
    }

    /// Whether traffic costs money, where that is known.
    #[must_use]
    pub fn metered(&self) -> Option<bool> {
        self.main_interface().and_then(|interface| interface.metered)
    }

    /// Which network this is, as far as it can be told; `None` without a way out.
    #[must_use]
    pub fn network_key(&self) -> Option<NetworkKey> {
        let (route, interface) = self.way_out(AddressFamily::V4).or_else(|| self.way_out(AddressFamily::V6))?;
        let address = interface.addresses.iter().find(|address| address.is_routable());
        Some(NetworkKey {
            kind: interface.kind,
            name: interface.name.clone(),
            gateway: route.gateway,
            network: address.map(|address| (network_of(*address), address.prefix_bits)),
        })
    }

    /// Whether connections that were opened under `earlier` are not to be trusted now: the way out of a family that had one
    /// is another or gone, or an address that could be in use is gone. A further address or a further family does no harm
    /// to what is there.
    #[must_use]
    pub fn breaks(&self, earlier: &Self) -> bool {
        let rerouted = [AddressFamily::V4, AddressFamily::V6].into_iter().any(|family| match earlier.way_out(family) {
            None => false,
            Some((route, _)) => self
                .way_out(family)
                .is_none_or(|(now, _)| (now.interface, now.gateway) != (route.interface, route.gateway)),
        });
        rerouted || earlier.addresses().any(|address| !self.addresses().any(|now| now.ip == address.ip))
    }

    /// Addresses by which connections can have been opened.
    fn addresses(&self) -> impl Iterator<Item = &InterfaceAddress> {
        let outward = self.interfaces.iter().filter(|interface| interface.kind != InterfaceKind::Loopback);
        outward.flat_map(|interface| &interface.addresses).filter(|address| address.is_usable && address.is_routable())
    }

    fn way_out(&self, family: AddressFamily) -> Option<(&DefaultRoute, &Interface)> {
        let route = self.default_route(family)?;
        let interface = self.interface(route.interface).filter(|interface| interface.is_running())?;
        Some((route, interface))
    }
}

/// The address with all bits cleared that do not name its network.
fn network_of(address: InterfaceAddress) -> IpAddr {
    match address.ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(address.prefix_bits.into())).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(address.prefix_bits.into())).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn home() -> PathState {
        PathState::none()
            .with_interface(
                Interface::new(2, "eth0", InterfaceKind::Wired)
                    .with_address(InterfaceAddress::new(ip("192.168.1.7"), 24))
                    .with_address(InterfaceAddress::new(ip("fe80::1"), 64)),
            )
            .with_default(AddressFamily::V4, Some(DefaultRoute::new(2, Some(ip("192.168.1.1")))))
    }

    fn link(state: &PathState) -> Interface {
        state.interface(2).expect("the link").clone()
    }

    #[test]
    fn a_route_over_a_dead_link_is_no_path() {
        let home = home();
        assert!(home.has_path(AddressFamily::V4) && !home.has_path(AddressFamily::V6) && home.is_connected());
        let unplugged = home.clone().with_interface(link(&home).with_carrier(false));
        assert!(!unplugged.is_connected() && unplugged.network_key().is_none());
        assert!(!home.clone().with_default(AddressFamily::V4, None).is_connected());
        assert!(!home.with_default(AddressFamily::V4, Some(DefaultRoute::new(9, None))).is_connected());
    }

    #[test]
    fn what_breaks_connections() {
        let home = home();
        assert!(!home.breaks(&home) && !home.breaks(&PathState::none()));
        let more = home.clone().with_interface(link(&home).with_address(InterfaceAddress::new(ip("2001:db8::7"), 64)));
        assert!(!more.breaks(&home), "a further address");
        assert!(home.breaks(&more), "an address is gone");
        let family = more.clone().with_default(AddressFamily::V6, Some(DefaultRoute::new(2, Some(ip("fe80::9")))));
        assert!(!family.breaks(&more), "a further family");
        assert!(more.breaks(&family), "its route is gone");
        let moved = home.clone().with_default(AddressFamily::V4, Some(DefaultRoute::new(2, Some(ip("192.168.1.2")))));
        assert!(moved.breaks(&home), "another gateway");
        assert!(home.clone().with_interface(link(&home).with_carrier(false)).breaks(&home), "no carrier");
        let metric = DefaultRoute::new(2, Some(ip("192.168.1.1"))).with_metric(100);
        assert!(!home.clone().with_default(AddressFamily::V4, Some(metric)).breaks(&home), "the metric alone");
    }

    #[test]
    fn a_network_is_known_again() {
        let home = home();
        let other_host = home.clone().with_interface(
            Interface::new(2, "eth0", InterfaceKind::Wired).with_address(InterfaceAddress::new(ip("192.168.1.90"), 24)),
        );
        assert_eq!(home.network_key(), other_host.network_key(), "another address of the same network");
        let other_net = home.clone().with_interface(
            Interface::new(2, "eth0", InterfaceKind::Wired).with_address(InterfaceAddress::new(ip("192.168.2.7"), 24)),
        );
        assert_ne!(home.network_key(), other_net.network_key());
        for (bits, expected) in [(0, "0.0.0.0"), (24, "192.168.1.0"), (32, "192.168.1.7"), (99, "192.168.1.7")] {
            assert_eq!(network_of(InterfaceAddress::new(ip("192.168.1.7"), bits)), ip(expected), "{bits}");
        }
        for (bits, expected) in [(0, "::"), (64, "2001:db8::"), (128, "2001:db8::7")] {
            assert_eq!(network_of(InterfaceAddress::new(ip("2001:db8::7"), bits)), ip(expected), "{bits}");
        }
    }
}
