//! What the handles of an outbox, its thread and its deliveries share.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use netcomm_core::{Backoff, Env, Error, ErrorKind, Result};
use tokio::sync::{broadcast, oneshot, watch};

use super::event::{OutboxEvent, Told};
use super::kept::{Damage, End, EndedCall, KeptCall, KeptId, KeptState, Ticket};
use super::queue::{AfterFailure, Bounds, Entry, Failed, Queue};
use super::record::{self, Progress, Record};

/// What the thread is asked to do, in that order.
pub(super) enum Command {
    Insert {
        id: KeptId,
        record: Vec<u8>,
        entry: Box<Entry>,
        done: oneshot::Sender<Result<()>>,
    },
    Load {
        id: KeptId,
        done: oneshot::Sender<Result<Option<Bytes>>>,
    },
    /// What became of an attempt.
    Note {
        id: KeptId,
        progress: Vec<u8>,
    },
    /// A call has ended.
    Remove {
        id: KeptId,
        event: OutboxEvent,
        ended: Option<Vec<u8>>,
        done: Option<oneshot::Sender<Result<()>>>,
    },
    /// A call cannot be read back.
    SetAside {
        id: KeptId,
    },
    Ended {
        done: oneshot::Sender<Result<Vec<Bytes>>>,
    },
    Forget {
        id: KeptId,
        done: oneshot::Sender<Result<()>>,
    },
    Close {
        done: Option<oneshot::Sender<()>>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) bounds: Bounds,
    pub(super) body_bytes: usize,
    pub(super) answer_bytes: usize,
    pub(super) expiry: Duration,
    pub(super) keeps_secrets: bool,
    pub(super) backoff: Backoff,
    pub(super) max_retry_after: Duration,
    pub(super) events: usize,
}

/// A call that is to be sent.
pub(super) struct Job {
    pub(super) id: KeptId,
    /// Whether an earlier attempt may have reached the server.
    pub(super) maybe_sent: bool,
    pub(super) conflicts: u32,
    pub(super) failures_in_a_row: u32,
    /// Ready when the call is called off.
    pub(super) stop: oneshot::Receiver<()>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) env: Env,
    state: Mutex<State>,
    commands: Sender<Command>,
    /// Counts whatever may be of interest to a delivery, or to who waits for the end.
    changed: watch::Sender<u64>,
}

struct State {
    queue: Queue,
    /// Dropped to stop the sending of a call.
    stops: HashMap<KeptId, oneshot::Sender<()>>,
    /// `None` once the outbox is closed.
    events: Option<broadcast::Sender<Told>>,
    damage: Damage,
}

impl State {
    /// Under the lock, so that what happens to a call is told in its order.
    fn tell(&self, partition: &Arc<str>, event: OutboxEvent) {
        if let Some(events) = &self.events {
            // Nobody may be watching.
            drop(events.send((Arc::clone(partition), event)));
        }
    }
}

