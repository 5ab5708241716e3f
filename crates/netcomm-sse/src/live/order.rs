//! Which change comes next, by the numbers. Pure.

/// How far the numbers have come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// The document is as of this change.
    reached: u64,
    /// What the stream of now was asked to go on behind.
    asked: u64,
    /// That stream is the first one since the document was fetched, and has brought nothing new.
    is_fresh: bool,
}

/// How a change fits what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Next,
    /// It is part of the document.
    Old,
    /// Others are missing before it.
    Gap,
    /// It should not have come: the server does not count on from where it was.
    Anew,
}

impl Order {
    pub(super) const fn reached(self) -> u64 {
        self.reached
    }

    /// The document was fetched.
    pub(super) const fn fetched(&mut self, sequence: u64) {
        *self = Self { reached: sequence, asked: sequence, is_fresh: true };
    }

    /// A stream is open; it was asked to go on behind that number.
    pub(super) fn opened(&mut self, after: Option<u64>) {
        self.asked = after.unwrap_or(self.reached).min(self.reached);
    }

    /// The stream was lost.
    pub(super) const fn lost(&mut self) {
        self.is_fresh = false;
    }

    /// Whoever resumes an event stream asks for what comes behind a number: what is at or below it was not asked for, and
    /// tells of a server that begins anew, with numbers that mean something else. Right after a fetch it tells of one that
    /// always sends all that it has, or whose parts are not at the same number yet. What one stream brings twice is old.
    pub(super) const fn fit(self, sequence: u64, previous: Option<u64>, is_whole: bool) -> Fit {
        if sequence > self.reached {
            let follows = match previous {
                Some(previous) => previous == self.reached,
                None => sequence == self.reached + 1,
            };
            return if is_whole || follows { Fit::Next } else { Fit::Gap };
        }
        // A server that includes the number asked for is not worth a fetch.
        if sequence > self.asked || sequence == self.reached || self.is_fresh { Fit::Old } else { Fit::Anew }
    }

    /// That change was applied.
    pub(super) const fn advanced(&mut self, sequence: u64) {
        self.reached = sequence;
        self.is_fresh = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(fetched: u64) -> Order {
        let mut order = Order::default();
        order.fetched(fetched);
        order.opened(Some(fetched));
        order
    }

    #[test]
    fn one_after_the_other() {
        let mut order = at(5);
        assert_eq!(order.fit(6, None, false), Fit::Next);
        assert_eq!(order.fit(7, None, false), Fit::Gap);
        assert_eq!(order.fit(7, None, true), Fit::Next, "a whole document leaves no gap");
        assert_eq!(order.fit(9, Some(5), false), Fit::Next, "it says itself what it follows");
        assert_eq!(order.fit(9, Some(6), false), Fit::Gap);
        order.advanced(6);
        assert_eq!((order.reached(), order.fit(7, None, false)), (6, Fit::Next));
        order.advanced(u64::MAX);
        assert_eq!(order.fit(u64::MAX, None, false), Fit::Old);
    }

    #[test]
    fn what_a_fetch_holds_already_is_passed_over() {
        let mut order = at(5);
        assert!((0..=5).all(|sequence| order.fit(sequence, None, false) == Fit::Old));
        order.advanced(6);
        order.advanced(7);
        assert_eq!(order.fit(6, None, false), Fit::Old, "twice on one stream");
        assert_eq!(order.fit(3, None, false), Fit::Anew, "not behind what came");
    }

    #[test]
    fn a_server_that_does_not_go_on_where_it_was_asked_to_begins_anew() {
        let mut order = at(5);
        order.advanced(6);
        order.lost();
        order.opened(Some(6));
        for sequence in 0..6 {
            assert_eq!((order.fit(sequence, None, false), order.fit(sequence, None, true)), (Fit::Anew, Fit::Anew));
        }
        assert_eq!(order.fit(6, None, false), Fit::Old, "one that includes the number asked for");
        assert_eq!(order.fit(7, None, false), Fit::Next);
        let mut order = at(5);
        order.lost();
        order.opened(None);
        assert_eq!(order.fit(4, None, false), Fit::Anew, "the first stream after a fetch is lost too");
    }

    #[test]
    fn a_stream_that_was_asked_for_before_all_had_come_repeats() {
        let mut order = at(5);
        order.advanced(6);
        order.advanced(7);
        order.lost();
        order.opened(Some(6));
        assert_eq!(order.fit(7, None, false), Fit::Old);
        order.opened(Some(99));
        order.advanced(8);
        order.advanced(9);
        assert_eq!(order.fit(8, None, false), Fit::Old, "nobody asks for more than there is");
    }
}
