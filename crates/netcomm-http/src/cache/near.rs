//! What threads have used lately, once more for each lane. A table that all share is read by nobody without a lock, and each
//! answer counts the holders of what it is made of: where threads use one entry at a time, both pass from one processor's
//! cache to the other's with each hit.
//!
//! Whoever holds an entry here has to be told when it goes: its place in the table says in which lanes it may lie.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cache::blob::Blob;
use crate::cache::entry::{Entry, EntryParts, Segment};
use crate::cache::key::Key;
use crate::cache::store::Variants;
use crate::lane::{Apart, LANES};

/// Keys in one lane; a power of two. Each has one place where it can lie.
const PLACES: usize = 64;
/// What is held takes this beside the text of its key: the text's place, about.
const HELD_OVERHEAD: u64 = 64;
/// What a twin takes beside what is counted of every entry: the owner of its body and the count of its head.
const TWIN_OVERHEAD: u64 = 256;
/// Variants that take more, bodies not counted, have no twins.
const MOST_BYTES: u64 = 16 * 1024;

/// Lanes, a bit for each.
pub(super) type Lanes = u16;

const _: () = assert!(LANES == Lanes::BITS as usize && PLACES.is_power_of_two());

/// The lanes of one store.
pub(super) struct Near {
    lanes: [Apart<Mutex<Lane>>; LANES],
}

/// Empty until something is held.
#[derive(Default)]
struct Lane {
    places: Vec<Option<Held>>,
}

/// Entries under a key as one lane holds them.
pub(super) struct Held {
    key: Key,
    variants: Variants,
    good: Good,
    /// What they take beside what the table counts.
    pub(super) weight: u64,
}

/// For how long a table need not be told of a use: until so many uses of others were told since.
#[derive(Clone, Copy)]
pub(super) struct Good {
    pub(super) since: u32,
    pub(super) uses: u32,
}

impl Good {
    fn is_now(self, uses: u32) -> bool {
        uses.wrapping_sub(self.since) <= self.uses
    }
}

impl Held {
    /// The entries themselves, for the first lane that wants them.
    pub(super) fn of(key: &Key, variants: &Variants, good: Good) -> Self {
        let weight = key.len() as u64 + HELD_OVERHEAD;
        Self { key: key.clone(), variants: variants.clone(), good, weight }
    }

    /// Twins of the entries, for every other lane; `None` if they would take too much. `overhead` is what each takes
    /// beside its weight.
    pub(super) fn twin_of(key: &Key, variants: &Variants, good: Good, overhead: u64) -> Option<Self> {
        let heads = variants.iter().map(|entry| {
            let bodies = entry.parts().segments.iter().filter_map(|segment| segment.blob.as_bytes());
            entry.weight() - bodies.map(|bytes| bytes.len() as u64).sum::<u64>() + overhead + TWIN_OVERHEAD
        });
        let weight = key.len() as u64 + HELD_OVERHEAD + heads.sum::<u64>();
        (weight <= MOST_BYTES).then(|| {
            let variants = variants.iter().map(|entry| Arc::new(twin(entry))).collect();
            Self { key: key.clone(), variants, good, weight }
        })
    }

    pub(super) fn variants(&self) -> Variants {
        self.variants.clone()
    }
}

impl Near {
    pub(super) fn new() -> Self {
        Self { lanes: std::array::from_fn(|_| Apart::default()) }
    }

    /// What a lane holds, unless its table, which was told of so many uses, should be told of this one too.
    pub(super) fn get(&self, lane: usize, hash: u64, key: &Key, uses: u32) -> Option<Variants> {
        let lane = self.lock(lane);
        let held = lane.places.get(place(hash))?.as_ref()?;
        (held.good.is_now(uses) && held.key == *key).then(|| held.variants())
    }

    /// What a lane holds, now that its table was told.
    pub(super) fn renew(&self, lane: usize, hash: u64, key: &Key, good: Good) -> Option<Variants> {
        let mut lane = self.lock(lane);
        let held = lane.places.get_mut(place(hash))?.as_mut().filter(|held| held.key == *key)?;
        held.good = good;
        Some(held.variants())
    }

    /// Puts it into a lane; what makes room for it comes back.
    pub(super) fn keep(&self, lane: usize, hash: u64, held: Held) -> Option<Held> {
        let mut lane = self.lock(lane);
        if lane.places.is_empty() {
            lane.places.resize_with(PLACES, || None);
        }
        lane.places.get_mut(place(hash))?.replace(held)
    }

    /// Takes what lies under a key out of these lanes: how much it took.
    pub(super) fn forget(&self, lanes: Lanes, hash: u64, key: &Key) -> u64 {
        let lanes = (0..LANES).filter(|lane| lanes & (1 << lane) != 0);
        let gone = lanes.filter_map(|lane| {
            let mut lane = self.lock(lane);
            lane.places.get_mut(place(hash))?.take_if(|held| held.key == *key)
        });
        gone.map(|held| held.weight).sum()
    }

