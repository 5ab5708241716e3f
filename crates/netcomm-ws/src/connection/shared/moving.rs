//! What waits, on its way from one member of a cluster to another.

use std::sync::Arc;

use super::Shared;
use crate::connection::receipt::{Dropped, Slot};
use crate::queue::{Entry, Pushed};

impl Shared {
    /// Whether a message could go at once, and how many wait.
    pub(crate) fn load(&self) -> (bool, usize) {
        let inner = self.lock();
        (inner.is_ready, inner.queue.len())
    }

    /// Takes out all that waits, for another connection.
    pub(crate) fn take_queued(&self) -> Vec<Entry<Arc<Slot>>> {
        let entries = self.lock().queue.drain();
        if !entries.is_empty() {
            self.tell_room();
            self.tell_idle();
        }
        entries
    }

    /// Takes in what waited elsewhere, or gives it back if there is no room.
    pub(crate) fn adopt(self: &Arc<Self>, entry: Entry<Arc<Slot>>) -> Result<(), Entry<Arc<Slot>>> {
        let now = self.clock.now();
        let Entry { id, item } = entry;
        // A request's answer comes to where it was sent from.
        if item.payload.is_request() {
            return Err(Entry { id, item });
        }
        let slot = Arc::clone(&item.payload);
        let (adopted, expired, waker) = {
            let mut inner = self.lock();
            if inner.is_closed || !inner.queue.has_room(item.bytes) {
                return Err(Entry { id, item });
            }
            let is_ready = inner.is_ready;
            let pushed = inner.queue.push(item, is_ready, now);
            if let Pushed::Queued { id, .. } = &pushed {
                slot.set_home(Arc::downgrade(self), *id);
            }
            (pushed, inner.queue.take_expired(), self.rouse(&mut inner))
        };
        self.expired(expired);
        if let Some(waker) = waker {
            waker.wake();
        }
        match adopted {
            Pushed::Queued { evicted, .. } => {
                self.dropped(evicted.into_iter().flatten(), Dropped::Evicted);
                Ok(())
            }
            Pushed::Expired(item) => {
                self.dropped([Entry { id, item }], Dropped::Expired);
                Ok(())
            }
            Pushed::Offline(item) => {
                self.dropped([Entry { id, item }], Dropped::Volatile);
                Ok(())
            }
            Pushed::Full(item) | Pushed::Dropped(item) | Pushed::TooLarge(item) => Err(Entry { id, item }),
        }
    }

    pub(crate) fn put_back(&self, entry: Entry<Arc<Slot>>) {
        self.lock().queue.put_back(entry);
    }
}
