//! The processor's time.

use std::time::Duration;

/// What this process has used, in user space and in the kernel; `None` where the system does not
/// say.
#[cfg(unix)]
pub(crate) fn of_this_process() -> Option<Duration> {
    of(rustix::time::ClockId::ProcessCPUTime)
}

/// What this thread has used, in user space and in the kernel; `None` where the system does not
/// say.
#[cfg(unix)]
pub(crate) fn of_this_thread() -> Option<Duration> {
    of(rustix::time::ClockId::ThreadCPUTime)
}

#[cfg(unix)]
fn of(clock: rustix::time::ClockId) -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(clock)).ok()
}

/// What this process has used; here the system does not say.
#[cfg(not(unix))]
pub(crate) fn of_this_process() -> Option<Duration> {
    None
}

/// What this thread has used; here the system does not say.
#[cfg(not(unix))]
pub(crate) fn of_this_thread() -> Option<Duration> {
    None
}
