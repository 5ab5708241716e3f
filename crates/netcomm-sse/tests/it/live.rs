//! A document that is kept in step.

#[cfg(feature = "http")]
mod client;
mod ends;
mod failures;
mod numbers;
mod readers;
#[cfg(feature = "ws")]
mod socket;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use netcomm_sse::{Live, LiveState};
use world::{URL, World, at, event, in_step, until};

/// Any document that is an object of numbers.
type Numbers = BTreeMap<String, i64>;

#[tokio::test(start_paused = true)]
async fn a_document_is_fetched_and_then_followed() {
    let world = World::new(r#"{"a":1}"#, 5, Some("\"e5\""));
    let mut live: Live<Numbers> =
        world.live().header("x-of", "both").header("accept", "application/vnd.x+json").open().expect("opens");
    assert!(live.current().is_none() && matches!(live.state(), LiveState::Connecting));
    let first = live.ready().await.expect("a document");
    assert_eq!((first["a"], first.sequence()), (1, 5));
    assert_eq!(first.etag().map(|etag| etag.as_bytes()), Some(&b"\"e5\""[..]));
    in_step(&mut live).await;

    for (kind, sequence, data, a, b) in [
        ("merge", 6, r#"{"b":2}"#, Some(1), Some(2)),
        ("patch", 7, r#"[{"op":"move","from":"/a","path":"/b"}]"#, None, Some(1)),
        ("merge", 8, r#"{"b":null}"#, None, None),
        ("replace", 12, r#"{"a":3,"b":4}"#, Some(3), Some(4)),
    ] {
        world.say(event(kind, sequence, data));
        at(&mut live, sequence).await;
        let now = live.current().expect("a document");
        assert_eq!((now.get("a").copied(), now.get("b").copied(), now.etag()), (a, b, None), "{kind}");
    }
    assert_eq!((first["a"], first.sequence()), (1, 5), "what was taken stays as it was");

    let asked = world.asked();
    assert_eq!(asked.len(), 2, "one fetch, one stream: {asked:?}");
    assert_eq!((asked[0].field("accept"), asked[0].field("if-none-match")), (Some("application/vnd.x+json"), None));
    assert_eq!(asked[1].field("last-event-id"), Some("5"));
    assert!(asked.iter().all(|asked| asked.field("x-of") == Some("both")));
}

#[tokio::test(start_paused = true)]
async fn other_names_are_heard_where_they_are_said() {
    use netcomm_sse::{EventChanges, EventStream};
    let world = World::new(r#"{"meta":{"version":"5"},"a":1}"#, 5, None);
    world.set(r#"{"version":5,"a":1}"#, None, None);
    let (env, transport) = (world.env.clone(), world.clone());
    let changes = EventChanges::new(move || EventStream::builder(&env, URL).transport(transport.clone()))
        .merge("update")
        .patch("operations")
        .replace("reset");
    let mut live: Live<Numbers> = world.live().sequence_member("/version").follow(changes).open().expect("opens");
    in_step(&mut live).await;
    world.say(event("merge", 6, r#"{"a":9}"#) + &event("update", 6, r#"{"a":2}"#));
    at(&mut live, 6).await;
    world.say(event("operations", 7, r#"[{"op":"add","path":"/b","value":3}]"#));
    at(&mut live, 7).await;
    assert_eq!(live.current().map(|now| (now["a"], now["b"])), Some((2, 3)));
    world.say(event("reset", 8, r#"{"a":0}"#));
    at(&mut live, 8).await;
    assert_eq!(live.current().map(|now| now.len()), Some(1));
    assert_eq!(world.fetches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_number_as_text_in_the_document_is_one() {
    #[derive(serde::Deserialize)]
    struct List {
        metadata: BTreeMap<String, String>,
    }
    let world = World::new("", 0, None);
    world.set(r#"{"metadata":{"resourceVersion":"41"}}"#, None, None);
    let mut live: Live<List> = world.live().sequence_member("/metadata/resourceVersion").open().expect("opens");
    at(&mut live, 41).await;
    assert_eq!(live.current().map(|now| now.metadata["resourceVersion"].clone()).as_deref(), Some("41"));
}

#[tokio::test(start_paused = true)]
async fn the_owner_can_have_it_fetched() {
    let world = World::new(r#"{"a":1}"#, 5, Some("\"e\""));
    let mut live: Live<Numbers> = world.live().open().expect("opens");
    in_step(&mut live).await;
    let before = live.current().expect("a document").value();
    live.refresh();
    live.refresh();
    until(&mut live, |_| world.fetches().len() == 2).await;
    in_step(&mut live).await;
    let fetches = world.fetches();
    assert_eq!((fetches.len(), fetches[1].field("if-none-match")), (2, Some("\"e\"")));
    assert!(Arc::ptr_eq(&before, &live.current().expect("a document").value()), "what is the same is shared");
    assert_eq!(world.readers(), 1, "the stream of before is let go");
}
