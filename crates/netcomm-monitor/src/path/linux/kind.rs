//! What a link is made of: by its own word, its driver's, its hardware's, and that of what is beneath it. Pure.

use super::fact::{Device, Link};
use crate::InterfaceKind;

/// What the link itself tells; `None` if that is up to the links beneath it.
pub(super) fn own_kind(link: &Link) -> Option<InterfaceKind> {
    if link.is_loopback {
        return Some(InterfaceKind::Loopback);
    }
    match link.device {
        Some(Device::Wlan) => return Some(InterfaceKind::Wifi),
        Some(Device::Wwan) => return Some(InterfaceKind::Cellular),
        Some(Device::Bluetooth) => return Some(InterfaceKind::Bluetooth),
        Some(Device::Plain) | None => {}
    }
    match link.driver.as_deref() {
        Some("vlan" | "macvlan" | "macvtap" | "ipvlan" | "ipvtap" | "macsec" | "bond" | "team" | "hsr") => None,
        Some("virt_wifi") => Some(InterfaceKind::Wifi),
        Some("wwan" | "rmnet") => Some(InterfaceKind::Cellular),
        // An Ethernet of its own is a virtual machine's.
        Some("tun") if link.hardware == ETHER => Some(InterfaceKind::Virtual),
        Some(driver) if TUNNELS.contains(&driver) => Some(InterfaceKind::Vpn),
        Some("ipoib" | "dsa" | "netdevsim") => Some(InterfaceKind::Wired),
        // PPP carries DSL, modems and tunnels alike.
        Some("ppp") => Some(InterfaceKind::Unknown),
        Some(_) => Some(InterfaceKind::Virtual),
        None => Some(by_hardware(link.hardware)),
    }
}

/// Whether another look at the device can tell more than the message did.
pub(super) fn wants_look(link: &Link) -> bool {
    link.device.is_none()
        && !link.is_loopback
        && link.driver.is_none()
        && by_hardware(link.hardware) != InterfaceKind::Vpn
}

const fn by_hardware(hardware: u16) -> InterfaceKind {
    match hardware {
        ETHER | 32 => InterfaceKind::Wired,
        801..=803 => InterfaceKind::Wifi,
        519 | 530 => InterfaceKind::Cellular,
        768 | 769 | 776 | 778 | 823 | 0xfffe => InterfaceKind::Vpn,
        772 => InterfaceKind::Loopback,
        _ => InterfaceKind::Unknown,
    }
}

/// `ARPHRD_ETHER`.
const ETHER: u16 = 1;
/// Drivers that put packets into packets.
const TUNNELS: [&str; 20] = [
    "tun",
    "wireguard",
    "ipip",
    "sit",
    "gre",
    "ip6gre",
    "gretap",
    "ip6gretap",
    "erspan",
    "ip6erspan",
    "ip6tnl",
    "vti",
    "vti6",
    "xfrm",
    "gtp",
    "amt",
    "bareudp",
    "vxlan",
    "geneve",
    "ovpn",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        use InterfaceKind as Kind;
        type Row = (Option<&'static str>, u16, Option<Device>, Option<Kind>);
        let table: &[Row] = &[
            (None, ETHER, None, Some(Kind::Wired)),
            (None, ETHER, Some(Device::Plain), Some(Kind::Wired)),
            (None, ETHER, Some(Device::Wlan), Some(Kind::Wifi)),
            (None, ETHER, Some(Device::Wwan), Some(Kind::Cellular)),
            (None, ETHER, Some(Device::Bluetooth), Some(Kind::Bluetooth)),
            (None, 519, None, Some(Kind::Cellular)),
            (None, 512, None, Some(Kind::Unknown)),
            (None, 0xfffe, None, Some(Kind::Vpn)),
            (Some("veth"), ETHER, None, Some(Kind::Virtual)),
            (Some("bridge"), ETHER, None, Some(Kind::Virtual)),
            (Some("dummy"), ETHER, None, Some(Kind::Virtual)),
            (Some("not known yet"), ETHER, None, Some(Kind::Virtual)),
            (Some("tun"), 0xfffe, None, Some(Kind::Vpn)),
            (Some("tun"), ETHER, None, Some(Kind::Virtual)),
            (Some("wireguard"), 0xfffe, None, Some(Kind::Vpn)),
            (Some("wwan"), ETHER, None, Some(Kind::Cellular)),
            (Some("vlan"), ETHER, None, None),
            (Some("bond"), ETHER, None, None),
        ];
        for (driver, hardware, device, expected) in table {
            let driver = driver.map(str::to_owned);
            let link = Link { driver, hardware: *hardware, device: *device, ..Link::default() };
            assert_eq!(own_kind(&link), *expected, "{link:?}");
        }
        assert_eq!(own_kind(&Link { is_loopback: true, ..Link::default() }), Some(Kind::Loopback));
    }

    #[test]
    fn looks_where_a_look_helps() {
        let ether = Link { hardware: ETHER, ..Link::default() };
        assert!(wants_look(&ether));
        assert!(!wants_look(&Link { device: Some(Device::Plain), ..ether.clone() }), "looked");
        assert!(!wants_look(&Link { driver: Some("veth".to_owned()), ..ether.clone() }));
        assert!(!wants_look(&Link { is_loopback: true, ..ether }));
        assert!(!wants_look(&Link { hardware: 0xfffe, ..Link::default() }));
    }
}
