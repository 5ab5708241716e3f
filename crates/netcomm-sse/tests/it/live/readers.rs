//! What readers see: whole documents, in their order, read once for all that came together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netcomm_sse::Live;
use serde::{Deserialize, Deserializer};

use super::world::{World, at, event, in_step};

static READ: AtomicUsize = AtomicUsize::new(0);

/// Counts how often one was made.
#[derive(Debug)]
struct Counted {
    value: u64,
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {
            value: u64,
        }
        READ.fetch_add(1, Ordering::Relaxed);
        Plain::deserialize(deserializer).map(|Plain { value }| Self { value })
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_together_is_read_once_and_shared() {
    let world = World::new(r#"{"value":0}"#, 0, None);
    let mut live: Live<Counted> = world.live().open().expect("opens");
    in_step(&mut live).await;
    let before = READ.load(Ordering::Relaxed);
    let events: String = (1..=100).map(|n| event("merge", n, &format!(r#"{{"value":{n}}}"#))).collect();
    world.say(events);
    live.changed().await.expect("a change");
    let (one, other) = (live.current().expect("one"), live.clone().current().expect("one"));
    assert_eq!((one.sequence(), one.value, READ.load(Ordering::Relaxed) - before), (100, 100, 1));
    assert!(Arc::ptr_eq(&one.value(), &other.value()));
}

#[derive(Debug, Deserialize)]
struct Pair {
    left: u64,
    right: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_ever_sees_half_of_a_change() {
    let world = World::new(r#"{"left":0,"right":0}"#, 0, None);
    let mut live: Live<Pair> = world.live().open().expect("opens");
    in_step(&mut live).await;
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut live = live.clone();
            tokio::spawn(async move {
                let mut last = 0;
                while last < 500 {
                    let now = live.current().expect("a document");
                    assert_eq!((now.left, now.right), (now.sequence(), now.sequence()));
                    assert!(now.sequence() >= last);
                    last = now.sequence();
                    if last < 500 {
                        live.changed().await.expect("more");
                    }
                }
            })
        })
        .collect();
    for n in 1..=500 {
        let operation = |path| format!(r#"{{"op":"replace","path":"/{path}","value":{n}}}"#);
        world.say(event("patch", n, &format!("[{},{}]", operation("left"), operation("right"))));
        if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    at(&mut live, 500).await;
    for reader in readers {
        reader.await.expect("saw no half");
    }
}
