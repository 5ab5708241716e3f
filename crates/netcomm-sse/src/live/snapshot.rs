//! What readers see: one moment of the document, and where the copy stands.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use netcomm_core::Error;

use crate::state::End;

/// Where a [`Live`](super::Live) document stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LiveState {
    /// The document, then the stream of its changes, is asked for; nothing went wrong.
    Connecting,
    /// The stream is open, and all that it brought is in the document.
    InStep,
    /// The copy may be old, or the document cannot be read as the type it should have; this is why. It is being seen to.
    Behind(Error),
    /// Nothing changes any more.
    Closed(End),
}

impl LiveState {
    /// Whether the copy is in step.
    #[must_use]
    pub const fn is_in_step(&self) -> bool {
        matches!(self, Self::InStep)
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// The document at one moment: all of it as of one change, never a part of another. Cheap to clone; derefs to the value.
#[non_exhaustive]
pub struct Snapshot<T> {
    value: Arc<T>,
    sequence: u64,
    etag: Option<HeaderValue>,
    is_in_step: bool,
    age: Duration,
}

impl<T> Snapshot<T> {
    /// The document, shared with all who hold it.
    #[must_use]
    pub fn value(&self) -> Arc<T> {
        Arc::clone(&self.value)
    }

    /// The number of the last change in it.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its ETag: that of the answer that brought it. `None` where that had none, and once changes were applied.
    #[must_use]
    pub const fn etag(&self) -> Option<&HeaderValue> {
        self.etag.as_ref()
    }

    /// Whether it was in step when it was taken: the stream of changes was open, and all that it had brought is in it.
    #[must_use]
    pub const fn is_in_step(&self) -> bool {
        self.is_in_step
    }

    /// How old it was when it was taken: for how long nothing had come that shows it to be in step. A stream that
    /// is silent ages it; comments of an event stream, such as servers send to keep it alive, do not let it age.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), etag: self.etag.clone(), ..*self }
    }
}

impl<T> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("sequence", &self.sequence)
            .field("etag", &self.etag)
            .field("is_in_step", &self.is_in_step)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

/// What the task shows and the handles look at.
pub(super) struct View<T> {
    pub(super) state: LiveState,
    pub(super) shown: Option<Shown<T>>,
    /// When something last came that shows the document to be in step.
    pub(super) heard: Option<Instant>,
}

/// A document that could be read.
pub(super) struct Shown<T> {
    pub(super) value: Arc<T>,
    pub(super) sequence: u64,
    pub(super) etag: Option<HeaderValue>,
}

impl<T> View<T> {
    pub(super) const fn new() -> Self {
        Self { state: LiveState::Connecting, shown: None, heard: None }
    }

    /// The document is the same at that number; whether that is another one.
    pub(super) fn renumber(&mut self, sequence: u64) -> bool {
        self.shown.as_mut().is_some_and(|shown| std::mem::replace(&mut shown.sequence, sequence) != sequence)
    }

    pub(super) fn snapshot(&self, now: Instant) -> Option<Snapshot<T>> {
        let Shown { value, sequence, etag } = self.shown.as_ref()?;
        Some(Snapshot {
            value: Arc::clone(value),
            sequence: *sequence,
            etag: etag.clone(),
            is_in_step: self.state.is_in_step(),
            age: self.heard.map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard)),
        })
    }
}
