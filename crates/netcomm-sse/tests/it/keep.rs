//! The last event id, kept beyond the life of a source.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{Error, ErrorKind, Result};
use netcomm_sse::{KeepId, Notice};

use crate::stage::{SECOND, Server, Step, data, ends, events, fails, pass, status, stays, story, watch, wire};

/// A place to keep an id in, and all that was done there. Cheap to clone.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    kept: Option<String>,
    saved: Vec<String>,
    loads: usize,
    /// How long a save takes; with `None` it never ends.
    hangs: bool,
    takes: Duration,
    fails: usize,
    load_fails: bool,
}

impl Place {
    fn with(change: impl FnOnce(&mut Inner)) -> Self {
        let place = Self::default();
        change(&mut place.0.lock().expect("held shortly"));
        place
    }

    fn saved(&self) -> Vec<String> {
        self.0.lock().expect("held shortly").saved.clone()
    }

    fn kept(&self) -> Option<String> {
        self.0.lock().expect("held shortly").kept.clone()
    }
}

impl KeepId for Place {
    async fn load(&self) -> Result<Option<String>> {
        let mut inner = self.0.lock().expect("held shortly");
        inner.loads += 1;
        if inner.load_fails { Err(Error::new(ErrorKind::Io, "read id")) } else { Ok(inner.kept.clone()) }
    }

