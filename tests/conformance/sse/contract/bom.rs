//! A byte order mark counts at the beginning of a stream, and there alone. Pure.

use bytes::Bytes;

use crate::script::Case;
use crate::told::{Told, comment, event, message};

type Row = (&'static str, &'static [&'static [u8]], fn() -> Vec<Told>);

static ROWS: &[Row] = &[
    ("at the start", &[b"\xef\xbb\xbfdata: Hello\n\n"], || vec![message("Hello")]),
    ("with event type and id", &[b"\xef\xbb\xbfevent: greeting\nid: abc\ndata: Hello\n\n"], || {
        vec![event("greeting", "Hello", "abc")]
    }),
    ("several messages", &[b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", b"data: 3\n\n"], || {
        vec![message("1"), message("2"), message("3")]
    }),
    // The line that begins with it names a field that nobody knows.
    ("at the start only", &[b"\xef\xbb\xbfdata: 1\n\n", b"\xef\xbb\xbfdata: 2\n\n", b"data: 3\n\n"], || {
        vec![message("1"), message("3")]
    }),
    ("split in two", &[b"\xef\xbb", b"\xbfdata: Hello\n\n"], || vec![message("Hello")]),
    ("byte by byte", &[b"\xef", b"\xbb", b"\xbf", b"data: Hello\n\n"], || vec![message("Hello")]),
    ("a second one is kept in data", &[b"\xef\xbb\xbfdata: \xef\xbb\xbfHello\n\n"], || vec![message("\u{feff}Hello")]),
    ("none", &[b"data: Hello\n\n"], || vec![message("Hello")]),
    ("message of two lines", &[b"\xef\xbb\xbfdata: Hello\ndata: World\n\n"], || vec![message("Hello\nWorld")]),
    ("comment first", &[b"\xef\xbb\xbf:note\ndata: Hello\n\n"], || vec![comment("note"), message("Hello")]),
    ("empty data", &[b"\xef\xbb\xbfdata:\n\n"], || vec![message("")]),
];

pub(super) fn cases() -> Vec<Case> {
    ROWS.iter()
        .map(|(name, chunks, told)| {
            Case::stream(format!("bom/{name}"), chunks.iter().map(|chunk| Bytes::from_static(chunk)), told())
        })
        .collect()
}
