//! What went wrong, as a sentence for the person who ran the command.

use std::fmt;

/// The result of everything in this program.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// A sentence; nothing here needs to tell one error from another.
#[derive(Debug)]
pub(crate) struct Error(String);

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Shorthand for returning an [`Error`].
pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(text))
}
