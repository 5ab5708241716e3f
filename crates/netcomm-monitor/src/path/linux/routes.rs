//! Which route leads out: rules, tables, prefixes and metrics, as the kernel goes through them for whatever an ordinary program
//! sends. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netcomm_core::AddressFamily;

use super::fact::{Prefix, Route, RouteKey, Rule, Way};
use crate::DefaultRoute;

/// Routes that may lead out, and the rules of which table is asked when. It holds what [`is_wide`] lets in.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    routes: BTreeSet<Route>,
    rules: BTreeSet<Rule>,
}

impl Routes {
    /// Whether something is different now.
    pub(super) fn add(&mut self, routes: &[Route], replaces: Option<RouteKey>) -> bool {
        let before = self.routes.len();
        if let Some(key) = replaces {
            self.routes.retain(|route| route.key != key || routes.contains(route));
        }
        let mut is_changed = self.routes.len() != before;
        for route in routes {
            is_changed |= self.routes.len() < MAX_ROUTES && self.routes.insert(*route);
        }
        is_changed
    }

    pub(super) fn remove(&mut self, routes: &[Route]) -> bool {
        routes.iter().fold(false, |is_changed, route| self.routes.remove(route) | is_changed)
    }

    /// All routes over that interface are gone, of one family or of both.
    pub(super) fn remove_interface(&mut self, gone: u32, family: Option<AddressFamily>) -> bool {
        let before = self.routes.len();
        self.routes.retain(|route| {
            family.is_some_and(|family| route.key.family != family)
                || !matches!(route.way, Way::Out { interface, .. } if interface == gone)
        });
        self.routes.len() != before
    }

    pub(super) fn add_rule(&mut self, rule: Rule) -> bool {
        self.rules.len() < MAX_RULES && self.rules.insert(rule)
    }

    /// The routes of that family are those of `other`.
    pub(super) fn take_routes(&mut self, family: AddressFamily, other: &Self) {
        self.routes.retain(|route| route.key.family != family);
        self.routes.extend(other.routes.iter().filter(|route| route.key.family == family));
    }

    /// The rules of that family are those of `other`.
    pub(super) fn take_rules(&mut self, family: AddressFamily, other: &Self) {
        self.rules.retain(|rule| rule.family != family);
        self.rules.extend(other.rules.iter().filter(|rule| rule.family == family));
    }

    /// The route by which packets to anywhere leave, if the whole of the world can be reached that way: one to everywhere, or
    /// some that make up everywhere together.
    pub(super) fn default_route(&self, family: AddressFamily, runs: impl Fn(u32) -> bool) -> Option<DefaultRoute> {
        let [first, second] = world(family);
        self.way(family, second, &runs)?;
        self.way(family, first, &runs)
    }

    fn way(&self, family: AddressFamily, to: Prefix, runs: &impl Fn(u32) -> bool) -> Option<DefaultRoute> {
        let mut rules = self.rules.iter().filter(|rule| rule.family == family).peekable();
        if rules.peek().is_none() {
            // A system without rules asks the main table, then the one of last resort.
            let mut tables = [MAIN_TABLE, LAST_TABLE].into_iter();
            return tables.find_map(|table| self.found(family, table, None, to, runs)).and_then(leads_out);
        }
        for rule in rules {
            // A rule without a table lets nothing out.
            if let Some(route) = self.found(family, rule.table?, rule.suppress_bits, to, runs) {
                return leads_out(route);
            }
        }
        None
    }

    /// The route that this table has for packets to there: the narrowest prefix, the least metric, the best preference.
    fn found(
        &self,
        family: AddressFamily,
        table: u32,
        suppress_bits: Option<u8>,
        to: Prefix,
        runs: impl Fn(u32) -> bool,
    ) -> Option<&Route> {
        let fits = self.routes.iter().filter(|route| {
            (route.key.family, route.key.table) == (family, table)
                && contains(route.key.to, to)
                && suppress_bits.is_none_or(|bits| route.key.to.bits > bits)
                && match route.way {
                    Way::Out { interface, .. } => runs(interface),
                    Way::End => true,
                }
        });
        fits.min_by_key(|route| (Reverse(route.key.to.bits), route.key.metric, route.rank, route.way))
    }
}

fn leads_out(route: &Route) -> Option<DefaultRoute> {
    match route.way {
        Way::Out { interface, gateway } => Some(DefaultRoute::new(interface, gateway).with_metric(route.key.metric)),
        Way::End => None,
    }
}

