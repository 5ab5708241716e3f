//! What waits while there is no connection: bounded by count and bytes, in order, and nothing leaves it without a word. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Room for that many entries is kept while none wait.
const KEPT_ENTRIES: usize = 4;

/// How much may wait for a connection, and what gives way when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Messages. Default 1000; 0 lets nothing wait.
    pub messages: usize,
    /// Bytes of their payloads. Default 16 MiB.
    pub bytes: usize,
    /// What gives way. Default [`Overflow::Reject`].
    pub overflow: Overflow,
}

/// What gives way when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender gets its message back, with an error.
    #[default]
    Reject,
    /// The sender waits for room.
    Wait,
    /// The oldest of the lowest priority, and never one above the newcomer's. If that does not make room, the newcomer.
    DropOldest,
    /// The newcomer.
    DropNewest,
}

/// Who goes first. Within one priority it is first come, first served; a lower one waits for as long as a higher one comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// After all others, and the first to be dropped.
    Low,
    /// In between.
    #[default]
    Normal,
    /// Before all others, and the last to be dropped.
    High,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { messages: 1000, bytes: 16 * 1024 * 1024, overflow: Overflow::default() }
    }
}

impl QueueLimits {
    /// The same with another [`messages`](Self::messages).
    #[must_use]
    pub const fn with_messages(self, messages: usize) -> Self {
        Self { messages, ..self }
    }

    /// The same with another [`bytes`](Self::bytes).
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// The same with another [`overflow`](Self::overflow).
    #[must_use]
    pub const fn with_overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }
}

/// What wants to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item<T> {
    pub(crate) payload: T,
    pub(crate) bytes: usize,
    pub(crate) priority: Priority,
    /// From then on it is of no use.
    pub(crate) expires: Option<Instant>,
    /// Of no use unless it can go at once.
    pub(crate) volatile: bool,
}

/// What waits, under the number that the queue gave it. Numbers tell the order of arrival and do not come twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<T> {
    pub(crate) id: u64,
    pub(crate) item: Item<T>,
}

/// What became of a newcomer.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed<T> {
    /// It waits; those made room for it, where somebody had to.
    Queued { id: u64, evicted: Option<Vec<Entry<T>>> },
    /// No room: its sender gets it back, or waits with it.
    Full(Item<T>),
    /// No room: it was dropped, as set.
    Dropped(Item<T>),
    /// It alone is larger than all that may wait: there will never be room.
    TooLarge(Item<T>),
    /// There is no connection, and it is volatile.
    Offline(Item<T>),
    /// Its time was over before it came.
    Expired(Item<T>),
}

/// A bounded queue. Each operation costs the logarithm of what waits, for each entry that leaves.
///
/// Those whose time is over leave at the next look and stay in a list of their own, which counts towards no limit: take them
/// with [`take_expired`](Self::take_expired) after each [`push`](Self::push), [`pop`](Self::pop) and [`expire`](Self::expire).
#[derive(Debug)]
pub(crate) struct Queue<T> {
    limits: QueueLimits,
    /// By priority, the lowest first.
    lanes: [Lane<T>; 3],
    /// Those of all lanes.
    len: usize,
    bytes: usize,
    expiries: BTreeSet<(Instant, u64)>,
    expired: Vec<Entry<T>>,
    next_id: u64,
}

/// Those of one priority, in the order of their numbers. One that leaves from the middle leaves a gap: it counts for nothing, and
/// goes when it comes to the front, or when there are more gaps than entries.
#[derive(Debug)]
struct Lane<T> {
    entries: VecDeque<(u64, Option<Item<T>>)>,
    len: usize,
    bytes: usize,
}

impl<T> Lane<T> {
    const fn new() -> Self {
        Self { entries: VecDeque::new(), len: 0, bytes: 0 }
    }

