//! Who listens to what.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Listeners, Shared, TopicChange};
use crate::connection::state::{Delivery, Event};
use crate::message::Text;
use netcomm_core::Feed;

impl Shared {
    pub(crate) fn listen(&self, channel: Arc<Feed<Delivery>>) {
        let mut inner = self.lock();
        channel.attach();
        if inner.is_closed {
            channel.end();
        } else {
            add(&mut inner.listeners, channel);
            self.listener_changes.fetch_add(1, Ordering::Release);
        }
    }

    pub(in crate::connection) fn listen_events(&self, channel: Arc<Feed<Event>>) {
        let mut inner = self.lock();
        channel.attach();
        if inner.is_closed {
            channel.end();
        } else {
            add(&mut inner.events, channel);
        }
    }

    pub(crate) fn listen_topic(&self, topic: &Text, channel: Arc<Feed<Delivery>>) {
        let waker = {
            let mut inner = self.lock();
            channel.attach();
            if inner.is_closed {
                drop(inner);
                return channel.end();
            }
            let is_new = !inner.topics.contains_key(topic);
            add(inner.topics.entry(topic.clone()).or_insert_with(|| Arc::new([])), channel);
            if !is_new {
                return;
            }
            self.topic_changed(&mut inner, TopicChange::Added(topic.clone()))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A listener of that topic has left.
    pub(crate) fn leave_topic(&self, topic: &Text) {
        self.cut_topic(topic, prune);
    }

    /// Nobody shall hear of that topic from here any more.
    pub(crate) fn drop_topic(&self, topic: &Text) {
        self.cut_topic(topic, |listeners| {
            std::mem::replace(listeners, Arc::new([])).iter().for_each(|channel| channel.end());
        });
    }

    fn cut_topic(&self, topic: &Text, cut: impl FnOnce(&mut Listeners<Delivery>)) {
        let waker = {
            let mut inner = self.lock();
            let Some(listeners) = inner.topics.get_mut(topic) else {
                return;
            };
            cut(listeners);
            if !listeners.is_empty() {
                return;
            }
            inner.topics.remove(topic);
            self.topic_changed(&mut inner, TopicChange::Left(topic.clone()))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// All topics; those that were just added are among them.
    pub(in crate::connection) fn topics(&self) -> Vec<Text> {
        let mut inner = self.lock();
        inner.topic_changes.clear();
        inner.topics.keys().cloned().collect()
    }

    pub(in crate::connection) fn topic_listeners(&self, topic: &Text) -> Listeners<Delivery> {
        self.lock().topics.get(topic).cloned().unwrap_or_else(|| Arc::new([]))
    }

    /// Those who listen to all messages, with the number of the last change, where they are others than those.
    #[inline]
    pub(in crate::connection) fn refresh(&self, known: &mut (u64, Listeners<Delivery>)) {
        if self.listener_changes.load(Ordering::Acquire) != known.0 {
            let inner = self.lock();
            *known = (self.listener_changes.load(Ordering::Acquire), Arc::clone(&inner.listeners));
        }
    }

    /// Forgets those who have left.
    pub(in crate::connection) fn prune(&self) {
        let mut inner = self.lock();
        prune(&mut inner.listeners);
        self.listener_changes.fetch_add(1, Ordering::Release);
        prune(&mut inner.events);
    }
}

fn add<T>(listeners: &mut Listeners<T>, channel: Arc<Feed<T>>) {
    *listeners = listeners.iter().filter(|channel| !channel.has_left()).cloned().chain([channel]).collect();
}

fn prune<T>(listeners: &mut Listeners<T>) {
    *listeners = listeners.iter().filter(|channel| !channel.has_left()).cloned().collect();
}
