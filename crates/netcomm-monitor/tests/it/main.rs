//! What happens to a monitor, a room per story.

mod canary;
mod recorder;
mod stage;
mod stats;
