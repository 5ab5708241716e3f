//! Keeps a table true: which list is asked for next, and what becomes of answers and of word that comes meanwhile. Pure.
//!
//! Word of changes is subscribed to before the first list is asked for, and goes into the table that is shown as well as into the
//! one that is being filled, so that nothing falls between. A list that changed while it was told is asked for again.

use netcomm_core::AddressFamily;

use super::decode::{Message, Says};
use super::fact::{Fact, List, Lists};
use super::table::Table;

/// The table and the questions about it.
#[derive(Debug, Default)]
pub(super) struct Sync {
    table: Table,
    /// What is being told in answer to the last question.
    told: Table,
    wanted: Lists,
    /// Which lists were told completely once.
    known: Lists,
    asked: Option<Asked>,
    sequence: u32,
    /// How often in a row a list changed while it was told.
    interrupted: u32,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    list: List,
    sequence: u32,
    is_interrupted: bool,
    /// Whether word of such a change came meanwhile: an answer may be older than it.
    is_overtaken: bool,
}

/// The system refused a list, with that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) list: List,
    pub(super) code: i32,
}

impl Sync {
    pub(super) fn new() -> Self {
        Self { wanted: Lists::all(), ..Self::default() }
    }

    /// Whether all lists are known.
    pub(super) fn is_complete(&self) -> bool {
        self.known == Lists::all()
    }

    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    /// The next question, with its number, if none is open and something is wanted.
    pub(super) fn question(&mut self) -> Option<(List, u32)> {
        if self.asked.is_some() {
            return None;
        }
        let list = self.wanted.first()?;
        self.wanted = self.wanted.without(list);
        self.told = Table::default();
        // Not zero, which is what the kernel's own word has.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.asked = Some(Asked { list, sequence: self.sequence, is_interrupted: false, is_overtaken: false });
        Some((list, self.sequence))
    }

    /// Word was lost: all lists are asked for again.
    pub(super) fn lost(&mut self) {
        self.wanted = Lists::all();
    }

    /// One message; `port` is our own. Tells whether something may be different now.
    pub(super) fn message(&mut self, message: &Message, port: u32) -> Result<bool, Refused> {
        let asked = self.asked.as_mut().filter(|asked| message.port == port && message.sequence == asked.sequence);
        match (&message.says, asked) {
            (Says::Nothing, None) | (Says::Done(_), None) => Ok(false),
            (Says::Nothing, Some(asked)) => {
                asked.is_interrupted |= message.is_interrupted;
                Ok(false)
            }
            (Says::Fact(fact), Some(asked)) => {
                asked.is_interrupted |= message.is_interrupted;
                if belongs(fact, asked.list) {
                    self.told.apply(fact);
                }
                Ok(false)
            }
            (Says::Done(code), Some(asked)) => {
                asked.is_interrupted |= message.is_interrupted;
                let asked = *asked;
                self.asked = None;
                self.done(asked, *code)
            }
            (Says::Fact(fact), None) => Ok(self.word(fact)),
        }
    }

    /// Word of a change.
    fn word(&mut self, fact: &Fact) -> bool {
        if let Fact::Rule(rule) = fact {
            self.wanted = self.wanted.with(List::rules(rule.family));
            return false;
        }
        if let Some(asked) = &mut self.asked {
            asked.is_overtaken |= belongs(fact, asked.list);
            self.told.apply(fact);
        }
        let applied = self.table.apply(fact);
        self.wanted = self.wanted.and(applied.stale);
        applied.is_changed
    }

    fn done(&mut self, asked: Asked, code: i32) -> Result<bool, Refused> {
        let list = asked.list;
        let is_absent = UNSUPPORTED.contains(&code) && !matches!(list, List::Links | List::Addresses);
        if code != 0 && !is_absent {
            return Err(Refused { list, code });
        }
        if asked.is_interrupted && self.interrupted < MAX_INTERRUPTED {
            self.interrupted += 1;
            self.wanted = self.wanted.with(list);
            return Ok(false);
        }
        self.interrupted = 0;
        if asked.is_overtaken {
            self.wanted = self.wanted.with(list);
        }
        self.table.take(list, &mut self.told);
        self.known = self.known.with(list);
        Ok(true)
    }
}

/// Whether a fact is one of that list. Where a family is not there the kernel may tell of others instead.
fn belongs(fact: &Fact, list: List) -> bool {
    let routes = |family: AddressFamily| list == List::routes(family);
    match fact {
        Fact::Link(_) | Fact::LinkGone(_) => list == List::Links,
        Fact::Address { .. } | Fact::AddressGone(_) => list == List::Addresses,
        Fact::Routes { routes: all, replaces } => {
            all.iter().map(|route| route.key.family).chain(replaces.map(|key| key.family)).any(routes)
        }
        Fact::RoutesGone(all) => all.iter().any(|route| routes(route.key.family)),
        Fact::Rule(rule) => list == List::rules(rule.family),
        Fact::Stale(lists) => lists.has(list),
    }
}

/// `EAFNOSUPPORT`, `EOPNOTSUPP`, `EPROTONOSUPPORT`: there are no such lists here.
const UNSUPPORTED: [i32; 3] = [97, 95, 93];
/// How often a list that changes while it is told is asked for again before it is taken as it came. What it lacks then comes as
/// word.
const MAX_INTERRUPTED: u32 = 8;

#[cfg(test)]
mod tests {
    use super::super::fact::Link;
    use super::*;

    const PORT: u32 = 7;

