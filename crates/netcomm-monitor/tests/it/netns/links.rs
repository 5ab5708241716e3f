//! Links that lose their carrier, are switched off, flap, and go.

use netcomm_core::AddressFamily;
use netcomm_monitor::InterfaceKind;
use netcomm_tests::{in_namespace, ip};
use netlink_packet_route::RouteNetlinkMessage;

use super::cables;
use super::watch::{Watch, find, flags, is_of, link, new_link};

#[test]
fn a_carrier_goes_and_comes_back() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        assert!(watch.last().has_path(AddressFamily::V4) && link(watch.last(), "p0").has_carrier);
        let lost = |message: &RouteNetlinkMessage| new_link(message, "p0").is_some_and(|link| !flags(link).1);
        watch.change("carrier lost", "link set p1 down", lost, |state| !state.is_connected());
        let unplugged = link(watch.last(), "p0");
        assert!(unplugged.is_up && !unplugged.has_carrier, "nobody switched it off");
        assert!(unplugged.addresses.iter().any(|address| address.ip.is_ipv4()), "its address stays");
        let back = |message: &RouteNetlinkMessage| new_link(message, "p0").is_some_and(|link| flags(link).1);
        watch.change("carrier back", "link set p1 up", back, |state| state.has_path(AddressFamily::V4));
        watch.check();
    });
}

#[test]
fn switched_off_and_on() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        let off = |message: &RouteNetlinkMessage| new_link(message, "p0").is_some_and(|link| !flags(link).0);
        watch.change("switched off", "link set p0 down", off, |state| !link(state, "p0").is_up);
        assert_eq!(watch.last().default_v4, None, "the kernel has dropped the route and told nobody");
        watch.check();
        let on = |message: &RouteNetlinkMessage| new_link(message, "p0").is_some_and(|link| flags(link).1);
        watch.change("switched on", "link set p0 up", on, |state| link(state, "p0").is_running());
        assert_eq!(watch.last().default_v4, None, "and it does not come back");
        watch.check();
    });
}

#[test]
fn ten_flaps_are_ten() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        watch.settle();
        ip(&"link set p0 down\nlink set p0 up\n".repeat(10));
        let (messages, states) = watch.settle();
        let mut said: Vec<_> = messages.iter().filter_map(|message| new_link(message, "p0")).map(flags).collect();
        let mut told: Vec<_> =
            states.iter().map(|state| link(state, "p0")).map(|link| (link.is_up, link.has_carrier)).collect();
        said.dedup();
        told.dedup();
        // What was so before the first flap may be told once more, or not.
        for list in [&mut said, &mut told] {
            if list.first() == Some(&(true, true)) {
                list.remove(0);
            }
        }
        assert_eq!(told, said);
        assert_eq!(told.iter().filter(|(is_up, _)| !is_up).count(), 10);
        println!("{} messages of the kernel, {} states", messages.len(), states.len());
        watch.check();
    });
}

#[test]
fn a_link_is_made_and_deleted() {
    in_namespace(|| {
        cables();
        let mut watch = Watch::start();
        let made = |message: &RouteNetlinkMessage| new_link(message, "r0").is_some();
        watch.change("link made", "link add name r0 type veth peer name r1", made, |state| find(state, "r0").is_some());
        let renamed = |message: &RouteNetlinkMessage| new_link(message, "s0").is_some();
        watch.change("link renamed", "link set r0 name s0", renamed, |state| find(state, "s0").is_some());
        assert_eq!(find(watch.last(), "r0"), None);
        let grown = |message: &RouteNetlinkMessage| new_link(message, "s0").is_some();
        watch.change("MTU changed", "link set s0 mtu 1400", grown, |state| link(state, "s0").mtu_bytes == 1400);
        let gone =
            |message: &RouteNetlinkMessage| matches!(message, RouteNetlinkMessage::DelLink(link) if is_of(link, "p0"));
        watch.change("link deleted", "link del p0", gone, |state| find(state, "p0").is_none());
        assert!(!watch.last().is_connected() && watch.last().default_v4.is_none());
        watch.check();
    });
}

#[test]
fn a_port_that_leaves_its_bridge_stays_a_link() {
    in_namespace(|| {
        cables();
        ip("link add name br type bridge\nlink set dev br addrgenmode none\nlink set dev br up\nlink set q1 master br");
        let mut watch = Watch::start();
        ip("link set q1 nomaster");
        watch.settle();
        assert!(find(watch.last(), "q1").is_some());
        watch.check();
    });
}

#[test]
fn what_links_are_made_of() {
    in_namespace(|| {
        cables();
        ip("link add name br type bridge\nlink add link q0 name v type macvlan");
        let mut watch = Watch::start();
        let kind = |name: &str| link(watch.last(), name).kind;
        assert_eq!(kind("lo"), InterfaceKind::Loopback);
        for name in ["p0", "br", "v"] {
            assert_eq!(kind(name), InterfaceKind::Virtual, "{name}");
        }
        watch.check();
    });
}
