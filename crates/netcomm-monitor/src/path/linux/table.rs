//! Links, addresses and routes as the kernel's messages tell them, and the paths that they make. Pure.

use std::collections::BTreeMap;

use netcomm_core::AddressFamily;

use super::fact::{AddressKey, Fact, Link, List, Lists};
use super::kind::own_kind;
use super::routes::Routes;
use crate::{Interface, InterfaceAddress, InterfaceKind, PathState};

/// What is known. It holds as much as the kernel has of links, addresses, rules and routes to everywhere, each up to a number
/// that is beyond any machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<AddressKey, bool>,
    routes: Routes,
}

/// What a fact did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Whether something may be different now.
    pub(super) is_changed: bool,
    /// Of which lists the kernel may have changed more than it told.
    pub(super) stale: Lists,
}

impl Table {
    pub(super) fn apply(&mut self, fact: &Fact) -> Applied {
        let both = Lists::NONE.with(List::RoutesV4).with(List::RoutesV6);
        let (is_changed, stale) = match fact {
            Fact::Link(link) => {
                let was_up = self.links.get(&link.index).is_some_and(|link| link.is_up);
                let is_changed = self.put_link(link);
                if was_up && !link.is_up {
                    // The kernel takes the routes of IPv4 away without a word.
                    self.routes.remove_interface(link.index, None);
                }
                (is_changed, if was_up == link.is_up { Lists::NONE } else { both })
            }
            Fact::LinkGone(index) => {
                let is_known = self.links.remove(index).is_some();
                self.addresses.retain(|at, _| at.interface != *index);
                let had_routes = self.routes.remove_interface(*index, None);
                (is_known || had_routes, both)
            }
            Fact::Address { at, is_usable } => {
                let has_room = self.addresses.len() < MAX_ADDRESSES || self.addresses.contains_key(at);
                (has_room && self.addresses.insert(*at, *is_usable) != Some(*is_usable), Lists::NONE)
            }
            Fact::AddressGone(at) => {
                let is_known = self.addresses.remove(at).is_some();
                if at.ip.is_ipv6() {
                    (is_known, Lists::NONE)
                } else {
                    let is_last =
                        !self.addresses.keys().any(|left| left.interface == at.interface && left.ip.is_ipv4());
                    // With the last address of IPv4 its routes go, without a word; with any, those that prefer it.
                    let had_routes = is_last && self.routes.remove_interface(at.interface, Some(AddressFamily::V4));
                    (is_known || had_routes, Lists::NONE.with(List::RoutesV4))
                }
            }
            Fact::Routes { routes, replaces } => (self.routes.add(routes, *replaces), Lists::NONE),
            Fact::RoutesGone(routes) => (self.routes.remove(routes), Lists::NONE),
            Fact::Rule(rule) => (self.routes.add_rule(*rule), Lists::NONE),
            Fact::Stale(lists) => (false, *lists),
        };
        Applied { is_changed, stale }
    }

    /// That list is the one of `other`; the rest stays.
    pub(super) fn take(&mut self, list: List, other: &mut Self) {
        match list {
            List::Links => self.links = std::mem::take(&mut other.links),
            List::Addresses => self.addresses = std::mem::take(&mut other.addresses),
            List::RoutesV4 => self.routes.take_routes(AddressFamily::V4, &other.routes),
            List::RoutesV6 => self.routes.take_routes(AddressFamily::V6, &other.routes),
            List::RulesV4 => self.routes.take_rules(AddressFamily::V4, &other.routes),
            List::RulesV6 => self.routes.take_rules(AddressFamily::V6, &other.routes),
        }
    }

    /// What was known of that link.
    pub(super) fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// The paths as they are.
    pub(super) fn state(&self) -> PathState {
        let mut state = PathState::none();
        for family in [AddressFamily::V4, AddressFamily::V6] {
            let route = self.routes.default_route(family, |index| self.links.get(&index).is_some_and(leads_on));
            state = state.with_default(family, route);
        }
        state.interfaces = self.links.values().filter_map(|link| self.interface(link)).collect();
        state
    }

    fn put_link(&mut self, link: &Link) -> bool {
        let Some(known) = self.links.get_mut(&link.index) else {
            if self.links.len() < MAX_LINKS {
                self.links.insert(link.index, link.clone());
            }
            return true;
        };
        let mut now = link.clone();
        if link.mtu_bytes.is_none() {
            // Word of something beside the link (wireless events): nothing is said about the rest.
            now = Link {
                is_up: link.is_up,
                is_lower_up: link.is_lower_up,
                is_loopback: link.is_loopback,
                hardware: link.hardware,
                ..known.clone()
            };
        }
        now.name = now.name.or_else(|| known.name.clone());
        now.device = now.device.or(known.device);
        if *known == now {
            return false;
        }
        *known = now;
        true
    }

