//! What happens to a monitor, a room per story.
