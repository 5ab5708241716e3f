//! Keys in the order of their last use, with what lies under them: a map and a list in one. It hashes nothing itself, so
//! that whoever asks does that once; and nothing in it is allocated for one key alone.

use std::borrow::Cow;

use hashbrown::HashTable;

use crate::cache::key::Key;

/// Nodes that are allocated together.
const CHUNK: usize = 16;
/// No node.
const NONE: u32 = u32::MAX;

/// The keys, each with an `S`. What was put there or touched last is the newest.
pub(super) struct Table<S> {
    /// Where the node of a key lies.
    places: HashTable<u32>,
    /// All but the last one are full, so that what goes leaves no hole: the last node moves into its place.
    chunks: Vec<Vec<Node<S>>>,
    newest: u32,
    oldest: u32,
}

struct Node<S> {
    key: Key,
    hash: u64,
    slot: S,
    newer: u32,
    older: u32,
}

/// Where a key lies until another one is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl<S> Table<S> {
    pub(super) fn new() -> Self {
        Self { places: HashTable::new(), chunks: Vec::new(), newest: NONE, oldest: NONE }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where a key with that hash lies.
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<Place> {
        let is_it = |&at: &u32| {
            let node = self.node(at);
            node.hash == hash && node.key == *key
        };
        self.places.find(hash, is_it).map(|at| Place(*at))
    }

    pub(super) fn slot(&self, Place(at): Place) -> &S {
        &self.node(at).slot
    }

    pub(super) fn slot_mut(&mut self, Place(at): Place) -> &mut S {
        &mut self.node_mut(at).slot
    }

    /// Makes it the newest.
    pub(super) fn touch(&mut self, Place(at): Place) {
        if at != self.newest {
            self.unlink(at);
            self.link(at);
        }
    }

    fn insert(&mut self, hash: u64, key: Key, slot: S) {
        let at = u32::try_from(self.len()).ok().filter(|at| *at != NONE).expect("no memory holds so many keys");
        let node = Node { key, hash, slot, newer: NONE, older: NONE };
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(node),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(node);
                self.chunks.push(chunk);
            }
        }
        let chunks = &self.chunks;
        self.places.insert_unique(hash, at, |&at| in_chunks(chunks, at).hash);
        self.link(at);
    }

    /// Puts it under a key that lies there, or nowhere yet, which is then the newest: what lay there before.
    pub(super) fn put(&mut self, place: Option<Place>, hash: u64, key: Cow<'_, Key>, slot: S) -> Option<S> {
        match place {
            Some(place) => {
                self.touch(place);
                Some(std::mem::replace(self.slot_mut(place), slot))
            }
            None => {
                self.insert(hash, key.into_owned(), slot);
                None
            }
        }
    }

    /// Takes a key away.
    pub(super) fn remove(&mut self, Place(at): Place) -> (Key, S) {
        self.unlink(at);
        if let Ok(place) = self.places.find_entry(self.node(at).hash, |place| *place == at) {
            place.remove();
        }
        let mut node = self.pop();
        let last = self.places.len() as u32;
        if at != last {
            if let Some(place) = self.places.find_mut(node.hash, |place| *place == last) {
                *place = at;
            }
            match node.newer {
                NONE => self.newest = at,
                newer => self.node_mut(newer).older = at,
            }
            match node.older {
                NONE => self.oldest = at,
                older => self.node_mut(older).newer = at,
            }
            std::mem::swap(&mut node, self.node_mut(at));
        }
        (node.key, node.slot)
    }

    /// The key that was not used for longest.
    pub(super) fn oldest(&self) -> Option<(Place, &Key)> {
        (self.oldest != NONE).then(|| (Place(self.oldest), &self.node(self.oldest).key))
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &S)> {
        self.chunks.iter().flatten().map(|node| (&node.key, &node.slot))
    }

    fn node(&self, at: u32) -> &Node<S> {
        in_chunks(&self.chunks, at)
    }

    fn node_mut(&mut self, at: u32) -> &mut Node<S> {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// Takes the last node out, and its chunk with it if that was all of it.
    fn pop(&mut self) -> Node<S> {
        let chunk = self.chunks.last_mut().expect("there is a node");
        let node = chunk.pop().expect("no chunk is empty");
        if chunk.is_empty() {
            self.chunks.pop();
        }
        node
    }

    fn link(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        let node = self.node_mut(at);
        (node.newer, node.older) = (NONE, before);
        match before {
            NONE => self.oldest = at,
            before => self.node_mut(before).newer = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let &Node { newer, older, .. } = self.node(at);
        match newer {
            NONE => self.newest = older,
            newer => self.node_mut(newer).older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.node_mut(older).newer = newer,
        }
    }
}

fn in_chunks<S>(chunks: &[Vec<Node<S>>], at: u32) -> &Node<S> {
    &chunks[at as usize / CHUNK][at as usize % CHUNK]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is asked of a table.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Put(u8),
        Touch(u8),
        Remove(u8),
        RemoveOldest,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => any::<u8>().prop_map(Act::Put),
            1 => any::<u8>().prop_map(Act::Touch),
            1 => any::<u8>().prop_map(Act::Remove),
            1 => Just(Act::RemoveOldest),
        ]
    }

    fn key(name: u8) -> Key {
        Key::from_text(&format!("\nhttp://a.example/{name}")).expect("a key")
    }

    /// Many keys share a hash, which only makes it slower.
    fn hash(name: u8) -> u64 {
        ((u64::from(name) % 7) << 57) | (u64::from(name) % 5)
    }

    proptest! {
        #[test]
        fn a_table_is_a_map_in_the_order_of_use(acts in proptest::collection::vec(act(), 0..400)) {
            let mut table = Table::new();
            // The oldest first.
            let mut model: Vec<(u8, usize)> = Vec::new();
            for (turn, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Put(name) => {
                        model.retain(|(known, _)| *known != name);
                        model.push((name, turn));
                        let place = table.find(hash(name), &key(name));
                        let old = place.map(|place| *table.slot(place));
                        prop_assert_eq!(table.put(place, hash(name), Cow::Owned(key(name)), turn), old);
                    }
                    Act::Touch(name) => {
                        let at = model.iter().position(|(known, _)| *known == name);
                        let place = table.find(hash(name), &key(name));
                        prop_assert_eq!(at.is_some(), place.is_some());
                        if let (Some(at), Some(place)) = (at, place) {
                            let touched = model.remove(at);
                            model.push(touched);
                            table.touch(place);
                            prop_assert_eq!(*table.slot(place), touched.1);
                        }
                    }
                    Act::Remove(name) => {
                        let at = model.iter().position(|(known, _)| *known == name);
                        let gone = table.find(hash(name), &key(name)).map(|place| table.remove(place));
                        prop_assert_eq!(gone, at.map(|at| model.remove(at)).map(|(name, slot)| (key(name), slot)));
                    }
                    Act::RemoveOldest => {
                        let oldest = table.oldest().map(|(place, key)| (place, key.clone()));
                        prop_assert_eq!(oldest.as_ref().map(|(_, key)| key.clone()), model.first().map(|(name, _)| key(*name)));
                        if let Some((place, _)) = oldest {
                            prop_assert_eq!(table.remove(place).1, model.remove(0).1);
                        }
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                // Nothing is allocated for what has gone.
                prop_assert_eq!(table.chunks.len(), model.len().div_ceil(CHUNK));
            }
            let mut all: Vec<_> = table.iter().map(|(key, slot)| (key.clone(), *slot)).collect();
            let mut expected: Vec<_> = model.iter().map(|(name, slot)| (key(*name), *slot)).collect();
            all.sort();
            expected.sort();
            prop_assert_eq!(all, expected);
        }
    }
}