impl Shared {
    pub(super) fn new(env: Env, settings: Settings) -> (Arc<Self>, Receiver<Command>) {
        let (commands, receiver) = channel();
        let state = State {
            queue: Queue::new(settings.bounds),
            stops: HashMap::new(),
            events: Some(broadcast::Sender::new(settings.events)),
            damage: Damage::default(),
        };
        let shared = Self { settings, env, state: Mutex::new(state), commands, changed: watch::Sender::new(0) };
        (Arc::new(shared), receiver)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the queue.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Queue) -> T) -> T {
        look(&self.lock().queue)
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.env.clock().wall()
    }

    pub(super) fn now(&self) -> Instant {
        self.env.clock().now()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Told> {
        // Of a closed outbox nothing is told any more.
        self.lock().events.as_ref().map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().events.is_none()
    }

    /// Asks the thread. After its end nothing happens, and who waits for an answer finds its sender gone.
    pub(super) fn send(&self, command: Command) {
        drop(self.commands.send(command));
    }

    pub(super) fn damage(&self) -> Damage {
        self.lock().damage.clone()
    }

    // What the thread tells.

    /// Calls from an earlier process.
    pub(super) fn load(&self, entries: Vec<Entry>, next_id: u64, damage: Damage) {
        let mut state = self.lock();
        entries.into_iter().for_each(|entry| state.queue.add(entry));
        state.queue.begin_at(next_id);
        state.damage = damage;
    }

    pub(super) fn kept(&self, entry: Entry) {
        let mut state = self.lock();
        state.tell(&entry.partition, OutboxEvent::Kept { id: entry.call.id });
        state.queue.add(entry);
        drop(state);
        self.announce();
    }

    pub(super) fn not_kept(&self, id: KeptId) {
        self.lock().queue.give_back(id);
    }

    pub(super) fn removed(&self, id: KeptId, event: OutboxEvent) {
        let mut state = self.lock();
        state.stops.remove(&id);
        if let Some(entry) = state.queue.remove(id) {
            state.damage.calls += u64::from(matches!(event, OutboxEvent::Damaged { .. }));
            state.tell(&entry.partition, event);
        }
        drop(state);
        self.announce();
    }

    pub(super) fn close(&self) {
        self.lock().events = None;
        self.announce();
    }

    // What handles ask for.

    /// Takes a call: it is on disk when the answer comes.
    pub(super) fn insert(
        &self,
        record: Record,
        key: Arc<str>,
        maybe_sent: bool,
    ) -> Result<(Ticket, oneshot::Receiver<Result<()>>)> {
        let encoded = record::encode(&record);
        let bytes = encoded.len() as u64;
        let (done, wait) = oneshot::channel();
        let mut state = self.lock();
        let id = match state.queue.reserve(bytes) {
            Ok(id) => id,
            Err(full) => {
                // Those whose time is over make room, though not before they are off the disk.
                drop(state);
                self.expire();
                return Err(full);
            }
        };
        let call = call_of(id, &record, &key);
        let entry = Box::new(Entry { maybe_sent, ..Entry::new(call, record.partition, bytes) });
        // Under the lock, so that calls of one lane come to the disk in the order of their numbers.
        self.send(Command::Insert { id, record: record::numbered(encoded, id), entry, done });
        drop(state);
        Ok((Ticket { id, idempotency_key: key }, wait))
    }

    /// Calls a call off. Whether it may have been sent, and where it is told that it is off the disk.
    pub(super) fn cancel(&self, partition: &str, id: KeptId) -> Option<(bool, oneshot::Receiver<Result<()>>)> {
        let mut state = self.lock();
        state.queue.get(id).filter(|entry| &*entry.partition == partition)?;
        let before = state.queue.end(id)?;
        state.stops.remove(&id);
        drop(state);
        let maybe_sent = before.maybe_sent || before.call.state == KeptState::Sending;
        let (done, wait) = oneshot::channel();
        self.send(Command::Remove {
            id,
            event: OutboxEvent::Canceled { id, maybe_sent },
            ended: None,
            done: Some(done),
        });
        self.announce();
        Some((maybe_sent, wait))
    }

    /// Ends the calls whose time is over.
    pub(super) fn expire(&self) {
        let wall = self.wall();
        let over = self.lock().queue.expired(wall);
        over.into_iter().for_each(|id| self.remove_ended(id, End::Expired, OutboxEvent::Expired { id }));
    }

    /// Of a call that is ending.
    fn remove_ended(&self, id: KeptId, end: End, event: OutboxEvent) {
        let state = self.lock();
        let Some(entry) = state.queue.get(id) else { return };
        let call = &entry.call;
        let ended = EndedCall {
            id,
            method: call.method.clone(),
            url: Arc::clone(&call.url),
            order_key: Arc::clone(&call.order_key),
            idempotency_key: Arc::clone(&call.idempotency_key),
            kept_at: call.kept_at,
            ended_at: self.wall(),
            attempts: call.attempts,
            end,
        };
        let ended = Some(record::encode_ended(&entry.partition, &ended));
        drop(state);
        self.send(Command::Remove { id, event, ended, done: None });
    }

    // What deliveries do.

    /// The call to be sent next.
    pub(super) fn next(&self, partition: &Arc<str>) -> Option<Job> {
        let now = self.now();
        let mut state = self.lock();
        let entry = state.queue.next(partition, now)?;
        let (id, attempt) = (entry.call.id, entry.call.attempts);
        let (stop, stopped) = oneshot::channel();
        let job = Job {
            id,
            maybe_sent: entry.maybe_sent,
            conflicts: entry.conflicts,
            failures_in_a_row: entry.failures_in_a_row,
            stop: stopped,
        };
        state.stops.insert(id, stop);
        state.tell(partition, OutboxEvent::Sending { id, attempt });
        Some(job)
    }

    pub(super) fn network_changed(&self, partition: &Arc<str>) {
        self.lock().queue.network_changed(partition);
    }

    /// When a delivery has to look again, if nothing happens before.
    pub(super) fn next_look(&self, partition: &Arc<str>, sends: bool) -> Option<Instant> {
        let (now, wall) = (self.now(), self.wall());
        let state = self.lock();
        let expiry = state.queue.next_expiry().map(|at| now + at.duration_since(wall).unwrap_or_default().min(LOOK));
        let head = state.queue.next_at(partition).filter(|_| sends);
        [expiry, head].into_iter().flatten().min()
    }

    /// A call was delivered.
    pub(super) fn delivered(&self, id: KeptId, event: OutboxEvent) {
        let mut state = self.lock();
        state.stops.remove(&id);
        if state.queue.end(id).is_some() {
            drop(state);
            self.send(Command::Remove { id, event, ended: None, done: None });
        }
    }

    /// A call was refused for good.
    pub(super) fn refused(&self, id: KeptId, status: Option<StatusCode>, event: OutboxEvent) {
        let mut state = self.lock();
        state.stops.remove(&id);
        if state.queue.end(id).is_some() {
            drop(state);
            self.remove_ended(id, End::Refused(status), event);
        }
    }

    /// A call cannot be read back.
    pub(super) fn set_aside(&self, id: KeptId) {
        let mut state = self.lock();
        state.stops.remove(&id);
        if state.queue.end(id).is_some() {
            drop(state);
            self.send(Command::SetAside { id });
        }
    }

    /// An attempt failed, and there is to be another one.
    pub(super) fn failed(&self, id: KeptId, failed: Failed) {
        let wall = self.wall();
        let wait = failed.until.saturating_duration_since(self.now());
        let again_at = wall.checked_add(wait).unwrap_or(wall);
        let until = failed.is_asked.then_some(again_at);
        let failure = failed.failure.clone();
        let mut state = self.lock();
        state.stops.remove(&id);
        match state.queue.failed(id, failed, wall) {
            AfterFailure::Gone => {}
            AfterFailure::Expired => {
                drop(state);
                self.remove_ended(id, End::Expired, OutboxEvent::Expired { id });
            }
            AfterFailure::Waits => {
                let Some(entry) = state.queue.get(id) else { return };
                let (attempts, conflicts) = (entry.call.attempts, entry.conflicts);
                let progress = Progress { attempts, conflicts, until, failure: Some(failure.clone()) };
                state.tell(&Arc::clone(&entry.partition), OutboxEvent::Failed { id, failure, again_at });
                drop(state);
                self.send(Command::Note { id, progress: record::encode_progress(id, &progress) });
            }
        }
        self.announce();
    }

    /// A call that was being sent is left alone.
    pub(super) fn let_go(&self, id: KeptId) {
        let mut state = self.lock();
        state.stops.remove(&id);
        state.queue.let_go(id);
        drop(state);
        self.announce();
    }
}

/// The civil time may be set, which wakes nobody: it is looked at that often.
const LOOK: Duration = Duration::from_secs(3600);

/// The call as it is told.
pub(super) fn call_of(id: KeptId, record: &Record, key: &Arc<str>) -> KeptCall {
    KeptCall {
        id,
        method: record.method.clone(),
        url: netcomm_core::redact_url(&record.uri.to_string()).into(),
        order_key: Arc::clone(&record.order),
        idempotency_key: Arc::clone(key),
        body_bytes: record.body.len() as u64,
        kept_at: record.kept_at,
        expires_at: record.expires_at,
        attempts: 0,
        last_failure: None,
        state: KeptState::Waiting,
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Canceled, "use outbox").with_detail("the outbox is closed")
}
