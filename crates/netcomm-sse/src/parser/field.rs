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

/// What stands at the beginning of a line in sight, in the lowest bytes of a word; all above are 0.
const DATA: u64 = u64::from_le_bytes(*b"data:\0\0\0");
const DATA_SPACE: u64 = u64::from_le_bytes(*b"data: \0\0");
const ID: u64 = u64::from_le_bytes(*b"id:\0\0\0\0\0");
const ID_SPACE: u64 = u64::from_le_bytes(*b"id: \0\0\0\0");
const EVENT: u64 = u64::from_le_bytes(*b"event:\0\0");
const EVENT_SPACE: u64 = u64::from_le_bytes(*b"event: \0");
const RETRY: u64 = u64::from_le_bytes(*b"retry:\0\0");
const RETRY_SPACE: u64 = u64::from_le_bytes(*b"retry: \0");
const COMMENT: u64 = u64::from_le_bytes(*b":\0\0\0\0\0\0\0");

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

    /// What the beginning of a line says where its colon is in sight, and where the value begins. `Unknown` is also a line
    /// without colon, and one without anything.
    #[inline]
    pub(super) fn at_start(line: &[u8]) -> (Self, usize) {
        let Some(word) = line.first_chunk() else { return Self::at_short(line) };
        let word = u64::from_le_bytes(*word);
        if begins(word, DATA) {
            (Self::Data, 5 + usize::from(begins(word, DATA_SPACE)))
        } else if begins(word, ID) {
            (Self::Id, 3 + usize::from(begins(word, ID_SPACE)))
        } else if begins(word, EVENT) {
            (Self::Event, 6 + usize::from(begins(word, EVENT_SPACE)))
        } else if begins(word, COMMENT) {
            (Self::Comment, 1)
        } else if begins(word, RETRY) {
            (Self::Retry, 6 + usize::from(begins(word, RETRY_SPACE)))
        } else {
            (Self::Unknown, 0)
        }
    }

    /// The same where less than a word is there.
    #[inline(never)]
    fn at_short(line: &[u8]) -> (Self, usize) {
        let (field, value) = match line {
            [b'd', b'a', b't', b'a', b':', ..] => (Self::Data, 5),
            [b'i', b'd', b':', ..] => (Self::Id, 3),
            [b'e', b'v', b'e', b'n', b't', b':', ..] => (Self::Event, 6),
            [b'r', b'e', b't', b'r', b'y', b':', ..] => (Self::Retry, 6),
            [b':', ..] => return (Self::Comment, 1),
            _ => return (Self::Unknown, 0),
        };
        (field, value + usize::from(line.get(value) == Some(&b' ')))
    }

    /// Whether one space before the value is no part of it.
    pub(super) fn strips_space(self) -> bool {
        self != Self::Comment
    }
}

/// Whether that name, which has no NUL, is how the word begins.
#[inline]
fn begins(word: u64, name: u64) -> bool {
    (word ^ name) << (name.leading_zeros() / 8 * 8) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_begin_as_short_ones() {
        for name in
            ["data", "id", "event", "retry", "", "dat", "datas", "ids", "i", "events", "retry ", "Data", "d\0ta"]
        {
            let known = Field::of(name.as_bytes());
            for (value, space) in [("", 0), (" ", 1), ("  ", 1), ("\t ", 0), ("x", 0)] {
                let line = format!("{name}:{value}");
                let begin = match known {
                    Field::Unknown => 0,
                    Field::Comment => 1,
                    _ => name.len() + 1 + space,
                };
                assert_eq!(Field::at_start(line.as_bytes()), (known, begin), "{line}");
                assert_eq!(Field::at_start(format!("{line}\0\0\0\0\0\0\0\0").as_bytes()), (known, begin), "{line}");
            }
        }
    }
}
