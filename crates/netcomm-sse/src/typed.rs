//! Values from events.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use netcomm_core::{Error, ErrorKind, Lagged, Result, Subscription};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::parser::EventRef;

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

/// What a listener holds who wants values: a [`Subscription`] whose events are read as JSON when they are taken.
///
/// An event that cannot be read is an error and ends nothing.
#[derive(Debug)]
pub struct TypedSubscription<T> {
    events: Subscription<Event>,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> TypedSubscription<T> {
    pub(crate) fn new(events: Subscription<Event>) -> Self {
        Self { events, value: PhantomData }
    }

    /// The next value; `None` when no more will come.
    ///
    /// # Errors
    ///
    /// Those of [`Event::json`]; `Busy`, with a [`Lagged`] as source, where events are missing before the next one.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T>> {
        self.events.next().await.map(read)
    }

    /// The events themselves.
    #[must_use]
    pub fn into_events(self) -> Subscription<Event> {
        self.events
    }
}

fn read<T: DeserializeOwned>(event: Result<Event, Lagged>) -> Result<T> {
    match event {
        Ok(event) => event.json(),
        Err(lagged) => Err(Error::new(ErrorKind::Busy, "read events").with_source(lagged)),
    }
}

impl<T: DeserializeOwned> Stream for TypedSubscription<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.get_mut().events).poll_next(cx).map(|event| event.map(read))
    }
}
