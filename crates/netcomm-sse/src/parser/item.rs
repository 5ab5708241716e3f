//! What a stream says.

use std::time::Duration;

use netcomm_core::Text;

use crate::event::Event;

/// One thing that a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// An event.
    Event(Event),
    /// The text of a line that begins with a colon, from there on. Only with
    /// [`with_comments`](crate::Parser::with_comments).
    Comment(Text),
    /// How long to wait before coming back, in whole milliseconds, as soon as its line is over. Larger numbers than fit are
    /// as large as fits.
    Retry(Duration),
    /// A block without an event changed the last event id, to this; empty if it was taken back. A block that was too large
    /// makes no event either; one that nobody wanted is not told, though it counts for
    /// [`last_event_id`](crate::Parser::last_event_id).
    Id(Text),
}