    fn insert(&mut self, id: u64, item: Item<T>) {
        self.bytes = self.bytes.saturating_add(item.bytes);
        self.len += 1;
        match self.entries.back() {
            // What is put back stands again where it stood.
            Some((last, _)) if *last > id => {
                let at = self.entries.partition_point(|(other, _)| *other < id);
                match self.entries.get_mut(at) {
                    Some((other, gap @ None)) if *other == id => *gap = Some(item),
                    _ => self.entries.insert(at, (id, Some(item))),
                }
            }
            Some((last, _)) if *last == id => {
                if let Some((_, gap)) = self.entries.back_mut() {
                    *gap = Some(item);
                }
            }
            _ => self.entries.push_back((id, Some(item))),
        }
    }

    /// The front is never a gap.
    fn first_id(&self) -> Option<u64> {
        self.entries.front().map(|(id, _)| *id)
    }

    fn remove(&mut self, id: u64) -> Option<Item<T>> {
        let item = match self.entries.front_mut() {
            Some((first, item)) if *first == id => item.take()?,
            _ => {
                let at = self.entries.binary_search_by_key(&id, |(other, _)| *other).ok()?;
                self.entries[at].1.take()?
            }
        };
        self.left(&item);
        Some(item)
    }

    fn pop_front(&mut self) -> Option<(u64, Item<T>)> {
        let (id, item) = self.entries.pop_front()?;
        let item = item?;
        self.left(&item);
        Some((id, item))
    }

    fn left(&mut self, item: &Item<T>) {
        self.bytes = self.bytes.saturating_sub(item.bytes);
        self.len -= 1;
        while matches!(self.entries.front(), Some((_, None))) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.len {
            self.entries.retain(|(_, item)| item.is_some());
        }
        // Room is given back where it was much and all have left.
        if self.len == 0 && self.entries.capacity() > KEPT_ENTRIES {
            self.entries = VecDeque::new();
        }
    }

    fn iter(&self) -> impl Iterator<Item = (u64, &Item<T>)> {
        self.entries.iter().filter_map(|(id, item)| Some((*id, item.as_ref()?)))
    }

