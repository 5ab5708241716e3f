//! The queue against tables, and against a list that does the same slowly.

use std::time::Duration;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::{collection, option, prop_assert, prop_assert_eq};

use super::*;

fn item(payload: u32, bytes: usize, priority: Priority) -> Item<u32> {
    Item { payload, bytes, priority, expires: None, volatile: false }
}

fn queue(messages: usize, bytes: usize, overflow: Overflow) -> Queue<u32> {
    Queue::new(QueueLimits::default().with_messages(messages).with_bytes(bytes).with_overflow(overflow))
}

fn add(queue: &mut Queue<u32>, payload: u32, bytes: usize, priority: Priority) -> Pushed<u32> {
    queue.push(item(payload, bytes, priority), false, Instant::now())
}

fn payloads(entries: &[Entry<u32>]) -> Vec<u32> {
    entries.iter().map(|entry| entry.item.payload).collect()
}

fn evicted(pushed: &Pushed<u32>) -> Option<Vec<u32>> {
    match pushed {
        Pushed::Queued { evicted, .. } => Some(evicted.as_deref().map_or_else(Vec::new, payloads)),
        _ => None,
    }
}

#[test]
fn the_defaults() {
    let limits = QueueLimits::default();
    assert_eq!((limits.messages, limits.bytes, limits.overflow), (1000, 16 << 20, Overflow::Reject));
}

#[test]
fn the_highest_priority_goes_first_and_then_the_first_come() {
    let mut queue = queue(10, 100, Overflow::Reject);
    for (payload, priority) in [
        (1, Priority::Normal),
        (2, Priority::Low),
        (3, Priority::High),
        (4, Priority::Normal),
        (5, Priority::High),
        (6, Priority::Low),
    ] {
        assert_eq!(evicted(&add(&mut queue, payload, 1, priority)), Some(vec![]));
    }
    let now = Instant::now();
    let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
    assert_eq!(payloads(&order), [3, 5, 1, 4, 2, 6]);
    assert_eq!(order[0].id, 2, "numbers tell the order of arrival");
}

#[test]
fn who_gives_way() {
    use Priority::{High, Low, Normal};
    let full = |overflow| {
        let mut queue = queue(4, 40, overflow);
        for (payload, priority) in [(1, Normal), (2, Low), (3, High), (4, Low)] {
            assert!(evicted(&add(&mut queue, payload, 10, priority)).is_some());
        }
        queue
    };
    for overflow in [Overflow::Reject, Overflow::Wait] {
        assert_eq!(add(&mut full(overflow), 9, 1, High), Pushed::Full(item(9, 1, High)), "{overflow:?}");
    }
    assert_eq!(add(&mut full(Overflow::DropNewest), 9, 1, High), Pushed::Dropped(item(9, 1, High)));
    // Of what size and priority is the newcomer, and who goes.
    for (bytes, priority, expected) in [
        (1, Low, Some(vec![2])),
        (10, Normal, Some(vec![2])),
        (11, Normal, Some(vec![2, 4])),
        (20, Low, Some(vec![2, 4])),
        (21, Low, None),
        (21, Normal, Some(vec![2, 4, 1])),
        (31, Normal, None),
        (40, High, Some(vec![2, 4, 1, 3])),
    ] {
        let mut queue = full(Overflow::DropOldest);
        let pushed = add(&mut queue, 9, bytes, priority);
        assert_eq!(evicted(&pushed), expected, "{bytes} {priority:?}");
        if expected.is_none() {
            assert_eq!((pushed, queue.len()), (Pushed::Dropped(item(9, bytes, priority)), 4), "nobody in vain");
        }
    }
}

#[test]
fn what_never_fits_is_told_apart() {
    for overflow in [Overflow::Reject, Overflow::Wait, Overflow::DropOldest, Overflow::DropNewest] {
        let mut queue = queue(10, 100, overflow);
        let large = || item(1, 101, Priority::High);
        assert_eq!(queue.push(large(), true, Instant::now()), Pushed::TooLarge(large()), "{overflow:?}");
        assert!(queue.is_empty());
    }
    let mut none = queue(0, 100, Overflow::DropOldest);
    assert_eq!(add(&mut none, 1, 1, Priority::High), Pushed::Dropped(item(1, 1, Priority::High)));
}

#[test]
fn the_volatile_waits_for_nothing_but_its_turn() {
    let mut queue = queue(10, 100, Overflow::Reject);
    let volatile = || Item { volatile: true, ..item(1, 1, Priority::Normal) };
    assert_eq!(queue.push(volatile(), false, Instant::now()), Pushed::Offline(volatile()));
    assert!(matches!(queue.push(volatile(), true, Instant::now()), Pushed::Queued { .. }));
}

