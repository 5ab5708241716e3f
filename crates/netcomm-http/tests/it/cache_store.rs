//! What every store of responses promises, and the bounds of the one in memory.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use netcomm_http::cache::{Blob, Entry, EntryParts, Key, Memory, Segment, Selecting, Store, Variants};
use proptest::prelude::*;

pub(crate) fn key(path: &str) -> Key {
    Key::new("", &format!("http://a.example/{path}").parse::<Uri>().expect("a URI"))
}

/// An entry that is told from others by its number.
pub(crate) fn entry(number: u32, groups: &[&str], body: Option<Blob>) -> Arc<Entry> {
    let mut headers = HeaderMap::new();
    headers.insert("x-number", HeaderValue::from(number));
    if !groups.is_empty() {
        let groups: Vec<String> = groups.iter().map(|group| format!("\"{group}\"")).collect();
        headers.insert("cache-groups", HeaderValue::from_str(&groups.join(", ")).expect("a value"));
    }
    let received_at = SystemTime::UNIX_EPOCH + Duration::new(1_767_225_600 + u64::from(number), 123_456_789);
    Arc::new(Entry::new(EntryParts {
        status: StatusCode::OK,
        headers: headers.into(),
        selecting: Selecting {
            fields: vec![
                (HeaderName::from_static("accept"), Some(Bytes::from_static(b"text/plain"))),
                (HeaderName::from_static("x-none"), None),
            ],
            identity: Some(u64::from(number)),
        },
        requested_at: received_at - Duration::from_millis(20),
        received_at,
        ttl: number.is_multiple_of(2).then(|| Duration::from_secs(60)),
        length: body.as_ref().map(Blob::len),
        segments: body.into_iter().filter(|body| !body.is_empty()).map(|body| Segment::whole(0, body)).collect(),
    }))
}

pub(crate) fn number(entry: &Entry) -> u32 {
    entry.headers()["x-number"].to_str().expect("text").parse().expect("a number")
}

pub(crate) fn numbers(variants: &Variants) -> Vec<u32> {
    variants.iter().map(|entry| number(entry)).collect()
}

/// All of an entry but its body, to be compared.
pub(crate) fn head(entry: &Entry) -> String {
    let parts = entry.parts();
    let segments: Vec<_> = parts.segments.iter().map(|segment| (segment.start, segment.part.clone())).collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {segments:?}",
        parts.status, parts.headers, parts.selecting, parts.requested_at, parts.received_at, parts.ttl, parts.length,
    )
}

pub(crate) async fn put(store: &impl Store, key: &Key, entries: Vec<Arc<Entry>>) {
    store.update(key, Box::new(move |_| entries)).await;
}

/// A body written in these chunks; `None` if the store gave it up.
pub(crate) async fn write(
    store: &impl Store,
    length: Option<u64>,
    chunks: impl IntoIterator<Item = Bytes>,
) -> Option<Blob> {
    let mut writer = store.write(length)?;
    for chunk in chunks {
        if !poll_fn(|cx| writer.poll_ready(cx)).await {
            return None;
        }
        writer.write(chunk);
    }
    poll_fn(|cx| writer.poll_finish(cx)).await
}

pub(crate) async fn read(blob: &Blob, part: std::ops::Range<u64>) -> Bytes {
    blob.open(part).await.expect("opens").collect(usize::MAX).await.expect("reads")
}

