//! Stored responses: where they are kept (`place.rs`), and what is said of them (`words.rs`).

mod place;
mod words;

pub(crate) use place::Kept;
pub(crate) use words::{line, words};
