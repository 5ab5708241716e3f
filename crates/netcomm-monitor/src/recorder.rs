//! The last exchanges, for whoever wants to look at them.

mod apply;
mod body;
mod entry;
#[cfg(feature = "har")]
mod har;
mod ring;
mod timings;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netcomm_core::{CallId, Clock, Env, Interest, Observation, Observe};

use self::apply::Terms;
pub use self::body::EntryBody;
pub use self::entry::{
    Decided, Entry, EntryAttempt, EntryConnection, EntryDecision, EntryEnd, EntryEvents, EntryHead, EntryMessage,
    EntrySocket,
};
#[cfg(feature = "har")]
pub use self::har::write_har;
use self::ring::{Bounds, Ring};
pub use self::timings::EntryTimings;
use crate::redactor::Redactor;

/// How much of each exchange is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Detail {
    /// What happened and how long it took: no heads, no bodies, no queries. Costs no copies.
    Calls,
    /// The heads too.
    Heads,
    /// Heads, bodies, and what the messages of WebSockets say.
    #[default]
    Bodies,
}

impl Detail {
    const ALL: [Self; 3] = [Self::Calls, Self::Heads, Self::Bodies];
}

/// What a recorder has let go since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Entries that left before anybody had read them to their end.
    pub entries: u64,
    /// Bytes of bodies and messages that were cut off.
    pub body_bytes: u64,
    /// Messages of WebSockets that left while their entry stayed.
    pub messages: u64,
    /// Attempts and decisions of calls that had too many.
    pub others: u64,
}

/// Keeps the last exchanges: an observer, to be put into the tap of an environment. Clones share what is kept.
///
/// Unless said otherwise it keeps 1,000 entries or 16 MiB, whichever is reached first; of each body and message 64 KiB; of each
/// WebSocket the last 1,000 messages or 1 MiB. When there is no room, the oldest entry that has ended leaves, then the oldest of
/// all. So its memory is bounded, whatever happens and whether or not calls end: 16 MiB, and as much again while entries are
/// read.
///
/// All passes through a [`Redactor`] before it enters: what is hidden is nowhere in memory that is its own. (A function of
/// [`Redactor::with_bodies`] is called when entries are read.)
///
/// # Examples
///
/// ```
/// use netcomm_core::Tap;
/// use netcomm_monitor::Recorder;
///
/// let env = netcomm_dial::env();
/// let recorder = Recorder::new(&env);
/// let env = env.with_tap(Tap::new(recorder.clone()));
/// // Whatever is made with this environment is recorded.
/// for entry in recorder.entries() {
///     println!("{} {} {:?}", entry.method, entry.url, entry.status());
/// }
/// # drop(env);
/// ```
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    redactor: Redactor,
    bounds: Bounds,
    body_bytes: usize,
    messages: usize,
    detail: AtomicU8,
    is_paused: AtomicBool,
    ring: Mutex<Ring>,
}

