//! Small bodies in memory, above their files: a hit asks no thread and reads nothing.
//!
//! They are known by the numbers of their blobs, which are never used twice, and found by way of an entry only: a body
//! whose entry is gone or changed answers nobody. That it is taken out then is so that it takes no room.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;

/// The largest body that is kept: as much as is read in one go.
pub(super) const MAX_BODY_BYTES: u64 = 256 * 1024;
/// What a body takes beside its bytes: its node and place in the table, the count of its owners, the allocator's rounding.
const OVERHEAD: u64 = 160;

/// The bodies read last, at most so many bytes over all. One lock for all of them: it is held for a look or a link, and
/// what is used least is known exactly.
pub(super) struct Bodies {
    kept: Mutex<Kept>,
}

struct Kept {
    bodies: LruCache<u64, Bytes>,
    bytes: u64,
    max_bytes: u64,
}

impl Bodies {
    /// With 0 it keeps nothing.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { kept: Mutex::new(Kept { bodies: LruCache::unbounded(), bytes: 0, max_bytes }) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a body of that length would be kept.
    pub(super) fn takes(&self, length: u64) -> bool {
        length <= MAX_BODY_BYTES && length + OVERHEAD <= self.lock().max_bytes
    }

    /// The body of that blob, which counts as used now.
    pub(super) fn get(&self, id: u64) -> Option<Bytes> {
        self.lock().bodies.get(&id).cloned()
    }

    /// Keeps what was read of a blob, the whole of it, if `is_current`: asked for while nothing can be taken out.
    pub(super) fn keep(&self, id: u64, body: &Bytes, is_current: impl FnOnce() -> bool) {
        // Freed outside of the lock, here and below.
        let mut gone = Vec::new();
        let mut kept = self.lock();
        let weight = weigh(body);
        if body.len() as u64 > MAX_BODY_BYTES || weight > kept.max_bytes || !is_current() {
            return;
        }
        gone.extend(kept.take(id));
        while kept.bytes + weight > kept.max_bytes
            && let Some((_, old)) = kept.bodies.pop_lru()
        {
            kept.bytes -= weigh(&old);
            gone.push(old);
        }
        kept.bytes += weight;
        kept.bodies.put(id, body.clone());
        drop(kept);
    }

    /// The blob has gone, or was found damaged.
    pub(super) fn remove(&self, id: u64) {
        let gone = self.lock().take(id);
        drop(gone);
    }

    /// Forgets everything, and keeps nothing any more.
    pub(super) fn close(&self) {
        let mut kept = self.lock();
        kept.max_bytes = 0;
        kept.bytes = 0;
        let gone = std::mem::replace(&mut kept.bodies, LruCache::unbounded());
        drop(kept);
        drop(gone);
    }
}

impl Kept {
    fn take(&mut self, id: u64) -> Option<Bytes> {
        let old = self.bodies.pop(&id)?;
        self.bytes -= weigh(&old);
        Some(old)
    }
}

fn weigh(body: &Bytes) -> u64 {
    body.len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: u64 = 100_000;

    fn body(length: u64) -> Bytes {
        vec![7; length as usize].into()
    }

    fn keep(bodies: &Bodies, id: u64, length: u64) {
        bodies.keep(id, &body(length), || true);
        let kept = bodies.lock();
        let counted: u64 = kept.bodies.iter().map(|(_, body)| weigh(body)).sum();
        assert_eq!(kept.bytes, counted);
        assert!(counted <= kept.max_bytes, "{counted}");
    }

    fn ids(bodies: &Bodies) -> Vec<u64> {
        let mut ids: Vec<u64> = bodies.lock().bodies.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn the_bound_is_held_and_what_is_used_is_kept() {
        let bodies = Bodies::new(ROOM);
        for id in 1..200 {
            keep(&bodies, id, 20_000 + id * 37 % 5000);
            assert_eq!(bodies.get(1).map(|body| body.len()), Some(20_037), "{id}");
            assert!(bodies.get(id).is_some(), "{id}");
        }
        assert_eq!(ids(&bodies), [1, 197, 198, 199]);
        // The same one again counts once, and one that takes all the room goes in.
        keep(&bodies, 199, 30_000);
        assert_eq!(ids(&bodies), [1, 197, 198, 199]);
        keep(&bodies, 300, ROOM - OVERHEAD);
        assert_eq!(ids(&bodies), [300]);
    }

    #[test]
    fn what_has_no_place_pushes_nothing_out() {
        let bodies = Bodies::new(ROOM);
        keep(&bodies, 1, 50_000);
        keep(&bodies, 2, ROOM - OVERHEAD + 1);
        bodies.keep(3, &body(10), || false);
        assert_eq!(ids(&bodies), [1]);
        assert!(bodies.takes(ROOM - OVERHEAD) && !bodies.takes(ROOM - OVERHEAD + 1));
        let wide = Bodies::new(u64::MAX);
        assert!(wide.takes(MAX_BODY_BYTES) && !wide.takes(MAX_BODY_BYTES + 1) && !wide.takes(u64::MAX));
        keep(&wide, 1, MAX_BODY_BYTES + 1);
        assert!(ids(&wide).is_empty());
        let none = Bodies::new(0);
        assert!(!none.takes(0));
        keep(&none, 1, 0);
        assert!(ids(&none).is_empty());
    }

    #[test]
    fn what_goes_makes_room() {
        let bodies = Bodies::new(ROOM);
        keep(&bodies, 1, 60_000);
        bodies.remove(1);
        bodies.remove(1);
        assert!(bodies.get(1).is_none());
        assert_eq!(bodies.lock().bytes, 0);
        keep(&bodies, 2, 60_000);
        bodies.close();
        assert!(bodies.get(2).is_none() && !bodies.takes(1));
        keep(&bodies, 3, 10);
        assert!(ids(&bodies).is_empty());
    }
}
