//! The best source of paths that this system has.

use netcomm_core::Result;
#[cfg(not(any(all(target_os = "linux", feature = "netlink"), feature = "netwatch")))]
use netcomm_core::{Error, ErrorKind};

use super::AnyPathSource;

/// Word of the paths from the system: of the kernel on Linux (feature `netlink`), else by the crate netwatch (feature
/// `netwatch`).
///
/// # Errors
///
/// [`ErrorKind::Unsupported`](netcomm_core::ErrorKind::Unsupported) if there is nothing built in for it. Where the system will not
/// tell, the first [`next`](crate::PathSource::next) says so.
pub fn system_paths() -> Result<AnyPathSource> {
    #[cfg(all(target_os = "linux", feature = "netlink"))]
    return Ok(AnyPathSource::new(super::LinuxPaths::new()));
    #[cfg(all(feature = "netwatch", not(all(target_os = "linux", feature = "netlink"))))]
    return Ok(AnyPathSource::new(super::NetwatchPaths::new()));
    #[cfg(not(any(all(target_os = "linux", feature = "netlink"), feature = "netwatch")))]
    return Err(Error::new(ErrorKind::Unsupported, "follow paths").with_detail("nothing for this system is built in"));
}
