//! Interfaces and their addresses.

use std::net::IpAddr;

/// What an interface is made of, as far as the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum InterfaceKind {
    /// Not known.
    #[default]
    Unknown,
    /// A cable.
    Wired,
    /// A wireless local network.
    Wifi,
    /// A mobile network.
    Cellular,
    /// Bluetooth.
    Bluetooth,
    /// A tunnel: it leads through another interface.
    Vpn,
    /// A bridge, a virtual cable, another interface that exists in software alone.
    Virtual,
    /// The machine itself.
    Loopback,
}

impl InterfaceKind {
    /// A short name, as W3C's Network Information has it where that has one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Wired => "ethernet",
            Self::Wifi => "wifi",
            Self::Cellular => "cellular",
            Self::Bluetooth => "bluetooth",
            Self::Vpn => "vpn",
            Self::Virtual => "virtual",
            Self::Loopback => "loopback",
        }
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// How many of its bits name the network.
    pub prefix_bits: u8,
    /// Whether it can be used: not one that is still looked for twice (RFC 4862 §5.4) or was found twice.
    pub is_usable: bool,
}

impl InterfaceAddress {
    /// A usable address.
    #[must_use]
    pub const fn new(ip: IpAddr, prefix_bits: u8) -> Self {
        Self { ip, prefix_bits, is_usable: true }
    }

    /// The same, usable or not.
    #[must_use]
    pub const fn with_usable(self, is_usable: bool) -> Self {
        Self { is_usable, ..self }
    }

    /// Whether it leads beyond its link: neither loopback nor link-local.
    #[must_use]
    pub const fn is_routable(&self) -> bool {
        match self.ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        }
    }
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Its number in the system.
    pub index: u32,
    /// Its name in the system.
    pub name: String,
    /// What it is made of.
    pub kind: InterfaceKind,
    /// Whether it was switched on.
    pub is_up: bool,
    /// Whether there is somebody at the other end: a cable that is plugged in, a network that was joined.
    pub has_carrier: bool,
    /// The largest packet, in bytes.
    pub mtu_bytes: u32,
    /// Whether traffic over it costs money; `None` where that is not known.
    pub metered: Option<bool>,
    /// Its addresses, sorted.
    pub addresses: Vec<InterfaceAddress>,
}

impl Interface {
    /// An interface that is up and has a carrier, without addresses.
    #[must_use]
    pub fn new(index: u32, name: impl Into<String>, kind: InterfaceKind) -> Self {
        Self {
            index,
            name: name.into(),
            kind,
            is_up: true,
            has_carrier: true,
            mtu_bytes: 1500,
            metered: None,
            addresses: Vec::new(),
        }
    }

    /// The same with another address.
    #[must_use]
    pub fn with_address(mut self, address: InterfaceAddress) -> Self {
        self.addresses.push(address);
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self
    }

    /// The same with or without a carrier.
    #[must_use]
    pub fn with_carrier(mut self, has_carrier: bool) -> Self {
        self.has_carrier = has_carrier;
        self
    }

    /// The same, metered or not.
    #[must_use]
    pub fn with_metered(mut self, metered: Option<bool>) -> Self {
        self.metered = metered;
        self
    }

    /// Whether packets can go out over it.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.is_up && self.has_carrier
    }
}
