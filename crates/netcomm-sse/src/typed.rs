//! Values from events.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use netcomm_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::parser::EventRef;
use crate::source::EventSubscription;

impl Event {
    /// The data, read as JSON. Needs the feature `json`.
    ///
    /// ```
    /// use netcomm_sse::Event;
    ///
    /// let event = Event::new(r#"["tick",7]"#);
    /// assert_eq!(event.json::<(String, u32)>()?, ("tick".to_owned(), 7));
    /// # Ok::<(), netcomm_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Decode` for data that are no JSON, or not this value, with type and id of the event, line and column.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        EventRef::from(self).json()
    }
}

impl<'a> EventRef<'a> {
    /// The same as [`Event::json`], for a value that may borrow from the data.
    ///
    /// # Errors
    ///
    /// As of [`Event::json`].
    pub fn json<T: Deserialize<'a>>(self) -> Result<T> {
        serde_json::from_str(self.data).map_err(|error| {
            let Self { event_type, id, .. } = self;
            let place = format!("event {event_type:?} with id {id:?}, line {} column {}", error.line(), error.column());
            Error::new(ErrorKind::Decode, "parse json").with_detail(place).with_source(error)
        })
    }
}

/// What a listener holds who wants values: an [`EventSubscription`] whose events are read as JSON when they are
/// taken, where they waited.
///
/// An event that cannot be read is an error and ends nothing.
#[derive(Debug)]
pub struct TypedSubscription<T> {
    events: EventSubscription,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> TypedSubscription<T> {
    pub(crate) fn new(events: EventSubscription) -> Self {
        Self { events, value: PhantomData }
    }

    /// The next value; `None` when no more will come.
    ///
    /// # Errors
    ///
    /// Those of [`Event::json`]; `Busy`, with a [`Lagged`](netcomm_core::Lagged) as source, where events are missing before the next one.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.poll_value(cx)).await
    }

    /// The events themselves.
    #[must_use]
    pub fn into_events(self) -> EventSubscription {
        self.events
    }

    fn poll_value(&mut self, cx: &Context<'_>) -> Poll<Option<Result<T>>> {
        self.events.poll_read(cx, |event| event.json()).map(|value| {
            value.map(|value| {
                value.unwrap_or_else(|lagged| Err(Error::new(ErrorKind::Busy, "read events").with_source(lagged)))
            })
        })
    }
}

impl<T: DeserializeOwned> Stream for TypedSubscription<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_value(cx)
    }
}
