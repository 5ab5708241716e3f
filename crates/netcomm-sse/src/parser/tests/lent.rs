//! What the parser lends.

use super::*;
use crate::parser::text::tests::checked;

fn next<'a>(parser: &'a mut Parser) -> EventRef<'a> {
    let Some(Ok(ItemRef::Event(event))) = parser.next_ref() else { panic!("an event") };
    event
}

#[test]
fn data_that_one_chunk_holds_lies_there() {
    for data in ["1".to_owned(), "é".repeat(100), "x".repeat(100_000)] {
        let more = "\n".repeat(1000);
        let chunk = Bytes::from(format!("event: add\nid: 1\ndata: {data}\n\n{more}"));
        let mut parser = Parser::new();
        parser.feed(chunk.clone());
        let event = next(&mut parser);
        assert_eq!((event.event_type, event.data, event.id), ("add", &*data, "1"));
        assert_eq!(event.data.as_ptr(), chunk[23..].as_ptr());
        assert_eq!(event.to_event(), Event::new(data).with_type("add").with_id("1"));
        assert_eq!(parser.next_ref(), None);
        drop(parser);
        assert!(chunk.is_unique());
    }
}

#[test]
fn data_that_was_expected_to_be_cut_and_is_not_lies_in_its_chunk() {
    let long = "x".repeat(10_000);
    let chunk = Bytes::from(format!("{long}\n\ndata: {}\n\ndata: {}\n\n", &long[..5_000], &long[..6_000]));
    let mut parser = Parser::new();
    parser.feed("data: ");
    assert_eq!(parser.next_ref(), None);
    parser.feed(chunk.clone());
    assert_eq!(next(&mut parser).data, long);
    for (at, bytes) in [(10_008, 5_000), (15_016, 6_000)] {
        let data = next(&mut parser).data;
        assert_eq!((data, data.as_ptr()), (&long[..bytes], chunk[at..].as_ptr()));
    }
    assert_eq!(parser.next_ref(), None);
}

#[test]
fn large_data_of_a_chunk_that_is_used_up_lies_there() {
    let line = Bytes::from(format!("data: {}\n", "x".repeat(1025)));
    let mut parser = Parser::new();
    parser.feed(line.clone());
    assert_eq!(parser.next_ref(), None);
    parser.feed("\n");
    assert_eq!(next(&mut parser).data.as_ptr(), line[6..].as_ptr());
    assert!(!line.is_unique());
    assert_eq!(parser.next_ref(), None);
    assert!(line.is_unique());
}

#[test]
fn a_chunk_that_holds_what_is_no_text_lends_the_rest_where_it_lies() {
    let chunk = Bytes::from([b"data: \xc3\xa91\n\ndata: \xff\n\ndata: 2\n\n", &[b'\n'; 1000][..]].concat());
    let mut parser = Parser::new();
    parser.feed(chunk.clone());
    assert_eq!(next(&mut parser).data.as_ptr(), chunk[6..].as_ptr());
    assert_eq!(next(&mut parser).data, "\u{fffd}");
    let last = next(&mut parser).data;
    assert_eq!((last, last.as_ptr()), ("2", chunk[chunk.len() - 1003..].as_ptr()));
}

#[test]
fn what_is_gathered_lies_in_memory_that_serves_again() {
    let mut parser = Parser::new();
    let line = format!("data: {}\n", "x".repeat(100));
    parser.feed(format!("{line}{line}\n").repeat(3));
    let places: Vec<_> = std::iter::from_fn(|| match parser.next_ref()?.expect("no limit") {
        ItemRef::Event(event) => Some(event.data.as_ptr()),
        other => panic!("{other:?}"),
    })
    .collect();
    assert_eq!(places, [places[0]; 3]);
}

#[test]
fn lending_allocates_nothing() {
    let stream = "event: add\nid: 1\ndata: 1\n\ndata: 2\ndata: 3\n\nid: 22\n\nretry: 1\n: x\n\n".repeat(100);
    let mut parser = Parser::new().with_comments(true);
    parser.feed(stream.clone());
    while parser.next_ref().is_some() {}
    let chunks: Vec<_> = stream.as_bytes().chunks(600).map(Bytes::copy_from_slice).collect();
    let allocated = allocation_counter::measure(|| {
        for chunk in chunks {
            parser.feed(chunk);
            while parser.next_ref().is_some() {}
        }
    });
    // Each chunk has its bytes counted, since a view of them is text.
    assert!(allocated.count_total <= 1000, "{allocated:?}");
}

#[test]
fn what_was_lent_is_given_back_when_more_is_asked_for() {
    let long = "x".repeat(100_000);
    let name = "n".repeat(1000);
    for stream in [
        format!("data: {long}\ndata: {long}\n\n"),
        format!("id: {long}\nid\ndata: {long}\n\n"),
        format!("event: {long}\nevent: {name}\ndata: 1\n\n"),
        format!(": {long}\n:\ndata: 1\n\n"),
    ] {
        for size in [1000, stream.len() - 1, stream.len()] {
            let mut parser = Parser::new().with_comments(true);
            for chunk in stream.as_bytes().chunks(size) {
                parser.feed(Bytes::copy_from_slice(chunk));
            }
            while parser.next_ref().is_some() {}
            assert!(parser.allocated() <= 3 * 1024, "{} bytes of chunks of {size}", parser.allocated());
        }
    }
}

#[test]
fn data_that_is_not_wanted_is_not_read_as_text() {
    // The type comes last.
    let block = b"data: \xff\ndata: \xff\nevent: unwanted\n\n";
    checked();
    for sizes in [&[3u8][..], &[11], &[]] {
        let mut parser = Parser::new();
        parser.set_filter(Some(Arc::new(|name| name != "unwanted")));
        parser.feed("event: unwanted\n\n");
        for chunk in cut(block, sizes) {
            parser.feed(chunk);
            assert_eq!(parser.next_ref(), None);
        }
        assert_eq!(checked(), "unwanted".len());
    }
}

#[test]
fn a_filter_spares_what_waits_already() {
    let mut parser = Parser::new();
    parser.feed("event: unwanted\ndata: 1\n\n".repeat(100) + "data: 22\n\n");
    parser.set_filter(Some(Arc::new(|name| name == MESSAGE)));
    checked();
    assert_eq!(next(&mut parser).data, "22");
    assert_eq!(checked(), "unwanted".len() + "22".len());
}

#[test]
fn debug_of_what_is_lent_shows_no_data() {
    let mut parser = Parser::new();
    parser.feed("data: secret\n\n");
    assert_eq!(format!("{:?}", parser.next_ref()), "Some(Ok(Event(Event(\"message\", 6 bytes, id \"\"))))");
}

proptest! {
    #[test]
    fn it_is_what_else_would_be_given(
        stream in streams(),
        sizes in vec(1u8..40, 0..8),
        comments: bool,
        filter: bool,
        lent in vec(any::<bool>(), 1..8),
    ) {
        let new = || {
            let mut parser = Parser::new().with_comments(comments);
            parser.set_filter(filter.then(|| Arc::new(|name: &str| name == "a") as Filter));
            parser
        };
        let chunks = cut(&stream, &sizes);
        let given = read_chunks(new(), &chunks);
        prop_assert_eq!(&read_lent(new(), &chunks, |_| true), &given);
        prop_assert_eq!(&read_lent(new(), &chunks, |at| lent[at % lent.len()]), &given);
    }
}
