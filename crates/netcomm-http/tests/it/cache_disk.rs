//! The store on disk: what it survives, and what it keeps within.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use netcomm_http::ErrorKind;
use netcomm_http::cache::{Blob, Cache, Disk, Entry, EntryParts, Store};
use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer};

use crate::cache_store::{entry, key, noise, number, numbers, put, read, write};
use crate::stage::{soon, stage};

/// A directory of its own for a test, gone with it.
pub(crate) struct Dir {
    path: PathBuf,
}

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("netcomm-cache-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { path: std::env::temp_dir().join(name) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All files below it that hold bodies.
    fn files(&self) -> Vec<PathBuf> {
        let folders = ["blobs", "parts"].map(|name| self.path.join(name));
        let mut open: Vec<PathBuf> = folders.to_vec();
        let mut files = Vec::new();
        while let Some(folder) = open.pop() {
            for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match item.path().is_dir() {
                    true => open.push(item.path()),
                    false => files.push(item.path()),
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

pub(crate) fn fresh(max_bytes: u64) -> (Dir, Disk) {
    let dir = Dir::new();
    let store = Disk::open(dir.path(), max_bytes);
    (dir, store)
}

#[tokio::test]
async fn what_was_stored_is_there_again() {
    let (dir, store) = fresh(64 * 1024 * 1024);
    let sizes = [0, 10, 16 * 1024, 20_000, 64 * 1024, 300_000];
    for (number, size) in (0..).zip(sizes) {
        let body = write(&store, None, [noise(size, 1)]).await.expect("room");
        put(&store, &key(&format!("{number}")), vec![entry(number, &["g"], Some(body))]).await;
    }
    store.close().await;
    for _ in 0..2 {
        let store = Disk::open(dir.path(), 64 * 1024 * 1024);
        store.ready().await.expect("opens");
        assert_eq!(store.stats().await.entries, 6);
        for (number, size) in (0..).zip(sizes) {
            let found = store.load(&key(&format!("{number}"))).await;
            assert_eq!(numbers(&found), [number]);
            assert!(found[0].is_complete());
            if size > 0 {
                assert_eq!(read(&found[0].parts().segments[0].blob, 0..size as u64).await, noise(size, 1));
            }
        }
        store.close().await;
    }
    let store = Disk::open(dir.path(), 64 * 1024 * 1024);
    store.remove_group(key("").origin(), "g").await;
    store.flush().await;
    assert_eq!(store.stats().await.bytes, 0);
    assert_eq!(dir.files(), Vec::<PathBuf>::new());
    store.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_look_inside() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, store) = fresh(1_000_000);
    store.ready().await.expect("opens");
    for path in [dir.path().to_owned(), dir.path().join("blobs"), dir.path().join("parts")] {
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700, "{path:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_a_store_in_memory() {
    let (dir, first) = fresh(64 * 1024 * 1024);
    put(&first, &key("a"), vec![entry(1, &[], None)]).await;
    let file = dir.path().join("file");
    std::fs::write(&file, b"x").expect("written");
    for path in [dir.path().to_owned(), file.clone(), file.join("below")] {
        let second = Disk::open(&path, 64 * 1024 * 1024);
        assert!(second.degraded().is_none_or(|error| error.kind() == ErrorKind::Io));
        // Whatever is asked for while it is being opened ends in memory, too.
        let early = store_one(&second, 2).await;
        let error = second.ready().await.expect_err("degraded");
        assert_eq!(error.kind(), ErrorKind::Io, "{path:?}: {error}");
        assert!(early || store_one(&second, 2).await, "{path:?}");
        assert_eq!(numbers(&second.get(&key("2")).expect("in memory")), [2]);
        assert_eq!(second.list(None, 10).await.len(), 1);
        assert_eq!(second.stats().await.max_bytes, 32 * 1024 * 1024);
        second.remove_group(key("").origin(), "g").await;
        assert!(second.load(&key("2")).await.is_empty());
        second.flush().await;
        second.close().await;
    }
    assert_eq!(numbers(&first.load(&key("a")).await), [1]);
    first.close().await;
    // The lock is gone with its holder.
    let third = Disk::open(dir.path(), 64 * 1024 * 1024);
    third.ready().await.expect("opens");
    assert_eq!(numbers(&third.load(&key("a")).await), [1]);
    third.close().await;
}

/// Stores an entry with a body that would lie in a file; `false` if the body was given up.
async fn store_one(store: &Disk, number: u32) -> bool {
    let Some(body) = write(store, None, [noise(100_000, u64::from(number))]).await else { return false };
    put(store, &key(&format!("{number}")), vec![entry(number, &["g"], Some(body))]).await;
    true
}

#[tokio::test]
async fn disk_keeps_its_bound() {
    const MAX_BYTES: u64 = 4_000_000;
    let (dir, store) = fresh(MAX_BYTES);
    let kept = key("kept");
    let body = write(&store, None, [noise(100_000, 1)]).await.expect("room");
    put(&store, &kept, vec![entry(0, &[], Some(body))]).await;
    for number in 1..200_u32 {
        let size = if number.is_multiple_of(3) { 5000 } else { 100_000 };
        let body = write(&store, None, [noise(size, u64::from(number))]).await.expect("room");
        put(&store, &key(&format!("{number}")), vec![entry(number, &["g"], Some(body))]).await;
        assert!(!store.load(&kept).await.is_empty(), "what is used is kept: {number}");
        let stats = store.stats().await;
        assert!(stats.bytes <= MAX_BYTES, "{stats:?}");
    }
    store.flush().await;
    let stats = store.stats().await;
    assert_eq!(stats.entries + stats.evicted, 200);
    assert!(stats.bytes > MAX_BYTES * 8 / 10 && stats.evicted > 50, "{stats:?}");
    let on_disk: u64 = dir.files().iter().map(|file| file.metadata().expect("there").len()).sum();
    assert!(on_disk <= MAX_BYTES, "{on_disk}");
    // The last ones are there, and whole.
    for number in 190..200_u32 {
        let found = store.load(&key(&format!("{number}"))).await;
        let segment = &found[0].parts().segments[0];
        let size = segment.blob.len();
        assert_eq!(read(&segment.blob, 0..size).await, noise(size as usize, u64::from(number)));
    }
    // A smaller bound makes room as soon as something changes.
    store.close().await;
    let store = Disk::open(dir.path(), MAX_BYTES / 4);
    store.flush().await;
    assert!(store.stats().await.bytes <= MAX_BYTES / 4);
    assert!(store.write(Some(MAX_BYTES / 16 + 1)).is_none());
    assert!(write(&store, None, [noise(MAX_BYTES as usize / 16 + 1, 1)]).await.is_none());
    store.remove_group(key("").origin(), "g").await;
    put(&store, &kept, Vec::new()).await;
    store.flush().await;
    assert_eq!(store.stats().await.bytes, 0);
    assert_eq!(dir.files(), Vec::<PathBuf>::new());
    store.close().await;
}

#[tokio::test]
async fn a_disk_that_fails_costs_a_body_and_no_more() {
    let (dir, store) = fresh(64 * 1024 * 1024);
    assert!(store_one(&store, 1).await);
    std::fs::remove_dir_all(dir.path().join("parts")).expect("removed");
    assert!(!store_one(&store, 2).await);
    assert_eq!(store.failures(), 1);
    put(&store, &key("3"), vec![entry(3, &[], None)]).await;
    assert_eq!(check_all(&store, |_, _| ()).await, 2);
    assert!(store.degraded().is_none());
    store.close().await;
}

/// Readers that come while a key goes do not bring it back into memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_while_it_goes_is_not_kept() {
    let (_dir, store) = fresh(64 * 1024 * 1024);
    for round in 0..200 {
        let one = key(&format!("{round}"));
        put(&store, &one, vec![entry(1, &[], None)]).await;
        let (reader, wanted) = (store.clone(), one.clone());
        let reads = tokio::spawn(async move { while !reader.load(&wanted).await.is_empty() {} });
        match round % 2 {
            0 => put(&store, &one, Vec::new()).await,
            _ => store.clear().await,
        }
        assert!(store.load(&one).await.is_empty(), "{round}");
        reads.await.expect("ends");
        assert!(store.load(&one).await.is_empty(), "{round}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_damaged_body_drops_its_entry() {
    let (dir, store) = fresh(64 * 1024 * 1024);
    let size = 1_000_000;
    for (number, at) in [(1, 100), (2, 900_000)] {
        let body = write(&store, None, [noise(size, 1)]).await.expect("room");
        put(&store, &key("a"), vec![entry(number, &[], Some(body))]).await;
        let [file] = dir.files().try_into().expect("one file");
        let mut bytes = std::fs::read(&file).expect("there");
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).expect("written");
        let blob = store.load(&key("a")).await[0].parts().segments[0].blob.clone();
        // In the first block it is known before anything is given out; what comes before a later one is sound.
        match blob.open(0..size as u64).await {
            Err(error) => assert_eq!((error.kind(), at), (ErrorKind::Io, 100), "{error}"),
            Ok(mut body) => {
                let mut sound = 0;
                let error = loop {
                    match body.chunk().await {
                        Ok(chunk) => sound += chunk.expect("not the end").len(),
                        Err(error) => break error,
                    }
                };
                assert_eq!((error.kind(), at), (ErrorKind::Io, 900_000), "{error}");
                assert!(sound <= 900_000 && sound > 500_000, "{sound}");
            }
        }
        drop(blob);
        store.flush().await;
        assert!(store.load(&key("a")).await.is_empty());
        store.flush().await;
        assert_eq!(dir.files(), Vec::<PathBuf>::new());
        assert_eq!(store.stats().await.entries, 0);
    }
    store.close().await;
}

/// Stores bodies of that size under `0`, `1`, … and reads each, so that those that have room are in memory.
async fn store_and_read(store: &Disk, count: u32, size: usize) -> Vec<Blob> {
    let mut blobs = Vec::new();
    for number in 0..count {
        let body = write(store, None, [noise(size, u64::from(number))]).await.expect("room");
        let key = key(&format!("{number}"));
        put(store, &key, vec![entry(number, &["g"], Some(body))]).await;
        let blob = store.load(&key).await[0].parts().segments[0].blob.clone();
        assert_eq!(read(&blob, 0..size as u64).await, noise(size, u64::from(number)));
        blobs.push(blob);
    }
    blobs
}

/// Damages the last byte of all bodies.
fn damage_all(dir: &Dir) {
    for file in dir.files() {
        let mut bytes = std::fs::read(&file).expect("there");
        // Before it is the last block's checksum.
        let at = bytes.len() - 5;
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).expect("written");
    }
}

#[tokio::test]
async fn what_is_in_memory_needs_no_file_within_its_bound() {
    const SIZE: u64 = 100_000;
    for (max_hot_bytes, kept) in [(0, 0), (SIZE - 1, 0), (5 * SIZE + 5000, 5), (1 << 20, 10), (32 << 20, 20)] {
        let dir = Dir::new();
        let store = Disk::builder(dir.path(), 64 << 20).max_hot_bytes(max_hot_bytes).open();
        let blobs = store_and_read(&store, 20, SIZE as usize).await;
        damage_all(&dir);
        for (number, blob) in (0..).zip(&blobs) {
            // Those that were read last, each whole and in parts.
            let is_kept = number >= 20 - kept;
            for range in [0..SIZE, SIZE / 2..SIZE, 70_000..70_001] {
                match blob.open(range.clone()).await {
                    Ok(body) => {
                        assert!(is_kept, "{number} of {kept}: {range:?} came out of a damaged file");
                        let whole = noise(SIZE as usize, number);
                        let body = body.collect(usize::MAX).await.expect("whole");
                        assert_eq!(body, whole[range.start as usize..range.end as usize]);
                    }
                    Err(error) => assert!(!is_kept && error.kind() == ErrorKind::Io, "{number} of {kept}: {error}"),
                }
            }
        }
        drop(blobs);
        store.flush().await;
        assert_eq!(store.stats().await.entries, kept, "what was found damaged is gone");
        store.close().await;
    }
}

#[tokio::test]
async fn what_is_too_large_for_memory_is_read_each_time() {
    let (dir, store) = fresh(64 << 20);
    let small = store_and_read(&store, 1, 256 * 1024).await;
    let large = write(&store, None, [noise(256 * 1024 + 1, 1)]).await.expect("room");
    put(&store, &key("large"), vec![entry(1, &[], Some(large.clone()))]).await;
    assert_eq!(read(&large, 0..large.len()).await, noise(256 * 1024 + 1, 1));
    damage_all(&dir);
    assert_eq!(read(&small[0], 0..256 * 1024).await, noise(256 * 1024, 0));
    let read_again = match large.open(0..large.len()).await {
        Ok(body) => body.collect(usize::MAX).await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(read_again.expect_err("damaged").kind(), ErrorKind::Io);
    store.close().await;
}

/// What was read once is answered by the first poll: no thread is waited for.
#[tokio::test]
async fn a_hit_in_memory_waits_for_nothing() {
    let answer = |_: &ReceivedRequest| Reply::status(200).header("cache-control", "max-age=60").body(noise(100_000, 1));
    let stage = stage(ScriptedServer::builder().handler(answer));
    let (_dir, store) = fresh(64 << 20);
    let client = stage.builder().cache(Cache::builder().disk(store.clone()).build()).build().expect("a client");
    for _ in 0..2 {
        let response = soon(client.get("http://a.example/x").send()).await.expect("a response");
        assert_eq!(soon(response.bytes()).await.expect("a body"), noise(100_000, 1));
    }
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(response) = pin!(client.get("http://a.example/x").send()).poll(&mut cx) else {
        panic!("it waits for something");
    };
    let Poll::Ready(body) = pin!(response.expect("a response").bytes()).poll(&mut cx) else {
        panic!("its body waits for something");
    };
    assert_eq!((body.expect("a body"), stage.server.request_count()), (noise(100_000, 1), 1));
    store.close().await;
}

/// Whoever still holds a body that is gone reads its file, in which the damage is found.
#[tokio::test]
async fn what_goes_is_not_kept_in_memory() {
    for way in 0..5 {
        let (dir, store) = fresh(64 << 20);
        let blobs = store_and_read(&store, 1, 100_000).await;
        let other = match way {
            0 => Some(write(&store, None, [noise(90_000, 7)]).await.expect("room")),
            _ => None,
        };
        damage_all(&dir);
        assert_eq!(read(&blobs[0], 0..100_000).await, noise(100_000, 0), "still in memory");
        match way {
            0 => put(&store, &key("0"), vec![entry(7, &[], other)]).await,
            1 => put(&store, &key("0"), Vec::new()).await,
            2 => store.remove_group(key("").origin(), "g").await,
            3 => store.clear().await,
            _ => store.clone().close().await,
        }
        assert_eq!(blobs[0].open(0..100_000).await.expect_err("not in memory").kind(), ErrorKind::Io, "{way}");
        let found = store.load(&key("0")).await;
        assert_eq!(numbers(&found), if way == 0 { vec![7] } else { vec![] }, "{way}");
        store.close().await;
    }
}

/// The next answer is of what was stored last, and a confirmation does not drop the body.
#[tokio::test]
async fn what_changes_answers_with_what_it_is_now() {
    let (dir, store) = fresh(64 << 20);
    let one = key("0");
    for round in 0..20 {
        let body = write(&store, None, [noise(50_000, round)]).await.expect("room");
        put(&store, &one, vec![entry(round as u32, &[], Some(body))]).await;
        for _ in 0..2 {
            let blob = store.load(&one).await[0].parts().segments[0].blob.clone();
            assert_eq!(read(&blob, 0..50_000).await, noise(50_000, round));
        }
    }
    damage_all(&dir);
    let confirm = |entries: &[std::sync::Arc<Entry>]| {
        let parts =
            EntryParts { segments: entries[0].parts().segments.clone(), ..entry(50, &[], None).parts().clone() };
        vec![std::sync::Arc::new(Entry::new(parts))]
    };
    store.update(&one, Box::new(confirm)).await;
    let found = store.load(&one).await;
    assert_eq!(numbers(&found), [50]);
    assert_eq!(read(&found[0].parts().segments[0].blob, 0..50_000).await, noise(50_000, 19));
    store.close().await;
}

/// The same directory with a damaged index: whatever is found is right, and the store works.
#[tokio::test]
async fn a_damaged_index_is_begun_anew() {
    let (dir, store) = fresh(64 * 1024 * 1024);
    for number in 0..30 {
        assert!(store_one(&store, number).await);
        put(&store, &key(&format!("small{number}")), vec![entry(number, &["g"], None)]).await;
    }
    store.close().await;
    let index = std::fs::read(dir.path().join("index.redb")).expect("there");
    let mut random = noise(8 * 200, 77).to_vec();
    let mut next = || u64::from_le_bytes(random.split_off(random.len() - 8).try_into().expect("eight"));
    let (mut whole, mut begun_anew) = (0, 0);
    for round in 0..60 {
        let other = Dir::new();
        std::fs::create_dir_all(other.path()).expect("made");
        let mut damaged = index.clone();
        match round % 3 {
            0 => damaged.truncate(next() as usize % index.len()),
            1 => damaged[next() as usize % index.len()] ^= 1 << (next() % 8),
            _ => {
                // Where something stands.
                let at = (0..).map(|_| next() as usize % index.len()).find(|at| index[*at] != 0).unwrap_or(0);
                let end = index.len().min(at + 16);
                damaged[at..end].fill(next() as u8);
            }
        }
        std::fs::write(other.path().join("index.redb"), damaged).expect("written");
        std::fs::create_dir_all(other.path().join("blobs")).expect("made");
        for file in dir.files() {
            let copy = other.path().join(file.strip_prefix(dir.path()).expect("below"));
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
            std::fs::hard_link(&file, copy).expect("linked");
        }
        let store = Disk::open(other.path(), 64 * 1024 * 1024);
        store.ready().await.expect("opens");
        let found = check_all(&store, |_, _| ()).await;
        whole += u32::from(found == 60);
        begun_anew += u32::from(found == 0);
        assert!(store_one(&store, 1000).await);
        store.flush().await;
        assert_eq!(numbers(&store.load(&key("1000")).await), [1000]);
        assert!(store.degraded().is_none());
        store.close().await;
    }
    println!("of 60 damaged indexes {whole} were whole all the same, {begun_anew} were begun anew");
}

/// Reads everything back and checks it against what its number says. How many entries there are.
async fn check_all(store: &Disk, mut each: impl FnMut(&str, u32)) -> usize {
    let listed = store.list(None, usize::MAX).await;
    let mut found = 0;
    for (key, variants) in &listed {
        let loaded = store.load(key).await;
        assert_eq!(numbers(&loaded), numbers(variants));
        for entry in loaded.iter() {
            found += 1;
            each(key.uri(), number(entry));
            for segment in &entry.parts().segments {
                assert!(entry.is_complete());
                let size = segment.blob.len();
                let body = segment.blob.open(0..size).await.expect("opens").collect(usize::MAX).await.expect("whole");
                assert_eq!(body, noise(size as usize, u64::from(number(entry))), "{key:?}");
            }
        }
    }
    found
}

const SLOTS: u32 = 40;

fn run_child(name: &str, dir: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("cache_disk::{name}"), "--ignored", "--nocapture", "--test-threads=1"])
        .env("NETCOMM_CACHE_DIR", dir)
        .env("NETCOMM_CACHE_SEED", seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("starts")
}

fn child_settings() -> Option<(PathBuf, u64)> {
    let seed = std::env::var("NETCOMM_CACHE_SEED").ok()?.parse().ok()?;
    Some((std::env::var_os("NETCOMM_CACHE_DIR")?.into(), seed))
}

/// Stores, replaces and removes until it is killed, and tells after each step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of a_killed_process_leaves_a_sound_store"]
async fn child_that_is_killed() {
    let Some((dir, seed)) = child_settings() else { return };
    let store = Disk::open(dir, 8 * 1024 * 1024);
    let mut random = seed;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut out = std::io::stdout();
    for step in 0_u32.. {
        let number = seed as u32 * 100_000 + step;
        let slot = key(&format!("slot/{}", next(SLOTS.into())));
        match next(10) {
            0 => {
                put(&store, &slot, Vec::new()).await;
                writeln!(out, "gone {number} {}", slot.uri()).expect("told");
            }
            1 if next(20) == 0 => {
                store.clear().await;
                writeln!(out, "gone {number} all").expect("told");
            }
            2 => store.flush().await,
            3 => {
                let mut unfinished = store.write(None).expect("room");
                for _ in 0..3 {
                    std::future::poll_fn(|cx| unfinished.poll_ready(cx)).await;
                    unfinished.write(noise(300_000, 1));
                }
            }
            _ => {
                let size = [0, 100, 10_000, 20_000, 70_000, 400_000][next(6) as usize];
                let chunks = noise(size, u64::from(number));
                let chunks = (0..size).step_by(30_000).map(|at| chunks.slice(at..size.min(at + 30_000)));
                let body = write(&store, None, chunks).await;
                put(&store, &slot, vec![entry(number, &["g"], body)]).await;
            }
        }
        writeln!(out, "step").expect("told");
        out.flush().expect("told");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_killed_process_leaves_a_sound_store() {
    let rounds: u64 = std::env::var("NETCOMM_CRASHES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100);
    let dir = Dir::new();
    let mut gone: BTreeMap<String, u32> = BTreeMap::new();
    let (mut most, mut all, mut sizes) = (0, 0, 0);
    for round in 1..=rounds {
        let mut child = run_child("child_that_is_killed", dir.path(), round);
        let mut steps = round * 2_654_435_761 % 60;
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            match line.split_once("gone ").and_then(|(_, rest)| rest.split_once(' ')) {
                Some((number, slot)) => {
                    let number = number.parse().expect("a number");
                    match slot {
                        "all" => (0..SLOTS).for_each(|slot| {
                            gone.insert(format!("http://a.example/slot/{slot}"), number);
                        }),
                        slot => drop(gone.insert(slot.to_owned(), number)),
                    }
                }
                None if line == "step" && steps == 0 => break,
                None if line == "step" => steps -= 1,
                None => {}
            }
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        let store = Disk::open(dir.path(), 8 * 1024 * 1024);
        store.ready().await.expect("opens");
        store.flush().await;
        let found = check_all(&store, |slot, number| {
            let gone = gone.get(slot).copied().unwrap_or(0);
            assert!(number > gone, "{slot}: {number} came back, {gone} was the last to go");
        })
        .await;
        // Every file belongs to an entry, and the sums are right.
        let mut blobs = 0;
        for (_, variants) in store.list(None, usize::MAX).await {
            blobs +=
                variants.iter().flat_map(|entry| &entry.parts().segments).filter(|s| s.blob.id().is_some()).count();
        }
        assert_eq!(dir.files().len(), blobs, "round {round}");
        assert_eq!(store.stats().await.entries as usize, found);
        (most, all, sizes) = (most.max(found), all + found, sizes + blobs);
        store.close().await;
    }
    assert!(!dir.path().join("index.damaged").exists(), "no crash makes the index unsound");
    println!("{rounds} kills: {all} entries read back, {sizes} files, {most} entries at most");
}

/// Writes and reads a body, and tells by how much the peak of its memory grew.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of a_large_body_takes_little_memory"]
async fn child_with_a_large_body() {
    const SIZE: usize = 256 * 1024 * 1024;
    let Some((dir, _)) = child_settings() else { return };
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("linux");
        let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a line");
        line.split_whitespace().nth(1).expect("a figure").parse::<u64>().expect("a number")
    };
    let store = Disk::builder(dir, 1 << 40).open();
    let chunk = noise(64 * 1024 - 1, 1);
    let count = SIZE / chunk.len();
    let body = write(&store, None, [chunk.clone()]).await.expect("room");
    assert_eq!(read(&body, 0..body.len()).await, chunk);
    let before = peak();
    let body = write(&store, None, std::iter::repeat_n(chunk.clone(), count)).await.expect("room");
    put(&store, &key("a"), vec![entry(1, &[], Some(body.clone()))]).await;
    let mut reader = body.open(0..body.len()).await.expect("opens");
    let mut length = 0;
    while let Some(bytes) = reader.chunk().await.expect("reads") {
        let at = length % chunk.len();
        assert_eq!(bytes[0], chunk[at]);
        length += bytes.len();
    }
    assert_eq!(length, count * chunk.len());
    println!("\ngrew {}", peak() - before);
    store.close().await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_body_takes_little_memory() {
    let dir = Dir::new();
    let output = run_child("child_with_a_large_body", dir.path(), 1).wait_with_output().expect("ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let grew = text.lines().find_map(|line| line.strip_prefix("grew ")).and_then(|kib| kib.parse::<u64>().ok());
    println!("256 MiB through the store: {grew:?} KiB");
    assert!(grew.expect("told") < 16 * 1024, "{text}");
}
