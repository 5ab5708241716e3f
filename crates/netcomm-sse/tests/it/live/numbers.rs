//! What the numbers say: gaps, servers that begin anew, streams that repeat.

use netcomm_sse::Live;

use super::Numbers;
use super::world::{SECOND, World, at, behind, event, in_step, until};

#[tokio::test(start_paused = true)]
async fn a_gap_fetches_again_and_a_304_confirms_what_is_there() {
    let world = World::new(r#"{"a":1}"#, 5, Some("\"e\""));
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.set("never sent", 8, Some("\"e\""));
    world.say(event("merge", 8, r#"{"a":9}"#));
    let error = behind(&mut live).await;
    assert!(error.to_string().contains("change 8 came after 5"), "{error}");
    assert_eq!(live.current().map(|now| (now["a"], now.sequence(), now.is_in_step())), Some((1, 5, false)));
    at(&mut live, 8).await;
    assert_eq!(live.current().map(|now| now["a"]), Some(1));
    let asked = world.asked();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked[2].field("if-none-match"), Some("\"e\""));
    assert_eq!(asked[3].field("last-event-id"), Some("8"));
}

#[tokio::test(start_paused = true)]
async fn the_etag_of_another_document_is_not_shown() {
    let world = World::new(r#"{"a":1}"#, 5, Some("\"e\""));
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.say(event("merge", 6, r#"{"a":2}"#));
    at(&mut live, 6).await;
    // The document that the server has under this ETag is not the one that is held any more.
    world.set(r#"{"a":1}"#, 8, Some("\"e\""));
    world.say(event("merge", 8, r#"{"b":1}"#));
    at(&mut live, 8).await;
    assert_eq!(live.current().map(|now| (now["a"], now.len())), Some((1, 1)));
    assert_eq!(world.fetches()[1].field("if-none-match"), None);
}

#[tokio::test(start_paused = true)]
async fn a_304_without_a_number_is_believed_once() {
    let world = World::new(r#"{"a":1}"#, 5, Some("\"e\""));
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.set(r#"{"a":1}"#, None, Some("\"e\""));
    world.welcome(event("merge", 8, r#"{"a":3}"#));
    world.say(event("merge", 8, r#"{"a":3}"#));
    until(&mut live, |_| world.fetches().len() == 2).await;
    world.set(r#"{"a":2}"#, 7, Some("\"e\""));
    at(&mut live, 8).await;
    assert_eq!(live.current().map(|now| now["a"]), Some(3));
    assert_eq!(world.fetches()[2].field("if-none-match"), None, "the whole of it");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_counts_anew_is_noticed() {
    for changes in 0..2 {
        counts_anew(100 + changes).await;
    }
}

/// One that came as far as that.
async fn counts_anew(reached: u64) {
    let world = World::new(r#"{"a":1}"#, 100, Some("\"old\""));
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    if reached > 100 {
        world.say(event("merge", reached, r#"{"a":2}"#));
    }
    at(&mut live, reached).await;
    world.set(r#"{"a":7}"#, 3, Some("\"new\""));
    world.break_streams();
    behind(&mut live).await;
    in_step(&mut live).await;
    assert_eq!(world.streams()[1].field("last-event-id"), Some(&*reached.to_string()), "it goes on where it was");
    world.say(event("merge", 3, r#"{"a":7}"#));
    at(&mut live, 3).await;
    world.say(event("merge", 4, r#"{"a":8}"#));
    at(&mut live, 4).await;
    assert_eq!(live.current().map(|now| now["a"]), Some(8));
    assert_eq!(world.fetches().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_sends_all_it_has_is_not_fetched_for_ever() {
    let world = World::new(r#"{"a":3}"#, 3, None);
    let log: String = (1..=3).map(|n| event("merge", n, &format!(r#"{{"a":{n}}}"#))).collect();
    world.welcome(log.clone());
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    at(&mut live, 3).await;
    world.say(event("merge", 4, r#"{"a":4}"#));
    at(&mut live, 4).await;
    world.set(r#"{"a":4}"#, 4, None);
    world.welcome(log + &event("merge", 4, r#"{"a":4}"#));
    world.break_streams();
    behind(&mut live).await;
    tokio::time::sleep(200 * SECOND).await;
    at(&mut live, 4).await;
    assert_eq!(world.fetches().len(), 2, "once to be sure");
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_goes_on_behind_what_came() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.say(event("merge", 6, r#"{"a":2}"#));
    at(&mut live, 6).await;
    world.welcome(event("merge", 6, r#"{"a":2}"#) + &event("merge", 7, r#"{"a":3}"#));
    world.break_streams();
    at(&mut live, 7).await;
    assert_eq!(world.streams()[1].field("last-event-id"), Some("6"));
    assert_eq!(world.fetches().len(), 1, "nothing was missed");
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_number_fetches() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    world.set(r#"{"a":2}"#, 6, None);
    world.say("event: merge\nid: six\ndata: {\"a\":2}\n\n");
    at(&mut live, 6).await;
    assert_eq!(world.fetches().len(), 2);
}
