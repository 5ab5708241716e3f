//! The list of exchanges: what is shown of it, in which order, and which one is selected. Pure.

use std::cmp::Reverse;
use std::collections::VecDeque;

use netcomm::core::CallId;

use crate::monitor::filter::Filter;
use crate::monitor::row::Row;

/// Exchanges that are kept, at most; the oldest go.
const ROWS: usize = 1000;

/// In which order they are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Order {
    #[default]
    Newest,
    Slowest,
    Largest,
}

/// The exchanges.
#[derive(Debug, Default)]
pub(in super::super) struct List {
    /// In the order in which they began.
    rows: VecDeque<Row>,
    /// As they were when the list was halted.
    held: Option<VecDeque<Row>>,
    selected: Option<CallId>,
    order: Order,
    filter: Filter,
    filter_text: String,
}

impl List {
    /// Takes one that is new, or of which more is known.
    pub(super) fn put(&mut self, row: Row) {
        // What changes is mostly new.
        match self.rows.iter_mut().rev().find(|own| own.call == row.call) {
            Some(own) => *own = row,
            None => {
                if self.rows.len() == ROWS {
                    self.rows.pop_front();
                }
                self.rows.push_back(row);
            }
        }
    }

    pub(super) fn find(&self, call: CallId) -> Option<&Row> {
        self.rows.iter().rev().find(|row| row.call == call)
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.held = self.held.is_some().then(VecDeque::new);
        self.selected = None;
    }

    /// Whether what is shown stays as it is.
    pub(super) fn hold(&mut self, hold: bool) {
        self.held = hold.then(|| self.rows.clone());
    }

    /// What is shown, top to bottom.
    pub(in super::super) fn shown(&self) -> impl Iterator<Item = &Row> {
        let rows = self.held.as_ref().unwrap_or(&self.rows);
        let mut shown: Vec<_> = rows.iter().rev().filter(|row| self.filter.passes(row)).collect();
        match self.order {
            Order::Newest => {}
            Order::Slowest => shown.sort_by_key(|row| Reverse(row.took)),
            Order::Largest => shown.sort_by_key(|row| Reverse(row.bytes)),
        }
        shown.into_iter()
    }

    /// The one that is selected: the first until one was chosen.
    pub(in super::super) fn selected(&self) -> Option<&Row> {
        self.shown().nth(self.at()?)
    }

    /// Where the selected one stands in what is shown.
    pub(in super::super) fn at(&self) -> Option<usize> {
        let chosen = self.selected.and_then(|call| self.shown().position(|row| row.call == call));
        chosen.or_else(|| self.shown().next().map(|_| 0))
    }

    /// Selects the one that stands there. At the top stays what is newest.
    pub(super) fn select(&mut self, at: usize) {
        let chosen = self.shown().nth(at).map(|row| row.call);
        self.selected = chosen.filter(|_| at > 0 || self.order != Order::Newest);
    }

    pub(super) fn sort(&mut self) {
        self.order = match self.order {
            Order::Newest => Order::Slowest,
            Order::Slowest => Order::Largest,
            Order::Largest => Order::Newest,
        };
    }

    pub(in super::super) fn order(&self) -> Order {
        self.order
    }

    pub(super) fn filter(&mut self, text: &str) {
        text.clone_into(&mut self.filter_text);
        self.filter = Filter::parse(text);
    }

    pub(in super::super) fn filter_text(&self) -> &str {
        &self.filter_text
    }

    /// How many are kept, shown or not.
    pub(in super::super) fn len(&self) -> usize {
        self.held.as_ref().unwrap_or(&self.rows).len()
    }

    pub(in super::super) fn is_filtered(&self) -> bool {
        !self.filter.is_empty()
    }
}
