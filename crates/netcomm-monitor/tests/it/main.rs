//! What happens to a monitor, a room per story.

mod day;
mod life;
#[cfg(all(target_os = "linux", feature = "netlink"))]
mod netns;
mod paths;
mod probing;
mod stage;
mod stats;
#[cfg(feature = "tracing")]
mod trace;
mod traffic;
mod quality;
