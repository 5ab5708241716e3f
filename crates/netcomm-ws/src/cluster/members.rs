//! The members of a cluster: who is ready, what moves when one is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use netcomm_core::{Feed, Listening, Result, Subscription};
use tokio::sync::Notify;

use super::builder::Member;
use super::route::{self, Candidate, Router, Strategy};
use super::snapshot::{ClusterSnapshot, MemberSnapshot};
use crate::close::CloseCode;
use crate::connection::{Connection, ConnectionBuilder, Delivery, Membership, State, States};
use crate::message::Text;

/// How a cluster deals with its members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) strategy: Strategy,
    pub(super) cool_down: Duration,
    pub(super) reroute: bool,
}

pub(super) struct Members {
    members: Vec<One>,
    terms: Terms,
    standing: Mutex<Standing>,
    /// Told whenever a member's state is another.
    changed: Notify,
}

struct One {
    name: Text,
    id: u64,
    priority: u32,
    connection: Connection,
}

/// What changes.
struct Standing {
    router: Router,
    /// By member: until when it is not preferred.
    cooling: Vec<Option<Instant>>,
    topics: BTreeMap<Text, Topic>,
}

struct Topic {
    listeners: Vec<Arc<Feed<Delivery>>>,
    /// The member that keeps it.
    keeper: Option<usize>,
}

impl Members {
    pub(super) fn open(
        members: Vec<(Member, Text)>,
        template: &ConnectionBuilder,
        listening: Listening,
        terms: Terms,
        spread: Duration,
    ) -> Result<(Arc<Self>, Subscription<Delivery>)> {
        let (subscription, channel) = Subscription::new(listening);
        let total = members.len();
        let mut ones = Vec::with_capacity(total);
        for (nth, (member, name)) in members.into_iter().enumerate() {
            let membership = Membership { name: name.clone(), nth, total, spread };
            let builder = template.clone().connect(|connect| connect.url(&member.url));
            let connection = builder.open_as(Arc::clone(&channel), Some(membership))?;
            let id = route::stable_hash(name.as_bytes());
            ones.push(One { name, id, priority: member.priority, connection });
        }
        let standing =
            Standing { router: Router::new(terms.strategy), cooling: vec![None; total], topics: BTreeMap::new() };
        let members = Arc::new(Self { members: ones, terms, standing: Mutex::new(standing), changed: Notify::new() });
        for (nth, one) in members.members.iter().enumerate() {
            // It ends with its member.
            drop(tokio::spawn(watch(Arc::downgrade(&members), nth, one.connection.states())));
        }
        Ok((members, subscription))
    }

    pub(super) fn choose(&self, key: Option<&[u8]>) -> Connection {
        let mut candidates = self.candidates();
        let now = self.now();
        let mut standing = self.lock();
        standing.fill_in(&mut candidates);
        let chosen = standing.router.pick(&candidates, key, now).or_else(|| {
            // Where none is ready, those that are not closed for good are taken for it; at last all.
            let mut hopeful = candidates.clone();
            for (candidate, one) in hopeful.iter_mut().zip(&self.members) {
                candidate.ready = !one.connection.state().is_closed();
            }
            standing.router.pick(&hopeful, key, now)
        });
        self.members[chosen.unwrap_or(0)].connection.clone()
    }

    pub(super) fn named(&self, name: &str) -> Option<Connection> {
        self.members.iter().find(|one| one.name == name).map(|one| one.connection.clone())
    }

    pub(super) fn listen(&self, listening: Listening) -> Subscription<Delivery> {
        let (subscription, channel) = Subscription::new(listening);
        for one in &self.members {
            one.connection.shared().listen(Arc::clone(&channel));
        }
        subscription
    }

    pub(super) fn listen_topic(self: &Arc<Self>, topic: Text, listening: Listening) -> Subscription<Delivery> {
        let (subscription, channel) = Subscription::new(listening);
        let candidates = self.candidates();
        {
            let mut standing = self.lock();
            let kept =
                standing.topics.entry(topic.clone()).or_insert_with(|| Topic { listeners: Vec::new(), keeper: None });
            // The cluster itself holds it open while it moves from one member to another.
            channel.attach();
            kept.listeners.push(Arc::clone(&channel));
            if let Some(keeper) = kept.keeper {
                self.members[keeper].connection.shared().listen_topic(&topic, channel);
            }
            self.spread(&mut standing, &candidates);
        }
        let members = Arc::downgrade(self);
        subscription.with_leave(move || {
            if let Some(members) = members.upgrade() {
                members.leave_topic(&topic);
            }
        })
    }

    fn leave_topic(&self, topic: &Text) {
        let mut standing = self.lock();
        let Some(kept) = standing.topics.get_mut(topic) else {
            return;
        };
        kept.listeners.retain(|channel| !channel.has_left());
        if let Some(keeper) = kept.keeper {
            self.members[keeper].connection.shared().leave_topic(topic);
        }
        if kept.listeners.is_empty() {
            standing.topics.remove(topic);
        }
    }