/// Bytes that differ from place to place.
pub(crate) fn noise(length: usize, seed: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut state = seed | 1;
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

async fn keeps_what_it_is_given(store: impl Store) {
    assert!(store.load(&key("a")).await.is_empty());
    assert_eq!(store.stats().await.entries, 0);
    let body = noise(5000, 1);
    let blob = write(&store, None, [body.clone()]).await.expect("room");
    assert_eq!(blob.len(), 5000);
    let given = [entry(1, &[], Some(blob)), entry(2, &["g"], None), entry(3, &[], Some(Blob::memory(Bytes::new())))];
    put(&store, &key("a"), given.to_vec()).await;
    let found = store.load(&key("a")).await;
    assert_eq!(
        found.iter().map(|entry| head(entry)).collect::<Vec<_>>(),
        given.iter().map(|entry| head(entry)).collect::<Vec<_>>()
    );
    let blob = &found[0].parts().segments[0].blob;
    for part in [0..5000, 0..0, 17..18, 4999..5000, 100..4096] {
        assert_eq!(read(blob, part.clone()).await, body[part.start as usize..part.end as usize], "{part:?}");
    }
    assert!(found[0].is_complete() && found[2].is_complete() && !found[1].is_complete());
    assert!(store.load(&key("b")).await.is_empty());
    assert!(store.load(&Key::new("other", &"http://a.example/a".parse::<Uri>().expect("a URI"))).await.is_empty());
    let stats = store.stats().await;
    assert_eq!((stats.entries, stats.evicted), (3, 0));
    assert!(stats.bytes > 5000 && stats.bytes < 20_000 && stats.max_bytes > stats.bytes, "{stats:?}");
}

async fn changes_see_what_was_there(store: impl Store) {
    put(&store, &key("a"), vec![entry(1, &[], None)]).await;
    let turn = |entries: &[Arc<Entry>]| {
        assert_eq!(entries.len(), 1);
        vec![entry(2, &[], None), Arc::clone(&entries[0])]
    };
    store.update(&key("a"), Box::new(turn)).await;
    assert_eq!(numbers(&store.load(&key("a")).await), [2, 1]);
    put(&store, &key("a"), Vec::new()).await;
    assert!(store.load(&key("a")).await.is_empty());
    // Carried out although nobody waits for it.
    drop(store.update(&key("b"), Box::new(|_| vec![entry(3, &[], None)])));
    store.update(&key("b"), Box::new(|entries| entries.to_vec())).await;
    assert_eq!(numbers(&store.load(&key("b")).await), [3]);
    assert_eq!(store.stats().await.entries, 1);
}

async fn bodies_of_all_sizes(store: impl Store) {
    let sizes = [0, 1, 4095, 16 * 1024, 16 * 1024 + 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 700_000];
    for (number, size) in sizes.into_iter().enumerate() {
        let body = noise(size, number as u64 + 7);
        for (way, length, chunk) in
            [(0, None, 700_000), (1, Some(size as u64), 1000), (2, None, 70_001), (3, Some(3), 50_000)]
        {
            let chunks: Vec<Bytes> = (0..size).step_by(chunk).map(|at| body.slice(at..size.min(at + chunk))).collect();
            let blob = write(&store, length, chunks).await.expect("room");
            assert_eq!(blob.len(), size as u64);
            let key = key(&format!("{size}/{way}"));
            put(&store, &key, vec![entry(number as u32, &[], Some(blob))]).await;
            let found = store.load(&key).await;
            assert!(found[0].is_complete());
            let Some(segment) = found[0].parts().segments.first() else {
                assert_eq!(size, 0);
                continue;
            };
            assert_eq!(read(&segment.blob, 0..size as u64).await, body, "{size} {way}");
            for part in [size / 2..size, size / 3..size / 2] {
                let range = part.start as u64..part.end as u64;
                assert_eq!(read(&segment.blob, range).await, body[part], "{size} {way}");
            }
        }
    }
}

async fn an_unfinished_body_leaves_nothing(store: impl Store) {
    let before = store.stats().await;
    for size in [100, 100_000, 500_000] {
        let mut writer = store.write(None).expect("room");
        assert!(poll_fn(|cx| writer.poll_ready(cx)).await);
        writer.write(noise(size, 3));
        assert!(poll_fn(|cx| writer.poll_ready(cx)).await);
        drop(writer);
    }
    // Another change comes after whatever the writers left to be done.
    put(&store, &key("a"), Vec::new()).await;
    assert_eq!(store.stats().await, before);
}

async fn pieces_of_a_body(store: impl Store) {
    let body = noise(300_000, 9);
    let first = write(&store, None, [body.slice(..200_000)]).await.expect("room");
    let rest = write(&store, None, [body.slice(200_000..)]).await.expect("room");
    let whole = entry(1, &[], None);
    let segments = vec![
        Segment { start: 0, part: 0..100_000, blob: first.clone() },
        Segment { start: 100_000, part: 100_000..200_000, blob: first },
        Segment::whole(200_000, rest),
    ];
    let parts = EntryParts { length: Some(300_000), segments: segments.into(), ..whole.parts().clone() };
    put(&store, &key("a"), vec![Arc::new(Entry::new(parts))]).await;
    let found = store.load(&key("a")).await;
    assert!(found[0].is_complete());
    let mut all = Vec::new();
    for segment in &found[0].parts().segments {
        all.extend_from_slice(&read(&segment.blob, segment.part.clone()).await);
    }
    assert_eq!(all, body);
}

async fn a_blob_outlives_its_entry(store: impl Store) {
    let body = noise(400_000, 5);
    let blob = write(&store, Some(400_000), [body.clone()]).await.expect("room");
    put(&store, &key("a"), vec![entry(1, &[], Some(blob))]).await;
    let held = store.load(&key("a")).await[0].parts().segments[0].blob.clone();
    let mut reader = held.open(0..400_000).await.expect("opens");
    let first = reader.chunk().await.expect("reads").expect("bytes");
    put(&store, &key("a"), Vec::new()).await;
    store.clear().await;
    // Both the reader that had begun and the blob that is held.
    let rest = reader.collect(usize::MAX).await.expect("reads");
    assert_eq!([first, rest].concat(), body);
    assert_eq!(read(&held, 0..400_000).await, body);
}

async fn groups_are_forgotten_together(store: impl Store) {
    let other = Key::new("", &"http://b.example/a".parse::<Uri>().expect("a URI"));
    let tenant = Key::new("tenant", &"http://a.example/a".parse::<Uri>().expect("a URI"));
    put(&store, &key("a"), vec![entry(1, &["x", "y"], None), entry(2, &["y"], None), entry(3, &[], None)]).await;
    put(&store, &key("b"), vec![entry(4, &["x"], None)]).await;
    put(&store, &key("c"), vec![entry(5, &["x"], None)]).await;
    put(&store, &key("c"), vec![entry(6, &[], None)]).await;
    put(&store, &other, vec![entry(7, &["x"], None)]).await;
    put(&store, &tenant, vec![entry(8, &["x"], None)]).await;
    store.remove_group(key("").origin(), "z").await;
    assert_eq!(store.stats().await.entries, 7);
    store.remove_group(key("").origin(), "x").await;
    assert_eq!(numbers(&store.load(&key("a")).await), [2, 3]);
    assert!(store.load(&key("b")).await.is_empty());
    assert_eq!(numbers(&store.load(&key("c")).await), [6]);
    assert_eq!(numbers(&store.load(&other).await), [7]);
    assert_eq!(numbers(&store.load(&tenant).await), [8]);
    store.remove_group(key("").origin(), "y").await;
    assert_eq!(numbers(&store.load(&key("a")).await), [3]);
    store.clear().await;
    put(&store, &key("a"), vec![entry(1, &[], None)]).await;
    store.remove_group(key("").origin(), "x").await;
    assert_eq!(store.stats().await.entries, 1);
}

async fn lists_in_order(store: impl Store) {
    let mut keys: Vec<Key> = (0..100).map(|number| key(&format!("{}", number * 37 % 100))).collect();
    for (number, key) in keys.iter().enumerate() {
        put(&store, key, vec![entry(number as u32, &[], None)]).await;
    }
    let mut numbered: BTreeMap<Key, u32> = keys.iter().cloned().zip(0..).collect();
    keys.sort();
    let mut after = None;
    for page in keys.chunks(7) {
        let listed = store.list(after.as_ref(), 7).await;
        assert_eq!(listed.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), page);
        for (key, variants) in &listed {
            assert_eq!(Some(numbers(variants)), numbered.remove(key).map(|number| vec![number]));
        }
        after = listed.last().map(|(key, _)| key.clone());
    }
    assert!(store.list(after.as_ref(), 7).await.is_empty());
    assert_eq!(store.list(None, usize::MAX).await.len(), 100);
    assert!(store.list(None, 0).await.is_empty());
    store.clear().await;
    assert!(store.list(None, 7).await.is_empty());
    assert_eq!(store.stats().await.entries, 0);
}

