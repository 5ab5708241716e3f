//! One value for each type, made by whoever first asks: where a component keeps its own state in a thing of core.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Value = Arc<dyn Any + Send + Sync>;

/// The values. As a rule there are none or one, so a list is all it takes.
#[derive(Default)]
pub(crate) struct Slots {
    values: Mutex<Vec<(TypeId, Value)>>,
}

impl Slots {
    /// The value of type `T`, which `make` makes if there is none. Where two make one at the same time, the first that is
    /// done stays, and both are given that one.
    pub(crate) fn get_or_make<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(known) = find(&self.lock()) {
            return known;
        }
        // Outside of the lock, since it is the code of others.
        let made = make();
        let mut values = self.lock();
        if let Some(known) = find(&values) {
            return known;
        }
        values.push((TypeId::of::<T>(), Arc::clone(&made) as Value));
        made
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Value)>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<T: Send + Sync + 'static>(values: &[(TypeId, Value)]) -> Option<Arc<T>> {
    let (_, value) = values.iter().find(|(kind, _)| *kind == TypeId::of::<T>())?;
    Arc::downcast(Arc::clone(value)).ok()
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("values", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_for_each_type() {
        let slots = Slots::default();
        let first = slots.get_or_make(|| Arc::new(1_u32));
        let again = slots.get_or_make(|| Arc::new(2_u32));
        let other = slots.get_or_make(|| Arc::new("text"));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((*again, *other), (1, "text"));
    }

    #[test]
    fn whoever_makes_one_may_look_for_others_and_even_for_its_own() {
        let slots = Slots::default();
        let outer = slots.get_or_make(|| {
            slots.get_or_make(|| Arc::new("other"));
            slots.get_or_make(|| Arc::new(1_u32));
            Arc::new(2_u32)
        });
        assert_eq!(*outer, 1, "the first that was done stays");
    }
}
