//! Which call is next, and what becomes of one after an attempt. Pure: times and outcomes are handed in.
//!
//! A lane is an order key within a partition. Its first call is its head; only heads are sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use netcomm_core::{Error, ErrorKind, Result};

use super::kept::{Failure, KeptCall, KeptId, KeptState};

/// The most that is kept, and sent at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) calls: usize,
    pub(super) bytes: u64,
    pub(super) concurrent: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub(super) partition: Arc<str>,
    pub(super) order: Arc<str>,
}

/// A call in the queue: all but its fields and its body.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) call: KeptCall,
    pub(super) partition: Arc<str>,
    /// Bytes of its record.
    pub(super) bytes: u64,
    /// Whether an earlier attempt may have reached the server.
    pub(super) maybe_sent: bool,
    /// Attempts that failed since one had an answer or the network came back: the longer the row, the longer the wait.
    pub(super) failures_in_a_row: u32,
    /// Answers 409 to repetitions.
    pub(super) conflicts: u32,
    /// Not to be sent before.
    pub(super) until: Option<Instant>,
    /// Whether it is the server that wants the wait: then the network's return does not end it.
    pub(super) is_asked: bool,
}

impl Entry {
    pub(super) fn new(call: KeptCall, partition: Arc<str>, bytes: u64) -> Self {
        Self {
            call,
            partition,
            bytes,
            maybe_sent: false,
            failures_in_a_row: 0,
            conflicts: 0,
            until: None,
            is_asked: false,
        }
    }

    pub(super) fn lane(&self) -> Lane {
        Lane { partition: Arc::clone(&self.partition), order: Arc::clone(&self.call.order_key) }
    }
}

/// What becomes of a call whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// It waits for the next one.
    Waits,
    /// Its time is over meanwhile: it is ending.
    Expired,
    /// It was called off meanwhile.
    Gone,
}

