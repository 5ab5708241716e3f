//! Bytes of a message about a route to facts. Pure.

use std::net::IpAddr;

use netcomm_core::AddressFamily;
use netlink_packet_core::{NlaBuffer, parse_ip, parse_u32};
use netlink_packet_route::route::{RouteFlags, RouteHeader, RouteNextHopFlags, RouteType};

use super::decode::{ROUTE_HEADER_BYTES, attributes, family, nested};
use super::fact::{Prefix, Route, RouteKey, Way};
use super::routes::is_wide;

/// What becomes of hops that do not serve any more: when a route goes, they go with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dead {
    LeftOut,
    Named,
}

/// The hops of a route that may lead out.
pub(super) fn routes(payload: &[u8], dead: Dead) -> Option<(RouteKey, Vec<Route>)> {
    let header = RouteHeader::parse(payload).ok()?;
    let family = family(u8::from(header.address_family))?;
    // Most routes end here, with their attributes unread.
    if header.destination_prefix_length > MAX_WIDE_BITS || header.tos != 0 || header.flags.contains(RouteFlags::Cloned)
    {
        return None;
    }
    let (mut to, mut from) = (None, None);
    let (mut table, mut metric, mut rank) = (u32::from(header.table), 0, RANK_MEDIUM);
    let mut hop = Hop::default();
    let mut hops = Vec::new();
    for attribute in attributes(payload, ROUTE_HEADER_BYTES) {
        let value = attribute.value();
        match attribute.kind() {
            RTA_DST => to = parse_ip(value).ok(),
            RTA_SRC => from = parse_ip(value).ok(),
            RTA_TABLE => table = parse_u32(value).unwrap_or(table),
            RTA_PRIORITY => metric = parse_u32(value).unwrap_or(metric),
            RTA_PREF => rank = value.first().map_or(RANK_MEDIUM, |preference| rank_of(*preference)),
            RTA_MULTIPATH => hops = next_hops(value, dead),
            _ => hop.read(&attribute),
        }
    }
    let everything = match family {
        AddressFamily::V4 => IpAddr::from([0; 4]),
        AddressFamily::V6 => IpAddr::from([0; 16]),
    };
    let to = Prefix { ip: to.unwrap_or(everything), bits: header.destination_prefix_length };
    if !is_wide(to) {
        return None;
    }
    let from_bits = header.source_prefix_length;
    let from = (from_bits != 0).then(|| Prefix { ip: from.unwrap_or(everything), bits: from_bits });
    let key = RouteKey { family, table, to, from, metric };
    let route = |way| Route { key, rank, way };
    let ways = match header.kind {
        RouteType::Unicast => {
            if dead == Dead::Named || !header.flags.contains(RouteFlags::Dead) {
                hops.push(hop);
            }
            hops.into_iter().filter_map(Hop::way).map(route).collect()
        }
        RouteType::Unreachable | RouteType::BlackHole | RouteType::Prohibit => vec![route(Way::End)],
        _ => Vec::new(),
    };
    Some((key, ways))
}

#[derive(Clone, Copy, Default)]
struct Hop {
    interface: Option<u32>,
    gateway: Option<IpAddr>,
}

impl Hop {
    fn read(&mut self, attribute: &NlaBuffer<&[u8]>) {
        let value = attribute.value();
        match attribute.kind() {
            RTA_OIF => self.interface = parse_u32(value).ok(),
            RTA_GATEWAY => self.gateway = parse_ip(value).ok(),
            // A gateway of the other family, after two bytes that say so.
            RTA_VIA => self.gateway = value.get(2..).and_then(|ip| parse_ip(ip).ok()),
            _ => {}
        }
    }

    fn way(self) -> Option<Way> {
        self.interface.map(|interface| Way::Out { interface, gateway: self.gateway })
    }
}

