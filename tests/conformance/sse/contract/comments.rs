//! Comments are told where they are wanted. Pure.

use crate::script::Case;
use crate::told::{Told, comment, message};

type Row = (&'static str, &'static str, fn() -> Vec<Told>);

static ROWS: &[Row] = &[
    ("single", ":Hello\n", || vec![comment("Hello")]),
    ("two", ":Hello\n:World\n", || vec![comment("Hello"), comment("World")]),
    ("before an event", ":Hello\ndata: World\n\n", || vec![comment("Hello"), message("World")]),
    ("after an event", "data: Hello\n\n: World\n", || vec![message("Hello"), comment(" World")]),
];

pub(super) fn cases() -> Vec<Case> {
    ROWS.iter().map(|(name, chunk, told)| Case::stream(format!("comments/{name}"), [*chunk], told())).collect()
}