/// No change comes between a change's look and its effect, whoever else changes the same key.
async fn changes_do_not_interleave(store: impl Store) {
    const TASKS: u32 = 16;
    const ROUNDS: u32 = 25;
    let store = Arc::new(store);
    let inside = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, inside) = (Arc::clone(&store), Arc::clone(&inside));
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let inside = Arc::clone(&inside);
                    let change = move |entries: &[Arc<Entry>]| {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        let count = entries.first().map_or(0, |entry| number(entry));
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        vec![entry(count + 1, &[], None)]
                    };
                    store.update(&key("one"), Box::new(change)).await;
                    let own = key(&format!("{task}"));
                    let count = |entries: &[Arc<Entry>]| {
                        vec![entry(entries.first().map_or(0, |entry| number(entry)) + 1, &["g"], None)]
                    };
                    store.update(&own, Box::new(count)).await;
                    assert!(!store.load(&own).await.is_empty());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(numbers(&store.load(&key("one")).await), [TASKS * ROUNDS]);
    for task in 0..TASKS {
        assert_eq!(numbers(&store.load(&key(&format!("{task}"))).await), [ROUNDS]);
    }
    store.remove_group(key("").origin(), "g").await;
    assert_eq!(store.stats().await.entries, 1);
}

/// A step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Put { path: u8, groups: Vec<u8>, body: Option<u16> },
    Push { path: u8, groups: Vec<u8> },
    Remove { path: u8 },
    RemoveGroup { group: u8 },
    List { after: Option<u8>, most: u8 },
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..6_u8;
    let groups = || proptest::collection::vec(0..3_u8, 0..3);
    prop_oneof![
        6 => (path.clone(), groups(), proptest::option::of(0..40_000_u16))
            .prop_map(|(path, groups, body)| Step::Put { path, groups, body }),
        4 => (path.clone(), groups()).prop_map(|(path, groups)| Step::Push { path, groups }),
        2 => path.clone().prop_map(|path| Step::Remove { path }),
        2 => (0..3_u8).prop_map(|group| Step::RemoveGroup { group }),
        1 => (proptest::option::of(path), 0..8_u8).prop_map(|(after, most)| Step::List { after, most }),
        1 => Just(Step::Clear),
    ]
}

