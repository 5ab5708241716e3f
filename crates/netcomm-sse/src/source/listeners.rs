//! Who listens to a source, and to what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netcomm_core::Feed;

use super::subscription::EventFeed;
use crate::parser::Filter;
use crate::select::Select;
use crate::state::Notice;

/// One who listens to events.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) select: Select,
    pub(super) feed: Arc<EventFeed>,
}

/// All who listen. Handles add, the task looks when the version is another than the one it knows.
#[derive(Default)]
pub(super) struct Listeners {
    version: AtomicU64,
    /// Streams that were open: one may be over before anybody looks.
    opened: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    events: Vec<Listener>,
    notices: Vec<Arc<Feed<Notice>>>,
    is_over: bool,
}

impl Listeners {
    pub(super) fn add(&self, select: Select, feed: Arc<EventFeed>) {
        feed.attach();
        let mut inner = self.lock();
        if inner.is_over {
            drop(inner);
            return feed.end();
        }
        inner.events.push(Listener { select, feed });
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn add_notices(&self, feed: Arc<Feed<Notice>>) {
        feed.attach();
        let mut inner = self.lock();
        if inner.is_over {
            drop(inner);
            return feed.end();
        }
        inner.notices.push(feed);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// A stream is open.
    pub(super) fn open(&self) {
        self.opened.fetch_add(1, Ordering::Release);
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Acquire)
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Those who have not left.
    pub(super) fn current(&self) -> (Vec<Listener>, Vec<Arc<Feed<Notice>>>) {
        let mut inner = self.lock();
        inner.events.retain(|listener| !listener.feed.has_left());
        inner.notices.retain(|feed| !feed.has_left());
        (inner.events.clone(), inner.notices.clone())
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        let (events, notices) = {
            let mut inner = self.lock();
            inner.is_over = true;
            (std::mem::take(&mut inner.events), std::mem::take(&mut inner.notices))
        };
        events.iter().for_each(|listener| listener.feed.end());
        notices.iter().for_each(|feed| feed.end());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What any of them wants.
pub(super) fn union(listeners: &[Listener]) -> Option<Filter> {
    let selects: Vec<Select> = listeners.iter().map(|listener| listener.select.clone()).collect();
    if selects.contains(&Select::all()) {
        return None;
    }
    Some(Arc::new(move |event_type: &str| selects.iter().any(|select| select.matches(event_type))))
}
