//! What blocks mean. Pure.

use bytes::Bytes;

use crate::script::Case;
use crate::told::{Told, event, message};

/// Rows of a table: a name, what the server sends in one chunk each, what the client tells.
type Row = (&'static str, &'static [&'static str], fn() -> Vec<Told>);

static ROWS: &[Row] = &[
    ("one-line message", &["data: Hello\n\n"], || vec![message("Hello")]),
    ("two messages in three chunks that share them", &["data: He", "llo\n\ndata: Wo", "rld\n\n"], || {
        vec![message("Hello"), message("World")]
    }),
    ("one message in two chunks", &["data: Hel", "lo\n\n"], || vec![message("Hello")]),
    ("two messages in one chunk", &["data: Hello\n\ndata: World\n\n"], || vec![message("Hello"), message("World")]),
    ("message of two lines", &["data: Hello\ndata: World\n\n"], || vec![message("Hello\nWorld")]),
    ("empty data", &["data:\n\n"], || vec![message("")]),
    ("event type", &["event: greeting\ndata: Hello\n\n"], || vec![event("greeting", "Hello", "")]),
    ("default event type", &["event: greeting\ndata: Hello\n\ndata: World\n\n"], || {
        vec![event("greeting", "Hello", ""), message("World")]
    }),
    ("id", &["id: abc\ndata: Hello\n\n"], || vec![event("message", "Hello", "abc")]),
    ("event type and id", &["event: greeting\nid: abc\ndata: Hello\n\n"], || vec![event("greeting", "Hello", "abc")]),
    ("id with a NUL is ignored", &["id: abc\ndata: 1\n\n", "id: a\0bc\ndata: 2\n\n"], || {
        vec![event("message", "1", "abc"), event("message", "2", "abc")]
    }),
    ("id lasts", &["id: abc\ndata: 1\n\n", "data: 2\n\n", "id: def\ndata: 3\n\n"], || {
        vec![event("message", "1", "abc"), event("message", "2", "abc"), event("message", "3", "def")]
    }),
    ("id is taken back by an empty one", &["id: abc\ndata: 1\n\n", "id:\ndata: 2\n\n"], || {
        vec![event("message", "1", "abc"), message("2")]
    }),
    ("fields in reverse order", &["data: Hello\nid: abc\nevent: greeting\n\n"], || {
        vec![event("greeting", "Hello", "abc")]
    }),
    ("unknown field", &["event: greeting\nunknown: x\ndata: Hello\n\n"], || vec![event("greeting", "Hello", "")]),
    ("no space after the colon", &["event:greeting\nid:abc\ndata:Hello\n\n"], || {
        vec![event("greeting", "Hello", "abc")]
    }),
    ("one more space is kept", &["event:  greeting\nid:  abc\ndata:  Hello\n\n"], || {
        vec![event(" greeting", " Hello", " abc")]
    }),
    ("field without a colon", &["event: greeting\nid: abc\ndata\ndata: Hello\nevent\nid\n\n"], || {
        vec![message("\nHello")]
    }),
    ("characters of several bytes", &["data: ¢ € ℵ 🌍\nid: ä\n\n"], || vec![event("message", "¢ € ℵ 🌍", "ä")]),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = ROWS
        .iter()
        .map(|(name, chunks, told)| Case::stream(format!("basic/{name}"), chunks.iter().copied(), told()))
        .collect();
    cases.extend([large_in_one_chunk(), two_large_in_two_chunks(), hundred(), bytes_one_by_one()]);
    cases
}

const MIB: usize = 1024 * 1024;

fn block(data: &str) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn large(letter: &str) -> String {
    letter.repeat(5 * MIB)
}

fn large_in_one_chunk() -> Case {
    Case::stream("basic/message of 5 MiB in one chunk", [block(&large("a"))], [message(large("a"))])
}

fn two_large_in_two_chunks() -> Case {
    let told = [message(large("a")), message(large("b"))];
    Case::stream("basic/two messages of 5 MiB in two chunks", [block(&large("a")), block(&large("b"))], told)
}

fn hundred() -> Case {
    let name = |number: usize| format!("message {number}");
    let chunks = (1..=100).map(|number| block(&name(number)));
    Case::stream("basic/a hundred messages in order", chunks, (1..=100).map(|number| message(name(number))))
}

fn bytes_one_by_one() -> Case {
    let all = block("€🌍ä");
    let bytes: Vec<Bytes> = (0..all.len()).map(|at| all.slice(at..=at)).collect();
    Case::stream("basic/characters of several bytes, byte by byte", bytes, [message("€🌍ä")])
}
