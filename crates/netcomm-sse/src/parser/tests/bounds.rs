//! What work and memory are bounded by.

use super::*;
use crate::limits::{Limits, Oversize};
use crate::parser::eol::tests::looked_at;

impl Parser {
    /// Bytes that are allocated, but for what has a bound of its own.
    pub(super) fn allocated(&self) -> usize {
        let waiting = self.waiting.capacity() * size_of::<Bytes>();
        self.chunk.len() + waiting + self.open.allocated() + self.cut.value.capacity()
    }
}

/// Feeds it, and says how many bytes were looked at for their line ends.
fn work(parser: &mut Parser, stream: &[u8], chunk_bytes: usize) -> usize {
    looked_at();
    for chunk in stream.chunks(chunk_bytes) {
        parser.feed(Bytes::copy_from_slice(chunk));
        while parser.next_item().is_some() {}
    }
    looked_at()
}

#[test]
fn no_byte_is_looked_at_again() {
    let x = "x".repeat(100_000);
    let streams = [
        format!("data: {x}\n\n"),
        format!(": {x}\n\n"),
        format!("{x}: {x}\n\n"),
        format!("id: {x}\nevent: {x}\n\n"),
        "data: x\r\n".repeat(10_000),
        "\n".repeat(100_000),
        "event: unwanted\nid: 1\ndata: x\n\n".repeat(5_000),
    ];
    for stream in streams {
        for chunk_bytes in [1, 2, 1000, usize::MAX] {
            let mut parser = Parser::new();
            parser.set_filter(Some(Arc::new(|name| name != "unwanted")));
            let bytes = work(&mut parser, stream.as_bytes(), chunk_bytes);
            // The end of a line that is cut is found once, and looked at once more to be passed.
            assert!(bytes <= 2 * stream.len(), "{bytes} of {} in {chunk_bytes}", stream.len());
        }
    }
}

#[test]
fn the_middle_of_a_line_of_data_keeps_no_chunk() {
    let mut parser = Parser::new();
    parser.feed("data: 1");
    assert!(parser.next_item().is_none());
    for bytes in [1, 100, 10_000] {
        let chunk = Bytes::from("x".repeat(bytes));
        parser.feed(chunk.clone());
        assert!(chunk.is_unique(), "{bytes}");
        assert_eq!(parser.next_item(), None);
    }
    parser.feed("x\n\n");
    assert_eq!(parser.next_item(), Some(message(&format!("1{}", "x".repeat(10_102)))));
}

#[test]
fn what_is_not_wanted_is_not_stored() {
    let mut parser = Parser::new();
    for line in [": ", "unknown: ", "unknown"] {
        parser.feed(line);
        for _ in 0..1000 {
            parser.feed("a".repeat(100));
            assert!(parser.next_item().is_none());
            assert!(parser.allocated() <= 2048, "{}", parser.allocated());
        }
        parser.feed("\n");
    }
}

#[test]
fn a_silent_stream_holds_nothing() {
    let long = "x".repeat(5000);
    let mut parser = Parser::new().with_comments(true);
    for chunk_bytes in [1, 7, 1000, 1_000_000] {
        let stream = format!(
            "event: {long}\nid: {long}\nretry: {}\n: {long}\ndata: {long}\ndata: {long}\n\nid: 1\ndata: 1\n\n",
            "0".repeat(5000)
        );
        for chunk in stream.as_bytes().chunks(chunk_bytes) {
            parser.feed(Bytes::copy_from_slice(chunk));
        }
        while parser.next_item().is_some() {}
        let allocated = parser.allocated();
        assert!(allocated <= 3 * 1024, "{allocated} bytes after chunks of {chunk_bytes}");
        assert_eq!(parser.chunk.len(), 0);
    }
}

#[test]
fn memory_is_bounded_by_the_limits() {
    let limits = Limits::default().with_line_bytes(10_000).with_event_bytes(20_000).with_oversize(Oversize::Skip);
    let mut parser = Parser::new().with_limits(limits);
    let mut most = 0;
    for line in ["data: ", "id: ", "event: ", "retry: ", ": "] {
        for end in ["", "\n"] {
            parser.feed("\n\n");
            for _ in 0..1000 {
                parser.feed(format!("{line}{}{end}", "1".repeat(5000)));
                while parser.next_item().is_some() {}
                most = most.max(parser.allocated());
            }
        }
    }
    assert!(most <= 2 * (10_000 + 20_000) + 2048, "{most}");
}

#[test]
fn an_event_holds_little_more_than_its_data() {
    let mut parser = Parser::new();
    let large = "x".repeat(1 << 20);
    for size in [1 << 20, 2000, 5] {
        for line in ["data: ", &large[..size], "\ndata: 1\n", "\n"] {
            parser.feed(line.to_owned());
        }
        let Some(Ok(Item::Event(event))) = parser.next_item() else { panic!("an event") };
        assert_eq!(event.data.len(), size + 2);
        let data = event.data.into_bytes().try_into_mut().expect("alone");
        assert!(data.capacity() <= 2 * data.len() + 1, "{} for {}", data.capacity(), data.len());
    }
}
