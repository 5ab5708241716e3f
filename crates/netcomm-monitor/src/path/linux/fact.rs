//! What one message of the kernel says, as plain values.

use std::net::IpAddr;

use netcomm_core::AddressFamily;

/// One of the kernel's lists, each asked for and replaced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Links,
    Addresses,
    RoutesV4,
    RoutesV6,
    RulesV4,
    RulesV6,
}

impl List {
    /// In the order in which they are asked for.
    pub(super) const ALL: [Self; 6] =
        [Self::Links, Self::Addresses, Self::RulesV4, Self::RulesV6, Self::RoutesV4, Self::RoutesV6];

    pub(super) const fn routes(family: AddressFamily) -> Self {
        match family {
            AddressFamily::V4 => Self::RoutesV4,
            AddressFamily::V6 => Self::RoutesV6,
        }
    }

    pub(super) const fn rules(family: AddressFamily) -> Self {
        match family {
            AddressFamily::V4 => Self::RulesV4,
            AddressFamily::V6 => Self::RulesV6,
        }
    }

    /// In words, for errors.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Addresses => "addresses",
            Self::RoutesV4 => "routes of IPv4",
            Self::RoutesV6 => "routes of IPv6",
            Self::RulesV4 => "rules of IPv4",
            Self::RulesV6 => "rules of IPv6",
        }
    }
}

/// A set of lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists(u8);

impl Lists {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn all() -> Self {
        List::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    pub(super) const fn with(self, list: List) -> Self {
        Self(self.0 | 1 << list as u8)
    }

    pub(super) const fn without(self, list: List) -> Self {
        Self(self.0 & !(1 << list as u8))
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, list: List) -> bool {
        self.0 & 1 << list as u8 != 0
    }

    /// The one to ask for next.
    pub(super) fn first(self) -> Option<List> {
        List::ALL.into_iter().find(|list| self.has(*list))
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Link(Link),
    LinkGone(u32),
    Address {
        at: AddressKey,
        is_usable: bool,
    },
    AddressGone(AddressKey),
    /// Routes that may lead out. With `replaces`, what had the same [`RouteKey`] is gone.
    Routes {
        routes: Vec<Route>,
        replaces: Option<RouteKey>,
    },
    RoutesGone(Vec<Route>),
    Rule(Rule),
    /// Something changed of which the message alone does not tell enough.
    Stale(Lists),
}

/// A link, as far as the message tells: some say only what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: Option<String>,
    pub(super) is_up: bool,
    pub(super) is_loopback: bool,
    /// The lower layer is there: `IFF_LOWER_UP`.
    pub(super) is_lower_up: bool,
    /// `IF_OPER_*`.
    pub(super) operational: Option<u8>,
    /// `ARPHRD_*`.
    pub(super) hardware: u16,
    pub(super) mtu_bytes: Option<u32>,
    /// The driver's word for it: `veth`, `wireguard`.
    pub(super) driver: Option<String>,
    /// The link beneath it, in this namespace.
    pub(super) lower: Option<u32>,
    /// The link of which it is a member.
    pub(super) member_of: Option<u32>,
    /// What `/sys` says of it where the kernel's message does not tell.
    pub(super) device: Option<Device>,
}

/// What a device is, where its link looks like any Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    Wlan,
    Wwan,
    Bluetooth,
    /// Looked, and there is nothing to say.
    Plain,
}

/// What makes an address one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressKey {
    pub(super) interface: u32,
    pub(super) ip: IpAddr,
    pub(super) prefix_bits: u8,
}

/// What a route has in common with those that replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteKey {
    pub(super) family: AddressFamily,
    pub(super) table: u32,
    pub(super) to: Prefix,
    /// Only for packets from there.
    pub(super) from: Option<Prefix>,
    pub(super) metric: u32,
}

/// One hop of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) key: RouteKey,
    /// RFC 4191's preference: 0 high, 1 medium, 2 low.
    pub(super) rank: u8,
    pub(super) way: Way,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Out {
        interface: u32,
        gateway: Option<IpAddr>,
    },
    /// Unreachable, blackhole, prohibit: nothing goes out, nor to a route with a greater metric.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prefix {
    pub(super) ip: IpAddr,
    pub(super) bits: u8,
}

/// A rule that holds for whatever an ordinary program sends: which table is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) family: AddressFamily,
    pub(super) priority: u32,
    /// `None`: nothing goes out.
    pub(super) table: Option<u32>,
    /// Routes to prefixes of so many bits or fewer do not count.
    pub(super) suppress_bits: Option<u8>,
}
