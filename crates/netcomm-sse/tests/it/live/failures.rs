//! What goes wrong: the network, patches, types, servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netcomm_core::{Attempt, ErrorKind, GaveUp, Reach, Reconnect};
use netcomm_sse::{Change, End, Follow, Following, Live, LiveLimits, LiveState, News, Patch, Request};

use super::Numbers;
use super::world::{Answer, SECOND, World, at, behind, event, in_step, until};

#[tokio::test(start_paused = true)]
async fn without_a_network_the_last_document_stays_and_ages() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    tokio::time::sleep(30 * SECOND).await;
    world.say(": still there\n\n");
    tokio::time::sleep(SECOND).await;
    assert_eq!(live.current().map(|now| now.age()), Some(SECOND), "a comment says that nothing has changed");

    world.network.set_reach(Reach::Offline);
    world.break_streams();
    behind(&mut live).await;
    tokio::time::sleep(3600 * SECOND).await;
    let now = live.current().expect("the last one");
    assert_eq!((now["a"], now.is_in_step()), (1, false));
    assert_eq!(now.age(), 3601 * SECOND, "since something was heard, not since the loss was noticed");
    assert_eq!(world.asked().len(), 2, "nothing is asked where there is no network");

    world.welcome(event("merge", 6, r#"{"a":2}"#));
    world.network.set_reach(Reach::Online);
    at(&mut live, 6).await;
    let now = live.current().expect("a document");
    assert_eq!((now["a"], now.age(), world.fetches().len()), (2, Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_fetch_waits_for_a_network() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.network.set_reach(Reach::Offline);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    assert_eq!(behind(&mut live).await.kind(), ErrorKind::Offline);
    tokio::time::sleep(60 * SECOND).await;
    assert!(world.asked().is_empty() && live.current().is_none());
    world.network.set_reach(Reach::Online);
    in_step(&mut live).await;
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_never_applies_is_no_loop() {
    let world = World::new(r#"{"a":1}"#, 5, Some("\"e\""));
    world.welcome(event("patch", 6, r#"[{"op":"replace","path":"/a","value":2},{"op":"remove","path":"/nowhere"}]"#));
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    assert_eq!(behind(&mut live).await.kind(), ErrorKind::Decode);
    tokio::time::sleep(300 * SECOND).await;
    let fetches = world.fetches();
    assert!((10..60).contains(&fetches.len()), "{} in five minutes", fetches.len());
    assert!(fetches.iter().all(|asked| asked.field("if-none-match").is_none()), "what is spoiled is not confirmed");
    let waits: Vec<_> = fetches.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(waits[1..].iter().all(|wait| *wait >= SECOND / 2), "{waits:?}");
    assert_eq!(live.current().map(|now| now["a"]), Some(1), "nobody saw it half applied");

    world.welcome("");
    world.set(r#"{"a":3}"#, 6, None);
    at(&mut live, 6).await;
    assert_eq!(live.current().map(|now| now["a"]), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_no_t_is_told_and_the_last_one_stays() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.set(r#"{"a":"text"}"#, 6, None);
    world.say(event("merge", 6, r#"{"a":"text"}"#));
    let error = behind(&mut live).await;
    assert_eq!((error.kind(), error.detail()), (ErrorKind::Decode, Some("as of change 6")));
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(world.fetches().len(), 2, "the server's own is no better: once is enough");
    world.say(event("merge", 7, r#"{"b":1}"#));
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(world.fetches().len(), 2);
    assert_eq!(live.current().map(|now| (now["a"], now.sequence(), now.is_in_step())), Some((1, 5, false)));
    world.say(event("merge", 8, r#"{"a":2}"#));
    at(&mut live, 8).await;
    assert_eq!(live.current().map(|now| (now["a"], now["b"])), Some((2, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_first_document_that_cannot_be_used_ends_it() {
    for (document, sequence, kind) in [
        (r#"{"a":"text"}"#, Some(5), ErrorKind::Decode),
        ("<html>", Some(5), ErrorKind::Decode),
        (r#"{"a":1}"#, None, ErrorKind::Protocol),
        (r#"{"a":1,"b":2}"#, Some(5), ErrorKind::TooLarge),
    ] {
        let world = World::new("", 0, None);
        world.set(document, sequence, None);
        let limits = LiveLimits::default().with_document_bytes(12);
        let live: Live<Numbers> = world.live().limits(limits).open().expect("opens");
        assert_eq!(live.ready().await.expect_err(document).kind(), kind, "{document}");
        assert_eq!(world.asked().len(), 1, "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_for_people_is_waited_out() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.answer_documents([Answer::Page("<html>back soon"), Answer::Status(503), Answer::Refused]);
    world.set(r#"{"a":2}"#, 9, None);
    world.say(event("merge", 9, "{}"));
    at(&mut live, 9).await;
    assert_eq!(world.fetches().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_given_up() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Never]);
    let mut live: Live<Numbers> = world.live().timeout(3 * SECOND).open().expect("opens");
    let error = behind(&mut live).await;
    assert!(error.is_timeout(), "{error}");
    in_step(&mut live).await;
    let fetches = world.fetches();
    assert!(fetches[1].at - fetches[0].at >= 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_no_wait_mends_ends_it() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Status(404)]);
    let live: Live<Numbers> = world.live().open().expect("opens");
    let error = live.ready().await.expect_err("not found");
    assert_eq!(error.status().map(|status| status.as_u16()), Some(404));
    assert!(matches!(live.closed().await, End::Failed(_)));
    assert_eq!(world.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_304_that_nobody_asked_for_is_no_document() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Status(304)]);
    let live: Live<Numbers> = world.live().open().expect("opens");
    let error = live.ready().await.expect_err("no document");
    assert_eq!(error.status().map(|status| status.as_u16()), Some(304));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_changes_ends_a_wait() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Refused, Answer::Refused]);
    let rare = Reconnect::default().floor(3600 * SECOND);
    let mut live: Live<Numbers> = world.live().reconnect(rare).open().expect("opens");
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.fetches().len(), 2);
    world.network.roam();
    in_step(&mut live).await;
    let fetches = world.fetches();
    assert!(fetches[2].at - fetches[0].at < 2 * SECOND);
}

/// Fetches that follow a time in step are the first of their kind, however many there were before.
#[tokio::test(start_paused = true)]
async fn a_copy_that_was_in_step_begins_its_waits_anew() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let rare = Reconnect::default().floor(3600 * SECOND);
    let mut live: Live<Numbers> = world.live().reconnect(rare).open().expect("opens");
    in_step(&mut live).await;
    for sequence in [10, 20, 30] {
        tokio::time::sleep(10 * SECOND).await;
        world.set(r#"{"a":1}"#, sequence, None);
        world.say(event("merge", sequence, "{}"));
        at(&mut live, sequence).await;
    }
    // The stream of before was stable, the one that took its place had no time to be.
    tokio::time::sleep(10 * SECOND).await;
    world.set(r#"{"a":1}"#, 40, None);
    world.welcome(event("merge", 40, "{}"));
    world.break_streams();
    at(&mut live, 40).await;
    let fetches = world.fetches();
    assert!(fetches[4].at - fetches[0].at < 50 * SECOND, "{} fetches", fetches.len());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_gave_up_is_not_begun_again() {
    use netcomm_sse::{EventChanges, EventStream};
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_streams([Answer::Refused; 5]);
    let (env, transport) = (world.env.clone(), world.clone());
    let changes = EventChanges::new(move || {
        let twice = Reconnect::default().max_attempts(2);
        EventStream::builder(&env, super::URL).transport(transport.clone()).reconnect(twice)
    });
    let live: Live<Numbers> = world.live().follow(changes).open().expect("opens");
    match live.closed().await {
        End::Failed(error) => assert_eq!(error.kind(), ErrorKind::Connect),
        end => panic!("{end:?}"),
    }
    assert_eq!(world.streams().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn waits_that_are_counted_come_to_an_end() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Refused; 5]);
    let live: Live<Numbers> = world.live().reconnect(Reconnect::default().max_attempts(3)).open().expect("opens");
    let error = live.ready().await.expect_err("gave up");
    assert_eq!((error.gave_up(), world.fetches().len()), (Some(GaveUp::Attempts), 3));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_asks_for_new_credentials_once() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Status(401)]);
    let prepare = |request: Request, attempt: Attempt| async move {
        Ok(request.header("authorization", if attempt.refresh { "new" } else { "kept" }))
    };
    let mut live: Live<Numbers> = world.live().prepare(prepare).open().expect("opens");
    in_step(&mut live).await;
    let said: Vec<_> = world.asked().iter().map(|asked| asked.field("authorization").map(str::to_owned)).collect();
    assert_eq!(said, [Some("kept".to_owned()), Some("new".to_owned()), Some("kept".to_owned())]);
    // Without anybody to ask there is no use in another try.
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Status(401)]);
    let live: Live<Numbers> = world.live().open().expect("opens");
    assert!(live.ready().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_log_is_gone_says_410_and_is_asked_for_the_document() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.answer_streams([Answer::Status(410)]);
    world.set(r#"{"a":2}"#, 2, None);
    world.break_streams();
    at(&mut live, 2).await;
    assert_eq!((live.current().map(|now| now["a"]), world.fetches().len()), (Some(2), 2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_well_ends_it() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_streams([Answer::Status(204)]);
    let live: Live<Numbers> = world.live().open().expect("opens");
    assert!(matches!(live.closed().await, End::NoContent));
    assert_eq!(live.current().map(|now| now["a"]), Some(1));
}

/// Brings one change each time it is asked, then fails as it is told to.
fn single(asked: &Arc<AtomicUsize>, error: ErrorKind) -> impl Follow {
    let asked = Arc::clone(asked);
    move |after: u64| {
        asked.fetch_add(1, Ordering::Relaxed);
        let patch = Patch::merge(format!(r#"{{"a":{}}}"#, after + 1)).expect("a patch");
        let news = [News::Open { after: Some(after) }, News::Change(Change::new(after + 1, patch))];
        let mut news = Vec::from(news.map(Ok));
        news.push(Err(netcomm_core::Error::new(error, "follow")));
        Following::new(List(news.into_iter()))
    }
}

struct List(std::vec::IntoIter<netcomm_core::Result<News>>);

impl futures_core::Stream for List {
    type Item = netcomm_core::Result<News>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

#[tokio::test(start_paused = true)]
async fn your_own_stream_is_opened_again_where_it_ended() {
    let world = World::new(r#"{"a":5}"#, 5, None);
    let asked = Arc::new(AtomicUsize::new(0));
    let mut live: Live<Numbers> = world.live().follow(single(&asked, ErrorKind::Io)).open().expect("opens");
    until(&mut live, |live| live.current().is_some_and(|now| now["a"] == 8)).await;
    assert_eq!((asked.load(Ordering::Relaxed), world.fetches().len()), (3, 1));
    let live: Live<Numbers> = world.live().follow(single(&asked, ErrorKind::Denied)).open().expect("opens");
    match live.closed().await {
        End::Failed(error) => assert_eq!(error.kind(), ErrorKind::Denied),
        end => panic!("{end:?}"),
    }
    assert!(matches!(live.state(), LiveState::Closed(_)));
    assert_eq!(live.current().map(|now| now["a"]), Some(6));
}

#[tokio::test(start_paused = true)]
async fn your_own_stream_that_begins_anew_is_noticed() {
    let world = World::new(r#"{"a":5}"#, 5, None);
    let asked = AtomicUsize::new(0);
    let follow = move |_: u64| {
        let broken = || Err(netcomm_core::Error::new(ErrorKind::Io, "follow"));
        let old = Change::new(3, Patch::merge("{}").expect("a patch"));
        let news = match asked.fetch_add(1, Ordering::Relaxed) {
            0 => vec![Ok(News::Open { after: None }), broken()],
            1 => vec![Ok(News::Open { after: None }), Ok(News::Change(old))],
            _ => vec![Ok(News::Open { after: None })],
        };
        Following::new(List(news.into_iter()))
    };
    let live: Live<Numbers> = world.live().follow(follow).open().expect("opens");
    assert!(matches!(live.closed().await, End::NoContent));
    assert_eq!(world.fetches().len(), 2);
}

/// Never waits.
struct Flood;

impl futures_core::Stream for Flood {
    type Item = netcomm_core::Result<News>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Ok(News::Alive)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_waits_lets_others_go_on() {
    let world = World::new(r#"{"a":5}"#, 5, None);
    let live: Live<Numbers> = world.live().follow(|_: u64| Following::new(Flood)).open().expect("opens");
    live.ready().await.expect("a document");
    live.close();
    assert!(matches!(live.closed().await, End::Owner));
}
