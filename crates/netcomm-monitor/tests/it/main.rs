//! What happens to a monitor, a room per story.

mod canary;
mod day;
#[cfg(feature = "har")]
mod har;
mod life;
mod links;
#[cfg(all(target_os = "linux", feature = "netlink"))]
mod netns;
mod paths;
mod probing;
mod quality;
mod recorder;
mod recording;
mod stage;
mod stats;
#[cfg(feature = "tracing")]
mod trace;
mod traffic;
#[cfg(all(target_os = "linux", feature = "netlink"))]
mod transport;
