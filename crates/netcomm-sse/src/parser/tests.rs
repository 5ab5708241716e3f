//! The parser as a whole. The cases of the standard lie in `tests/conformance/sse`.

mod bounds;
mod lent;
mod limits;

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::Event;
use crate::fuzz::{self, cut, read_chunks, read_lent, reference};

/// What comes of a stream, however it is cut.
fn read(new: impl Fn() -> Parser, stream: &[u8]) -> Vec<Result<Item, ParseError>> {
    let whole = read_chunks(new(), &[Bytes::copy_from_slice(stream)]);
    for sizes in [&[1u8][..], &[2], &[1, 3], &[7, 5], &[20]] {
        assert_eq!(read_chunks(new(), &cut(stream, sizes)), whole, "cut into {sizes:?}");
        assert_eq!(read_lent(new(), &cut(stream, sizes), |_| true), whole, "lent, cut into {sizes:?}");
    }
    whole.0
}

fn event(name: &str, data: &str, id: &str) -> Result<Item, ParseError> {
    Ok(Item::Event(Event::new(data).with_type(name).with_id(id)))
}

fn message(data: &str) -> Result<Item, ParseError> {
    event(MESSAGE, data, "")
}

use crate::event::MESSAGE;

#[test]
fn what_streams_say() {
    for (stream, items) in [
        (&b""[..], vec![]),
        (b"data: 1", vec![]),
        (b"data: 1\n", vec![]),
        (b"data: 1\n\n", vec![message("1")]),
        (b"data: 1\r\r", vec![message("1")]),
        (b"data: 1\r\n\r\n", vec![message("1")]),
        (b"data:1\n\rdata:2\r\n\ndata:3\n\r\n", vec![message("1"), message("2"), message("3")]),
        (b"data\n\n", vec![message("")]),
        (b"data\ndata:\ndata:  x\n\n", vec![message("\n\n x")]),
        (b"event: a\ndata: 1\n\ndata: 2\n\n", vec![event("a", "1", ""), message("2")]),
        (b"event: a\nevent\ndata\n\nevent: a\n\ndata\n\n", vec![message(""), message("")]),
        (b"event: message\ndata\n\n", vec![message("")]),
        (b"Data: 1\ndat: 2\ndatas: 3\n data: 4\ndata : 5\n\n", vec![]),
        (b"id: 1\ndata\n\ndata\n\nid\ndata\n\n", vec![event(MESSAGE, "", "1"), event(MESSAGE, "", "1"), message("")]),
        (b"id: 1\n\nid: 1\n\nid: 2\nid: 3\n\nid\n\n", vec![id("1"), id("3"), id("")]),
        (b"id: 1\n\nid: 2\nid: 3\0\n\nid: 4\0\n\n", vec![id("1"), id("2")]),
        (b"data: 1\nid: 1\ndata: 2", vec![]),
        (b"retry: 10\n:x\nretry: 20\n", vec![retry(10), retry(20)]),
        (b"retry: +1\nretry: 1 \nretry\nretry:\nretry: 1e3\nretry: -1\nretry: \xd9\xa1\n", vec![]),
        (b"retry: 99999999999999999999\nretry:007\n", vec![retry(u64::MAX), retry(7)]),
        (b"\xef\xbb\xbfdata: 1\n\n", vec![message("1")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n", vec![]),
        (b"\xef\xbbdata: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: 3\n\n", vec![message("3")]),
        (b"\xef\ndata: 1\n\n", vec![message("1")]),
        (b"\xef\xbb\xbf\n\r\xef\xbb\xbf", vec![]),
        (
            b"data: \xf0\x9f\x92\ndata: \xff\xf0\x9f\x92\xa9\xc3\n\n",
            vec![message("\u{fffd}\n\u{fffd}\u{1f4a9}\u{fffd}")],
        ),
        (b"event: \xff\nid: \xff\ndata\n\n", vec![event("\u{fffd}", "", "\u{fffd}")]),
        (b"data: \0\t\x0b\n\n", vec![message("\0\t\x0b")]),
    ] {
        assert_eq!(read(Parser::new, stream), items, "{:?}", stream.escape_ascii().to_string());
    }
}

fn id(id: &str) -> Result<Item, ParseError> {
    Ok(Item::Id(id.into()))
}

fn retry(millis: u64) -> Result<Item, ParseError> {
    Ok(Item::Retry(std::time::Duration::from_millis(millis)))
}

#[test]
fn comments_come_if_asked_for() {
    let stream = b":\ndata: 1\n: a: b\r\n:\xff\n\n";
    let comment = |text: &str| Ok(Item::Comment(text.into()));
    let items = [comment(""), comment(" a: b"), comment("\u{fffd}"), message("1")];
    assert_eq!(read(|| Parser::new().with_comments(true), stream), items);
    assert_eq!(read(Parser::new, stream), [message("1")]);
}

#[test]
fn a_cr_at_the_end_of_a_chunk_is_an_end() {
    let mut parser = Parser::new();
    parser.feed("data: 1\r\n\r");
    assert_eq!(parser.next_item(), Some(message("1")));
    assert_eq!(parser.next_item(), None);
    parser.feed("\ndata: 2\r");
    assert_eq!(parser.next_item(), None);
    parser.feed("\n");
    assert_eq!(parser.next_item(), None, "its LF is no blank line");
    parser.feed("\n");
    assert_eq!(parser.next_item(), Some(message("2")));
}

#[test]
fn the_next_stream_begins_anew_but_for_the_id() {
    let mut parser = Parser::new().with_last_event_id("0");
    assert_eq!(parser.last_event_id(), "0");
    parser.feed("\u{feff}data: 1\n\nid: 1\ndata: 2\n\nid: 2\nevent: x\ndata: 3\nda");
    assert_eq!(parser.next_item(), Some(event(MESSAGE, "1", "0")));
    assert_eq!(parser.last_event_id(), "0", "an id counts from its blank line on");
    assert_eq!(parser.next_item(), Some(event(MESSAGE, "2", "1")));
    assert_eq!(parser.next_item(), None);
    parser.end();
    assert_eq!(parser.last_event_id(), "1");
    parser.feed("\u{feff}data: 4\n\ndata: not taken");
    assert_eq!(parser.next_item(), Some(event(MESSAGE, "4", "1")));
    parser.feed("\n\n");
    parser.end();
    assert_eq!(parser.next_item(), None);
    parser.feed("data: 5\r");
    assert_eq!(parser.next_item(), None);
    parser.end();
    parser.feed("\ndata: 6\n\n");
    assert_eq!(parser.next_item(), Some(event(MESSAGE, "6", "1")), "its LF ends a line of its own");
}

#[test]
fn events_that_nobody_wants_are_dropped_and_their_ids_count() {
    let filter: Filter = Arc::new(|name| name == "b");
    let new = || {
        let mut parser = Parser::new();
        parser.set_filter(Some(filter.clone()));
        parser
    };
    let stream = b"event: a\ndata: 1\nid: 1\n\nevent: b\ndata: 2\n\ndata: 3\n\nevent: a\ndata: 4\nevent: b\n\n\
        event: a\nid: 5\n\nevent: a\ndata: 6\nretry: 1\nid: 6\n\n";
    assert_eq!(read(new, stream), [event("b", "2", "1"), event("b", "4", "1"), id("5"), retry(1)]);
    let mut parser = new();
    parser.feed(&stream[..]);
    while parser.next_item().is_some() {}
    assert_eq!(parser.last_event_id(), "6");
    parser.set_filter(None);
    parser.feed("event: a\ndata: 7\n\n");
    assert_eq!(parser.next_item(), Some(event("a", "7", "6")));
}

#[test]
fn large_data_in_one_chunk_is_a_view_and_small_data_keeps_no_chunk() {
    for (bytes, is_view) in [(256, false), (257, true)] {
        for more in [0, 1000] {
            let (data, more) = ("é".repeat(bytes / 2) + &"x".repeat(bytes % 2), "\n".repeat(more));
            let chunk = Bytes::from(format!("data: {data}\n\n{more}"));
            let mut parser = Parser::new();
            parser.feed(chunk.clone());
            assert_eq!(parser.next_item(), Some(message(&data)));
            parser.end();
            parser.feed(chunk.clone());
            let Some(Ok(Item::Event(event))) = parser.next_item() else { panic!("an event") };
            assert_eq!(event.data.as_ptr() == chunk[6..].as_ptr(), is_view, "{bytes}");
        }
    }
}

#[test]
fn chunks_that_begin_and_end_inside_a_character_are_text_all_the_same() {
    let stream =
        "data: ".to_owned() + &"κόσμε \u{1f4a9}\ndata: ".repeat(400) + "\n\n" + &"data: \u{1f4a9}\n\n".repeat(200);
    for size in 500..600 {
        let chunks: Vec<_> = stream.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        let (items, id) = reference(stream.as_bytes(), false, "");
        assert_eq!(read_chunks(Parser::new(), &chunks), (items.into_iter().map(Ok).collect(), id));
    }
}

#[test]
fn debug_shows_no_data() {
    let mut parser = Parser::new();
    parser.feed("data: secret\n");
    assert_eq!(parser.next_item(), None);
    let shown = format!("{parser:?}");
    assert!(shown.starts_with("Parser {") && !shown.contains("secret"), "{shown}");
}

/// Streams that are made of what matters.
pub(super) fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"data"[..],
            b"data:",
            b"data: x",
            b"event:",
            b"event: a",
            b"event: b",
            b"id:",
            b"id: 1",
            b"id\n",
            b"retry: 10",
            b"retry:",
            b":",
            b": comment",
            b" ",
            b"\n",
            b"\n\n",
            b"\r",
            b"\r\n",
            b"\r\n\r\n",
            b"\xef\xbb\xbf",
            b"\xef",
            b"\xf0\x9f\x92",
            b"\xa9",
            b"\0",
            b"\t",
            b"a line of data that is longer than the words in which short ones are looked through, with a \t tab in it",
        ])
        .prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn as_the_standard_says_however_it_is_cut(stream in streams(), sizes in vec(1u8..40, 0..8), comments: bool) {
        let parser = Parser::new().with_comments(comments);
        let (items, id) = reference(&stream, comments, "");
        prop_assert_eq!(read_chunks(parser, &cut(&stream, &sizes)), (items.into_iter().map(Ok).collect(), id));
    }

    #[test]
    fn large_data_is_what_the_standard_says_however_it_is_cut(
        streams in vec(streams(), 1..4),
        lines in vec("(data: )?[a-zκ—\u{1f4a9}]{500,6000}", 1..6),
        sizes in vec(prop_oneof![1..2000u16, 1..20_000u16], 1..8),
        limit in 1000..20_000usize,
    ) {
        let mut stream: Vec<_> = streams.iter().cycle().zip(&lines).flat_map(|(some, line)| [some, line.as_bytes()].concat()).collect();
        stream.extend(b"\n\n");
        let chunks = cut(&stream, &sizes);
        let (items, id) = reference(&stream, false, "");
        let read = (items.into_iter().map(Ok).collect(), id);
        prop_assert_eq!(&read_chunks(Parser::new(), &chunks), &read);
        prop_assert_eq!(&read_lent(Parser::new(), &chunks, |_| true), &read);
        let limits = Limits::default().with_line_bytes(limit).with_event_bytes(limit * 2).with_oversize(Oversize::Skip);
        let limited = || Parser::new().with_limits(limits);
        let whole = read_chunks(limited(), &[Bytes::copy_from_slice(&stream)]);
        prop_assert_eq!(&read_chunks(limited(), &chunks), &whole);
        prop_assert_eq!(&read_lent(limited(), &chunks, |at| at % 2 > 0), &whole);
    }

    #[test]
    fn limits_know_no_chunks(flags: u8, sizes in vec(1u8..40, 7), stream in streams()) {
        fuzz::parser(&[&[flags | 7], &sizes[..], &stream].concat());
    }

    #[test]
    fn a_filter_takes_away_and_changes_nothing_else(stream in streams(), sizes in vec(1u8..40, 0..8)) {
        let mut parser = Parser::new();
        parser.set_filter(Some(Arc::new(|name| name == "a")));
        let (mut items, id) = reference(&stream, false, "");
        items.retain(|item| !matches!(item, Item::Event(event) if event.event_type != "a"));
        prop_assert_eq!(read_chunks(parser, &cut(&stream, &sizes)), (items.into_iter().map(Ok).collect(), id));
    }
}
