//! Changes over an event stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use netcomm_core::{Error, ErrorKind, Result, Text};

use super::change::Change;
use super::follow::{Follow, Following, News};
use super::number;
use super::patch::Patch;
use crate::builder::Builder;
use crate::event::Event;
use crate::request::Resume;
use crate::select::Select;
use crate::state::{End, Notice};
use crate::stream::EventStream;

/// Changes as events. The id of each is its number, in digits; its type says what its data are: `merge`, a merge patch
/// (RFC 7396), `patch`, a JSON patch (RFC 6902), `replace`, the whole document. Events of other types are passed over.
///
/// The stream is asked for with the number reached as `Last-Event-ID`. Every one of these events must have an id of its own:
/// one without is taken for the one before.
#[derive(Clone)]
pub struct EventChanges {
    open: Arc<dyn Fn() -> Builder + Send + Sync>,
    types: Types,
}

#[derive(Clone, Debug)]
struct Types {
    merge: Text,
    patch: Text,
    replace: Text,
}

impl EventChanges {
    /// Of the stream that is built so. Its last event id, its types and its comments are set here, whatever they were.
    pub fn new(open: impl Fn() -> Builder + Send + Sync + 'static) -> Self {
        let types = Types {
            merge: Text::from_static("merge"),
            patch: Text::from_static("patch"),
            replace: Text::from_static("replace"),
        };
        Self { open: Arc::new(open), types }
    }

    /// Another type for merge patches.
    #[must_use]
    pub fn merge(mut self, event_type: impl Into<Text>) -> Self {
        self.types.merge = event_type.into();
        self
    }

    /// Another type for JSON patches.
    #[must_use]
    pub fn patch(mut self, event_type: impl Into<Text>) -> Self {
        self.types.patch = event_type.into();
        self
    }

    /// Another type for whole documents.
    #[must_use]
    pub fn replace(mut self, event_type: impl Into<Text>) -> Self {
        self.types.replace = event_type.into();
        self
    }
}

impl Follow for EventChanges {
    fn follow(&self, after: u64) -> Following {
        let Types { merge, patch, replace } = &self.types;
        let wanted = [merge, patch, replace].map(|event_type| Select::exact(event_type.clone()));
        // Comments keep a stream alive: they say that nothing has changed.
        let builder = (self.open)().last_event_id(after.to_string()).types(wanted).comments(true);
        match builder.stream() {
            Ok(stream) => Following::new(Events { stream, types: self.types.clone() }),
            Err(error) => Following::failed(error),
        }
    }
}

impl fmt::Debug for EventChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventChanges").field("types", &self.types).finish_non_exhaustive()
    }
}

struct Events {
    stream: EventStream,
    types: Types,
}

impl Stream for Events {
    type Item = Result<News>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(notice) = ready!(self.stream.poll_notice(cx)) else { return Poll::Ready(None) };
            let news = match notice {
                Notice::Event(event) => self.types.read(&event).map_or_else(News::Unreadable, News::Change),
                Notice::Open(opened) => News::Open {
                    after: match opened.resume {
                        Resume::After(id) => number::parse(&id),
                        Resume::Fresh | Resume::Unsendable(_) => None,
                    },
                },
                Notice::Comment(_) | Notice::Retry(_) | Notice::Id(_) => News::Alive,
                Notice::Skipped(error) => News::Unreadable(error),
                Notice::Lost { cause, .. } | Notice::Waiting { cause, .. } => News::Lost(cause),
                Notice::Closed(End::Failed(error)) => return Poll::Ready(Some(Err(error))),
                Notice::Closed(End::Finished) => {
                    let error = Error::new(ErrorKind::Closed, "follow document");
                    return Poll::Ready(Some(Err(error.with_detail("the server ended the stream"))));
                }
                Notice::Closed(_) => return Poll::Ready(None),
                Notice::Connecting { .. } | Notice::Gap { .. } | Notice::NetworkChanged | Notice::NotKept(_) => {
                    continue;
                }
            };
            return Poll::Ready(Some(Ok(news)));
        }
    }
}

impl Types {
    fn read(&self, event: &Event) -> Result<Change> {
        let Some(sequence) = number::parse(&event.id) else {
            let detail = format!("the id of an event is {:?}, and no number", &*event.id);
            return Err(Error::new(ErrorKind::Protocol, "read change").with_detail(detail));
        };
        let data = event.data.as_bytes();
        let patch = if event.event_type == self.merge {
            Patch::merge(data)
        } else if event.event_type == self.patch {
            Patch::operations(data)
        } else {
            Patch::whole(data)
        };
        Ok(Change::new(sequence, patch?))
    }
}
