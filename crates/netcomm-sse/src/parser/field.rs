//! What a line may be (WHATWG HTML §9.2.6).

/// What a line says, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Data,
    Event,
    Id,
    Retry,
    Comment,
    Unknown,
}

/// The longest name that means anything.
pub(super) const NAME_BYTES: usize = 5;

impl Field {
    /// Names are compared byte by byte.
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"data" => Self::Data,
            b"event" => Self::Event,
            b"id" => Self::Id,
            b"retry" => Self::Retry,
            b"" => Self::Comment,
            _ => Self::Unknown,
        }
    }

    /// What the beginning of a line says where its colon is in sight, and where the value begins, before its space is
    /// taken off. `Unknown` is also a line without colon.
    #[inline]
    pub(super) fn at_start(line: &[u8]) -> (Self, usize) {
        match line {
            [b'd', b'a', b't', b'a', b':', ..] => (Self::Data, 5),
            [b'i', b'd', b':', ..] => (Self::Id, 3),
            [b'e', b'v', b'e', b'n', b't', b':', ..] => (Self::Event, 6),
            [b'r', b'e', b't', b'r', b'y', b':', ..] => (Self::Retry, 6),
            [b':', ..] => (Self::Comment, 1),
            _ => (Self::Unknown, 0),
        }
    }

    /// Whether one space before the value is no part of it.
    pub(super) fn strips_space(self) -> bool {
        self != Self::Comment
    }
}
