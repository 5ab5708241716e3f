//! What came before its reader asked for it.

use std::collections::VecDeque;

use crate::receive::Item;

/// What a message in memory weighs beside its payload.
const MESSAGE_WEIGHT: usize = 64;
/// Room for that many messages is kept while none are there.
const KEPT_ITEMS: usize = 4;

/// What came and was not asked for yet.
#[derive(Default)]
pub(super) struct Inbox {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes += weight(&item);
        self.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= weight(&item);
        if self.items.is_empty() && self.items.capacity() > KEPT_ITEMS {
            self.items = VecDeque::new();
        }
        Some(item)
    }

    pub(super) fn drop_last(&mut self) {
        if let Some(item) = self.items.pop_back() {
            self.bytes -= weight(&item);
        }
    }

    pub(super) fn has_room(&self, most: usize) -> bool {
        self.bytes <= most
    }
}

fn weight(item: &Item) -> usize {
    MESSAGE_WEIGHT
        + match item {
            Item::Message(message) => message.len(),
            Item::Piece { data, .. } => data.len(),
            Item::Ping(_) | Item::Pong(_) | Item::Close(_) => 0,
        }
}