    fn drain(&mut self) -> impl Iterator<Item = (u64, Item<T>)> {
        (self.len, self.bytes) = (0, 0);
        std::mem::take(&mut self.entries).into_iter().filter_map(|(id, item)| Some((id, item?)))
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            lanes: [Lane::new(), Lane::new(), Lane::new()],
            len: 0,
            bytes: 0,
            expiries: BTreeSet::new(),
            expired: Vec::new(),
            next_id: 0,
        }
    }

    /// How many wait.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one more of that size may wait without anybody having to leave.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.fits(bytes, None)
    }

    /// Lets one more wait, if it may. Those whose time is over make room before anybody else.
    #[inline]
    pub(crate) fn push(&mut self, item: Item<T>, is_connected: bool, now: Instant) -> Pushed<T> {
        if item.bytes > self.limits.bytes {
            return Pushed::TooLarge(item);
        }
        if item.volatile && !is_connected {
            return Pushed::Offline(item);
        }
        if item.expires.is_some_and(|at| at <= now) {
            return Pushed::Expired(item);
        }
        if !self.expiries.is_empty() {
            self.expire(now);
        }
        let evicted = if self.fits(item.bytes, None) {
            None
        } else {
            match self.limits.overflow {
                Overflow::Reject | Overflow::Wait => return Pushed::Full(item),
                Overflow::DropNewest => return Pushed::Dropped(item),
                Overflow::DropOldest if self.fits(item.bytes, Some(item.priority)) => Some(self.make_room(item.bytes)),
                // Nobody is dropped in vain.
                Overflow::DropOldest => return Pushed::Dropped(item),
            }
        };
        let id = self.skip();
        self.insert(Entry { id, item });
        Pushed::Queued { id, evicted }
    }

    /// The number that the next one gets that may wait.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next_id
    }

    /// A number that nothing waits under, for what is told of those that were not taken.
    pub(crate) fn skip(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// The next one: the highest priority, the longest there.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Entry<T>> {
        self.expire(now);
        self.pop_any()
    }

    /// As [`pop`](Self::pop), where no time is of interest: nothing that waits [expires](Self::next_expiry).
    #[inline]
    pub(crate) fn pop_any(&mut self) -> Option<Entry<T>> {
        let (id, item) = self.lanes.iter_mut().rev().find(|lane| lane.len > 0)?.pop_front()?;
        self.left(&item);
        if let Some(at) = item.expires {
            self.expiries.remove(&(at, id));
        }
        Some(Entry { id, item })
    }

    /// Takes out those that are of no use without a connection.
    pub(crate) fn take_volatile(&mut self) -> Vec<Entry<T>> {
        let lanes = self.lanes.iter();
        let ids: Vec<_> =
            lanes.flat_map(|lane| lane.iter().filter(|(_, item)| item.volatile).map(|(id, _)| id)).collect();
        ids.into_iter().filter_map(|id| self.cancel(id)).collect()
    }

    /// Takes one out by its number, wherever it stands; `None` if it has left already.
    pub(crate) fn cancel(&mut self, id: u64) -> Option<Entry<T>> {
        let item = self.lanes.iter_mut().find_map(|lane| lane.remove(id))?;
        self.left(&item);
        if let Some(at) = item.expires {
            self.expiries.remove(&(at, id));
        }
        Some(Entry { id, item })
    }

    /// Puts back what was taken out and not written. It stands again where it stood, before all that came after it, in
    /// whatever order several are put back. The queue may then hold more than its limits, by what is put back.
    pub(crate) fn put_back(&mut self, entry: Entry<T>) {
        debug_assert!(entry.id < self.next_id, "of this queue");
        self.insert(entry);
    }

    /// When the next one's time is over; `None` if all may wait for ever.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Sorts out whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            match self.cancel(id) {
                Some(entry) => self.expired.push(entry),
                // No lane knows it: a note that nobody would take out again.
                None => {
                    self.expiries.remove(&(at, id));
                }
            }
        }
    }

    /// Those whose time was over before they were taken, since this was asked last; `None` if there are none, as nearly always.
    #[inline]
    pub(crate) fn take_expired(&mut self) -> Option<Vec<Entry<T>>> {
        if self.expired.is_empty() { None } else { Some(std::mem::take(&mut self.expired)) }
    }

    /// Takes out all that wait, in the order in which they would have gone.
    pub(crate) fn drain(&mut self) -> Vec<Entry<T>> {
        self.expiries.clear();
        let mut entries = Vec::with_capacity(self.len);
        (self.len, self.bytes) = (0, 0);
        for lane in self.lanes.iter_mut().rev() {
            entries.extend(lane.drain().map(|(id, item)| Entry { id, item }));
        }
        entries
    }

    /// Whether one more has room, if all up to that priority left.
    fn fits(&self, bytes: usize, without: Option<Priority>) -> bool {
        let (mut messages, mut taken) = (self.len, self.bytes);
        if let Some(priority) = without {
            for lane in &self.lanes[..=priority as usize] {
                (messages, taken) = (messages - lane.len, taken.saturating_sub(lane.bytes));
            }
        }
        messages < self.limits.messages && taken.checked_add(bytes).is_some_and(|sum| sum <= self.limits.bytes)
    }

    /// Takes out the oldest of the lowest priority until there is room.
    fn make_room(&mut self, bytes: usize) -> Vec<Entry<T>> {
        let mut evicted = Vec::new();
        while !self.fits(bytes, None) {
            let oldest = self.lanes.iter().find_map(Lane::first_id).and_then(|id| self.cancel(id));
            let Some(oldest) = oldest else { break };
            evicted.push(oldest);
        }
        evicted
    }

    #[inline]
    fn insert(&mut self, entry: Entry<T>) {
        let Entry { id, item } = entry;
        if let Some(at) = item.expires {
            self.expiries.insert((at, id));
        }
        self.len += 1;
        self.bytes = self.bytes.saturating_add(item.bytes);
        self.lanes[item.priority as usize].insert(id, item);
    }

    fn left(&mut self, item: &Item<T>) {
        self.len -= 1;
        self.bytes = self.bytes.saturating_sub(item.bytes);
    }
}
