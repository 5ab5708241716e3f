//! How it ends: closed, dropped, without a runtime.

use netcomm_core::ErrorKind;
use netcomm_sse::{End, Live, LiveState};

use super::Numbers;
use super::world::{SECOND, World, event, in_step};

#[tokio::test(start_paused = true)]
async fn closing_leaves_the_document_as_it_is() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    let mut other = live.clone();
    live.close();
    live.close();
    assert!(matches!(other.closed().await, End::Owner));
    assert_eq!(world.readers(), 0, "its stream is let go");
    assert!(matches!(live.changed().await, Some(LiveState::Closed(End::Owner))));
    assert!(live.changed().await.is_none() && other.changed().await.is_some() && other.changed().await.is_none());
    let now = live.current().expect("the last one");
    assert_eq!((now["a"], now.is_in_step()), (1, false));
    live.refresh();
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_it() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    let other = live.clone();
    drop(live);
    world.say(event("merge", 6, "{}"));
    tokio::time::sleep(SECOND).await;
    assert_eq!((world.readers(), other.current().map(|now| now.sequence())), (1, Some(6)));
    drop(other);
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.readers(), 0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_a_fetch_and_a_wait() {
    use super::world::{Answer, behind};
    let world = World::new(r#"{"a":1}"#, 5, None);
    world.answer_documents([Answer::Never, Answer::Status(503)]);
    let live: Live<Numbers> = world.live().open().expect("opens");
    tokio::time::sleep(SECOND).await;
    live.close();
    assert_eq!(live.ready().await.expect_err("closed").kind(), ErrorKind::Closed);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    behind(&mut live).await;
    live.close();
    assert!(matches!(live.closed().await, End::Owner));
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn without_a_runtime_there_is_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("one");
    let world = runtime.block_on(async { World::new(r#"{"a":1}"#, 5, None) });
    let error = world.live::<Numbers>().open().expect_err("outside");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let live: Live<Numbers> = runtime.block_on(async { world.live().open().expect("opens") });
    drop(runtime);
    assert!(matches!(live.state(), LiveState::Closed(End::Owner)), "its runtime has dropped it");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_said_at_once() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let error = world.live::<Numbers>().header("x", "a\nb").open().expect_err("a line feed");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