#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    next_id: u64,
    calls: BTreeMap<KeptId, Entry>,
    lanes: HashMap<Lane, BTreeSet<KeptId>>,
    /// The heads that wait: by partition, by when they may be sent (nothing: at once), by age.
    heads: BTreeSet<(Arc<str>, Option<Instant>, KeptId)>,
    /// The calls whose time will be over while they wait.
    expiries: BTreeSet<(SystemTime, KeptId)>,
    /// Calls of each partition.
    counts: HashMap<Arc<str>, usize>,
    sending: usize,
    bytes: u64,
    /// Calls that are on their way to the disk, and their bytes.
    coming: HashMap<KeptId, u64>,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            next_id: 1,
            calls: BTreeMap::new(),
            lanes: HashMap::new(),
            heads: BTreeSet::new(),
            expiries: BTreeSet::new(),
            counts: HashMap::new(),
            sending: 0,
            bytes: 0,
            coming: HashMap::new(),
        }
    }

    /// Numbers begin here.
    pub(super) fn begin_at(&mut self, next_id: u64) {
        self.next_id = self.next_id.max(next_id);
    }

    /// Room for a call of that many bytes, and its number.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<KeptId> {
        let full = |bound: String| Err(Error::new(ErrorKind::Busy, "keep call").with_detail(bound));
        let Bounds { calls, bytes: most, .. } = self.bounds;
        if self.calls.len() + self.coming.len() >= calls {
            return full(format!("the outbox is full: {calls} calls (bound max_calls)"));
        }
        if self.bytes.saturating_add(bytes) > most {
            return full(format!("the outbox is full: {most} bytes (bound max_bytes)"));
        }
        let id = KeptId(self.next_id);
        self.next_id += 1;
        self.bytes += bytes;
        self.coming.insert(id, bytes);
        Ok(id)
    }

    /// The call could not be kept.
    pub(super) fn give_back(&mut self, id: KeptId) {
        self.bytes -= self.coming.remove(&id).unwrap_or(0);
    }

    /// A call that is on disk. Those of one lane come in the order of their numbers.
    pub(super) fn add(&mut self, entry: Entry) {
        let id = entry.call.id;
        if self.coming.remove(&id).is_none() {
            self.bytes += entry.bytes;
        }
        self.begin_at(id.0 + 1);
        *self.counts.entry(Arc::clone(&entry.partition)).or_default() += 1;
        self.expiries.insert((entry.call.expires_at, id));
        let lane = self.lanes.entry(entry.lane()).or_default();
        lane.insert(id);
        if lane.first() == Some(&id) {
            self.heads.insert((Arc::clone(&entry.partition), entry.until, id));
        }
        self.calls.insert(id, entry);
    }

    /// A call that may be sent now: first those that wait for nothing, the oldest first, then those whose wait is over. It is
    /// being sent from then on.
    pub(super) fn next(&mut self, partition: &Arc<str>, now: Instant) -> Option<&Entry> {
        if self.sending >= self.bounds.concurrent {
            return None;
        }
        let head = self.heads.range((Arc::clone(partition), None, KeptId(0))..).next()?;
        if head.0 != *partition || head.1.is_some_and(|until| until > now) {
            return None;
        }
        let head = head.clone();
        self.heads.remove(&head);
        self.sending += 1;
        let entry = self.calls.get_mut(&head.2)?;
        entry.until = None;
        entry.call.state = KeptState::Sending;
        entry.call.attempts = entry.call.attempts.saturating_add(1);
        Some(entry)
    }

    /// When the next head of that partition may be sent; `None` if no time brings that nearer.
    pub(super) fn next_at(&self, partition: &Arc<str>) -> Option<Instant> {
        if self.sending >= self.bounds.concurrent {
            return None;
        }
        let head = self.heads.range((Arc::clone(partition), None, KeptId(0))..).next()?;
        if head.0 == *partition { head.1 } else { None }
    }

    /// The calls whose time is over, but for those that are being sent: they are ending from then on.
    pub(super) fn expired(&mut self, wall: SystemTime) -> Vec<KeptId> {
        let mut over = Vec::new();
        while let Some(first) = self.expiries.first().filter(|first| first.0 <= wall).copied() {
            self.expiries.remove(&first);
            let is_waiting = |entry: &Entry| entry.call.state == KeptState::Waiting;
            if self.calls.get(&first.1).is_some_and(is_waiting) && self.end(first.1).is_some() {
                over.push(first.1);
            }
        }
        over
    }

    /// When the time of the next call is over.
    pub(super) fn next_expiry(&self) -> Option<SystemTime> {
        self.expiries.first().map(|first| first.0)
    }

    /// The call is ending. As it was before; `None` if it is not there, or ending already.
    pub(super) fn end(&mut self, id: KeptId) -> Option<Entry> {
        let entry = self.calls.get_mut(&id)?;
        let before = entry.clone();
        match entry.call.state {
            KeptState::Waiting => drop(self.heads.remove(&(Arc::clone(&entry.partition), entry.until, id))),
            KeptState::Sending => self.sending -= 1,
            KeptState::Ending => return None,
        }
        entry.call.state = KeptState::Ending;
        self.expiries.remove(&(entry.call.expires_at, id));
        Some(before)
    }

    /// The call is off the disk: the next one of its lane is head.
    pub(super) fn remove(&mut self, id: KeptId) -> Option<Entry> {
        self.end(id);
        let entry = self.calls.remove(&id)?;
        self.bytes -= entry.bytes;
        if let Some(count) = self.counts.get_mut(&entry.partition) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&entry.partition);
            }
        }
        let lane = entry.lane();
        let rest = self.lanes.get_mut(&lane)?;
        rest.remove(&id);
        match rest.first().copied() {
            None => drop(self.lanes.remove(&lane)),
            // It may be ending itself.
            Some(head) => self.wait_as_head(head),
        }
        Some(entry)
    }

    /// Nobody sends the call any more, though nothing was decided: its delivery was stopped.
    pub(super) fn let_go(&mut self, id: KeptId) {
        let Some(entry) = self.calls.get_mut(&id).filter(|entry| entry.call.state == KeptState::Sending) else {
            return;
        };
        entry.maybe_sent = true;
        self.wait(id);
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, id: KeptId, failed: Failed, wall: SystemTime) -> AfterFailure {
        let Some(entry) = self.calls.get_mut(&id).filter(|entry| entry.call.state == KeptState::Sending) else {
            return AfterFailure::Gone;
        };
        entry.call.last_failure = Some(failed.failure);
        entry.maybe_sent |= failed.maybe_sent;
        entry.conflicts += u32::from(failed.is_conflict);
        entry.failures_in_a_row = entry.failures_in_a_row.saturating_add(1);
        entry.until = Some(failed.until);
        entry.is_asked = failed.is_asked;
        if entry.call.expires_at <= wall {
            self.end(id);
            return AfterFailure::Expired;
        }
        self.wait(id);
        AfterFailure::Waits
    }

    /// The network is another one: whatever waits for no server's sake may be sent at once.
    pub(super) fn network_changed(&mut self, partition: &Arc<str>) {
        let from = (Arc::clone(partition), None, KeptId(0));
        let heads: Vec<_> = self.heads.range(from..).take_while(|head| head.0 == *partition).cloned().collect();
        for head in heads {
            let Some(entry) = self.calls.get_mut(&head.2).filter(|entry| !entry.is_asked) else { continue };
            entry.failures_in_a_row = 0;
            entry.until = None;
            self.heads.remove(&head);
            self.heads.insert((head.0, None, head.2));
        }
    }

    pub(super) fn get(&self, id: KeptId) -> Option<&Entry> {
        self.calls.get(&id)
    }

    pub(super) fn len(&self, partition: &str) -> usize {
        self.counts.get(partition).copied().unwrap_or(0)
    }

    pub(super) fn has(&self, lane: &Lane) -> bool {
        self.lanes.contains_key(lane)
    }

    pub(super) fn list(&self, partition: &str) -> Vec<KeptCall> {
        self.calls.values().filter(|entry| &*entry.partition == partition).map(|entry| entry.call.clone()).collect()
    }

    fn wait(&mut self, id: KeptId) {
        let Some(entry) = self.calls.get_mut(&id) else { return };
        entry.call.state = KeptState::Waiting;
        self.sending -= 1;
        // Its time may have been over while it was being sent.
        self.expiries.insert((entry.call.expires_at, id));
        self.wait_as_head(id);
    }

    fn wait_as_head(&mut self, id: KeptId) {
        if let Some(entry) = self.calls.get(&id).filter(|entry| entry.call.state == KeptState::Waiting) {
            self.heads.insert((Arc::clone(&entry.partition), entry.until, id));
        }
    }
}

