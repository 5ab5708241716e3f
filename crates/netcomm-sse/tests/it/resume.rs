//! Which id a server is asked to go on from, and what is known of what was missed.

use netcomm_core::Result;
use netcomm_sse::{Event, Notice, Resume, Select};

use crate::stage::{SECOND, Server, data, datas, ends, events, stays, story, watch, word};

#[tokio::test(start_paused = true)]
async fn an_id_counts_once_its_block_is_whole() {
    let server = Server::replies([
        events("id: 1\ndata: a\n\nid: 2\ndata: b\n"),
        events("id: 2\ndata: b\n\nid: 3"),
        events(": nothing\n\n"),
        stays("data: c\n\n"),
    ]);
    let mut stream = server.stream();
    assert_eq!(datas(&mut stream, 3).await, ["a", "b", "c"]);
    assert_eq!(server.ids(), ["-", "1", "2", "2"]);
    assert_eq!(stream.last_event_id(), "2", "what says no id does not take it back");
}

#[tokio::test(start_paused = true)]
async fn an_event_carries_the_id_of_the_life_before() {
    let server = Server::replies([events("id: x\ndata: a\n\n"), events("data: b\n\n"), stays("data: c\n\n")]);
    let mut stream = server.stream();
    for expected in ["a", "b", "c"] {
        let event = ends(stream.next()).await.expect("one").expect("no error");
        assert_eq!((&*event.data, &*event.id), (expected, "x"));
    }
    assert_eq!(server.ids(), ["-", "x", "x"]);
}

#[tokio::test(start_paused = true)]
async fn a_block_of_an_id_alone_counts_and_an_empty_id_takes_it_back() {
    let server = Server::replies([events("id: 7\n\n"), events("id\ndata: a\n\n"), stays("id: a\0b\ndata: b\n\n")]);
    let mut stream = server.stream();
    let mut words = Vec::new();
    while words.last().is_none_or(|last| last != "event b") {
        words.push(word(&ends(stream.notice()).await.expect("more")));
    }
    assert!(words.contains(&"id 7".to_owned()), "{words:?}");
    assert_eq!(server.ids(), ["-", "7", "-"], "an id with a NUL is none");
    assert_eq!(stream.last_event_id(), "");
}

#[tokio::test(start_paused = true)]
async fn an_id_goes_as_utf_8_and_one_that_cannot_go_is_told() {
    let server =
        Server::replies([events("id: …\ndata: a\n\n"), events("id: a\u{1}b\ndata: b\n\n"), stays("data: c\n\n")]);
    let mut stream = server.stream();
    let mut resumes = Vec::new();
    while resumes.len() < 3 {
        if let Some(Notice::Open(opened)) = ends(stream.notice()).await {
            resumes.push(opened.resume);
        }
    }
    assert_eq!(resumes, [Resume::Fresh, Resume::After("…".into()), Resume::Unsendable("a\u{1}b".into())]);
    assert_eq!(server.ids(), ["-", "…", "-"]);
    assert_eq!(data(&mut stream).await, "c", "it goes on all the same");
    assert_eq!(stream.last_event_id(), "a\u{1}b");
}

#[tokio::test(start_paused = true)]
async fn a_source_begins_behind_an_id_that_is_known() {
    let server = Server::replies([events(""), stays("data: a\n\n")]);
    let mut stream = server.builder().last_event_id("41").stream().expect("a stream");
    assert_eq!(stream.last_event_id(), "41");
    let event = ends(stream.next()).await.expect("one").expect("no error");
    assert_eq!(event.id, "41");
    assert_eq!(server.ids(), ["41", "41"]);
}

fn is_gap(after: &str, first: &Event) -> bool {
    let (after, first) = (after.parse::<u64>(), first.id.parse::<u64>());
    matches!((after, first), (Ok(after), Ok(first)) if first != after + 1)
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_before_what_comes_behind_it() -> Result<()> {
    let server = Server::replies([
        events("id: 1\ndata: a\n\nid: 5\ndata: b\n\n"),
        events("id: 9\ndata: c\n\nid: 20\ndata: d\n\n"),
        events(""),
        events("id: 21\ndata: e\n\n"),
    ]);
    let mut stream = server.builder().gaps(is_gap).stream()?;
    let words: Vec<_> = watch(&mut stream, 50 * SECOND).await.iter().map(word).collect();
    let told: Vec<_> = words.iter().filter(|word| word.starts_with("gap") || word.starts_with("event")).collect();
    assert_eq!(told, ["event a", "event b", "gap 5", "event c", "event d", "event e"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_event_behind_a_gap_that_was_not_taken_does_not_count() -> Result<()> {
    let server = Server::replies([events("id: 1\ndata: a\n\n"), stays("id: 9\ndata: b\n\n")]);
    let mut stream = server.builder().gaps(is_gap).stream()?;
    while !matches!(ends(stream.notice()).await, Some(Notice::Gap { .. })) {}
    stream.close();
    assert_eq!(story(&mut stream).await, ["closed Owner"]);
    assert_eq!(stream.last_event_id(), "1", "it was never seen");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn types_that_are_not_wanted_cost_nothing_and_their_ids_count() -> Result<()> {
    let server = Server::replies([
        events("event: no\nid: 1\ndata: a\n\nevent: user/x\ndata: b\n\nevent: no\nid: 3\ndata: c\n\n"),
        stays("event: add\ndata: d\n\ndata: e\n\n"),
    ]);
    let mut stream = server.builder().types([Select::prefix("user/"), "add".into()]).stream()?;
    assert_eq!(datas(&mut stream, 2).await, ["b", "d"]);
    assert_eq!(server.ids(), ["-", "3"]);
    assert_eq!(stream.counts().events, 2);
    stream.set_types([]);
    assert_eq!(data(&mut stream).await, "e", "all of them");
    Ok(())
}
