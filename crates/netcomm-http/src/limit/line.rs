//! Who is next: those who wait in the order in which they came. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;
use std::time::Instant;

use super::books::Pass;

/// One who waits, until it leaves or has looked.
pub(super) type Ticket = u64;

/// Those who wait, and those who were called and have not looked yet. Every step takes logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Line {
    next: Ticket,
    waiting: BTreeMap<Ticket, Waiter>,
    /// The waiting once more, by the end of their patience.
    deadlines: BTreeSet<(Instant, Ticket)>,
    called: BTreeMap<Ticket, Pass>,
}

#[derive(Debug)]
struct Waiter {
    until: Instant,
    /// When its own timer rings, once it has one.
    armed: Option<Instant>,
    waker: Option<Waker>,
}

/// Where somebody stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    First,
    Waiting,
    /// It was its turn: it has passed, and is in line no more.
    Called(Pass),
    /// It was taken out, since it could not make it.
    Out,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn join(&mut self, until: Instant) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.waiting.insert(ticket, Waiter { until, armed: None, waker: None });
        self.deadlines.insert((until, ticket));
        ticket
    }

    /// Where the holder of a ticket stands; whoever was called is told so once.
    pub(super) fn standing(&mut self, ticket: Ticket) -> Standing {
        if let Some(pass) = self.called.remove(&ticket) {
            return Standing::Called(pass);
        }
        match self.waiting.first_key_value() {
            Some((first, _)) if *first == ticket => Standing::First,
            _ if self.waiting.contains_key(&ticket) => Standing::Waiting,
            _ => Standing::Out,
        }
    }

    /// The waker of somebody who looks by itself and so need not be woken now.
    pub(super) fn take_waker(&mut self, ticket: Ticket) -> Option<Waker> {
        self.waiting.get_mut(&ticket)?.waker.take()
    }

    /// Notes whom to wake, and when its own timer rings.
    pub(super) fn settle(&mut self, ticket: Ticket, waker: Waker, armed: Instant) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.armed = Some(armed);
            waiter.waker = Some(waker);
        }
    }

    /// The end of patience of the first.
    pub(super) fn first_until(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, first)| first.until)
    }

    /// Calls the first.
    pub(super) fn call_first(&mut self, pass: Pass) -> Option<Waker> {
        let (ticket, waker) = self.drop_first()?;
        self.called.insert(ticket, pass);
        waker
    }

    /// Takes the first out, uncalled.
    pub(super) fn drop_first(&mut self) -> Option<(Ticket, Option<Waker>)> {
        let (ticket, waiter) = self.waiting.pop_first()?;
        self.deadlines.remove(&(waiter.until, ticket));
        Some((ticket, waiter.waker))
    }

    /// The waker of the first, if its timer would ring only after `turn`. It is not given out again before it has settled.
    pub(super) fn first_if_late(&mut self, turn: Instant) -> Option<Waker> {
        let mut first = self.waiting.first_entry()?;
        let first = first.get_mut();
        if first.armed.is_some_and(|armed| armed > turn) {
            first.armed = None;
            return first.waker.clone();
        }
        None
    }

    /// Takes out those whose patience ends before `at`. Returns their wakers.
    pub(super) fn drop_impatient(&mut self, at: Instant) -> Vec<Waker> {
        let patient = self.deadlines.split_off(&(at, 0));
        let impatient = std::mem::replace(&mut self.deadlines, patient);
        impatient.into_iter().filter_map(|(_, ticket)| self.waiting.remove(&ticket)?.waker).collect()
    }

    /// Takes somebody out who does not want any more. Returns what it had been called with, and a waker to be dropped
    /// outside of any lock.
    pub(super) fn leave(&mut self, ticket: Ticket) -> (Option<Pass>, Option<Waker>) {
        if let Some(pass) = self.called.remove(&ticket) {
            return (Some(pass), None);
        }
        let Some(waiter) = self.waiting.remove(&ticket) else { return (None, None) };
        self.deadlines.remove(&(waiter.until, ticket));
        (None, waiter.waker)
    }

    #[cfg(test)]
    pub(super) fn called(&self) -> usize {
        self.called.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(untils: &[u64]) -> (Instant, Line, Vec<Ticket>) {
        let (start, mut line) = (Instant::now(), Line::default());
        let tickets = untils.iter().map(|until| line.join(start + Duration::from_secs(*until))).collect();
        (start, line, tickets)
    }

    #[test]
    fn first_come_first_called_and_told_once() {
        let (start, mut line, tickets) = line(&[9, 5, 7]);
        assert_eq!(line.first_until(), Some(start + Duration::from_secs(9)));
        assert!(line.call_first(Pass { round: 4 }).is_none(), "it has not said whom to wake");
        assert_eq!(line.standing(tickets[1]), Standing::First);
        assert_eq!(line.standing(tickets[2]), Standing::Waiting);
        assert_eq!(line.standing(tickets[0]), Standing::Called(Pass { round: 4 }));
        assert_eq!(line.standing(tickets[0]), Standing::Out);
        assert_eq!(line.len(), 2);
    }

    #[test]
    fn whoever_leaves_is_counted_no_more() {
        let (_, mut line, tickets) = line(&[9, 9, 9, 9]);
        line.call_first(Pass { round: 1 });
        assert_eq!(line.leave(tickets[0]).0, Some(Pass { round: 1 }), "what it had taken is given back");
        for middle in [2, 1] {
            assert_eq!(line.leave(tickets[middle]).0, None);
            assert_eq!(line.leave(tickets[middle]).0, None, "twice is as once");
        }
        assert_eq!((line.standing(tickets[3]), line.len(), line.deadlines.len()), (Standing::First, 1, 1));
        line.drop_first();
        assert!(line.is_empty() && line.deadlines.is_empty());
    }

    #[test]
    fn the_impatient_go_and_the_others_keep_their_order() {
        let (start, mut line, tickets) = line(&[9, 5, 7, 4]);
        line.settle(tickets[1], Waker::noop().clone(), start);
        assert_eq!(line.drop_impatient(start + Duration::from_secs(7)).len(), 1, "the other has no waker yet");
        let standings: Vec<_> = tickets.iter().map(|ticket| line.standing(*ticket)).collect();
        assert_eq!(standings, [Standing::First, Standing::Out, Standing::Waiting, Standing::Out]);
        assert_eq!(line.deadlines.len(), 2);
    }

    #[test]
    fn the_first_is_woken_for_an_earlier_turn_once() {
        let (start, mut line, tickets) = line(&[9]);
        let after = |secs| start + Duration::from_secs(secs);
        assert!(line.first_if_late(after(1)).is_none(), "it has not looked yet, and will");
        line.settle(tickets[0], Waker::noop().clone(), after(3));
        assert!(line.first_if_late(after(3)).is_none());
        assert!(line.first_if_late(after(2)).is_some());
        assert!(line.first_if_late(after(2)).is_none(), "it is on its way");
    }
}