    fn interface(&self, link: &Link) -> Option<Interface> {
        let kind = self.kind(link, MAX_DEPTH);
        let mut interface = Interface::new(link.index, link.name.clone()?, kind);
        interface.is_up = link.is_up;
        interface.has_carrier = has_carrier(link);
        interface.mtu_bytes = link.mtu_bytes.unwrap_or_default();
        interface.metered = (kind == InterfaceKind::Cellular).then_some(true);
        let from = AddressKey { interface: link.index, ..FIRST };
        let addresses = self.addresses.range(from..).take_while(|(at, _)| at.interface == link.index);
        interface.addresses = addresses
            .map(|(at, is_usable)| InterfaceAddress::new(at.ip, at.prefix_bits).with_usable(*is_usable))
            .collect();
        Some(interface)
    }

    /// The kind of a link, or of what is beneath it: its lower link, or its members if they are of one kind.
    fn kind(&self, link: &Link, depth: u32) -> InterfaceKind {
        if let Some(kind) = own_kind(link) {
            return kind;
        }
        let Some(depth) = depth.checked_sub(1) else {
            return InterfaceKind::Virtual;
        };
        if let Some(lower) = link.lower {
            return self.links.get(&lower).map_or(InterfaceKind::Virtual, |lower| self.kind(lower, depth));
        }
        let members =
            self.links.values().filter(|member| member.member_of == Some(link.index) && member.index != link.index);
        let mut kinds = members.map(|member| self.kind(member, depth));
        match kinds.next() {
            Some(kind) if kinds.all(|other| other == kind) => kind,
            _ => InterfaceKind::Virtual,
        }
    }
}

/// Somebody is at the other end, and the link is ready for packets (a wireless one has joined).
fn has_carrier(link: &Link) -> bool {
    link.is_lower_up && link.operational.is_none_or(|state| matches!(state, OPERATIONAL_UNKNOWN | OPERATIONAL_UP))
}

fn leads_on(link: &Link) -> bool {
    link.is_up && has_carrier(link) && !link.is_loopback
}

