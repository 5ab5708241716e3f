//! Where items wait for their listener.

use std::collections::VecDeque;
use std::fmt;

/// Where items wait: the first in is the first out. [`Items`] holds whole ones; a queue of another kind may hold them in a
/// form that is cheaper to hand on.
pub trait Queue: Default {
    /// What waits.
    type Item;

    /// How many items wait.
    fn len(&self) -> usize;

    /// Whether nothing waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the first item weighs; 0 where there is none.
    fn first_bytes(&self) -> usize;

    /// Takes the first item out.
    fn pop(&mut self) -> Option<Self::Item>;

    /// Puts the first item behind those of another queue. Nothing where there is none.
    fn move_first(&mut self, to: &mut Self);

    /// Puts all items behind those of another queue.
    fn move_all(&mut self, to: &mut Self) {
        while !self.is_empty() {
            self.move_first(to);
        }
    }

    /// Room for about so many further items, of so many bytes together.
    fn reserve(&mut self, items: usize, bytes: usize);

    /// Nothing waits, and nothing may come for long: memory goes that is more than a little.
    fn rest(&mut self);
}

/// Whole items, each with its weight.
pub struct Items<T> {
    items: VecDeque<(T, usize)>,
}

/// Room for so many items stays while none waits: what comes one by one finds its place.
pub(super) const KEPT_ITEMS: usize = 4;

impl<T> Items<T> {
    /// Adds an item that weighs so many bytes.
    #[inline]
    pub fn push(&mut self, item: T, bytes: usize) {
        self.items.push_back((item, bytes));
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.items.capacity()
    }
}

impl<T> Queue for Items<T> {
    type Item = T;

    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    fn first_bytes(&self) -> usize {
        self.items.front().map_or(0, |(_, bytes)| *bytes)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.items.pop_front().map(|(item, _)| item)
    }

    fn move_first(&mut self, to: &mut Self) {
        to.items.extend(self.items.pop_front());
    }

    fn move_all(&mut self, to: &mut Self) {
        to.items.append(&mut self.items);
    }

    fn reserve(&mut self, items: usize, _: usize) {
        self.items.reserve(items);
    }

    #[inline]
    fn rest(&mut self) {
        if self.items.capacity() > KEPT_ITEMS {
            self.items = VecDeque::new();
        }
    }
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { items: VecDeque::new() }
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("len", &self.items.len()).finish()
    }
}