/// What the model knows of an entry: its number, its groups, its body.
type Known = (u32, Vec<u8>, Option<Bytes>);

async fn follows_the_model(store: impl Store, steps: Vec<Step>) {
    let mut model: BTreeMap<Key, Vec<Known>> = BTreeMap::new();
    let name = |path: u8| key(&format!("{path}"));
    let group_names = |groups: &[u8]| groups.iter().map(|group| format!("g{group}")).collect::<Vec<_>>();
    for (at, step) in (0..).zip(steps) {
        match step {
            Step::Put { path, groups, body } => {
                let bytes = body.map(|size| noise(usize::from(size), u64::from(at)));
                let blob = match &bytes {
                    Some(bytes) => Some(write(&store, None, [bytes.clone()]).await.expect("room")),
                    None => None,
                };
                let names = group_names(&groups);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                put(&store, &name(path), vec![entry(at, &names, blob)]).await;
                model.insert(name(path), vec![(at, groups, bytes)]);
            }
            Step::Push { path, groups } => {
                let names = group_names(&groups);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let new = entry(at, &names, None);
                let change = |entries: &[Arc<Entry>]| std::iter::once(new).chain(entries.iter().cloned()).collect();
                store.update(&name(path), Box::new(change)).await;
                model.entry(name(path)).or_default().insert(0, (at, groups, None));
            }
            Step::Remove { path } => {
                put(&store, &name(path), Vec::new()).await;
                model.remove(&name(path));
            }
            Step::RemoveGroup { group } => {
                store.remove_group(key("").origin(), &format!("g{group}")).await;
                for known in model.values_mut() {
                    known.retain(|(_, groups, _)| !groups.contains(&group));
                }
                model.retain(|_, known| !known.is_empty());
            }
            Step::List { after, most } => {
                let after = after.map(name);
                let listed = store.list(after.as_ref(), usize::from(most)).await;
                let listed: Vec<_> = listed.iter().map(|(key, variants)| (key.clone(), numbers(variants))).collect();
                let expected: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
                    .take(usize::from(most))
                    .map(|(key, known)| (key.clone(), known.iter().map(|known| known.0).collect::<Vec<_>>()))
                    .collect();
                assert_eq!(listed, expected);
            }
            Step::Clear => {
                store.clear().await;
                model.clear();
            }
        }
        assert_eq!(store.stats().await.entries as usize, model.values().map(Vec::len).sum::<usize>());
        for path in 0..6 {
            let found = store.load(&name(path)).await;
            let known = model.get(&name(path)).map_or(&[][..], Vec::as_slice);
            assert_eq!(numbers(&found), known.iter().map(|known| known.0).collect::<Vec<_>>());
            for (entry, (_, _, body)) in found.iter().zip(known) {
                let segment = entry.parts().segments.first();
                if let (Some(segment), Some(body)) = (segment, body) {
                    assert_eq!(read(&segment.blob, 0..segment.blob.len()).await, body);
                }
                assert_eq!(entry.body_bytes(), body.as_ref().map_or(0, |body| body.len() as u64));
            }
        }
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime").block_on(future)
}

/// The same promises for each kind of store.
macro_rules! contract {
    ($room:ident, $make:expr, $cases:expr) => {
        mod $room {
            use super::*;

            contract!(@ $make, keeps_what_it_is_given, changes_see_what_was_there, bodies_of_all_sizes,
                an_unfinished_body_leaves_nothing, pieces_of_a_body, a_blob_outlives_its_entry,
                groups_are_forgotten_together, lists_in_order, changes_do_not_interleave);

            proptest! {
                #![proptest_config(ProptestConfig { cases: $cases, failure_persistence: None, ..ProptestConfig::default() })]

                #[test]
                fn model(steps in proptest::collection::vec(step(), 0..60)) {
                    let (_guard, store) = $make;
                    block_on(follows_the_model(store, steps));
                }
            }
        }
    };
    (@ $make:expr, $($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                let (_guard, store) = $make;
                block_on(super::$name(store));
            }
        )*
    };
}

