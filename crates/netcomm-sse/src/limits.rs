//! How much of an event stream may be held at once.

/// How large, and what happens to more. All of it is in bytes as they come from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one line without its end, whatever it holds. Default 16 MiB.
    pub line_bytes: usize,
    /// Bytes of one event's data, with a line feed between each two lines, whoever wants the event. Default 16 MiB.
    pub event_bytes: usize,
    /// What happens to more. Default: [`Oversize::Fail`].
    pub oversize: Oversize,
}

/// What happens to a stream that passes a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oversize {
    /// The error comes, and nothing after it until the stream ends.
    #[default]
    Fail,
    /// The error comes, once for a block; parsing goes on after the next blank line. The id of the block counts, if that
    /// is not what is too large.
    Skip,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes: 16 * 1024 * 1024, event_bytes: 16 * 1024 * 1024, oversize: Oversize::default() }
    }
}

impl Limits {
    /// The same with another [`line_bytes`](Self::line_bytes).
    #[must_use]
    pub const fn with_line_bytes(self, line_bytes: usize) -> Self {
        Self { line_bytes, ..self }
    }

    /// The same with another [`event_bytes`](Self::event_bytes).
    #[must_use]
    pub const fn with_event_bytes(self, event_bytes: usize) -> Self {
        Self { event_bytes, ..self }
    }

    /// The same with another [`oversize`](Self::oversize).
    #[must_use]
    pub const fn with_oversize(self, oversize: Oversize) -> Self {
        Self { oversize, ..self }
    }
}
