//! Stored responses: where they are kept (`place.rs`), what is said of them (`words.rs`), and `netcomm cache`, which looks
//! into a folder of them (`folder.rs`, `row.rs`).

mod folder;
mod place;
mod row;
mod words;

pub(crate) use folder::run;
pub(crate) use place::Kept;
pub(crate) use words::{line, words};