    fn link(index: u32, is_up: bool) -> Says {
        let name = Some(format!("if{index}"));
        Says::Fact(Fact::Link(Link { index, name, is_up, is_lower_up: is_up, mtu_bytes: Some(1), ..Link::default() }))
    }

    fn from_others(says: Says) -> Message {
        Message { sequence: 1, port: 99, is_interrupted: false, says }
    }

    fn answer(sequence: u32, says: Says) -> Message {
        Message { sequence, port: PORT, is_interrupted: false, says }
    }

    fn done(sync: &mut Sync, sequence: u32) -> bool {
        sync.message(&answer(sequence, Says::Done(0)), PORT).expect("not refused")
    }

    /// Answers all questions with nothing.
    fn settle(sync: &mut Sync) -> Vec<List> {
        let mut lists = Vec::new();
        while let Some((list, sequence)) = sync.question() {
            lists.push(list);
            done(sync, sequence);
            assert!(lists.len() < 100, "no end of questions");
        }
        lists
    }

    fn indexes(sync: &Sync) -> Vec<(u32, bool)> {
        sync.table().state().interfaces.iter().map(|link| (link.index, link.is_up)).collect()
    }

    #[test]
    fn all_lists_are_asked_for_one_after_the_other() {
        let mut sync = Sync::new();
        let (list, first) = sync.question().expect("a question");
        assert_eq!((list, sync.question()), (List::Links, None), "one at a time");
        assert!(!sync.message(&answer(first, link(2, true)), PORT).expect("fine"), "not shown before it is complete");
        assert!(indexes(&sync).is_empty() && !sync.is_complete());
        assert!(done(&mut sync, first));
        assert_eq!(indexes(&sync), [(2, true)]);
        assert_eq!(settle(&mut sync), List::ALL[1..]);
        assert!(sync.is_complete());
    }

    #[test]
    fn word_that_comes_meanwhile_is_not_lost() {
        let mut sync = Sync::new();
        settle(&mut sync);
        sync.lost();
        let (_, sequence) = sync.question().expect("a question");
        sync.message(&answer(sequence, link(2, true)), PORT).expect("fine");
        assert!(sync.message(&from_others(link(3, true)), PORT).expect("fine"), "shown at once");
        assert_eq!(indexes(&sync), [(3, true)]);
        sync.message(&from_others(link(2, false)), PORT).expect("fine");
        sync.message(&answer(sequence, link(4, true)), PORT).expect("fine");
        done(&mut sync, sequence);
        assert_eq!(indexes(&sync), [(2, false), (3, true), (4, true)]);
        assert!(settle(&mut sync).contains(&List::Links), "what was told could be older than the word, so once more");
        assert!(settle(&mut sync).is_empty());
    }

    #[test]
    fn a_list_that_changed_while_it_was_told_is_asked_for_again() {
        let mut sync = Sync::new();
        settle(&mut sync);
        sync.message(&from_others(link(1, true)), PORT).expect("fine");
        settle(&mut sync);
        sync.message(&from_others(link(5, true)), PORT).expect("fine");
        sync.lost();
        for _ in 0..MAX_INTERRUPTED {
            let (list, sequence) = sync.question().expect("a question");
            assert_eq!(list, List::Links);
            let broken = Message { is_interrupted: true, ..answer(sequence, link(2, true)) };
            sync.message(&broken, PORT).expect("fine");
            assert!(!done(&mut sync, sequence));
            assert!(indexes(&sync).contains(&(5, true)), "what was known is kept");
        }
        let (_, sequence) = sync.question().expect("a question");
        sync.message(&Message { is_interrupted: true, ..answer(sequence, link(2, true)) }, PORT).expect("fine");
        assert!(done(&mut sync, sequence), "not for ever");
        assert_eq!(indexes(&sync), [(2, true)]);
    }

    #[test]
    fn others_answers_are_word() {
        let mut sync = Sync::new();
        let (_, sequence) = sync.question().expect("a question");
        assert!(!sync.message(&Message { port: 99, ..answer(sequence, Says::Done(0)) }, PORT).expect("fine"));
        assert!(!sync.message(&answer(sequence + 1, Says::Done(0)), PORT).expect("fine"));
        assert!(sync.question().is_none(), "still open");
        assert!(sync.message(&Message { port: 99, ..answer(sequence, link(2, true)) }, PORT).expect("fine"));
    }

    #[test]
    fn what_the_system_lacks_and_what_it_refuses() {
        let mut sync = Sync::new();
        while let Some((list, sequence)) = sync.question() {
            let code = if matches!(list, List::RulesV4 | List::RoutesV6) { UNSUPPORTED[0] } else { 0 };
            sync.message(&answer(sequence, Says::Done(code)), PORT).expect("it is only not there");
        }
        assert!(sync.is_complete());
        let mut sync = Sync::new();
        let (list, sequence) = sync.question().expect("a question");
        let refused = sync.message(&answer(sequence, Says::Done(1)), PORT);
        assert_eq!(refused, Err(Refused { list, code: 1 }));
    }

    #[test]
    fn stale_lists_are_asked_for_alone() {
        let mut sync = Sync::new();
        settle(&mut sync);
        sync.message(&from_others(link(2, true)), PORT).expect("fine");
        assert_eq!(settle(&mut sync), [List::RoutesV4, List::RoutesV6]);
        let stale = Says::Fact(Fact::Stale(Lists::NONE.with(List::RulesV6)));
        assert!(!sync.message(&from_others(stale), PORT).expect("fine"));
        assert_eq!(settle(&mut sync), [List::RulesV6]);
    }
}
