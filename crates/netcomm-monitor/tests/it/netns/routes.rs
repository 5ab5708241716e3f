//! Default routes that come, go and change.

use netcomm_core::AddressFamily;
use netcomm_monitor::PathState;
use netcomm_tests::{in_namespace, ip};
use netlink_packet_route::RouteNetlinkMessage as Message;

use super::cables;
use super::watch::{Watch, flags, link, new_link};

const fn is_new(message: &Message) -> bool {
    matches!(message, Message::NewRoute(_))
}

const fn is_gone(message: &Message) -> bool {
    matches!(message, Message::DelRoute(_))
}

/// Whether the way out of IPv4 is over that link.
fn over<'a>(name: &'a str) -> impl Fn(&PathState) -> bool + 'a {
    move |state| state.default_v4.as_ref().is_some_and(|route| route.interface == link(state, name).index)
}

fn by(gateway: &str) -> impl Fn(&PathState) -> bool + use<> {
    let gateway = Some(gateway.parse().expect("an address"));
    move |state| state.default_v4.as_ref().is_some_and(|route| route.gateway == gateway)
}

/// Whether the link has a carrier, if that is what the message is about.
fn carries(message: &Message, name: &str) -> Option<bool> {
    new_link(message, name).map(|link| flags(link).1)
}

fn none(state: &PathState) -> bool {
    state.default_v4.is_none()
}

#[test]
fn another_way_out() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        watch.change("gateway changed", "route replace default via 10.0.0.3 dev p0 metric 100", is_new, by("10.0.0.3"));
        watch.change(
            "route to another link",
            "route replace default via 10.0.1.2 dev q0 metric 100",
            is_new,
            over("q0"),
        );
        watch.change("route deleted", "route del default", is_gone, none);
        watch.change("route added", "route add default via 10.0.0.2 dev p0 metric 100", is_new, over("p0"));
        watch.change("a better one", "route add default via 10.0.1.2 dev q0 metric 50", is_new, over("q0"));
        watch.change(
            "its carrier lost",
            "link set q1 down",
            |message| carries(message, "q0") == Some(false),
            over("p0"),
        );
        watch.change("its carrier back", "link set q1 up", |message| carries(message, "q0") == Some(true), over("q0"));
        watch.change("unreachable", "route add unreachable default metric 10", is_new, none);
        watch.change("reachable", "route del unreachable default metric 10", is_gone, over("q0"));
        watch.change(
            "two hops",
            "route replace default metric 50 nexthop via 10.0.0.2 nexthop via 10.0.1.2",
            is_new,
            over("p0"),
        );
        watch.change("one hop dead", "link set p0 down", |message| carries(message, "p0") == Some(false), over("q0"));
        watch.check();
    });
}

#[test]
fn tunnels_lay_two_halves() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        ip("route add 0.0.0.0/1 via 10.0.1.2 dev q0");
        watch.settle();
        assert!(over("q0")(watch.last()), "half of it, and the default route for the rest");
        watch.change("default route deleted", "route del default", is_gone, none);
        watch.change("the other half", "route add 128.0.0.0/1 via 10.0.1.2 dev q0", is_new, over("q0"));
        watch.check();
    });
}

#[test]
fn rules_lead_to_other_tables() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        ip("route add default via 10.0.1.2 dev q0 table 51820");
        watch.settle();
        assert!(over("p0")(watch.last()), "nobody asks that table");
        ip("rule add not fwmark 51820 table 51820 priority 32765
rule add table main suppress_prefixlength 0 priority 32764");
        watch.until("over the tunnel", over("q0"));
        watch.check();
        ip("rule del priority 32764\nrule del priority 32765");
        watch.until("over the cable", over("p0"));
        watch.check();
    });
}

#[test]
fn of_ipv6() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        let has = |state: &PathState| state.has_path(AddressFamily::V6);
        watch.change("IPv6 route added", "route add ::/0 via fe80::2 dev p0", is_new, has);
        let over_c = |state: &PathState| {
            state.default_v6.as_ref().is_some_and(|route| route.interface == link(state, "q0").index)
        };
        watch.change("IPv6 route changed", "route replace ::/0 via fe80::2 dev q0", is_new, over_c);
        watch.change("IPv6 route deleted", "route del ::/0", is_gone, |state| !has(state));
        assert!(watch.last().has_path(AddressFamily::V4));
        watch.check();
    });
}

#[test]
fn routes_by_objects_of_their_own() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        ip("nexthop add id 7 via 10.0.1.2 dev q0");
        watch.change("route by an object", "route add default nhid 7 metric 50", is_new, over("q0"));
        ip("nexthop replace id 7 via 10.0.0.2 dev p0");
        watch.until("the object changed", |state| {
            over("p0")(state) && state.default_v4.as_ref().is_some_and(|r| r.metric == 50)
        });
        ip("nexthop del id 7");
        watch.until("the object deleted", |state| state.default_v4.as_ref().is_some_and(|route| route.metric == 100));
        watch.check();
    });
}