#[test]
fn nothing_expires_without_a_word() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let until = |payload, seconds| Item { expires: Some(at(seconds)), ..item(payload, 10, Priority::Normal) };
    let mut queue = queue(3, 30, Overflow::Reject);
    assert_eq!(queue.push(until(0, 0), true, start), Pushed::Expired(until(0, 0)));
    for (payload, seconds) in [(1, 5), (2, 3), (3, 9)] {
        assert!(evicted(&queue.push(until(payload, seconds), true, start)).is_some());
    }
    assert_eq!(queue.next_expiry(), Some(at(3)));
    assert_eq!(queue.push(until(4, 9), true, at(2)), Pushed::Full(until(4, 9)));
    assert!(evicted(&queue.push(until(4, 9), true, at(3))).is_some(), "the dead make room");
    assert_eq!(payloads(&queue.take_expired().unwrap_or_default()), [2]);
    assert_eq!(queue.pop(at(5)).map(|entry| entry.item.payload), Some(3));
    assert_eq!(payloads(&queue.take_expired().unwrap_or_default()), [1]);
    queue.expire(at(9));
    assert_eq!(
        (payloads(&queue.take_expired().unwrap_or_default()), queue.next_expiry(), queue.bytes()),
        (vec![4], None, 0)
    );
    assert!(queue.take_expired().is_none());
}