    async fn save(&self, id: String) -> Result<()> {
        let (takes, hangs) = {
            let mut inner = self.0.lock().expect("held shortly");
            inner.saved.push(id.clone());
            (inner.takes, inner.hangs)
        };
        if hangs {
            pending::<()>().await;
        }
        pass(takes).await;
        let mut inner = self.0.lock().expect("held shortly");
        if inner.fails > 0 {
            inner.fails -= 1;
            return Err(Error::new(ErrorKind::Io, "write id"));
        }
        inner.kept = Some(id);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_begins_behind_what_is_kept() -> Result<()> {
    let place = Place::with(|inner| inner.kept = Some("7".to_owned()));
    let server = Server::replies([events("data: a\n\n"), stays("id: 8\ndata: b\n\n")]);
    let mut stream = server.builder().keep_id(place.clone()).last_event_id("1").stream()?;
    assert_eq!((data(&mut stream).await, data(&mut stream).await), ("a".to_owned(), "b".to_owned()));
    assert_eq!(server.ids(), ["7", "7"]);
    watch(&mut stream, SECOND).await;
    assert_eq!((place.saved(), place.0.lock().expect("held shortly").loads), (vec!["8".to_owned()], 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_id_is_kept_only_after_its_event_was_taken() -> Result<()> {
    let place = Place::default();
    let server = Server::replies([stays("id: 1\ndata: a\n\nid: 2\ndata: b\n\n")]);
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    for expected in ["a", "b"] {
        assert_eq!(data(&mut stream).await, expected);
        pass(SECOND).await;
        assert!(place.saved().is_empty(), "who took it may still fail over it");
    }
    watch(&mut stream, SECOND).await;
    assert_eq!(place.saved(), ["2"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn while_one_is_kept_only_the_newest_waits() -> Result<()> {
    let place = Place::with(|inner| inner.takes = 10 * SECOND);
    let server = Server::new(|_| {
        (0..100)
            .fold(events(""), |reply, id| reply.give(format!("id: {id}\ndata: x\n\n")).wait(SECOND))
            .then(Step::Hang)
    });
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    watch(&mut stream, 200 * SECOND).await;
    let saved = place.saved();
    assert!((9..=12).contains(&saved.len()), "{saved:?}");
    assert_eq!(place.kept().as_deref(), Some("99"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_each_answer_has_its_ids_kept_too() -> Result<()> {
    // No moment of any of these streams is silent.
    let place = Place::with(|inner| inner.takes = 2 * SECOND);
    let server = Server::new(|asked| events(format!("retry: 5000\nid: {0}\ndata: x\n\n", asked.number)));
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    while stream.counts().events < 3 {
        ends(stream.notice()).await;
    }
    assert_eq!(place.kept().as_deref(), Some("1"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_pauses_has_its_ids_kept_too() -> Result<()> {
    let place = Place::default();
    let server = Server::new(|_| (0..1000).fold(events(""), |reply, id| reply.give(format!("id: {id}\ndata: x\n\n"))));
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    for _ in 0..1000 {
        data(&mut stream).await;
    }
    let saved = place.saved();
    assert!((5..100).contains(&saved.len()), "{}", saved.len());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_last_is_kept_at_the_end() -> Result<()> {
    for ending in ["id: 9\ndata: [DONE]\n\n", "id: 9\ndata: x\n\n"] {
        let place = Place::with(|inner| inner.takes = 3 * SECOND);
        let server = Server::new(move |asked| if asked.number == 0 { events(ending) } else { status(204) });
        let mut stream = server.builder().keep_id(place.clone()).done_when("[DONE]").stream()?;
        story(&mut stream).await;
        assert_eq!(place.kept().as_deref(), Some("9"), "{ending:?}");
    }
    let place = Place::with(|inner| inner.takes = 3 * SECOND);
    let server = Server::new(|_| stays("id: 1\ndata: a\n\nid: 2\ndata: b\n\n"));
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    assert_eq!(data(&mut stream).await, "a");
    stream.close();
    assert_eq!(story(&mut stream).await, ["closed Owner"]);
    assert_eq!(place.kept().as_deref(), Some("1"), "the second one was not taken");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_id_that_cannot_be_kept_is_told_and_ends_nothing() -> Result<()> {
    let place = Place::with(|inner| inner.fails = 1);
    let (writer, reply) = wire();
    let server = Server::replies([reply]);
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    writer.send("id: 1\ndata: a\n\n".into()).expect("read");
    let words: Vec<_> = watch(&mut stream, SECOND).await.iter().map(crate::stage::word).collect();
    assert_eq!(words.last().map(String::as_str), Some("not kept Io"));
    assert_eq!(words.iter().filter(|word| word.starts_with("not")).count(), 1, "told once");
    writer.send("id: 2\ndata: b\n\n".into()).expect("read");
    watch(&mut stream, SECOND).await;
    assert_eq!((place.saved(), place.kept()), (vec!["1".to_owned(), "2".to_owned()], Some("2".to_owned())));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_kept_is_tried_once_more_at_the_end() -> Result<()> {
    for (fails, kept, told) in [(1, Some("1"), 0), (9, None, 1)] {
        let place = Place::with(|inner| inner.fails = fails);
        let server = Server::new(|_| stays("id: 1\ndata: a\n\n"));
        let mut stream = server.builder().keep_id(place.clone()).stream()?;
        watch(&mut stream, SECOND).await;
        stream.close();
        let told_so = story(&mut stream).await.iter().filter(|word| word.starts_with("not kept")).count();
        assert_eq!((place.kept().as_deref(), told_so, place.saved().len()), (kept, told, 2));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_newest_is_kept_at_the_end_after_an_older_one_that_could_not_be() -> Result<()> {
    let place = Place::with(|inner| (inner.takes, inner.fails) = (5 * SECOND, 1));
    let (writer, reply) = wire();
    let server = Server::replies([reply]);
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    writer.send("id: 1\ndata: a\n\n".into()).expect("read");
    watch(&mut stream, SECOND).await;
    writer.send("id: 2\ndata: b\n\n".into()).expect("read");
    watch(&mut stream, SECOND).await;
    stream.close();
    assert_eq!(story(&mut stream).await, ["not kept Io", "closed Owner"]);
    assert_eq!(place.kept().as_deref(), Some("2"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_save_that_hangs_holds_up_nothing_for_long() -> Result<()> {
    let place = Place::with(|inner| inner.hangs = true);
    let server = Server::new(|asked| stays(format!("id: {0}\ndata: {0}\n\n", asked.number)));
    let mut stream = server.builder().keep_id(place.clone()).idle_timeout(SECOND).stream()?;
    for number in 0..5 {
        assert_eq!(data(&mut stream).await, number.to_string());
    }
    stream.close();
    let before = tokio::time::Instant::now();
    assert_eq!(story(&mut stream).await, ["not kept Timeout", "closed Owner"]);
    assert_eq!((before.elapsed(), place.saved().len()), (10 * SECOND, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_what_was_kept_nothing_is_asked_and_nothing_overwritten() -> Result<()> {
    let place = Place::with(|inner| (inner.load_fails, inner.kept) = (true, Some("7".to_owned())));
    let server = Server::new(|_| stays("data: x\n\n"));
    let mut stream = server.builder().keep_id(place.clone()).last_event_id("1").stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), server.times()), (ErrorKind::Io, 0));
    assert_eq!((place.saved().len(), place.kept().as_deref()), (0, Some("7")), "the preset one is not newer");
    // It is asked for again by whoever starts it again.
    place.0.lock().expect("held shortly").load_fails = false;
    stream.restart();
    assert_eq!(data(&mut stream).await, "x");
    assert_eq!(server.ids(), ["7"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn closed_before_it_has_begun_nothing_is_overwritten() -> Result<()> {
    let place = Place::with(|inner| inner.kept = Some("7".to_owned()));
    let server = Server::new(|_| stays("data: x\n\n"));
    let mut stream = server.builder().keep_id(place.clone()).last_event_id("1").stream()?;
    stream.close();
    assert_eq!(story(&mut stream).await, ["closed Owner"]);
    assert_eq!((place.kept().as_deref(), server.times()), (Some("7"), 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_taken_back_is_kept_as_none() -> Result<()> {
    let place = Place::with(|inner| inner.kept = Some("7".to_owned()));
    let server = Server::new(|_| stays("id\ndata: x\n\n"));
    let mut stream = server.builder().keep_id(place.clone()).stream()?;
    watch(&mut stream, SECOND).await;
    assert_eq!(place.saved(), [""]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_ends() -> Result<()> {
    struct Never;
    impl KeepId for Never {
        async fn load(&self) -> Result<Option<String>> {
            pending().await
        }

        async fn save(&self, _id: String) -> Result<()> {
            Ok(())
        }
    }
    let server = Server::new(|_| stays("data: x\n\n"));
    let mut stream = server.builder().keep_id(Never).open_timeout(SECOND).stream()?;
    let notice = ends(stream.notice()).await;
    assert!(
        matches!(notice, Some(Notice::Closed(netcomm_sse::End::Failed(error))) if error.kind() == ErrorKind::Timeout)
    );
    assert_eq!(server.times(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn started_again_between_two_words_of_its_end_it_lives() -> Result<()> {
    let place = Place::with(|inner| inner.fails = 9);
    let server = Server::new(|_| stays("id: 1\ndata: a\n\n"));
    let mut stream = server.builder().keep_id(place).stream()?;
    assert_eq!(data(&mut stream).await, "a");
    stream.close();
    assert!(matches!(ends(stream.notice()).await, Some(Notice::NotKept(_))));
    stream.restart();
    assert_eq!(data(&mut stream).await, "a");
    assert_eq!(server.times(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_last_handle_goes_keeps_its_id() -> Result<()> {
    let place = Place::with(|inner| inner.takes = 3 * SECOND);
    let server = Server::new(|_| stays("id: 1\ndata: a\n\n"));
    let source = server.builder().keep_id(place.clone()).open()?;
    let mut listener = source.subscribe("message", netcomm_core::Listening::default());
    assert_eq!(ends(listener.next()).await.expect("one").expect("no lag").data, "a");
    drop(source);
    assert!(ends(listener.next()).await.is_none());
    assert_eq!(place.kept().as_deref(), Some("1"));
    Ok(())
}
