//! Paths by the crate netwatch, for systems whose own word is not read here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use n0_watcher::{Direct, Watcher};
use netcomm_core::{AddressFamily, Error, ErrorKind, Result};
use netwatch::interfaces::{IpNet, State};
use netwatch::netmon::Monitor;

use super::{DefaultRoute, Interface, InterfaceAddress, InterfaceKind, PathSource, PathState};

/// Follows netwatch: macOS, Windows, the BSDs, and what else it knows.
///
/// It tells less than `LinuxPaths` and later: it has no carrier (a link that was switched on counts as
/// one that runs), no MTU, no gateway and no metric, looks a quarter of a second after the last of several changes and not
/// before, and takes a change of gateway over the same link for none. Kinds are guessed from names. The numbers of interfaces
/// are given here, in the order in which they were first seen.
///
/// It holds one state, and a number per name that was ever seen, 65,536 at most.
pub struct NetwatchPaths {
    /// Begun when it is asked first.
    watching: Option<(Monitor, Direct<State>)>,
    numbers: Numbers,
    told: Option<PathState>,
}

impl NetwatchPaths {
    /// Will follow netwatch. Nothing is begun before it is asked, within a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self { watching: None, numbers: Numbers::default(), told: None }
    }
}

impl Default for NetwatchPaths {
    fn default() -> Self {
        Self::new()
    }
}

impl PathSource for NetwatchPaths {
    async fn next(&mut self) -> Result<PathState> {
        loop {
            let state = match &mut self.watching {
                Some((_, states)) if self.told.is_some() => {
                    states.updated().await.map_err(|error| failed("netwatch ended").with_source(error))?
                }
                Some((_, states)) => states.get(),
                none => {
                    let started = Monitor::new().await;
                    let monitor = started.map_err(|error| failed("netwatch does not start").with_source(error))?;
                    let states = monitor.interface_state();
                    *none = Some((monitor, states));
                    continue;
                }
            };
            let paths = paths(&state, &mut self.numbers);
            if self.told.as_ref() != Some(&paths) {
                self.told = Some(paths.clone());
                return Ok(paths);
            }
        }
    }
}

impl fmt::Debug for NetwatchPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetwatchPaths").field("told", &self.told).finish_non_exhaustive()
    }
}

/// Netwatch keeps the system's numbers to itself.
#[derive(Debug, Default)]
struct Numbers(BTreeMap<String, u32>);

impl Numbers {
    fn of(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.0.get(name) {
            return Some(*number);
        }
        let next = u32::try_from(self.0.len()).ok().filter(|next| *next < MAX_NUMBERS)? + 1;
        self.0.insert(name.to_owned(), next);
        Some(next)
    }
}

fn paths(state: &State, numbers: &mut Numbers) -> PathState {
    let mut names: Vec<_> = state.interfaces.keys().collect();
    names.sort_unstable();
    let mut paths = PathState::none();
    for name in names {
        let (Some(found), Some(number)) = (state.interfaces.get(name), numbers.of(name)) else {
            continue;
        };
        let addresses: Vec<_> = found.addrs().map(|net| address(&net)).collect();
        let is_main = state.default_route_interface.as_deref() == Some(name);
        let kind = kind(name, &addresses);
        let is_expensive = state.is_expensive || kind == InterfaceKind::Cellular;
        let mut interface = Interface::new(number, name.as_str(), kind).with_metered(is_expensive.then_some(true));
        interface.is_up = found.is_up();
        interface.has_carrier = interface.is_up;
        interface.mtu_bytes = 0;
        for family in [AddressFamily::V4, AddressFamily::V6] {
            let leads_out =
                |address: &InterfaceAddress| AddressFamily::of(address.ip) == family && address.is_routable();
            if is_main && addresses.iter().any(leads_out) {
                paths = paths.with_default(family, Some(DefaultRoute::new(number, None)));
            }
        }
        paths = paths.with_interface(addresses.into_iter().fold(interface, Interface::with_address));
    }
    paths
}

fn address(net: &IpNet) -> InterfaceAddress {
    match net {
        IpNet::V4(net) => InterfaceAddress::new(IpAddr::V4(net.addr()), net.prefix_len()),
        IpNet::V6 { net, flags, .. } => InterfaceAddress::new(IpAddr::V6(net.addr()), net.prefix_len())
            .with_usable(!flags.tentative && !flags.duplicated),
    }
}

/// What systems call such interfaces, as a rule.
fn kind(name: &str, addresses: &[InterfaceAddress]) -> InterfaceKind {
    if addresses.iter().any(|address| address.ip.is_loopback()) {
        return InterfaceKind::Loopback;
    }
    let kinds = [
        (&["lo"][..], InterfaceKind::Loopback),
        (&["wl", "ath", "iwn", "iwm"], InterfaceKind::Wifi),
        (&["utun", "tun", "ppp", "ipsec", "wg", "tailscale", "gif", "stf"], InterfaceKind::Vpn),
        (&["pdp_ip", "wwan", "rmnet", "ccmni"], InterfaceKind::Cellular),
        (
            &["bridge", "veth", "docker", "vmnet", "vnic", "tap", "vEthernet", "awdl", "llw", "anpi"],
            InterfaceKind::Virtual,
        ),
        (&["Bluetooth"], InterfaceKind::Bluetooth),
        (&["eth", "Ethernet"], InterfaceKind::Wired),
        (&["Wi-Fi", "WLAN"], InterfaceKind::Wifi),
    ];
    let known = kinds.iter().find(|(names, _)| names.iter().any(|start| name.starts_with(start)));
    known.map_or(InterfaceKind::Unknown, |(_, kind)| *kind)
}

fn failed(detail: &'static str) -> Error {
    Error::new(ErrorKind::Io, "follow paths").with_detail(detail)
}

const MAX_NUMBERS: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_netwatch_is_one_of_ours() {
        let mut numbers = Numbers::default();
        // One wireless interface with 192.168.0.189/24, as netwatch makes it up for tests.
        let mut state = State::fake();
        state.default_route_interface = Some("wifi0".to_owned());
        let paths = paths(&state, &mut numbers);
        assert!(paths.has_path(AddressFamily::V4) && !paths.has_path(AddressFamily::V6));
        let main = paths.main_interface().expect("a way out");
        assert_eq!((main.index, main.name.as_str(), main.metered), (1, "wifi0", None));
        assert_eq!(main.addresses, [InterfaceAddress::new("192.168.0.189".parse().expect("an address"), 24)]);
        state.default_route_interface = None;
        state.is_expensive = true;
        let away = super::paths(&state, &mut numbers);
        assert!(!away.is_connected());
        assert_eq!(away.interface(1).and_then(|interface| interface.metered), Some(true), "the same number again");
    }

    #[test]
    fn kinds_by_name() {
        let table = [
            ("lo0", InterfaceKind::Loopback),
            ("wlan0", InterfaceKind::Wifi),
            ("utun3", InterfaceKind::Vpn),
            ("pdp_ip0", InterfaceKind::Cellular),
            ("bridge100", InterfaceKind::Virtual),
            ("en0", InterfaceKind::Unknown),
        ];
        for (name, expected) in table {
            assert_eq!(kind(name, &[]), expected, "{name}");
        }
        let home = InterfaceAddress::new(IpAddr::from([127, 0, 0, 1]), 8);
        assert_eq!(kind("Loopback Pseudo-Interface 1", &[home]), InterfaceKind::Loopback);
    }
}
