//! What `/sys` says of a device where the kernel's messages say no more than "an Ethernet".

use std::fs;
use std::path::{Path, PathBuf};

use super::fact::Device;

/// Looks the device up. Where there is no `/sys`, or one of another network namespace, there is nothing to say.
pub(super) fn look(name: &str, index: u32) -> Device {
    look_in(Path::new("/sys/class/net"), name, index)
}

fn look_in(root: &Path, name: &str, index: u32) -> Device {
    let Some(folder) = folder(root, name) else {
        return Device::Plain;
    };
    let Ok(text) = fs::read_to_string(folder.join("uevent")) else {
        return Device::Plain;
    };
    device(&text, index, || folder.join("wireless").exists() || folder.join("phy80211").exists())
}

fn folder(root: &Path, name: &str) -> Option<PathBuf> {
    let is_name = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    is_name.then(|| root.join(name))
}

/// `uevent` holds lines of `NAME=value`. `/sys` may show another network namespace than ours, with other devices of the same
/// names; they have other numbers then, as a rule.
fn device(uevent: &str, index: u32, is_wireless: impl FnOnce() -> bool) -> Device {
    let value = |name| uevent.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if value("IFINDEX").and_then(|number| number.parse().ok()) != Some(index) {
        return Device::Plain;
    }
    match value("DEVTYPE") {
        Some("wlan") => Device::Wlan,
        Some("wwan") => Device::Wwan,
        Some("bluetooth") => Device::Bluetooth,
        _ if is_wireless() => Device::Wlan,
        _ => Device::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let table = [
            ("DEVTYPE=wlan\nINTERFACE=wlan0\nIFINDEX=3\n", false, Device::Wlan),
            ("DEVTYPE=wwan\nINTERFACE=wwan0\nIFINDEX=3\n", false, Device::Wwan),
            ("DEVTYPE=bluetooth\nIFINDEX=3", false, Device::Bluetooth),
            ("INTERFACE=eth0\nIFINDEX=3\n", false, Device::Plain),
            ("INTERFACE=eth0\nIFINDEX=3\n", true, Device::Wlan),
            ("DEVTYPE=wlan\nINTERFACE=wlan0\nIFINDEX=4\n", true, Device::Plain),
            ("DEVTYPE=wlan\nIFINDEX=\n", true, Device::Plain),
            ("", true, Device::Plain),
        ];
        for (uevent, is_wireless, expected) in table {
            assert_eq!(device(uevent, 3, || is_wireless), expected, "{uevent:?}");
        }
    }

    #[test]
    fn no_sys_is_no_harm() {
        assert_eq!(look_in(Path::new("/nowhere/at/all"), "eth0", 1), Device::Plain);
        for name in ["", ".", "..", "../../etc", "a/b"] {
            assert_eq!(folder(Path::new("/sys/class/net"), name), None, "{name:?}");
        }
        assert_eq!(look("lo", 0), Device::Plain);
    }
}