impl Recorder {
    /// One with the defaults. Of the environment the clock is used.
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Self::builder(env).build()
    }

    /// One to be set up.
    pub fn builder(env: &Env) -> RecorderBuilder {
        RecorderBuilder {
            clock: Arc::clone(env.clock()),
            redactor: Redactor::new(),
            bounds: Bounds { entries: 1000, bytes: 16 * 1024 * 1024 },
            body_bytes: 64 * 1024,
            messages: 1000,
            detail: Detail::default(),
        }
    }

    /// What is kept, in the order in which it began: the newest comes last. Those that go on are among it, as far as they are.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.lock().read();
        entries.iter_mut().for_each(|entry| self.finish(entry));
        entries
    }

    /// That of one call, if it is kept.
    #[must_use]
    pub fn entry(&self, call: CallId) -> Option<Entry> {
        let mut entry = self.lock().read_one(call)?;
        self.finish(&mut entry);
        Some(entry)
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was let go so far. What [`clear`](Self::clear) forgets does not count.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.lock().dropped
    }

    /// Forgets all entries; of calls that go on nothing more is kept.
    pub fn clear(&self) {
        let gone = self.lock().clear();
        drop(gone);
    }

    /// Records nothing until [`resume`](Self::resume), at no cost. Calls that end meanwhile stay without an end.
    pub fn pause(&self) {
        self.shared.is_paused.store(true, Ordering::Relaxed);
        self.lock().give_up_open();
    }

    /// Goes on after [`pause`](Self::pause), with the calls that begin from now on and what is still to come of others.
    pub fn resume(&self) {
        self.shared.is_paused.store(false, Ordering::Relaxed);
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.shared.is_paused.load(Ordering::Relaxed)
    }

    /// How much of each exchange is recorded.
    #[must_use]
    pub fn detail(&self) -> Detail {
        Detail::ALL[usize::from(self.shared.detail.load(Ordering::Relaxed)).min(2)]
    }

    /// The same for all that is observed from now on.
    pub fn set_detail(&self, detail: Detail) {
        self.shared.detail.store(detail as u8, Ordering::Relaxed);
    }

    /// What takes out secrets here.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.shared.redactor
    }

    /// Lets the user's own function look at all bodies, where no lock is held.
    fn finish(&self, entry: &mut Entry) {
        let redactor = &self.shared.redactor;
        entry.body.finish(redactor);
        entry.attempts.iter_mut().for_each(|attempt| attempt.request_body.finish(redactor));
        if let Some(socket) = &mut entry.socket {
            socket.messages.iter_mut().for_each(|message| message.body.finish(redactor));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for Recorder {
    fn interest(&self) -> Interest {
        if self.is_paused() {
            return Interest::NONE;
        }
        let calls = Interest::CALL | Interest::ATTEMPT | Interest::CONNECTION | Interest::DECISION | Interest::MESSAGE;
        match self.detail() {
            Detail::Calls => calls,
            Detail::Heads | Detail::Bodies => calls | Interest::CONTENT,
        }
    }

    fn observe(&self, seen: &Observation) {
        if seen.call == CallId(0) {
            return;
        }
        let shared = &*self.shared;
        let terms = Terms {
            redactor: &shared.redactor,
            body_bytes: shared.body_bytes,
            messages: shared.messages,
            has_bodies: self.detail() == Detail::Bodies,
        };
        // Heads are the larger part of the work: they are looked at before the lock is taken.
        let head = ring::head(seen, terms);
        let wall = || {
            let ago = shared.clock.now().saturating_duration_since(seen.at);
            shared.clock.wall().checked_sub(ago).unwrap_or_else(|| shared.clock.wall())
        };
        let gone = self.lock().take(seen, head, terms, shared.bounds, wall);
        drop(gone);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("entries", &self.len())
            .field("detail", &self.detail())
            .field("paused", &self.is_paused())
            .finish_non_exhaustive()
    }
}

/// Sets up a [`Recorder`].
#[must_use]
pub struct RecorderBuilder {
    clock: Arc<dyn Clock>,
    redactor: Redactor,
    bounds: Bounds,
    body_bytes: usize,
    messages: usize,
    detail: Detail,
}

impl RecorderBuilder {
    /// How many entries are kept at most; 0 is read as 1. Default 1,000.
    pub fn entries(mut self, entries: usize) -> Self {
        self.bounds.entries = entries;
        self
    }

    /// What all entries may weigh together, in bytes. Default 16 MiB.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// As much as is kept of each body and each message, in bytes; how long it was in truth is counted. Default 64 KiB.
    pub fn body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// How many messages are kept of each WebSocket; the oldest leave. Default 1,000.
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// How much of each exchange is recorded. Default [`Detail::Bodies`].
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// What takes out secrets. Default [`Redactor::new`].
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Makes it.
    #[must_use]
    pub fn build(self) -> Recorder {
        let Self { clock, redactor, bounds, body_bytes, messages, detail } = self;
        let (detail, is_paused) = (AtomicU8::new(detail as u8), AtomicBool::new(false));
        let ring = Mutex::default();
        Recorder { shared: Arc::new(Shared { clock, redactor, bounds, body_bytes, messages, detail, is_paused, ring }) }
    }
}

impl fmt::Debug for RecorderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderBuilder")
            .field("bounds", &self.bounds)
            .field("body_bytes", &self.body_bytes)
            .field("messages", &self.messages)
            .field("detail", &self.detail)
            .field("redactor", &self.redactor)
            .finish_non_exhaustive()
    }
}
