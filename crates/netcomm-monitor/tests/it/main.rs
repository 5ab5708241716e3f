//! What happens to a monitor, a room per story.

mod quality;