contract!(memory, ((), Memory::new(64 * 1024 * 1024)), 64);

#[cfg(feature = "cache-disk")]
contract!(disk, crate::cache_disk::fresh(64 * 1024 * 1024), 24);

// Where every entry is read back from disk.
#[cfg(feature = "cache-disk")]
contract!(
    disk_without_heads,
    {
        let (dir, _) = crate::cache_disk::fresh(0);
        let store =
            netcomm_http::cache::Disk::builder(dir.path().join("other"), 64 * 1024 * 1024).max_head_bytes(0).open();
        (dir, store)
    },
    24
);

#[tokio::test]
async fn memory_keeps_its_bound() {
    const MAX_BYTES: u64 = 1_000_000;
    let store = Memory::new(MAX_BYTES);
    let first = key("first");
    for number in 0..2000_u32 {
        let body = write(&store, None, [noise(number as usize % 5000, 1)]).await.expect("room");
        put(&store, &key(&format!("{number}")), vec![entry(number, &["g"], Some(body))]).await;
        if number == 0 {
            put(&store, &first, vec![entry(0, &[], None)]).await;
        }
        assert!(store.get(&first).is_some(), "what is used is kept: {number}");
        let stats = store.stats().await;
        assert!(stats.bytes <= MAX_BYTES, "{stats:?}");
    }
    let stats = store.stats().await;
    assert_eq!(stats.entries + stats.evicted, 2001);
    assert!(stats.bytes > MAX_BYTES * 9 / 10 && stats.evicted > 1500, "{stats:?}");
    let listed = store.list(None, usize::MAX).await;
    assert_eq!(listed.len() as u64, stats.entries);
    // The index of groups knows of no key that is gone, and of all others.
    store.remove_group(first.origin(), "g").await;
    assert_eq!(store.stats().await.entries, 1);
    put(&store, &first, Vec::new()).await;
    assert_eq!(store.stats().await.bytes, 0);
}