/// How an attempt failed, and when there is to be another one.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) until: Instant,
    pub(super) is_asked: bool,
    pub(super) maybe_sent: bool,
    pub(super) is_conflict: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wall(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn entry(id: u64, partition: &str, order: &str) -> Entry {
        let call = KeptCall {
            id: KeptId(id),
            method: Method::POST,
            url: "http://a.example/".into(),
            order_key: order.into(),
            idempotency_key: "\"k\"".into(),
            body_bytes: 0,
            kept_at: wall(0),
            expires_at: wall(100),
            attempts: 0,
            last_failure: None,
            state: KeptState::Waiting,
        };
        Entry::new(call, partition.into(), 10)
    }

    fn queue(lanes: &[(&str, &str)]) -> Queue {
        let mut queue = Queue::new(Bounds { calls: 100, bytes: 1000, concurrent: 3 });
        for (partition, order) in lanes {
            let id = queue.reserve(10).expect("room");
            queue.add(entry(id.0, partition, order));
        }
        queue
    }

    fn failed(until: Instant, is_asked: bool) -> Failed {
        let failure = Failure { at: wall(0), status: None, message: "x".into() };
        Failed { failure, until, is_asked, maybe_sent: false, is_conflict: false }
    }

    fn all(queue: &mut Queue, partition: &str, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| queue.next(&partition.into(), now).map(|entry| entry.call.id.0)).collect()
    }

    #[test]
    fn heads_only_oldest_first_and_no_more_than_may() {
        let now = Instant::now();
        for (lanes, first, after_one) in [
            (&["a", "a", "a"][..], &[1][..], &[2][..]),
            (&["a", "b", "a", "b"], &[1, 2], &[3]),
            (&["a", "b", "c", "d", "a"], &[1, 2, 3], &[4]),
            (&["a", "a", "b", "c", "d"], &[1, 3, 4], &[2]),
            (&[], &[], &[]),
        ] {
            let lanes: Vec<_> = lanes.iter().map(|order| ("", *order)).collect();
            let mut queue = queue(&lanes);
            assert_eq!(all(&mut queue, "", now), first, "{lanes:?}");
            queue.remove(KeptId(1));
            assert_eq!(all(&mut queue, "", now), after_one, "{lanes:?}");
        }
    }

    #[test]
    fn partitions_do_not_see_each_other_but_share_the_bounds() {
        let now = Instant::now();
        let mut queue = queue(&[("", "a"), ("p", "a"), ("p", "b"), ("q", "a")]);
        assert_eq!(all(&mut queue, "p", now), [2, 3]);
        assert_eq!(all(&mut queue, "o", now), [0; 0]);
        assert_eq!((queue.len(""), queue.len("p"), queue.len("o")), (1, 2, 0));
        assert_eq!(queue.list("q").len(), 1);
        assert_eq!(all(&mut queue, "", now), [1], "three at a time");
        assert_eq!(all(&mut queue, "q", now), [0; 0]);
        queue.remove(KeptId(2));
        assert_eq!(queue.len("p"), 1);
        assert_eq!(all(&mut queue, "q", now), [4]);
    }

    #[test]
    fn room_is_reserved_and_given_back() {
        let mut queue = Queue::new(Bounds { calls: 3, bytes: 100, concurrent: 1 });
        let kinds = |result: Result<KeptId>| result.map_err(|error| error.detail().map(str::to_owned));
        let bound = |what: &str| Err(Some(what.to_owned()));
        let bytes = bound("the outbox is full: 100 bytes (bound max_bytes)");
        assert_eq!(kinds(queue.reserve(101)), bytes);
        assert_eq!(kinds(queue.reserve(60)), Ok(KeptId(1)));
        assert_eq!(kinds(queue.reserve(60)), bytes);
        queue.give_back(KeptId(1));
        for id in 2..5 {
            assert_eq!(kinds(queue.reserve(10)), Ok(KeptId(id)), "numbers do not come again");
        }
        assert_eq!(kinds(queue.reserve(10)), bound("the outbox is full: 3 calls (bound max_calls)"));
        queue.add(entry(2, "", "a"));
        assert!(queue.reserve(10).is_err());
        queue.remove(KeptId(2));
        assert_eq!(kinds(queue.reserve(10)), Ok(KeptId(5)));
        assert_eq!(queue.bytes, 30);
    }

    #[test]
    fn a_failed_head_holds_its_lane_until_its_time() {
        let now = Instant::now();
        let mut queue = queue(&[("", "a"), ("", "a"), ("", "b")]);
        assert_eq!(all(&mut queue, "", now), [1, 3]);
        assert_eq!(queue.failed(KeptId(1), failed(now + SECOND, false), wall(1)), AfterFailure::Waits);
        assert_eq!(all(&mut queue, "", now), [0; 0]);
        assert_eq!(queue.next_at(&"".into()), Some(now + SECOND));
        assert_eq!(queue.list("")[0].attempts, 1);
        assert_eq!(all(&mut queue, "", now + SECOND), [1]);
        queue.remove(KeptId(1));
        assert_eq!(all(&mut queue, "", now), [2]);
    }

    #[test]
    fn the_networks_return_ends_waits_unless_the_server_asked_for_them() {
        let now = Instant::now();
        let mut queue = queue(&[("", "a"), ("", "b"), ("p", "a")]);
        assert_eq!(all(&mut queue, "", now), [1, 2]);
        assert_eq!(all(&mut queue, "p", now), [3]);
        queue.failed(KeptId(1), failed(now + SECOND, true), wall(1));
        queue.failed(KeptId(2), failed(now + 5 * SECOND, false), wall(1));
        queue.failed(KeptId(3), failed(now + 5 * SECOND, false), wall(1));
        queue.network_changed(&"".into());
        assert_eq!(all(&mut queue, "", now), [2]);
        assert_eq!(queue.get(KeptId(2)).expect("there").failures_in_a_row, 0);
        assert_eq!(queue.next_at(&"p".into()), Some(now + 5 * SECOND));
    }

    #[test]
    fn time_runs_out_for_those_that_wait_and_for_those_that_fail() {
        let now = Instant::now();
        let mut queue = queue(&[("", "a"), ("", "a"), ("", "b")]);
        assert_eq!(all(&mut queue, "", now), [1, 3]);
        assert_eq!(queue.expired(wall(99)), []);
        assert_eq!(queue.next_expiry(), Some(wall(100)));
        assert_eq!(queue.expired(wall(100)), [KeptId(2)], "not what is being sent");
        assert_eq!(queue.next_expiry(), None);
        assert_eq!(queue.failed(KeptId(1), failed(now, false), wall(100)), AfterFailure::Expired);
        queue.remove(KeptId(1));
        assert_eq!(all(&mut queue, "", now), [0; 0], "the next one is ending, too");
        queue.remove(KeptId(2));
        queue.let_go(KeptId(3));
        assert_eq!(queue.expired(wall(100)), [KeptId(3)]);
        queue.remove(KeptId(3));
        assert_eq!((queue.len(""), queue.sending, queue.bytes), (0, 0, 0));
        assert!(queue.lanes.is_empty() && queue.heads.is_empty() && queue.expiries.is_empty());
    }

    #[test]
    fn what_is_ending_ends_once() {
        let now = Instant::now();
        let mut queue = queue(&[("", "a"), ("", "a")]);
        assert_eq!(all(&mut queue, "", now), [1]);
        assert_eq!(queue.end(KeptId(1)).expect("there").call.state, KeptState::Sending);
        assert!(queue.end(KeptId(1)).is_none() && queue.end(KeptId(9)).is_none());
        assert_eq!(queue.failed(KeptId(1), failed(now, false), wall(1)), AfterFailure::Gone);
        queue.let_go(KeptId(1));
        assert_eq!(all(&mut queue, "", now), [0; 0], "not before the first one is off the disk");
        queue.remove(KeptId(1));
        queue.let_go(KeptId(2));
        assert_eq!(all(&mut queue, "", now), [2]);
        queue.let_go(KeptId(2));
        assert!(queue.get(KeptId(2)).expect("there").maybe_sent);
        assert_eq!(all(&mut queue, "", now), [2]);
    }
}
