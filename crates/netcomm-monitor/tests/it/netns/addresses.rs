//! Addresses that come and go.

use netcomm_core::AddressFamily;
use netcomm_tests::{in_namespace, ip};
use netlink_packet_route::RouteNetlinkMessage as Message;

use super::cables;
use super::watch::{Watch, has, is_about, link};

fn added<'a>(address: &'a str) -> impl Fn(&Message) -> bool + 'a {
    move |message| matches!(message, Message::NewAddress(new) if is_about(new, address))
}

fn deleted<'a>(address: &'a str) -> impl Fn(&Message) -> bool + 'a {
    move |message| matches!(message, Message::DelAddress(old) if is_about(old, address))
}

#[test]
fn addresses_come_and_go() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        let (v4, v6) = ("10.0.0.9", "2001:db8::9");
        watch.change("IPv4 address added", "addr add 10.0.0.9/24 dev p0", added(v4), |state| has(state, "p0", v4));
        watch.change("IPv4 address deleted", "addr del 10.0.0.9/24 dev p0", deleted(v4), |state| !has(state, "p0", v4));
        watch.change("IPv6 address added", "addr add 2001:db8::9/64 dev p0 nodad", added(v6), |state| {
            has(state, "p0", v6)
        });
        watch.change("IPv6 address deleted", "addr del 2001:db8::9/64 dev p0", deleted(v6), |state| {
            !has(state, "p0", v6)
        });
        assert!(watch.last().has_path(AddressFamily::V4), "the other address carries the route");
        watch.check();
    });
}

#[test]
fn an_address_that_is_still_looked_for_twice_cannot_be_used() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        let address = "2001:db8::9";
        let is_there = |state: &_| link(state, "p0").addresses.iter().any(|had| had.ip.to_string() == address);
        watch.change("IPv6 address begun", "addr add 2001:db8::9/64 dev p0", added(address), is_there);
        assert!(!has(watch.last(), "p0", address));
        // The kernel takes about a second to see that nobody else has it.
        watch.until("usable", |state| has(state, "p0", address));
        watch.check();
    });
}

#[test]
fn the_last_address_takes_the_routes_along() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        let gone = "10.0.0.1";
        watch.change("last address deleted", "addr del 10.0.0.1/24 dev p0", deleted(gone), |state| {
            !has(state, "p0", gone)
        });
        watch.settle();
        assert_eq!(watch.last().default_v4, None, "the kernel has dropped the route and told nobody");
        watch.check();
    });
}

#[test]
fn a_route_that_prefers_an_address_goes_with_it() {
    in_namespace(|| {
        cables();
        ip("addr add 10.0.0.9/24 dev p0\nroute replace default via 10.0.0.2 dev p0 metric 100 src 10.0.0.9");
        let mut watch = Watch::start();
        assert!(watch.last().has_path(AddressFamily::V4));
        ip("addr del 10.0.0.9/24 dev p0");
        watch.until("no route", |state| state.default_v4.is_none());
        watch.check();
    });
}

#[test]
fn forty_times_there_and_gone() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        watch.settle();
        ip(&"addr add 10.0.0.9/24 dev p0\naddr del 10.0.0.9/24 dev p0\n".repeat(40));
        let (messages, states) = watch.settle();
        let mut told: Vec<_> = states.iter().map(|state| has(state, "p0", "10.0.0.9")).collect();
        told.dedup();
        assert_eq!(told.iter().filter(|is_there| **is_there).count(), 40, "{told:?}");
        println!("{} messages of the kernel, {} states", messages.len(), states.len());
        watch.check();
    });
}
