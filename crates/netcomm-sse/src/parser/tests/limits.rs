//! How large is too large, to the byte.

use super::*;
use crate::limits::{Limits, Oversize};
use crate::parser::error::Large;

fn too_large(what: Large, bytes: usize) -> Result<Item, ParseError> {
    Err(ParseError::new(what, bytes))
}

fn limited(line_bytes: usize, event_bytes: usize, oversize: Oversize) -> impl Fn() -> Parser {
    let limits = Limits::default().with_line_bytes(line_bytes).with_event_bytes(event_bytes).with_oversize(oversize);
    move || Parser::new().with_limits(limits).with_comments(true)
}

#[test]
fn a_line_may_be_as_long_as_the_limit() {
    for line in ["data: 78901", "event: 8901", "id: 5678901", ":2345678901", "unknown8901", "retry: 8901"] {
        let stream = format!("data\n{line}\n\n");
        let good = read(limited(11, 100, Oversize::Fail), stream.as_bytes());
        assert!(good.iter().all(Result::is_ok), "{line}");
        let bad = read(limited(10, 100, Oversize::Fail), stream.as_bytes());
        assert_eq!(bad, [too_large(Large::Line, 10)], "{line}");
        // The BOM is no part of a line.
        assert_eq!(read(limited(11, 100, Oversize::Fail), format!("\u{feff}{stream}").as_bytes()), good);
    }
    assert_eq!(read(limited(1, 100, Oversize::Fail), b"\xef\xbb\n"), [too_large(Large::Line, 1)]);
    assert_eq!(read(limited(0, 0, Oversize::Fail), b"\n\r\n\n"), []);
}

#[test]
fn an_event_may_be_as_large_as_the_limit() {
    for stream in ["data: 12345\n\n", "data: 1\ndata: 2\ndata:3\n\n", "data\ndata:1\r\ndata\ndata: 2\n\n", "data\n\n"] {
        let Ok(Item::Event(event)) = &read(Parser::new, stream.as_bytes())[0] else { panic!("{stream}") };
        let bytes = event.data.len();
        let good = read(limited(100, bytes, Oversize::Fail), stream.as_bytes());
        assert_eq!(good, [message(&event.data)], "{stream}");
        if let Some(less) = bytes.checked_sub(1) {
            let bad = read(limited(100, less, Oversize::Fail), stream.as_bytes());
            assert_eq!(bad, [too_large(Large::Event, less)], "{stream}");
        }
    }
    // A line feed counts.
    assert_eq!(read(limited(100, 0, Oversize::Fail), b"data\ndata\n\n"), [too_large(Large::Event, 0)]);
    // Before its text is mended.
    assert_eq!(read(limited(100, 1, Oversize::Fail), b"data:\xff\n\n"), [message("\u{fffd}")]);
}

#[test]
fn the_limit_that_is_passed_first_is_told() {
    for (line_bytes, event_bytes, what) in
        [(6, 1, Large::Line), (7, 1, Large::Line), (8, 1, Large::Event), (5, 0, Large::Line), (7, 0, Large::Event)]
    {
        let bytes = if what == Large::Line { line_bytes } else { event_bytes };
        let items = read(limited(line_bytes, event_bytes, Oversize::Skip), b"data: 12345678\n\n");
        assert_eq!(items, [too_large(what, bytes)], "{line_bytes} {event_bytes}");
    }
    for (line_bytes, what, bytes) in [(3, Large::Line, 3), (4, Large::Event, 0)] {
        let items = read(limited(line_bytes, 0, Oversize::Fail), b"data\ndata\n\n");
        assert_eq!(items, [too_large(what, bytes)], "{line_bytes}");
    }
}

#[test]
fn nothing_comes_after_a_failure_until_the_end() {
    let mut parser = limited(10, 5, Oversize::Fail)();
    parser.feed("id: 1\ndata\n\nid: 2\ndata: 12345678\n\ndata: 1\n\n");
    assert_eq!(parser.next_item(), Some(event(MESSAGE, "", "1")));
    assert_eq!(parser.next_item(), Some(too_large(Large::Line, 10)));
    parser.feed("retry: 1\n\ndata: 2\n\n");
    assert_eq!(parser.next_item(), None);
    assert!(parser.waiting.is_empty(), "nothing is kept either");
    parser.end();
    assert_eq!(parser.last_event_id(), "1");
    parser.feed("data: 3\n\n");
    assert_eq!(parser.next_item(), Some(event(MESSAGE, "3", "1")));
}

#[test]
fn a_block_that_is_too_large_can_be_passed_over() {
    let new = limited(12, 5, Oversize::Skip);
    let stream = b"event: x\ndata: 123456\nid: 1\ndata: 123456789012\n: kept\nretry: 5\nid: 90123456789\nevent: y\n\n\
        data: 1\n\n: so long a comment\ndata: 2\n\ndata: 3\n\nid: 2\nunknown unknown\nid:2345678901\0\ndata\n\nevent: z\ndata\n\n";
    assert_eq!(
        read(new, stream),
        [
            too_large(Large::Event, 5),
            Ok(Item::Comment(" kept".into())),
            retry(5),
            id("1"),
            event(MESSAGE, "1", "1"),
            too_large(Large::Line, 12),
            event(MESSAGE, "3", "1"),
            too_large(Large::Line, 12),
            id("2"),
            event("z", "", "2"),
        ]
    );
}

#[test]
fn a_limit_that_comes_late_holds_for_the_line_that_is_cut() {
    let mut parser = Parser::new();
    parser.feed("data: 12345");
    assert_eq!(parser.next_item(), None);
    parser = parser.with_limits(Limits::default().with_line_bytes(8));
    parser.feed("6");
    assert_eq!(parser.next_item(), Some(too_large(Large::Line, 8)));
}

#[test]
fn what_was_gathered_as_likely_to_be_cut_counts() {
    // The lengths of a first line, which makes the second one likely to be cut.
    for (more, is_good) in [(4_994, true), (4_995, false)] {
        let mut parser = limited(10_000, 100_000, Oversize::Fail)();
        parser.feed("data: ");
        parser.feed(format!("{}\n\ndata: {}", "x".repeat(9_000), "x".repeat(5_000)));
        assert_eq!(parser.next_item(), Some(message(&"x".repeat(9_000))));
        assert_eq!(parser.next_item(), None);
        parser.feed(format!("{}\n\n", "x".repeat(more)));
        let expected = if is_good { message(&"x".repeat(9_994)) } else { too_large(Large::Line, 10_000) };
        assert_eq!(parser.next_item(), Some(expected));
    }
}
