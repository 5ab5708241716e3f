//! A JSON text as bytes: written once by its caller, read once by its caller.

use std::fmt;

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON text (RFC 8259). Cheap to clone.
///
/// It is made from a user's value where a call is made and becomes one where the answer is wanted, so that batches never
/// hold trees of values. One that came in an answer is a view of the whole response, which it keeps in memory. `Debug`
/// does not show the content.
#[derive(Clone, PartialEq, Eq)]
pub struct Json {
    text: Bytes,
}

impl Json {
    /// Writes a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it cannot be written as JSON.
    pub fn new(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let text = serde_json::to_vec(value)
            .map_err(|error| Error::new(ErrorKind::Invalid, "encode json").with_source(error))?;
        Ok(Self { text: text.into() })
    }

    /// Reads it as a value, which may borrow from it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] with line and column if it is something else.
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_slice(&self.text).map_err(unreadable)
    }

    /// The text, in UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn null() -> Self {
        Self { text: Bytes::from_static(b"null") }
    }

    /// A part of a body, without a copy.
    pub(super) fn part(body: &Bytes, part: &RawValue) -> Self {
        Self { text: body.slice_ref(part.get().as_bytes()) }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

pub(super) fn unreadable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Decode, "parse json")
        .with_detail(format!("line {} column {}", error.line(), error.column()))
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_there_and_back() {
        let json = Json::new(&("a", 1, [true])).expect("json");
        assert_eq!(json.as_bytes(), br#"["a",1,[true]]"#);
        let (text, number, list): (&str, u8, Vec<bool>) = json.to().expect("the same");
        assert_eq!((text, number, list), ("a", 1, vec![true]));
        let error = json.to::<u8>().expect_err("no number");
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Decode, Some("line 1 column 0")));
        assert!(!format!("{json:?}").contains('a'), "{json:?}");
        let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(Json::new(&unwritable).expect_err("keys that are no text").kind(), ErrorKind::Invalid);
    }
}
