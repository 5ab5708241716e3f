//! What happens to a monitor, a room per story.

mod stats;
#[cfg(feature = "tracing")]
mod trace;
