//! What is changed, in the order in which it is.

/// A name, and what `ip` does.
pub(super) const CHANGES: &[(&str, &str)] = &[
    ("route-added", "route add default via 10.0.0.2 dev p0"),
    ("carrier-lost", "link set p1 down"),
    ("carrier-back", "link set p1 up"),
    ("gateway-changed", "route replace default via 10.0.0.3 dev p0"),
    ("route-moved", "route replace default via 10.0.1.2 dev q0"),
    ("route-deleted", "route del default"),
    ("ipv4-added", "addr add 10.0.0.9/24 dev p0"),
    ("ipv4-deleted", "addr del 10.0.0.9/24 dev p0"),
    ("ipv6-added", "addr add 2001:db8::9/64 dev p0 nodad"),
    ("ipv6-deleted", "addr del 2001:db8::9/64 dev p0"),
    ("mtu-changed", "link set p0 mtu 1400"),
    ("switched-off", "link set p0 down"),
    ("switched-on", "link set p0 up"),
    ("link-deleted", "link del p0"),
];

/// A name, what `ip` does, how often, and how long each time ends with nothing, in milliseconds.
pub(super) const STORMS: &[(&str, &[&str], usize, u64)] = &[
    ("flaps-10", &["link set p0 down\nlink set p0 up"], 10, 0),
    ("churn-40", &["addr add 10.0.0.9/24 dev p0", "addr del 10.0.0.9/24 dev p0"], 40, 100),
];
