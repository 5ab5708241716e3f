//! What was sent and not acknowledged (at-least-once mode): pure.

use std::collections::VecDeque;

/// What a peer says that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ack {
    /// The message with that sequence number.
    One(u64),
    /// All messages up to and including that sequence number.
    UpTo(u64),
}

/// Messages that wait for their acknowledgement, in the order in which they were first sent.
pub(crate) struct Window<T> {
    entries: VecDeque<Entry<T>>,
    next_sequence: u64,
    /// How many entries from the front went out on the connection of now.
    sent: usize,
    /// How many entries are neither acknowledged nor refused.
    left: usize,
    most: usize,
}

struct Entry<T> {
    sequence: u64,
    /// `None` once it is acknowledged, until those before it are too.
    message: Option<T>,
    /// Whether it went out on an earlier connection.
    redelivered: bool,
}

/// A message whose turn it is.
pub(crate) struct Turn<'a, T> {
    pub(crate) sequence: u64,
    pub(crate) message: &'a T,
    /// Whether it was sent before, so that the peer may have it already.
    pub(crate) redelivered: bool,
}

impl<T> Window<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), next_sequence: 1, sent: 0, left: 0, most: most.max(1) }
    }

    /// Whether another message may be sent before others are acknowledged.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < self.most
    }

    /// How many messages are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.left
    }

    /// The first sequence number that is not acknowledged.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.sequence)
    }

    /// Takes a message, gives it the next sequence number.
    pub(crate) fn push(&mut self, message: T) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.left += 1;
        self.entries.push_back(Entry { sequence, message: Some(message), redelivered: false });
        sequence
    }

    /// The first message that did not go out on this connection.
    pub(crate) fn turn(&mut self) -> Option<Turn<'_, T>> {
        while self.entries.get(self.sent).is_some_and(|entry| entry.message.is_none()) {
            self.sent += 1;
        }
        let entry = self.entries.get(self.sent)?;
        let message = entry.message.as_ref()?;
        Some(Turn { sequence: entry.sequence, message, redelivered: entry.redelivered })
    }

    /// The message whose [turn](Self::turn) it was went out.
    pub(crate) fn sent(&mut self) {
        if let Some(entry) = self.entries.get_mut(self.sent) {
            entry.redelivered = true;
            self.sent += 1;
        }
    }

    /// The message whose [turn](Self::turn) it was cannot be sent at all. Gives it, and whether it went out before.
    pub(crate) fn refuse(&mut self) -> Option<(T, bool)> {
        let is_last = self.sent + 1 == self.entries.len();
        let entry = self.entries.get_mut(self.sent)?;
        let refused = entry.message.take()?;
        let was_sent = entry.redelivered;
        self.left -= 1;
        if is_last && !was_sent {
            // Its number is as good as new: the peer would wait for it, and take what follows for a gap.
            self.entries.pop_back();
            self.next_sequence -= 1;
        }
        self.trim();
        Some((refused, was_sent))
    }

    /// There is a new connection: everything not acknowledged goes out once more, before anything new.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Takes out what is acknowledged. What was never sent on any connection cannot be.
    pub(crate) fn acknowledge(&mut self, ack: Ack) -> Vec<T> {
        let is_meant = |entry: &Entry<T>| {
            // What is done with is no end of those that were sent.
            (entry.redelivered || entry.message.is_none())
                && match ack {
                    Ack::One(sequence) => entry.sequence == sequence,
                    Ack::UpTo(sequence) => entry.sequence <= sequence,
                }
        };
        let first = match (ack, self.entries.front()) {
            // Sequence numbers rise by one: the place is known.
            (Ack::One(sequence), Some(front)) => usize::try_from(sequence.saturating_sub(front.sequence)).ok(),
            _ => Some(0),
        };
        let from = first.unwrap_or(usize::MAX).min(self.entries.len());
        let entries = self.entries.iter_mut().skip(from);
        let acknowledged = entries.take_while(|entry| is_meant(entry)).filter_map(|entry| entry.message.take());
        let acknowledged: Vec<_> = acknowledged.collect();
        self.left -= acknowledged.len();
        self.trim();
        acknowledged
    }

    /// Gives up all that is left, each with whether it ever went out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (T, bool)> {
        (self.sent, self.left) = (0, 0);
        std::mem::take(&mut self.entries)
            .into_iter()
            .filter_map(|entry| entry.message.map(|message| (message, entry.redelivered)))
    }

    fn trim(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.message.is_none()) {
            self.entries.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }
}

/// Which sequence numbers have come in: tells what came twice.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// All up to here have come.
    up_to: u64,
    /// Those above that have come, in order; bounded.
    above: VecDeque<u64>,
}

/// How many numbers out of order are remembered; beyond, the gap is taken for closed.
const MOST_ABOVE: usize = 4096;

impl Seen {
    /// Notes a number; tells whether it has come before.
    pub(crate) fn note(&mut self, sequence: u64) -> bool {
        if sequence <= self.up_to {
            return true;
        }
        let Err(at) = self.above.binary_search(&sequence) else {
            return true;
        };
        // A stream that does not begin at 1 begins where its first number is.
        if self.up_to == 0 && self.above.is_empty() {
            self.up_to = sequence;
            return false;
        }
        self.above.insert(at, sequence);
        if self.above.len() > MOST_ABOVE
            && let Some(first) = self.above.pop_front()
        {
            self.up_to = first;
        }
        while self.above.front() == Some(&(self.up_to + 1)) {
            self.above.pop_front();
            self.up_to += 1;
        }
        false
    }

