//! Bytes of a netlink datagram to facts. Attribute by attribute: one that cannot be read, or that nobody has heard of, takes
//! nothing else along. Pure.

use netcomm_core::AddressFamily;
use netlink_packet_core::{
    NLM_F_DUMP_INTR, NLM_F_REPLACE, NetlinkBuffer, NlaBuffer, NlasIterator, parse_ip, parse_u32,
};
use netlink_packet_route::address::{AddressFlags, AddressHeader};
use netlink_packet_route::link::{LinkFlags, LinkHeader};

use super::fact::{AddressKey, Fact, Link, List, Lists};
use super::route_message::{Dead, routes};
use super::rule_message;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// To which question it is the answer; others' questions have numbers as well.
    pub(super) sequence: u32,
    /// Who asked.
    pub(super) port: u32,
    /// The list changed while it was told.
    pub(super) is_interrupted: bool,
    pub(super) says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Fact(Fact),
    /// The answer is complete. Not zero: it failed with that number of the system.
    Done(i32),
    /// Nothing that matters here.
    Nothing,
}

/// All messages of a datagram, up to the first that cannot be one.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message> {
    std::iter::from_fn(move || {
        let buffer = NetlinkBuffer::new_checked(datagram).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let payload = datagram.get(HEADER_BYTES..length)?;
        let message = Message {
            sequence: buffer.sequence_number(),
            port: buffer.port_number(),
            is_interrupted: buffer.flags() & NLM_F_DUMP_INTR != 0,
            says: says(buffer.message_type(), buffer.flags(), payload),
        };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

fn says(kind: u16, flags: u16, payload: &[u8]) -> Says {
    let fact = match kind {
        NLMSG_DONE | NLMSG_ERROR => {
            let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
            return Says::Done(code.saturating_neg());
        }
        RTM_NEWLINK => link(payload).map(Fact::Link),
        RTM_DELLINK => link(payload).map(|link| Fact::LinkGone(link.index)),
        RTM_NEWADDR => address(payload).map(|(at, is_usable)| Fact::Address { at, is_usable }),
        RTM_DELADDR => address(payload).map(|(at, _)| Fact::AddressGone(at)),
        RTM_NEWROUTE => routes(payload, Dead::LeftOut).map(|(key, routes)| {
            let is_replacement = flags & NLM_F_REPLACE != 0;
            Fact::Routes { routes, replaces: is_replacement.then_some(key) }
        }),
        RTM_DELROUTE => routes(payload, Dead::Named).map(|(_, routes)| Fact::RoutesGone(routes)),
        RTM_NEWRULE => rule_message::rule(payload),
        RTM_DELRULE => rule_message::family(payload).map(|family| Fact::Stale(Lists::NONE.with(List::rules(family)))),
        // Routes may use them, and are taken away with them without a word.
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => Some(Fact::Stale(Lists::NONE.with(List::RoutesV4).with(List::RoutesV6))),
        _ => None,
    };
    fact.map_or(Says::Nothing, Says::Fact)
}

fn link(payload: &[u8]) -> Option<Link> {
    let header = LinkHeader::parse(payload).ok()?;
    // Bridges tell of their ports in the same words: one that leaves the bridge is not gone.
    if u8::from(header.interface_family) != AF_UNSPEC || header.index == 0 {
        return None;
    }
    let mut link = Link {
        index: header.index,
        is_up: header.flags.contains(LinkFlags::Up),
        is_lower_up: header.flags.contains(LinkFlags::LowerUp),
        is_loopback: header.flags.contains(LinkFlags::Loopback),
        hardware: header.link_layer_type.into(),
        ..Link::default()
    };
    let mut is_lower_elsewhere = false;
    for attribute in attributes(payload, LINK_HEADER_BYTES) {
        let value = attribute.value();
        match attribute.kind() {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu_bytes = parse_u32(value).ok(),
            IFLA_LINK => link.lower = parse_u32(value).ok().filter(|lower| *lower != 0),
            IFLA_MASTER => link.member_of = parse_u32(value).ok().filter(|master| *master != 0),
            IFLA_OPERSTATE => link.operational = value.first().copied(),
            IFLA_LINK_NETNSID => is_lower_elsewhere = true,
            IFLA_LINKINFO => {
                let mut driver = nested(value).filter(|part| part.kind() == IFLA_INFO_KIND);
                link.driver = driver.next().and_then(|part| text(part.value()));
            }
            _ => {}
        }
    }
    if is_lower_elsewhere {
        // A number of another namespace.
        link.lower = None;
    }
    Some(link)
}

fn address(payload: &[u8]) -> Option<(AddressKey, bool)> {
    let header = AddressHeader::parse(payload).ok()?;
    let (mut local, mut address, mut flags) = (None, None, AddressFlags::from_bits_retain(header.flags.bits().into()));
    for attribute in attributes(payload, ADDRESS_HEADER_BYTES) {
        let value = attribute.value();
        match attribute.kind() {
            IFA_LOCAL => local = parse_ip(value).ok(),
            IFA_ADDRESS => address = parse_ip(value).ok(),
            IFA_FLAGS => flags = parse_u32(value).map_or(flags, AddressFlags::from_bits_retain),
            _ => {}
        }
    }
    // Point to point, the other is the peer's.
    let ip = local.or(address)?;
    let is_waiting = flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    let is_usable = !is_waiting && !flags.contains(AddressFlags::Dadfailed);
    Some((AddressKey { interface: header.index, ip, prefix_bits: header.prefix_len }, is_usable))
}

/// The attributes behind a header of so many bytes.
pub(super) fn attributes(payload: &[u8], header_bytes: usize) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    nested(payload.get(header_bytes..).unwrap_or_default())
}

pub(super) fn nested(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// A string that ends in zero; `None` if it is none, or could not be the name of anything.
pub(super) fn text(value: &[u8]) -> Option<String> {
    let text = value.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(text).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) const fn family(number: u8) -> Option<AddressFamily> {
    match number {
        2 => Some(AddressFamily::V4),
        10 => Some(AddressFamily::V6),
        _ => None,
    }
}

const AF_UNSPEC: u8 = 0;
const HEADER_BYTES: usize = 16;
const LINK_HEADER_BYTES: usize = 16;
const ADDRESS_HEADER_BYTES: usize = 8;
pub(super) const ROUTE_HEADER_BYTES: usize = 12;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;

#[cfg(test)]
pub(super) mod tests {
    use std::net::IpAddr;

    use netlink_packet_core::NetlinkMessage;
    use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
    use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, State};
    use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};
    use proptest::prelude::*;

    use super::super::sync::Sync;
    use super::*;

    fn bytes(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = 5;
        message.header.port_number = 7;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    pub(in super::super) fn fact(message: RouteNetlinkMessage, flags: u16) -> Option<Fact> {
        let mut all = messages(&bytes(message, flags)).collect::<Vec<_>>();
        assert_eq!(all.len(), 1);
        match all.remove(0).says {
            Says::Fact(fact) => Some(fact),
            Says::Nothing => None,
            Says::Done(_) => panic!("no answer ends here"),
        }
    }

    fn link_message() -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 3;
        message.header.link_layer_type = LinkLayerType::Ether;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
        message.attributes = vec![
            LinkAttribute::IfName("eth0".to_owned()),
            LinkAttribute::Mtu(1400),
            LinkAttribute::OperState(State::Up),
            LinkAttribute::Link(2),
            LinkAttribute::Controller(9),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan)]),
        ];
        message
    }

    #[test]
    fn links() {
        let expected = Link {
            index: 3,
            name: Some("eth0".to_owned()),
            is_up: true,
            is_lower_up: true,
            is_loopback: false,
            operational: Some(6),
            hardware: 1,
            mtu_bytes: Some(1400),
            driver: Some("vlan".to_owned()),
            lower: Some(2),
            member_of: Some(9),
            device: None,
        };
        assert_eq!(fact(RouteNetlinkMessage::NewLink(link_message()), 0), Some(Fact::Link(expected.clone())));
        assert_eq!(fact(RouteNetlinkMessage::DelLink(link_message()), 0), Some(Fact::LinkGone(3)));
        let mut elsewhere = link_message();
        elsewhere.attributes.push(LinkAttribute::LinkNetNsId(0));
        assert_eq!(
            fact(RouteNetlinkMessage::NewLink(elsewhere), 0),
            Some(Fact::Link(Link { lower: None, ..expected }))
        );
    }

    #[test]
    fn a_port_that_leaves_its_bridge_is_not_gone() {
        let mut message = link_message();
        message.header.interface_family = Family::Bridge;
        assert_eq!(fact(RouteNetlinkMessage::DelLink(message), 0), None);
    }

    #[test]
    fn addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let message = |family, attributes: &[AddressAttribute]| {
            let mut message = AddressMessage::default();
            message.header.family = family;
            message.header.index = 3;
            message.header.prefix_len = 24;
            message.attributes = attributes.to_vec();
            message
        };
        let key = |text| AddressKey { interface: 3, ip: ip(text), prefix_bits: 24 };
        let there = AddressAttribute::Address(ip("10.0.0.1"));
        let here = AddressAttribute::Local(ip("10.0.0.2"));
        let peer = message(Family::Inet, &[there, here]);
        let expected = Fact::Address { at: key("10.0.0.2"), is_usable: true };
        assert_eq!(fact(RouteNetlinkMessage::NewAddress(peer.clone()), 0), Some(expected), "not the peer's");
        assert_eq!(fact(RouteNetlinkMessage::DelAddress(peer), 0), Some(Fact::AddressGone(key("10.0.0.2"))));
        assert_eq!(fact(RouteNetlinkMessage::NewAddress(message(Family::Inet, &[])), 0), None);
        let states = [
            (AddressFlags::Permanent, true),
            (AddressFlags::Tentative, false),
            (AddressFlags::Tentative | AddressFlags::Optimistic, true),
            (AddressFlags::Dadfailed | AddressFlags::Tentative, false),
            (AddressFlags::Deprecated, true),
        ];
        for (flags, is_usable) in states {
            let address = AddressAttribute::Address(ip("2001:db8::1"));
            let wide = message(Family::Inet6, &[address.clone(), AddressAttribute::Flags(flags)]);
            let expected = Some(Fact::Address { at: key("2001:db8::1"), is_usable });
            assert_eq!(fact(RouteNetlinkMessage::NewAddress(wide), 0), expected, "{flags:?}");
            let mut old = message(Family::Inet6, &[address]);
            old.header.flags = AddressHeaderFlags::from_bits_retain(u8::try_from(flags.bits()).expect("old flags"));
            assert_eq!(fact(RouteNetlinkMessage::NewAddress(old), 0), expected, "{flags:?} of an old kernel");
        }
    }

    #[test]
    fn what_cannot_be_read_takes_nothing_else_along() {
        let mut link = bytes(RouteNetlinkMessage::NewLink(link_message()), 0);
        // An MTU of two bytes, where four are needed; the attribute before it stays, as do those behind it.
        let broken = [6_u8, 0, 4, 0, 1, 1, 0, 0];
        link.extend(broken);
        let length = u32::try_from(link.len()).expect("short").to_ne_bytes();
        link[..4].copy_from_slice(&length);
        let datagram = [link, bytes(RouteNetlinkMessage::DelLink(link_message()), 0), vec![1, 2, 3]].concat();
        let facts: Vec<_> = messages(&datagram).map(|message| message.says).collect();
        let [Says::Fact(Fact::Link(link)), Says::Fact(Fact::LinkGone(3))] = &facts[..] else {
            panic!("{facts:?}");
        };
        assert_eq!((link.name.as_deref(), link.mtu_bytes), (Some("eth0"), None));
    }

    #[test]
    fn ends_of_answers() {
        let end = |kind: u16, code: i32| {
            let mut bytes = bytes(RouteNetlinkMessage::NewLink(link_message()), NLM_F_DUMP_INTR)[..16].to_vec();
            bytes.extend(code.to_ne_bytes());
            bytes[..4].copy_from_slice(&20_u32.to_ne_bytes());
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            messages(&bytes).next().expect("a message")
        };
        let done = end(NLMSG_DONE, 0);
        assert_eq!((done.sequence, done.port, done.is_interrupted, done.says), (5, 7, true, Says::Done(0)));
        assert_eq!(end(NLMSG_ERROR, -95).says, Says::Done(95));
        assert_eq!(end(NLMSG_ERROR, i32::MIN).says, Says::Done(i32::MAX));
    }

    fn feed(datagram: &[u8]) {
        let mut sync = Sync::new();
        let question = sync.question();
        for message in messages(datagram) {
            let _ = sync.message(&message, 7);
            let _ = sync.message(&Message { sequence: question.map_or(0, |(_, number)| number), ..message }, 7);
        }
        drop(sync.table().state());
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(datagram in prop::collection::vec(any::<u8>(), 0..400)) {
            feed(&datagram);
        }

        /// Messages of the right kinds with anything in them: what random bytes seldom are.
        #[test]
        fn no_messages_do_harm(
            parts in prop::collection::vec((
                prop::sample::select(vec![2_u16, 3, 16, 17, 20, 21, 24, 25, 32, 33, 104]),
                any::<u16>(),
                prop::sample::select(vec![0_u8, 2, 10]),
                prop::collection::vec(any::<u8>(), 11),
                prop::collection::vec((0_u16..40, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            ), 1..6),
        ) {
            let mut datagram = Vec::new();
            for (kind, flags, family, header, attributes) in parts {
                let mut payload = vec![family];
                payload.extend(header);
                for (kind, value) in attributes {
                    payload.extend(u16::try_from(4 + value.len()).expect("short").to_ne_bytes());
                    payload.extend(kind.to_ne_bytes());
                    payload.extend(&value);
                    payload.resize(payload.len().next_multiple_of(4), 0);
                }
                datagram.extend(u32::try_from(16 + payload.len()).expect("short").to_ne_bytes());
                datagram.extend(kind.to_ne_bytes());
                datagram.extend(flags.to_ne_bytes());
                datagram.extend([0, 0, 0, 1, 7, 0, 0, 0]);
                datagram.extend(payload);
            }
            feed(&datagram);
        }

        /// A datagram that ends anywhere brings what was complete.
        #[test]
        fn cut_anywhere(at in 0_usize..1000) {
            let whole = bytes(RouteNetlinkMessage::NewLink(link_message()), 0);
            let two = [&whole[..], &whole[..]].concat();
            let cut = &two[..at.min(two.len())];
            feed(cut);
            prop_assert_eq!(messages(cut).count(), cut.len() / whole.len());
        }
    }
}
