//! Stored responses: where they are kept.

mod place;

pub(crate) use place::Kept;
