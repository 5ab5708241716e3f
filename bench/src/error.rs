//! What can go wrong in a benchmark: anything, and then it ends.

use std::error::Error as StdError;

pub(crate) type Error = Box<dyn StdError + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// An error that is only a text.
pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(text.into().into())
}

/// The error's text, followed by those of its sources.
pub(crate) fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
