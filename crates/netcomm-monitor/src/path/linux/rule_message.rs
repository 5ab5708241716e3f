//! Rules of which table is asked: those that hold for whatever an ordinary program sends, without a mark, from no address in
//! particular. Others are passed over. Pure.

use netcomm_core::AddressFamily;
use netlink_packet_core::parse_u32;
use netlink_packet_route::rule::{RuleAction, RuleFlags, RuleHeader};

use super::decode::{ROUTE_HEADER_BYTES, attributes, family as family_of, text};
use super::fact::{Fact, List, Lists, Rule};

/// The family that a rule is for.
pub(super) fn family(payload: &[u8]) -> Option<AddressFamily> {
    family_of(u8::from(RuleHeader::parse(payload).ok()?.family))
}

/// A rule that holds for ordinary packets; one that does not leaves its list stale at most.
pub(super) fn rule(payload: &[u8]) -> Option<Fact> {
    let family = family(payload)?;
    let passed_over = Fact::Stale(Lists::NONE.with(List::rules(family)));
    Some(read(payload, family).map_or(passed_over, Fact::Rule))
}

fn read(payload: &[u8], family: AddressFamily) -> Option<Rule> {
    let header = RuleHeader::parse(payload).ok()?;
    if header.dst_len != 0 || header.src_len != 0 || header.tos != 0 {
        return None;
    }
    let (mut table, mut priority, mut suppress_bits) = (u32::from(header.table), 0, None);
    let (mut mark, mut mask) = (0, u32::MAX);
    for attribute in attributes(payload, ROUTE_HEADER_BYTES) {
        let value = attribute.value();
        match attribute.kind() {
            FRA_TABLE => table = parse_u32(value).ok()?,
            FRA_PRIORITY => priority = parse_u32(value).ok()?,
            FRA_FWMARK => mark = parse_u32(value).ok()?,
            FRA_FWMASK => mask = parse_u32(value).ok()?,
            FRA_SUPPRESS_PREFIXLEN => suppress_bits = parse_u32(value).ok().and_then(|bits| u8::try_from(bits).ok()),
            // What this machine sends itself comes from there.
            FRA_IIFNAME if text(value).as_deref() == Some("lo") => {}
            FRA_FLOW | FRA_PAD | FRA_PROTOCOL => {}
            FRA_SUPPRESS_IFGROUP if parse_u32(value).ok()? == u32::MAX => {}
            // A condition of which it is not known whether it holds.
            _ => return None,
        }
    }
    let fits_unmarked = mark & mask == 0;
    if fits_unmarked == header.flags.contains(RuleFlags::Invert) {
        return None;
    }
    let table = match header.action {
        RuleAction::ToTable => Some(table),
        RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => None,
        _ => return None,
    };
    Some(Rule { family, priority, table, suppress_bits })
}

const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_FLOW: u16 = 11;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;

#[cfg(test)]
mod tests {
    use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
    use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};

    use super::super::decode::tests::fact;
    use super::*;

    fn message(attributes: &[RuleAttribute]) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = Family::Inet;
        message.header.action = RuleAction::ToTable;
        message.header.table = 254;
        message.attributes = attributes.to_vec();
        message.attributes.push(RuleAttribute::Priority(7));
        message
    }

    fn told(message: RuleMessage) -> Option<Rule> {
        match fact(RouteNetlinkMessage::NewRule(message), 0) {
            Some(Fact::Rule(rule)) => Some(rule),
            Some(Fact::Stale(lists)) => {
                assert_eq!(lists, Lists::NONE.with(List::RulesV4));
                None
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rules_for_ordinary_packets() {
        let plain = Rule { family: AddressFamily::V4, priority: 7, table: Some(254), suppress_bits: None };
        assert_eq!(told(message(&[])), Some(plain));
        let far = told(message(&[RuleAttribute::Table(51_820)]));
        assert_eq!(far, Some(Rule { table: Some(51_820), ..plain }));
        let suppressing = told(message(&[RuleAttribute::SuppressPrefixLen(0)]));
        assert_eq!(suppressing, Some(Rule { suppress_bits: Some(0), ..plain }));
        assert_eq!(told(message(&[RuleAttribute::SuppressPrefixLen(u32::MAX)])), Some(plain));
        assert_eq!(told(message(&[RuleAttribute::Iifname("lo".to_owned())])), Some(plain));
        let mut nothing = message(&[]);
        nothing.header.action = RuleAction::Prohibit;
        assert_eq!(told(nothing), Some(Rule { table: None, ..plain }));
        let gone = fact(RouteNetlinkMessage::DelRule(message(&[])), 0);
        assert_eq!(gone, Some(Fact::Stale(Lists::NONE.with(List::RulesV4))));
    }

    #[test]
    fn rules_for_others() {
        assert_eq!(told(message(&[RuleAttribute::FwMark(1)])), None);
        assert_eq!(told(message(&[RuleAttribute::Iifname("eth0".to_owned())])), None);
        assert_eq!(told(message(&[RuleAttribute::Oifname("eth0".to_owned())])), None);
        let mut from = message(&[]);
        from.header.src_len = 24;
        assert_eq!(told(from), None);
        let mut jump = message(&[]);
        jump.header.action = RuleAction::Goto;
        assert_eq!(told(jump), None);
        // Whatever is not marked, as a tunnel's own packets are.
        let mut inverted = message(&[RuleAttribute::FwMark(0xca6c)]);
        inverted.header.flags = RuleFlags::Invert;
        assert!(told(inverted).is_some());
        let mut never = message(&[]);
        never.header.flags = RuleFlags::Invert;
        assert_eq!(told(never), None);
        assert!(told(message(&[RuleAttribute::FwMark(0xff), RuleAttribute::FwMask(0xff00)])).is_some());
    }
}
