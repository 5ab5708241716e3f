//! Events that a stream lends.

use netcomm_core::{ErrorKind, Result};
use netcomm_sse::{Event, EventStream, Select};
use serde::Deserialize;

use crate::stage::{SECOND, Server, ends, events, stays};

/// All events up to the end, every n-th of them lent; 0: none.
async fn read(stream: &mut EventStream, lent: usize) -> Vec<Result<Event>> {
    let mut seen = Vec::new();
    loop {
        let next = match lent > 0 && seen.len().is_multiple_of(lent) {
            true => ends(stream.next_ref()).await.map(|event| event.map(|event| event.to_event())),
            false => ends(stream.next()).await,
        };
        match next {
            Some(event) => seen.push(event),
            None => return seen,
        }
    }
}

/// What the last stream says.
const LAST: &str = "event: tick\nid: 9\ndata: d\n\nevent: tick\ndata: e\n\nevent: tick\ndata: [DONE]\n\ndata: no\n\n";

#[tokio::test(start_paused = true)]
async fn what_is_lent_is_what_is_given() -> Result<()> {
    let large = "x".repeat(70_000);
    let wire = format!(
        "retry: 5\n\nevent: tick\nid: 1\ndata: a\n\ndata: b\ndata: c\n\n: nothing\n\nid: 2\n\nevent: other\ndata: {large}\n\n\
         event: tick\ndata: {large}\ndata: {large}\n\nid: …\ndata: \u{1F4A9}\n\n"
    );
    for types in [None, Some(Select::exact("tick"))] {
        for cut in [wire.len(), 1000, 7] {
            let mut told = Vec::new();
            for lent in [0, 1, 2, 3] {
                // It breaks in the middle, comes back, is found to have left a gap, and ends with the word for it.
                let first = wire.as_bytes().chunks(cut).fold(events(""), |reply, piece| reply.give(piece));
                let server = Server::replies([first, stays(LAST)]);
                let builder = server.builder().done_when("[DONE]").gaps(|_, _| true).types(types.clone());
                let mut stream = builder.stream()?;
                let seen: Vec<Event> = read(&mut stream, lent).await.into_iter().collect::<Result<_>>()?;
                told.push((seen, stream.counts(), stream.last_event_id().to_owned(), server.ids()));
            }
            assert!(told[0].0.len() >= 2, "{types:?} by {cut}: {told:?}");
            for (lent, one) in told.iter().enumerate() {
                assert_eq!(*one, told[0], "every {lent} lent, {types:?} by {cut}");
            }
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_once() -> Result<()> {
    let server = Server::replies([stays("data: a\n\ndata: b\n\n")]);
    let mut stream = server.builder().post_json(&"why?").idle_timeout(SECOND).stream()?;
    for expected in ["a", "b"] {
        let event = ends(stream.next_ref()).await.expect("one")?;
        assert_eq!((event.event_type, event.data, event.id), ("message", expected, ""));
    }
    let error = ends(stream.next_ref()).await.expect("one").expect_err("silence");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(ends(stream.next_ref()).await.is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_value_may_borrow_from_what_is_lent() -> Result<()> {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Said<'a> {
        text: &'a str,
    }
    let server =
        Server::replies([stays("data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b\"}\n\nid: 3\ndata: {\"text\":4}\n\n")]);
    let mut stream = server.stream();
    for text in ["a", "b"] {
        assert_eq!(ends(stream.next_ref()).await.expect("one")?.json::<Said<'_>>()?, Said { text });
    }
    let event = ends(stream.next_ref()).await.expect("one")?;
    let error = event.json::<Said<'_>>().expect_err("a number");
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("id \"3\""), "{error}");
    Ok(())
}