/// `struct rtnexthop`: length, flags, weight, interface, attributes; then the next.
fn next_hops(mut value: &[u8], dead: Dead) -> Vec<Hop> {
    let mut hops = Vec::new();
    while let Some(&[low, high, flags, _weight, a, b, c, d]) = value.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some(rest) = value.get(NEXT_HOP_BYTES..length) else {
            break;
        };
        let mut hop = Hop { interface: Some(u32::from_ne_bytes([a, b, c, d])), gateway: None };
        nested(rest).for_each(|attribute| hop.read(&attribute));
        if dead == Dead::Named || !RouteNextHopFlags::from_bits_retain(flags).contains(RouteNextHopFlags::Dead) {
            hops.push(hop);
        }
        value = value.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

/// RFC 4191 §2.1: 01 high, 00 medium, 11 low.
const fn rank_of(preference: u8) -> u8 {
    match preference {
        1 => 0,
        3 => 2,
        _ => RANK_MEDIUM,
    }
}

const RANK_MEDIUM: u8 = 1;
/// Longer prefixes are never [wide](is_wide).
const MAX_WIDE_BITS: u8 = 4;

const NEXT_HOP_BYTES: usize = 8;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLM_F_REPLACE;
    use netlink_packet_route::route::{
        RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RoutePreference, RouteVia,
    };
    use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};

    use super::super::decode::tests::fact;
    use super::super::fact::Fact;
    use super::*;

    const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn message(family: Family, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        message.header.table = 254;
        message.header.kind = RouteType::Unicast;
        message.attributes = attributes;
        message
    }

    fn over(interface: u32) -> Vec<RouteAttribute> {
        vec![RouteAttribute::Oif(interface), RouteAttribute::Gateway(GATEWAY.into()), RouteAttribute::Priority(100)]
    }

    fn new(message: RouteMessage) -> Vec<Route> {
        match fact(RouteNetlinkMessage::NewRoute(message), 0) {
            Some(Fact::Routes { routes, replaces: None }) => routes,
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn ways(message: RouteMessage) -> Vec<Way> {
        new(message).into_iter().map(|route| route.way).collect()
    }

    fn out(interface: u32) -> Way {
        Way::Out { interface, gateway: Some(GATEWAY) }
    }

    #[test]
    fn a_default_route() {
        let [route] = new(message(Family::Inet, over(2)))[..] else { panic!("one hop") };
        let to = Prefix { ip: "0.0.0.0".parse().expect("an address"), bits: 0 };
        assert_eq!(route.key, RouteKey { family: AddressFamily::V4, table: 254, to, from: None, metric: 100 });
        assert_eq!((route.rank, route.way), (RANK_MEDIUM, out(2)));
        let change = fact(RouteNetlinkMessage::NewRoute(message(Family::Inet, over(2))), NLM_F_REPLACE);
        assert_eq!(change, Some(Fact::Routes { routes: vec![route], replaces: Some(route.key) }));
        let gone = fact(RouteNetlinkMessage::DelRoute(message(Family::Inet, over(2))), 0);
        assert_eq!(gone, Some(Fact::RoutesGone(vec![route])));
        let mut far = message(Family::Inet, over(2));
        far.attributes.push(RouteAttribute::Table(51_820));
        assert_eq!(new(far)[0].key.table, 51_820, "tables beyond 255");
    }

    #[test]
    fn what_is_no_way_out() {
        for kind in [RouteType::Local, RouteType::Broadcast, RouteType::Multicast, RouteType::Throw] {
            let mut route = message(Family::Inet, over(2));
            route.header.kind = kind;
            assert_eq!(ways(route), [], "{kind:?}");
        }
        for kind in [RouteType::Unreachable, RouteType::BlackHole, RouteType::Prohibit] {
            let mut route = message(Family::Inet, over(2));
            route.header.kind = kind;
            assert_eq!(ways(route), [Way::End], "{kind:?}");
        }
        let mut narrow = message(Family::Inet, over(2));
        narrow.header.destination_prefix_length = 8;
        narrow.attributes.push(RouteAttribute::Destination(RouteAddress::Inet([10, 0, 0, 0].into())));
        assert_eq!(ways(narrow), []);
        let mut cached = message(Family::Inet6, over(2));
        cached.header.flags = RouteFlags::Cloned;
        assert_eq!(ways(cached), []);
        assert_eq!(ways(message(Family::Inet, vec![])), [], "a hop that is not spelled out");
        assert_eq!(ways(message(Family::Mpls, over(2))), []);
    }

    #[test]
    fn several_hops() {
        let hop = |interface, flags| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = interface;
            hop.flags = flags;
            hop.attributes = vec![RouteAttribute::Gateway(GATEWAY.into())];
            hop
        };
        let hops = vec![
            hop(2, RouteNextHopFlags::empty()),
            hop(3, RouteNextHopFlags::Dead),
            hop(4, RouteNextHopFlags::Linkdown),
        ];
        let route = message(Family::Inet, vec![RouteAttribute::MultiPath(hops)]);
        assert_eq!(ways(route.clone()), [out(2), out(4)]);
        let Some(Fact::RoutesGone(gone)) = fact(RouteNetlinkMessage::DelRoute(route), 0) else { panic!("gone") };
        assert_eq!(gone.iter().map(|route| route.way).collect::<Vec<_>>(), [out(2), out(3), out(4)]);
        let mut dead = message(Family::Inet, over(2));
        dead.header.flags = RouteFlags::Dead;
        assert_eq!(ways(dead), []);
    }

    #[test]
    fn of_ipv6() {
        let router: std::net::Ipv6Addr = "fe80::1".parse().expect("an address");
        for (preference, rank) in [(RoutePreference::High, 0), (RoutePreference::Medium, 1), (RoutePreference::Low, 2)]
        {
            let attributes = vec![
                RouteAttribute::Oif(2),
                RouteAttribute::Gateway(RouteAddress::Inet6(router)),
                RouteAttribute::Preference(preference),
            ];
            let [route] = new(message(Family::Inet6, attributes))[..] else { panic!("one hop") };
            assert_eq!((route.key.family, route.rank), (AddressFamily::V6, rank));
            assert_eq!(route.way, Way::Out { interface: 2, gateway: Some(router.into()) });
        }
        let via = vec![RouteAttribute::Oif(2), RouteAttribute::Via(RouteVia::Inet6(router))];
        let [route] = new(message(Family::Inet, via))[..] else { panic!("one hop") };
        assert_eq!(
            route.way,
            Way::Out { interface: 2, gateway: Some(router.into()) },
            "over a router of the other family"
        );
    }
}
