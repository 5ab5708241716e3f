//! A case: what server and client do, one step after the other. Pure.

use std::time::Duration;

use bytes::Bytes;
use netcomm_sse::Builder;

use crate::told::Told;

/// One case.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) set: fn(Builder) -> Builder,
    pub(crate) steps: Vec<Step>,
    pub(crate) time: Time,
}

/// Which time it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// That of the system, over a socket.
    Real,
    /// One that leaps ahead whenever nothing is left to do, over a connection in memory: what takes seconds takes none, and
    /// is exact.
    Leaping,
}

/// What one of both does, or must do.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The client asks, and so.
    Asks(Vec<Want>),
    /// The server begins a stream of that content type.
    Opens(&'static str),
    /// The server sends a chunk of it.
    Says(Bytes),
    /// The server ends it.
    Ends,
    /// The server answers without content. `{url}` in a field is the server's.
    Answers(u16, Vec<(&'static str, &'static str)>),
    /// The client tells this next.
    Tells(Told),
    /// The client's owner wants another stream.
    Restarts,
    /// The client's owner wants no more.
    Closes,
    /// The client lets go of the connection that it asked on last.
    LetsGo,
}

/// What a request has to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    Method(&'static str),
    Target(&'static str),
    Field(&'static str, &'static str),
    NoField(&'static str),
    Body(&'static str),
    /// So long after the request before: at least, and at most.
    After(Duration, Duration),
}

/// What a server says its streams are.
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

impl Case {
    pub(crate) fn new(name: impl Into<String>, steps: Vec<Step>) -> Self {
        Self { name: name.into(), set: |builder| builder, steps, time: Time::Real }
    }

    /// A stream of these chunks, and what the client tells of them.
    pub(crate) fn stream<C: Into<Bytes>>(
        name: impl Into<String>,
        chunks: impl IntoIterator<Item = C>,
        told: impl IntoIterator<Item = Told>,
    ) -> Self {
        let mut steps = opened();
        steps.extend(chunks.into_iter().map(says));
        steps.extend(told.into_iter().map(Step::Tells));
        Self::new(name, steps)
    }

    /// The same with other settings.
    pub(crate) fn with(self, set: fn(Builder) -> Builder) -> Self {
        Self { set, ..self }
    }

    /// The same in a time that leaps ahead.
    pub(crate) fn leaping(self) -> Self {
        Self { time: Time::Leaping, ..self }
    }
}

/// The client asks for a stream, and gets one.
pub(crate) fn opened() -> Vec<Step> {
    vec![Step::Asks(Vec::new()), Step::Opens(EVENT_STREAM)]
}

/// The same, of a request that has to be like that.
pub(crate) fn opened_for<const N: usize>(wants: [Want; N]) -> Vec<Step> {
    vec![asks(wants), Step::Opens(EVENT_STREAM)]
}

pub(crate) fn asks<const N: usize>(wants: [Want; N]) -> Step {
    Step::Asks(wants.to_vec())
}

pub(crate) fn says(chunk: impl Into<Bytes>) -> Step {
    Step::Says(chunk.into())
}