#[tokio::test]
async fn memory_refuses_what_is_too_large() {
    let store = Memory::new(1_000_000);
    put(&store, &key("a"), vec![entry(1, &[], None)]).await;
    assert!(store.write(Some(250_001)).is_none());
    assert!(write(&store, Some(250_000), [noise(250_000, 1)]).await.is_some());
    assert!(write(&store, None, [noise(250_001, 1)]).await.is_none());
    assert!(write(&store, Some(10), (0..251).map(|_| noise(1000, 1))).await.is_none(), "the length was a lie");
    let small = store.clone().with_max_body_bytes(10);
    assert!(write(&small, None, [noise(11, 1)]).await.is_none());
    assert_eq!(numbers(&store.load(&key("a")).await), [1], "nothing made way for what was refused");
    // The entries of one key take half at most; the first are kept.
    let mut entries = Vec::new();
    for number in 2..10 {
        let body = write(&store, None, [noise(100_000, 1)]).await.expect("room");
        entries.push(entry(number, &[], Some(body)));
    }
    put(&store, &key("b"), entries).await;
    assert_eq!(numbers(&store.load(&key("b")).await), [2, 3, 4, 5]);
    assert_eq!(numbers(&store.load(&key("a")).await), [1]);
    let none = Memory::new(0);
    assert!(none.write(None).is_none());
    put(&none, &key("a"), vec![entry(1, &[], None)]).await;
    assert_eq!(none.stats().await.entries, 0);
}

#[tokio::test]
async fn bodies_on_their_way_into_memory_count() {
    let store = Memory::new(1_000_000);
    put(&store, &key("a"), vec![entry(1, &[], None)]).await;
    let mut writers = Vec::new();
    for _ in 0..10 {
        let mut writer = store.write(None).expect("room");
        writer.write(noise(200_000, 1));
        let is_taken = poll_fn(|cx| writer.poll_ready(cx)).await;
        assert!(store.stats().await.bytes <= 1_000_000);
        writers.push((is_taken, writer));
    }
    assert_eq!(writers.iter().filter(|(is_taken, _)| *is_taken).count(), 5, "a million bytes of two");
    assert!(store.load(&key("a")).await.is_empty(), "entries make way for them");
    drop(writers);
    assert_eq!(store.stats().await.bytes, 0);
}

#[tokio::test]
async fn a_small_body_does_not_hold_a_large_buffer() {
    let store = Memory::new(64 * 1024 * 1024);
    let buffer = noise(4 * 1024 * 1024, 1);
    for (size, is_kept) in [(100, false), (64 * 1024, false), (600 * 1024, true)] {
        let blob = write(&store, None, [buffer.slice(..size)]).await.expect("room");
        let bytes = blob.as_bytes().expect("in memory");
        assert_eq!(bytes, &buffer[..size]);
        assert_eq!(bytes.as_ptr() == buffer.as_ptr(), is_kept, "{size}");
    }
}

/// Prints what an entry takes beside its texts; the constants in `cache/memory.rs` come from here.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "a measurement: a gigabyte, some seconds; run it alone and with --release"]
async fn overhead_of_a_million_entries() {
    const ENTRIES: u32 = 1_000_000;
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("linux");
        pages.split(' ').nth(1).expect("resident").parse::<u64>().expect("a number") * 4096
    };
    let store = Memory::new(u64::MAX / 4);
    let before = resident();
    let mut weights = 0;
    for number in 0..ENTRIES {
        let key = key(&format!("{number:08}"));
        let entry = entry(number, &[], None);
        weights += key.as_str().len() as u64 + entry.weight();
        put(&store, &key, vec![entry]).await;
    }
    let (taken, counted) = (resident() - before, store.stats().await.bytes);
    let per = |bytes: u64| bytes / u64::from(ENTRIES);
    println!("an entry: {} bytes, counted {}, of them {} are key and weight", per(taken), per(counted), per(weights));
    let all_keys = |look: &dyn Fn(&Key)| {
        let started = Instant::now();
        for number in 0..ENTRIES {
            look(&key(&format!("{:08}", u64::from(number) * 7919 % u64::from(ENTRIES))));
        }
        started.elapsed()
    };
    let alone = all_keys(&|_| ());
    let hits = all_keys(&|key| drop(black_box(store.get(key))));
    println!("a hit: {:?}", (hits - alone) / ENTRIES);
    let one = key("00000007");
    let started = Instant::now();
    for _ in 0..ENTRIES {
        black_box(store.get(&one));
    }
    println!("a hit in the processor's cache: {:?}", started.elapsed() / ENTRIES);
}

