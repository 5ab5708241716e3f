//! What a stream says, lent by the parser.

use std::fmt;
use std::time::Duration;

use super::item::Item;
use crate::event::Event;

/// One thing that a stream says: an [`Item`] that the parser lends until it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemRef<'a> {
    /// As [`Item::Event`].
    Event(EventRef<'a>),
    /// As [`Item::Comment`].
    Comment(&'a str),
    /// As [`Item::Retry`].
    Retry(Duration),
    /// As [`Item::Id`].
    Id(&'a str),
}

impl ItemRef<'_> {
    /// The same to keep.
    #[must_use]
    pub fn to_item(self) -> Item {
        match self {
            Self::Event(event) => Item::Event(event.to_event()),
            Self::Comment(text) => Item::Comment(text.into()),
            Self::Retry(after) => Item::Retry(after),
            Self::Id(id) => Item::Id(id.into()),
        }
    }
}

/// An [`Event`] that lies elsewhere: in the parser that lends it, where it waited for its listener, or in the event itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EventRef<'a> {
    /// Its type: what the `event` field named, else `message`.
    pub event_type: &'a str,
    /// Its data: the lines of its `data` fields, with a line feed between each two.
    pub data: &'a str,
    /// The last event id at this event: its own, else that of the event before; empty if there was none.
    pub id: &'a str,
}

impl<'a> From<&'a Event> for EventRef<'a> {
    fn from(event: &'a Event) -> Self {
        Self { event_type: &event.event_type, data: &event.data, id: &event.id }
    }
}

impl<'a> EventRef<'a> {
    pub(crate) const fn new(event_type: &'a str, data: &'a str, id: &'a str) -> Self {
        Self { event_type, data, id }
    }

    /// The same to keep: a copy.
    #[must_use]
    pub fn to_event(self) -> Event {
        Event::new(self.data).with_type(self.event_type).with_id(self.id)
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As the other: data may be secret.
        write!(f, "Event({:?}, {} bytes, id {:?})", self.event_type, self.data.len(), self.id)
    }
}