/// Whether a route to there can be the way to everywhere, or to a half of it: only such are kept, so that a table of the whole
/// internet's routes costs nothing.
pub(super) fn is_wide(to: Prefix) -> bool {
    let family = if to.ip.is_ipv4() { AddressFamily::V4 } else { AddressFamily::V6 };
    world(family).into_iter().any(|half| contains(to, half))
}

/// The world in two halves, each of which must be reached: tunnels lay one route to each over the default route, to come
/// before it without replacing it. Of IPv6 it is what has been given out as global (2000::/3).
fn world(family: AddressFamily) -> [Prefix; 2] {
    match family {
        AddressFamily::V4 => [0, 0x80].map(|first| Prefix { ip: Ipv4Addr::new(first, 0, 0, 0).into(), bits: 1 }),
        AddressFamily::V6 => {
            [0x2000, 0x3000].map(|first| Prefix { ip: Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(), bits: 4 })
        }
    }
}

fn contains(outer: Prefix, inner: Prefix) -> bool {
    let differing = match (outer.ip, inner.ip) {
        (IpAddr::V4(outer), IpAddr::V4(inner)) => (outer.to_bits() ^ inner.to_bits()).leading_zeros(),
        (IpAddr::V6(outer), IpAddr::V6(inner)) => (outer.to_bits() ^ inner.to_bits()).leading_zeros(),
        _ => return false,
    };
    outer.bits <= inner.bits && u32::from(outer.bits) <= differing
}