/// A thread that looks up what it is told to, more than once: what is used often it has at hand.
struct Reader {
    ask: mpsc::Sender<Key>,
    answer: mpsc::Receiver<Option<Variants>>,
}

impl Reader {
    fn new(store: &Memory) -> Self {
        let ((ask, asked), (answers, answer), store) = (mpsc::channel::<Key>(), mpsc::channel(), store.clone());
        std::thread::spawn(move || {
            for key in asked {
                let found = [store.get(&key), store.get(&key), store.get(&key)];
                answers.send(found.into_iter().next_back().flatten()).expect("whoever asked");
            }
        });
        Self { ask, answer }
    }

    fn get(&self, key: &Key) -> Option<Variants> {
        self.ask.send(key.clone()).expect("a reader");
        self.answer.recv().expect("an answer")
    }
}

#[tokio::test]
async fn what_threads_have_at_hand_is_what_is_stored() {
    let store = Memory::new(1_000_000);
    let readers: Vec<Reader> = (0..4).map(|_| Reader::new(&store)).collect();
    let expect = |expected: Option<u32>| {
        // Twice around: what one thread has at hand must not be another one's.
        for reader in readers.iter().chain(&readers) {
            assert_eq!(reader.get(&key("a")).map(|variants| numbers(&variants)), expected.map(|number| vec![number]));
        }
    };
    for round in 0..3 {
        expect(None);
        let body = write(&store, None, [noise(500, 1)]).await.expect("room");
        put(&store, &key("a"), vec![entry(1, &["g"], Some(body))]).await;
        let alone = store.stats().await.bytes;
        expect(Some(1));
        assert!(store.stats().await.bytes > alone, "copies of heads count");
        put(&store, &key("a"), vec![entry(2, &["g"], None)]).await;
        expect(Some(2));
        match round {
            0 => put(&store, &key("a"), Vec::new()).await,
            1 => store.remove_group(key("a").origin(), "g").await,
            _ => store.clear().await,
        }
        assert_eq!(store.stats().await.bytes, 0, "nothing is left at hand");
    }
    expect(None);
    put(&store, &key("a"), vec![entry(3, &[], None)]).await;
    expect(Some(3));
    for number in 0..2000_u32 {
        let body = write(&store, None, [noise(5000, 1)]).await.expect("room");
        put(&store, &key(&format!("{number}")), vec![entry(number, &[], Some(body))]).await;
        assert!(store.stats().await.bytes <= 1_000_000);
    }
    expect(None);
}

#[tokio::test]
async fn threads_share_the_bytes_of_a_body_and_no_count() {
    let store = Memory::new(1_000_000);
    let body = write(&store, None, [noise(500, 1)]).await.expect("room");
    put(&store, &key("a"), vec![entry(1, &[], Some(body))]).await;
    let found = || Reader::new(&store).get(&key("a")).expect("stored");
    let first = found();
    // Threads share lanes where there are many, as there may be while tests run.
    let second = (0..1000).map(|_| found()).find(|second| !Arc::ptr_eq(&first[0], &second[0])).expect("one of its own");
    assert_eq!(head(&first[0]), head(&second[0]));
    assert!(!Arc::ptr_eq(&first[0], &second[0]));
    let body = |variants: &Variants| variants[0].parts().segments[0].blob.as_bytes().expect("in memory").as_ptr();
    let field = |variants: &Variants| variants[0].headers()["x-number"].as_bytes().as_ptr();
    assert_eq!(body(&first), body(&second));
    assert_ne!(field(&first), field(&second));
}
