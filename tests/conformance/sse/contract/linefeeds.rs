//! Line ends of any kind, cut at any place. A CR ends its line without a look at the next byte. Pure.

use bytes::Bytes;

use crate::script::Case;
use crate::told::message;

/// How chunks are cut: the name, and how many bytes each has.
const CUTS: [(&str, usize); 3] =
    [("in one chunk", usize::MAX), ("in chunks of one byte", 1), ("in chunks of two bytes", 2)];

const ENDS: [(&str, &str); 3] = [("LF", "\n"), ("CRLF", "\r\n"), ("CR", "\r")];

/// A name, lines, the data of the messages in them.
const TEXTS: [(&str, &[&str], &[&str]); 6] = [
    ("one line", &["data: Hello", ""], &["Hello"]),
    ("one line, then two", &["data: 1", "", "data: 2a", "data: 2b", ""], &["1", "2a\n2b"]),
    ("three lines, the first empty", &["data:", "data: b", "data: c", ""], &["\nb\nc"]),
    ("three lines, the middle one empty", &["data: a", "data:", "data: c", ""], &["a\n\nc"]),
    ("one blank line more", &["data: 1", "", "", "data: 2", ""], &["1", "2"]),
    ("two blank lines more", &["data: 1", "", "", "", "data: 2", ""], &["1", "2"]),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (end_name, end) in ENDS {
        for (text_name, lines, told) in TEXTS {
            let text = Bytes::from(lines.iter().map(|line| format!("{line}{end}")).collect::<String>());
            for (cut_name, size) in CUTS {
                let chunks = text.chunks(size).map(Bytes::copy_from_slice);
                let name = format!("linefeeds/{end_name}, {text_name}, {cut_name}");
                cases.push(Case::stream(name, chunks, told.iter().map(|data| message(*data))));
            }
        }
    }
    cases.push(Case::stream(
        "linefeeds/CRLF with its CR at the end of a chunk",
        ["data: Hello\r", "\ndata: World\r", "\n\r", "\n"],
        [message("Hello\nWorld")],
    ));
    cases
}