    /// The number up to which all have come.
    pub(crate) fn up_to(&self) -> Option<u64> {
        (self.up_to > 0).then_some(self.up_to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn send_all(window: &mut Window<u64>) -> Vec<(u64, bool)> {
        let mut sent = Vec::new();
        while let Some(turn) = window.turn() {
            assert_eq!(turn.sequence, *turn.message);
            sent.push((turn.sequence, turn.redelivered));
            window.sent();
        }
        sent
    }

    fn filled(count: u64) -> Window<u64> {
        let mut window = Window::new(10);
        for sequence in 1..=count {
            assert_eq!(window.push(sequence), sequence);
        }
        window
    }

    #[test]
    fn what_is_not_acknowledged_goes_out_again_in_order_and_marked() {
        let mut window = filled(4);
        assert_eq!(send_all(&mut window), [(1, false), (2, false), (3, false), (4, false)]);
        assert_eq!(window.acknowledge(Ack::One(2)), [2]);
        assert_eq!(window.acknowledge(Ack::One(2)), [0; 0], "once");
        window.push(5);
        window.rewind();
        assert_eq!(send_all(&mut window), [(1, true), (3, true), (4, true), (5, false)]);
        assert_eq!(window.acknowledge(Ack::UpTo(3)), [1, 3]);
        assert_eq!((window.first(), window.len()), (Some(4), 2));
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut window = filled(3);
        window.sent();
        assert_eq!(window.acknowledge(Ack::UpTo(u64::MAX)), [1]);
        assert_eq!(window.acknowledge(Ack::One(3)), [0; 0]);
        assert_eq!(window.acknowledge(Ack::One(0)), [0; 0]);
        assert_eq!(send_all(&mut window), [(2, false), (3, false)]);
    }

    #[test]
    fn what_cannot_be_sent_leaves_no_gap_and_stops_no_acknowledgement() {
        let mut window = filled(1);
        send_all(&mut window);
        window.push(2);
        assert_eq!(window.refuse(), Some((2, false)));
        assert_eq!(window.push(2), 2, "the peer never saw that number");
        window.push(3);
        send_all(&mut window);
        window.rewind();
        window.sent();
        assert_eq!(window.refuse(), Some((2, true)), "the second time");
        assert_eq!(send_all(&mut window), [(3, true)]);
        assert_eq!(window.len(), 2);
        assert_eq!(window.acknowledge(Ack::UpTo(3)), [1, 3]);
        assert_eq!((window.len(), window.first()), (0, None));
    }

    #[test]
    fn a_window_is_full_until_its_front_is_acknowledged() {
        let mut window = filled(10);
        assert!(!window.has_room());
        send_all(&mut window);
        window.acknowledge(Ack::One(5));
        assert!(!window.has_room(), "order is kept by what comes first");
        window.acknowledge(Ack::One(1));
        assert!(window.has_room());
    }

    #[test]
    fn numbers_that_came_are_known() {
        let mut seen = Seen::default();
        let noted: Vec<_> = [7, 8, 8, 10, 9, 9, 7, 11, 12].map(|number| seen.note(number)).into();
        assert_eq!(noted, [false, false, true, false, false, true, true, false, false]);
        assert_eq!(seen.up_to(), Some(12));
        for number in (20..40_000).step_by(2) {
            assert!(!seen.note(number));
        }
        assert!(seen.above.len() <= MOST_ABOVE);
    }

    proptest! {
        #[test]
        fn any_life_of_a_window_keeps_order_and_loses_nothing(steps in proptest::collection::vec(0_u8..6, 1..200)) {
            let mut window = Window::new(8);
            // What the peer got on the connection of now, and all that it acknowledged.
            let (mut on_wire, mut acknowledged) = (Vec::new(), Vec::new());
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 if window.has_room() => {
                        let next = window.next_sequence;
                        prop_assert_eq!(window.push(next), next);
                    }
                    2 | 3 => {
                        if let Some(turn) = window.turn() {
                            on_wire.push(turn.sequence);
                            window.sent();
                        }
                    }
                    4 if !on_wire.is_empty() => {
                        let sequence = on_wire[at % on_wire.len()];
                        let ack = if at % 2 == 0 { Ack::One(sequence) } else { Ack::UpTo(sequence) };
                        acknowledged.extend(window.acknowledge(ack));
                    }
                    5 => {
                        prop_assert!(on_wire.is_sorted());
                        on_wire.clear();
                        window.rewind();
                    }
                    _ => {}
                }
            }
            prop_assert!(on_wire.is_sorted());
            let len = window.len();
            let left: Vec<_> = window.drain().map(|(sequence, _)| sequence).collect();
            prop_assert!(left.is_sorted());
            prop_assert_eq!(left.len(), len);
            let mut all = [acknowledged, left].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (1..window.next_sequence).collect::<Vec<_>>());
        }
    }
}