#[test]
fn what_is_put_back_stands_where_it_stood() {
    let now = Instant::now();
    let mut queue = queue(3, 30, Overflow::DropOldest);
    for payload in 1..=3 {
        assert!(evicted(&add(&mut queue, payload, 10, Priority::Normal)).is_some());
    }
    let first = queue.pop(now).expect("one");
    let second = queue.pop(now).expect("two");
    for payload in 4..=5 {
        assert!(evicted(&add(&mut queue, payload, 10, Priority::Normal)).is_some());
    }
    assert!(evicted(&add(&mut queue, 6, 1, Priority::High)).is_some_and(|evicted| evicted == [3]));
    queue.put_back(first);
    queue.put_back(second);
    assert_eq!((queue.len(), queue.bytes()), (5, 41), "more than the limits");
    assert_eq!(
        evicted(&add(&mut queue, 7, 10, Priority::Normal)),
        Some(vec![1, 2, 4]),
        "until it is again within them"
    );
    assert_eq!(payloads(&queue.drain()), [6, 5, 7]);
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

#[test]
fn what_leaves_leaves_no_trace() {
    let mut queue = queue(9, 90, Overflow::Reject);
    let expires = Instant::now() + Duration::from_secs(9);
    let pushed = queue.push(Item { expires: Some(expires), ..item(7, 5, Priority::Low) }, true, Instant::now());
    let Pushed::Queued { id, .. } = pushed else { panic!("{pushed:?}") };
    assert_eq!(queue.cancel(id + 1), None);
    assert_eq!(queue.cancel(id).map(|entry| entry.item.payload), Some(7));
    assert_eq!((queue.cancel(id), queue.bytes(), queue.next_expiry()), (None, 0, None));
    let pushed = queue.push(Item { expires: Some(expires), ..item(8, 5, Priority::Low) }, true, Instant::now());
    assert_eq!(evicted(&pushed), Some(vec![]));
    assert_eq!(payloads(&queue.drain()), [8]);
    assert_eq!((queue.len(), queue.bytes(), queue.next_expiry()), (0, 0, None));
}

/// The same, slowly.
struct Model {
    limits: QueueLimits,
    /// In the order of their numbers.
    waiting: Vec<Entry<u32>>,
    expired: Vec<u64>,
    next_id: u64,
}

impl Model {
    fn bytes(&self) -> usize {
        self.waiting.iter().map(|entry| entry.item.bytes).sum()
    }

    fn room(&self, bytes: usize) -> bool {
        self.waiting.len() < self.limits.messages && self.bytes() + bytes <= self.limits.bytes
    }

    fn expire(&mut self, now: Instant) {
        let over = |entry: &Entry<u32>| entry.item.expires.is_some_and(|at| at <= now);
        self.expired.extend(self.waiting.iter().filter(|entry| over(entry)).map(|entry| entry.id));
        self.waiting.retain(|entry| !over(entry));
    }

    /// The numbers of those who left for it, if it waits.
    fn push(&mut self, item: Item<u32>, is_connected: bool, now: Instant) -> Option<Vec<u64>> {
        let is_over = item.expires.is_some_and(|at| at <= now);
        if item.bytes > self.limits.bytes || (item.volatile && !is_connected) || is_over {
            return None;
        }
        self.expire(now);
        let mut victims: Vec<_> = self
            .waiting
            .iter()
            .filter(|entry| entry.item.priority <= item.priority)
            .map(|entry| (entry.item.priority, entry.id))
            .collect();
        victims.sort_unstable();
        let (mut messages, mut bytes) = (self.waiting.len(), self.bytes());
        let mut left = Vec::new();
        let mut victims = victims.into_iter();
        while messages >= self.limits.messages || bytes + item.bytes > self.limits.bytes {
            if self.limits.overflow != Overflow::DropOldest {
                return None;
            }
            let (_, id) = victims.next()?;
            let entry = self.waiting.iter().find(|entry| entry.id == id).expect("waits");
            (messages, bytes) = (messages - 1, bytes - entry.item.bytes);
            left.push(id);
        }
        self.waiting.retain(|entry| !left.contains(&entry.id));
        assert!(self.room(item.bytes));
        self.waiting.push(Entry { id: self.next_id, item });
        self.next_id += 1;
        Some(left)
    }

    fn pop(&mut self, now: Instant) -> Option<u64> {
        self.expire(now);
        let first = self.waiting.iter().max_by_key(|entry| (entry.item.priority, std::cmp::Reverse(entry.id)))?.id;
        self.waiting.retain(|entry| entry.id != first);
        Some(first)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { bytes: usize, priority: Priority, lives: Option<u64>, volatile: bool, is_connected: bool },
    Pop,
    PopAndPutBack,
    Cancel(u64),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop_oneof![
        proptest::strategy::Just(Priority::Low),
        proptest::strategy::Just(Priority::Normal),
        proptest::strategy::Just(Priority::High)
    ];
    let push = (0..12_usize, priority, option::of(0..20_u64), any::<bool>(), any::<bool>()).prop_map(
        |(bytes, priority, lives, volatile, is_connected)| Step::Push {
            bytes,
            priority,
            lives,
            volatile,
            is_connected,
        },
    );
    let step = prop_oneof![
        6 => push,
        2 => proptest::strategy::Just(Step::Pop),
        1 => proptest::strategy::Just(Step::PopAndPutBack),
        1 => (0..40_u64).prop_map(Step::Cancel),
        1 => (0..8_u64).prop_map(Step::Wait),
    ];
    collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn it_does_what_a_list_would(steps in steps(), which in 0..4_usize) {
        let overflow = [Overflow::Reject, Overflow::Wait, Overflow::DropOldest, Overflow::DropNewest][which];
        let limits = QueueLimits { messages: 6, bytes: 40, overflow };
        let mut queue = Queue::new(limits);
        let mut model = Model { limits, waiting: Vec::new(), expired: Vec::new(), next_id: 0 };
        let mut now = Instant::now();
        for step in steps {
            match step {
                Step::Push { bytes, priority, lives, volatile, is_connected } => {
                    let expires = lives.map(|millis| now + Duration::from_millis(millis));
                    let make = || Item { payload: 0, bytes, priority, expires, volatile };
                    let expected = model.push(make(), is_connected, now);
                    let got = match queue.push(make(), is_connected, now) {
                        Pushed::Queued { id, evicted } => {
                            prop_assert_eq!(id + 1, model.next_id);
                            Some(evicted.iter().flatten().map(|entry| entry.id).collect::<Vec<_>>())
                        }
                        _ => None,
                    };
                    prop_assert_eq!(got, expected);
                    prop_assert!(queue.len() <= limits.messages && queue.bytes() <= limits.bytes);
                }
                Step::Pop => prop_assert_eq!(queue.pop(now).map(|entry| entry.id), model.pop(now)),
                Step::PopAndPutBack => {
                    let (one, two) = (queue.pop(now), queue.pop(now));
                    model.expire(now);
                    one.into_iter().chain(two).for_each(|entry| queue.put_back(entry));
                }
                Step::Cancel(id) => {
                    let before = model.waiting.len();
                    model.waiting.retain(|entry| entry.id != id);
                    prop_assert_eq!(queue.cancel(id).is_some(), model.waiting.len() < before);
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
            }
            let mut expired: Vec<_> = queue.take_expired().into_iter().flatten().map(|entry| entry.id).collect();
            expired.sort_unstable();
            model.expired.sort_unstable();
            prop_assert_eq!(expired, std::mem::take(&mut model.expired));
            prop_assert_eq!((queue.len(), queue.bytes()), (model.waiting.len(), model.bytes()));
            let next = model.waiting.iter().filter_map(|entry| entry.item.expires).min();
            prop_assert_eq!(queue.next_expiry(), next);
        }
        let drained: Vec<_> = queue.drain().into_iter().map(|entry| entry.id).collect();
        let expected: Vec<_> = std::iter::from_fn(|| model.pop(now - Duration::from_secs(9))).collect();
        prop_assert_eq!(drained, expected);
    }
}
