//! What happens to a monitor, a room per story.

mod day;
mod life;
mod paths;
mod probing;
mod stage;
mod stats;
#[cfg(feature = "tracing")]
mod trace;
mod traffic;