/// `IF_OPER_UNKNOWN`: what a driver says that does not tell.
const OPERATIONAL_UNKNOWN: u8 = 0;
/// `IF_OPER_UP`.
const OPERATIONAL_UP: u8 = 6;
/// Links upon links.
const MAX_DEPTH: u32 = 4;
const MAX_LINKS: usize = 65_536;
const MAX_ADDRESSES: usize = 262_144;
/// Before all addresses of an interface.
const FIRST: AddressKey =
    AddressKey { interface: 0, ip: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), prefix_bits: 0 };

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::fact::{Device, Prefix, Route, RouteKey, Way};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn link(index: u32, driver: Option<&str>) -> Link {
        Link {
            index,
            name: Some(format!("if{index}")),
            is_up: true,
            is_lower_up: true,
            operational: Some(OPERATIONAL_UP),
            hardware: 1,
            mtu_bytes: Some(1500),
            driver: driver.map(str::to_owned),
            ..Link::default()
        }
    }

    fn key(interface: u32, address: &str) -> AddressKey {
        AddressKey { interface, ip: ip(address), prefix_bits: 24 }
    }

    fn default_route(interface: u32, gateway: &str) -> Fact {
        let gateway = ip(gateway);
        let family = AddressFamily::of(gateway);
        let everything = if gateway.is_ipv4() { ip("0.0.0.0") } else { ip("::") };
        let to = Prefix { ip: everything, bits: 0 };
        let key = RouteKey { family, table: 254, to, from: None, metric: 100 };
        let route = Route { key, rank: 1, way: Way::Out { interface, gateway: Some(gateway) } };
        Fact::Routes { routes: vec![route], replaces: None }
    }

    fn home() -> Table {
        let mut table = Table::default();
        table.apply(&Fact::Link(link(2, None)));
        table.apply(&Fact::Address { at: key(2, "192.168.1.7"), is_usable: true });
        table.apply(&default_route(2, "192.168.1.1"));
        assert!(table.state().has_path(AddressFamily::V4));
        table
    }

    #[test]
    fn a_link_without_carrier_leads_nowhere() {
        let mut table = home();
        for (is_lower_up, operational, expected) in [
            (false, Some(2), false),
            (true, Some(6), true),
            (true, Some(5), false),
            (true, Some(0), true),
            (true, None, true),
        ] {
            table.apply(&Fact::Link(Link { is_lower_up, operational, ..link(2, None) }));
            let state = table.state();
            assert_eq!((state.is_connected(), state.default_v4.is_some()), (expected, expected), "{operational:?}");
            assert_eq!(state.interface(2).map(|link| link.has_carrier), Some(expected));
        }
        let told_twice = table.apply(&Fact::Link(link(2, None)));
        assert!(told_twice.is_changed && !table.apply(&Fact::Link(link(2, None))).is_changed);
    }

    #[test]
    fn what_the_kernel_takes_away_without_a_word() {
        let mut table = home();
        let down = table.apply(&Fact::Link(Link { is_up: false, is_lower_up: false, ..link(2, None) }));
        assert!(down.is_changed && down.stale.has(List::RoutesV4), "what is left is asked for");
        table.apply(&Fact::Link(link(2, None)));
        assert_eq!(table.state().default_v4, None, "the route did not survive that the link was switched off");

        let mut table = home();
        table.apply(&Fact::Address { at: key(2, "10.0.0.7"), is_usable: true });
        let first = table.apply(&Fact::AddressGone(key(2, "10.0.0.7")));
        assert!(table.state().default_v4.is_some() && first.stale.has(List::RoutesV4));
        table.apply(&Fact::AddressGone(key(2, "192.168.1.7")));
        assert_eq!(table.state().default_v4, None, "gone with the last address");

        let mut table = home();
        table.apply(&default_route(2, "fe80::1"));
        let gone = table.apply(&Fact::LinkGone(2));
        assert!(gone.is_changed);
        assert_eq!(table.state(), PathState::none());
        table.apply(&Fact::Link(link(2, None)));
        let again = table.state();
        assert_eq!(again.interface(2).map(|link| link.addresses.len()), Some(0), "another link of the same number");
        assert!(again.default_v4.is_none() && again.default_v6.is_none());
    }

    #[test]
    fn addresses_are_sorted_and_say_whether_they_can_be_used() {
        let mut table = home();
        table.apply(&Fact::Address { at: key(2, "2001:db8::7"), is_usable: false });
        table.apply(&Fact::Address { at: key(2, "10.0.0.7"), is_usable: true });
        table.apply(&Fact::Address { at: key(3, "10.0.0.8"), is_usable: true });
        let state = table.state();
        let addresses = &state.interface(2).expect("the link").addresses;
        assert!(addresses.is_sorted());
        let told: Vec<_> = addresses.iter().map(|address| (address.ip, address.is_usable)).collect();
        assert_eq!(told, [(ip("10.0.0.7"), true), (ip("192.168.1.7"), true), (ip("2001:db8::7"), false)]);
        assert!(table.apply(&Fact::Address { at: key(2, "2001:db8::7"), is_usable: true }).is_changed);
        assert!(!table.apply(&Fact::Address { at: key(2, "2001:db8::7"), is_usable: true }).is_changed);
        assert!(!table.apply(&Fact::AddressGone(key(2, "2001:db8::9"))).is_changed);
    }

    #[test]
    fn links_upon_links() {
        let mut table = Table::default();
        table.apply(&Fact::Link(Link { device: Some(Device::Wwan), ..link(2, None) }));
        table.apply(&Fact::Link(Link { device: Some(Device::Wlan), ..link(3, None) }));
        table.apply(&Fact::Link(Link { lower: Some(2), ..link(4, Some("vlan")) }));
        table.apply(&Fact::Link(Link { lower: Some(4), ..link(5, Some("macvlan")) }));
        table.apply(&Fact::Link(Link { lower: Some(99), ..link(6, Some("vlan")) }));
        table.apply(&Fact::Link(Link { lower: Some(7), ..link(7, Some("vlan")) }));
        table.apply(&Fact::Link(link(8, Some("bond"))));
        let kind = |table: &Table, index| table.state().interface(index).map(|link| (link.kind, link.metered));
        let cellular = Some((InterfaceKind::Cellular, Some(true)));
        assert_eq!([2, 4, 5].map(|index| kind(&table, index)), [cellular; 3]);
        assert_eq!([6, 7, 8].map(|index| kind(&table, index)), [Some((InterfaceKind::Virtual, None)); 3]);
        table.apply(&Fact::Link(Link { member_of: Some(8), device: Some(Device::Wlan), ..link(3, None) }));
        assert_eq!(kind(&table, 8), Some((InterfaceKind::Wifi, None)));
        table.apply(&Fact::Link(Link { member_of: Some(8), ..link(9, None) }));
        assert_eq!(kind(&table, 8), Some((InterfaceKind::Virtual, None)), "members of two kinds");
    }

    #[test]
    fn half_a_message_says_half() {
        let mut table = home();
        table.apply(&Fact::Link(Link { device: Some(Device::Wlan), ..link(2, None) }));
        let event = Link { name: None, mtu_bytes: None, operational: None, ..link(2, None) };
        assert!(!table.apply(&Fact::Link(event)).is_changed);
        table.apply(&Fact::Link(Link { name: Some("wlan0".to_owned()), ..link(2, None) }));
        let state = table.state();
        let wlan = state.interface(2).expect("the link");
        assert_eq!((wlan.name.as_str(), wlan.kind), ("wlan0", InterfaceKind::Wifi), "renamed, and the same device");
    }

    #[test]
    fn a_list_is_replaced_alone() {
        let mut table = home();
        table.take(List::Addresses, &mut Table::default());
        assert!(table.state().interface(2).expect("the link").addresses.is_empty());
        assert!(table.state().default_v4.is_some());
        table.take(List::RoutesV6, &mut Table::default());
        assert!(table.state().default_v4.is_some());
        table.take(List::RoutesV4, &mut Table::default());
        assert!(table.state().default_v4.is_none());
        table.take(List::Links, &mut Table::default());
        assert_eq!(table.state(), PathState::none());
    }
}