    fn lock(&self, lane: usize) -> MutexGuard<'_, Lane> {
        // Nothing is half done where a change can panic.
        self.lanes[lane].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(hash: u64) -> usize {
    hash as usize % PLACES
}

/// The same entry over again, but for its body: nothing that is counted while it is used is shared.
fn twin(entry: &Entry) -> Entry {
    let EntryParts { status, headers, selecting, requested_at, received_at, ttl, length, segments } = entry.parts();
    let segment = |segment: &Segment| Segment {
        blob: match segment.blob.as_bytes() {
            Some(bytes) => Blob::memory(Bytes::from_owner(bytes.clone())),
            None => segment.blob.clone(),
        },
        ..segment.clone()
    };
    let parts = EntryParts {
        status: *status,
        headers: copied(headers.as_map()).into(),
        selecting: selecting.clone(),
        requested_at: *requested_at,
        received_at: *received_at,
        ttl: *ttl,
        length: *length,
        segments: segments.iter().map(segment).collect(),
    };
    Entry::new(parts).with_ticket(entry.ticket())
}

/// The same fields, all values in one piece of memory.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut text = Vec::with_capacity(headers.values().map(HeaderValue::len).sum());
    headers.values().for_each(|value| text.extend_from_slice(value.as_bytes()));
    let text = Bytes::from(text);
    let (mut copied, mut at) = (HeaderMap::with_capacity(headers.keys_len()), 0);
    for (name, value) in headers {
        let end = at + value.len();
        // What was a field stays one.
        let mut own = HeaderValue::from_maybe_shared(text.slice(at..end)).unwrap_or_else(|_| value.clone());
        own.set_sensitive(value.is_sensitive());
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).unwrap_or_else(|_| name.clone());
        copied.append(name, own);
        at = end;
    }
    copied
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::StatusCode;

    use super::*;
    use crate::cache::entry::Selecting;
    use crate::cache::few::Few;

    fn entry() -> Entry {
        let mut headers = HeaderMap::new();
        for (name, value) in [("etag", "\"a\""), ("own", ""), ("vary", "x"), ("vary", "y"), ("date", "today")] {
            headers.append(name, value.parse().expect(value));
        }
        headers.get_mut("own").expect("just put there").set_sensitive(true);
        let segments = Few::one(Segment::whole(3, Blob::memory(Bytes::from(vec![7; 100]))));
        let parts = EntryParts {
            status: StatusCode::OK,
            headers: headers.into(),
            selecting: Selecting { fields: vec![(HeaderName::from_static("x"), None)], identity: Some(1) },
            requested_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            ttl: Some(Duration::from_secs(2)),
            length: Some(200),
            segments,
        };
        Entry::new(parts).with_ticket(9)
    }

    #[test]
    fn a_twin_is_the_same_entry_and_shares_the_bytes_of_its_body_alone() {
        let (first, second) = (entry(), twin(&entry()));
        let (a, b) = (first.parts(), second.parts());
        assert_eq!((a.status, a.headers.as_map(), first.ticket()), (b.status, b.headers.as_map(), second.ticket()));
        assert!(a.headers.as_map().iter().eq(b.headers.as_map().iter()), "the order too");
        assert!(b.headers.as_map()["own"].is_sensitive() && !b.headers.as_map()["etag"].is_sensitive());
        assert!(a.selecting == b.selecting && (a.requested_at, a.received_at) == (b.requested_at, b.received_at));
        assert_eq!((a.ttl, a.length, a.segments.len()), (b.ttl, b.length, b.segments.len()));
        let own = twin(&first);
        let body = |entry: &Entry| entry.parts().segments[0].blob.as_bytes().expect("in memory").clone();
        assert_eq!(own.parts().segments[0].range(), first.parts().segments[0].range());
        assert_eq!(body(&own).as_ptr(), body(&first).as_ptr());
        let value = |entry: &Entry| entry.headers()["date"].as_bytes().as_ptr();
        assert_ne!(value(&own), value(&first));
    }

    #[test]
    fn what_a_lane_holds_is_good_until_others_were_used_so_often_and_until_it_goes() {
        let near = Near::new();
        let (key, other) = ("\nhttp://a.example/", "\nhttp://a.example/other");
        let [key, other] = [key, other].map(|text| Key::from_text(text).expect(text));
        let variants: Variants = vec![Arc::new(entry())].into();
        let good = |since| Good { since, uses: 2 };
        assert!(near.get(1, 5, &key, 7).is_none());
        assert!(near.keep(1, 5, Held::of(&key, &variants, good(u32::MAX))).is_none());
        for (lane, hash, asked, uses, expected) in [
            (1, 5, &key, u32::MAX, true),
            (1, 5, &key, 1, true),
            (1, 5, &key, 2, false),
            (2, 5, &key, 1, false),
            (1, 6, &key, 1, false),
            (1, 5, &other, 1, false),
        ] {
            assert_eq!(near.get(lane, hash, asked, uses).is_some(), expected, "lane {lane}, {asked:?} at {uses}");
        }
        assert!(near.renew(1, 5, &other, good(2)).is_none());
        assert!(near.renew(1, 5, &key, good(2)).is_some() && near.get(1, 5, &key, 4).is_some());
        assert_eq!(near.forget(0b1101, 5, &key), 0);
        assert_eq!(near.forget(0b10, 5, &other), 0);
        assert!(near.forget(0b10, 5, &key) > 0 && near.get(1, 5, &key, 4).is_none());
        let held = near.keep(1, 5, Held::of(&key, &variants, good(0)));
        assert!(held.is_none());
        let gone = near.keep(1, 5 + PLACES as u64, Held::of(&other, &variants, good(0)));
        assert_eq!(gone.map(|held| held.key), Some(key));
    }

    #[test]
    fn heads_that_take_much_have_no_twins() {
        let key = Key::from_text("\nhttp://a.example/").expect("a key");
        let good = Good { since: 0, uses: 0 };
        let entries = |count| -> Variants { (0..count).map(|_| Arc::new(entry())).collect() };
        assert!(Held::twin_of(&key, &entries(1), good, 0).is_some_and(|held| held.weight > 256));
        assert!(Held::twin_of(&key, &entries(32), good, 0).is_none());
    }
}
