//! What an event stream carries.

use std::fmt;

use netcomm_core::Text;

/// The type of an event that names none.
pub const MESSAGE: &str = "message";

/// One event, as the standard dispatches it.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Event {
    /// Its type: what the `event` field named, else `message`. Events of one type that follow each other share it.
    pub event_type: Text,
    /// Its data: the lines of its `data` fields, with a line feed between each two. More than 256 bytes of
    /// it that came in one line and one chunk are a view of that chunk, and keep it in memory; to listeners of a source
    /// that holds for more than 32 KiB.
    pub data: Text,
    /// The last event id at this event: its own, else that of the event before; empty if there was none. It too may be a
    /// view.
    pub id: Text,
}

impl Event {
    /// An event of type `message` without id.
    #[must_use]
    pub fn new(data: impl Into<Text>) -> Self {
        Self { event_type: Text::from_static(MESSAGE), data: data.into(), id: Text::default() }
    }

    /// The same of another [type](Self::event_type).
    #[must_use]
    pub fn with_type(self, event_type: impl Into<Text>) -> Self {
        Self { event_type: event_type.into(), ..self }
    }

    /// The same with another [id](Self::id).
    #[must_use]
    pub fn with_id(self, id: impl Into<Text>) -> Self {
        Self { id: id.into(), ..self }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Data may be secret, and long: only its size is shown.
        write!(f, "Event({:?}, {} bytes, id {:?})", self.event_type, self.data.len(), self.id)
    }
}