    pub(super) fn snapshot(&self) -> ClusterSnapshot {
        let standing = self.lock();
        let members = self.members.iter().enumerate().map(|(nth, one)| MemberSnapshot {
            name: one.name.clone(),
            priority: one.priority,
            cooling_until: standing.cooling[nth],
            topics: standing
                .topics
                .iter()
                .filter(|(_, topic)| topic.keeper == Some(nth))
                .map(|(name, _)| name.clone())
                .collect(),
            connection: one.connection.snapshot(),
        });
        ClusterSnapshot::new(members.collect())
    }

    /// Waits until that is so; tells whether it came to pass before all members were closed for good.
    pub(super) async fn until(&self, reached: impl Fn(&ClusterSnapshot) -> bool) -> bool {
        loop {
            let changed = self.changed.notified();
            let snapshot = self.snapshot();
            if reached(&snapshot) {
                return true;
            }
            if snapshot.closed == snapshot.members.len() {
                return false;
            }
            changed.await;
        }
    }

    pub(super) async fn close(&self, code: CloseCode, reason: Text) -> Result<()> {
        for one in &self.members {
            one.connection.start_close(code, reason.clone())?;
        }
        for one in &self.members {
            one.connection.until_closed().await;
        }
        let topics = std::mem::take(&mut self.lock().topics);
        for channel in topics.values().flat_map(|topic| &topic.listeners) {
            channel.end();
        }
        Ok(())
    }

    /// A member's state is another.
    fn changed(&self, nth: usize, state: &State, was_ready: bool) {
        {
            let candidates = self.candidates();
            let mut standing = self.lock();
            if was_ready && !state.is_ready() {
                standing.cooling[nth] = self.now().checked_add(self.terms.cool_down);
            }
            self.spread(&mut standing, &candidates);
        }
        if self.terms.reroute {
            self.reroute();
        }
        self.changed.notify_waiters();
    }

    /// Moves what waits with members that are not ready to those that are.
    fn reroute(&self) {
        let mut candidates = self.candidates();
        if candidates.iter().all(|candidate| !candidate.ready) {
            return;
        }
        for (nth, one) in self.members.iter().enumerate() {
            if candidates[nth].ready {
                continue;
            }
            for entry in one.connection.shared().take_queued() {
                let chosen = {
                    let now = self.now();
                    let mut standing = self.lock();
                    standing.fill_in(&mut candidates);
                    standing.router.pick(&candidates, None, now)
                };
                let back = match chosen {
                    Some(chosen) => {
                        candidates[chosen].pending += 1;
                        self.members[chosen].connection.shared().adopt(entry)
                    }
                    None => Err(entry),
                };
                if let Err(entry) = back {
                    // There is no room: it waits where it was.
                    one.connection.shared().put_back(entry);
                }
            }
        }
    }

    /// Gives each topic to the member that shall keep it.
    fn spread(&self, standing: &mut Standing, candidates: &[Candidate]) {
        let ready = || candidates.iter().filter(|candidate| candidate.ready).map(|candidate| candidate.id);
        let all = || candidates.iter().map(|candidate| candidate.id);
        // Where none is ready, topics wait where they would be if all were.
        let ids: Vec<_> = if ready().next().is_some() { ready().collect() } else { all().collect() };
        let names: Vec<_> = standing.topics.keys().cloned().collect();
        let names: Vec<_> = names.iter().map(|name| name.as_bytes()).collect();
        let keepers = route::spread(&names, &ids);
        for ((name, topic), keeper) in standing.topics.iter_mut().zip(keepers) {
            let keeper = keeper.and_then(|id| self.members.iter().position(|one| one.id == id));
            if keeper == topic.keeper {
                continue;
            }
            if let Some(before) = std::mem::replace(&mut topic.keeper, keeper) {
                self.members[before].connection.shared().drop_topic(name);
            }
            if let Some(keeper) = keeper {
                for channel in &topic.listeners {
                    self.members[keeper].connection.shared().listen_topic(name, Arc::clone(channel));
                }
            }
        }
    }

    /// The members as the choice sees them, but for their cooling.
    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |one: &One| {
            let (ready, pending) = one.connection.shared().load();
            Candidate { id: one.id, ready, pending, priority: one.priority, cooling_until: None }
        };
        self.members.iter().map(candidate).collect()
    }

    fn now(&self) -> Instant {
        self.members[0].connection.shared().now()
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn fill_in(&self, candidates: &mut [Candidate]) {
        for (candidate, cooling) in candidates.iter_mut().zip(&self.cooling) {
            candidate.cooling_until = *cooling;
        }
    }
}

/// Tells the cluster of each change of a member, to its end.
async fn watch(members: Weak<Members>, nth: usize, mut states: States) {
    let mut was_ready = false;
    let mut state = states.current();
    loop {
        {
            let Some(members) = members.upgrade() else {
                return;
            };
            members.changed(nth, &state, was_ready);
        }
        was_ready = state.is_ready();
        match states.changed().await {
            Some(next) => state = next,
            None => return,
        }
    }
}
