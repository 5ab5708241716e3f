//! The processor's time.

use std::time::Duration;

/// What this process has used, in user space and in the kernel; `None` where the system does not
/// say.
#[cfg(unix)]
pub(crate) fn of_this_process() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).ok()
}

/// What this process has used; here the system does not say.
#[cfg(not(unix))]
pub(crate) fn of_this_process() -> Option<Duration> {
    None
}
