//! A short list, made once: most are of one thing.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A list that never changes. Cheap to clone where its items are; none and one take no memory of their own, since that is
/// what nearly all of these lists hold: a key has one response, and its body is one piece.
#[derive(Clone)]
pub struct Few<T> {
    items: Items<T>,
}

#[derive(Clone, Default)]
enum Items<T> {
    #[default]
    None,
    One(T),
    Many(Arc<[T]>),
}

impl<T> Few<T> {
    /// A list of one.
    #[must_use]
    pub const fn one(item: T) -> Self {
        Self { items: Items::One(item) }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.items {
            Items::None => &[],
            Items::One(item) => std::slice::from_ref(item),
            Items::Many(items) => items,
        }
    }
}

impl<T> Default for Few<T> {
    /// An empty list.
    fn default() -> Self {
        Self { items: Items::None }
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut items: Vec<T>) -> Self {
        match items.len() {
            0 | 1 => items.pop().map_or_else(Self::default, Self::one),
            _ => Self { items: Items::Many(items.into()) },
        }
    }
}

impl<T: Clone> From<&[T]> for Few<T> {
    fn from(items: &[T]) -> Self {
        items.to_vec().into()
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'f, T> IntoIterator for &'f Few<T> {
    type Item = &'f T;
    type IntoIter = std::slice::Iter<'f, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_it_was_made_of() {
        for count in 0..4 {
            let items: Vec<_> = (0..count).map(|at| at.to_string()).collect();
            let few = Few::from(items.clone());
            assert_eq!((few.to_vec(), few.clone().to_vec()), (items.clone(), items.clone()));
            assert_eq!(Few::from(&items[..]).to_vec(), items);
            assert_eq!(few.into_iter().cloned().collect::<Few<_>>().to_vec(), items);
            assert_eq!(format!("{few:?}"), format!("{items:?}"));
        }
        assert!(Few::<String>::default().is_empty());
        assert_eq!(*Few::one(1), [1]);
    }
}