/// Where routes are unless something else is said.
pub(super) const MAIN_TABLE: u32 = 254;
/// Asked last where there are no rules.
const LAST_TABLE: u32 = 253;
/// More hops of wide routes than any machine has.
const MAX_ROUTES: usize = 16_384;
const MAX_RULES: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        let (ip, bits) = text.split_once('/').expect("a prefix");
        Prefix { ip: ip.parse().expect("an address"), bits: bits.parse().expect("a length") }
    }

    fn route(to: &str, table: u32, metric: u32, interface: u32) -> Route {
        let to = prefix(to);
        let family = if to.ip.is_ipv4() { AddressFamily::V4 } else { AddressFamily::V6 };
        let key = RouteKey { family, table, to, from: None, metric };
        Route { key, rank: 1, way: Way::Out { interface, gateway: None } }
    }

    fn end(to: &str, metric: u32) -> Route {
        Route { way: Way::End, ..route(to, MAIN_TABLE, metric, 0) }
    }

    fn rule(priority: u32, table: u32) -> Rule {
        Rule { family: AddressFamily::V4, priority, table: Some(table), suppress_bits: None }
    }

    fn routes(all: &[Route]) -> Routes {
        let mut routes = Routes::default();
        routes.add(all, None);
        routes
    }

    fn out(routes: &Routes, family: AddressFamily) -> Option<(u32, u32)> {
        routes.default_route(family, |interface| interface < 90).map(|route| (route.interface, route.metric))
    }

    #[test]
    fn which_route_leads_out() {
        const V4: AddressFamily = AddressFamily::V4;
        const V6: AddressFamily = AddressFamily::V6;
        let main = |to, metric, interface| route(to, MAIN_TABLE, metric, interface);
        let table: &[(&str, AddressFamily, &[Route], Option<u32>)] = &[
            ("none", V4, &[], None),
            ("one", V4, &[main("0.0.0.0/0", 100, 2)], Some(2)),
            ("of the other family", V6, &[main("0.0.0.0/0", 100, 2)], None),
            ("the least metric", V4, &[main("0.0.0.0/0", 100, 2), main("0.0.0.0/0", 50, 3)], Some(3)),
            ("of those that run", V4, &[main("0.0.0.0/0", 100, 2), main("0.0.0.0/0", 50, 93)], Some(2)),
            ("none runs", V4, &[main("0.0.0.0/0", 50, 93)], None),
            (
                "two halves before the whole",
                V4,
                &[main("0.0.0.0/0", 1, 2), main("0.0.0.0/1", 50, 3), main("128.0.0.0/1", 50, 3)],
                Some(3),
            ),
            ("one half and the rest", V4, &[main("0.0.0.0/0", 1, 2), main("0.0.0.0/1", 50, 3)], Some(3)),
            ("one half alone", V4, &[main("0.0.0.0/1", 50, 3)], None),
            ("the other half alone", V4, &[main("128.0.0.0/1", 50, 3)], None),
            ("another table", V4, &[route("0.0.0.0/0", 77, 1, 3)], None),
            ("the table of last resort", V4, &[route("0.0.0.0/0", 253, 1, 3)], Some(3)),
            ("unreachable", V4, &[end("0.0.0.0/0", 10), main("0.0.0.0/0", 50, 3)], None),
            ("unreachable at last", V6, &[end("::/0", u32::MAX), main("::/0", 1024, 3)], Some(3)),
            ("half of it unreachable", V4, &[main("0.0.0.0/0", 50, 3), end("128.0.0.0/1", 50)], None),
            ("all that is global", V6, &[main("2000::/3", 1024, 3)], Some(3)),
            ("in two parts", V6, &[main("2000::/4", 1024, 3), main("3000::/4", 1024, 3)], Some(3)),
            ("in halves", V6, &[main("::/1", 1024, 3), main("8000::/1", 1024, 3)], Some(3)),
            ("a part of it", V6, &[main("2000::/4", 1024, 3)], None),
        ];
        for (name, family, all, expected) in table {
            assert_eq!(out(&routes(all), *family).map(|(interface, _)| interface), *expected, "{name}");
        }
        let preferred = [
            Route { rank: 1, ..main("::/0", 1024, 2) },
            Route { rank: 0, ..main("::/0", 1024, 3) },
            Route { rank: 2, ..main("::/0", 1024, 4) },
        ];
        assert_eq!(out(&routes(&preferred), V6), Some((3, 1024)), "the router that wants to be preferred");
    }

    #[test]
    fn rules_say_which_table() {
        let all = [route("0.0.0.0/0", MAIN_TABLE, 100, 2), route("0.0.0.0/0", 51_820, 0, 7)];
        let mut tunnel = routes(&all);
        assert!(tunnel.add_rule(rule(32_766, MAIN_TABLE)) && tunnel.add_rule(rule(32_767, LAST_TABLE)));
        assert_eq!(out(&tunnel, AddressFamily::V4), Some((2, 100)));
        // A tunnel that leaves the main table as it is: its default routes do not count, then the tunnel's table is asked.
        assert!(tunnel.add_rule(Rule { suppress_bits: Some(0), ..rule(32_764, MAIN_TABLE) }));
        assert!(tunnel.add_rule(rule(32_765, 51_820)));
        assert!(!tunnel.add_rule(rule(32_765, 51_820)), "known");
        assert_eq!(out(&tunnel, AddressFamily::V4), Some((7, 0)));
        assert!(tunnel.add_rule(Rule { table: None, ..rule(10, 0) }));
        assert_eq!(out(&tunnel, AddressFamily::V4), None, "a rule that lets nothing out");
        assert_eq!(out(&tunnel, AddressFamily::V6), None);
        tunnel.take_rules(AddressFamily::V4, &Routes::default());
        assert_eq!(out(&tunnel, AddressFamily::V4), Some((2, 100)));
    }

    #[test]
    fn routes_come_and_go() {
        let (old, new) = (route("0.0.0.0/0", MAIN_TABLE, 100, 2), route("0.0.0.0/0", MAIN_TABLE, 100, 3));
        let mut routes = routes(&[old]);
        assert!(!routes.add(&[old], None) && !routes.add(&[old], Some(old.key)), "known");
        assert!(routes.add(&[new], Some(new.key)), "replaced");
        assert!(!routes.remove(&[old]) && routes.remove(&[new]));
        let wide6 = route("::/0", MAIN_TABLE, 1, 2);
        assert!(routes.add(&[old, wide6], None));
        assert!(!routes.remove_interface(3, None));
        assert!(
            routes.remove_interface(2, Some(AddressFamily::V4)) && !routes.remove(&[old]) && routes.remove(&[wide6])
        );
        assert!(routes.add(&[], Some(wide6.key)) || routes.routes.is_empty());
    }

    #[test]
    fn wide_and_narrow() {
        for wide in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "2000::/3", "3000::/4", "::/1"] {
            assert!(is_wide(prefix(wide)), "{wide}");
        }
        for narrow in ["10.0.0.0/8", "64.0.0.0/2", "fc00::/7", "8000::/1", "2000::/5", "2001:db8::/32"] {
            assert!(!is_wide(prefix(narrow)), "{narrow}");
        }
    }
}
