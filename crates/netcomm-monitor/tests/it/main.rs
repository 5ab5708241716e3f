//! What happens to a monitor, a room per story.

mod day;
mod life;
mod paths;
mod probing;
mod stage;
mod stats;
mod traffic;
#[cfg(feature = "tracing")]
mod trace;
