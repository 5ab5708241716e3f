//! What happens to a monitor, a room per story.

mod canary;
#[cfg(feature = "har")]
mod har;
mod recorder;
mod stage;
mod stats;
