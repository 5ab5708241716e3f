//! The entries, and which of them leaves when there are too many: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

use http::Method;
use netcomm_core::{CallId, Event, Observation};

use super::Dropped;
use super::apply::{Terms, head_of};
use super::body::EntryBody;
use super::entry::{Entry, EntryHead};

/// How many entries, and what they weigh together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// Entries in the order in which they began.
///
/// Of those that have ended the oldest leaves first; of those that go on only where none has ended.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: BTreeMap<u64, Box<Entry>>,
    /// Which of them belongs to a call.
    places: HashMap<CallId, u64>,
    ended: BTreeSet<u64>,
    next: u64,
    weight: usize,
    pub(super) dropped: Dropped,
}

impl Ring {
    /// Takes an observation. `wall` tells the civil time of its moment, `head` is what [`head_of`] made of it.
    pub(super) fn take(
        &mut self,
        seen: &Observation,
        head: Option<EntryHead>,
        terms: Terms<'_>,
        bounds: Bounds,
        wall: impl FnOnce() -> SystemTime,
    ) -> Vec<Entry> {
        let place = match self.places.get(&seen.call) {
            Some(place) => *place,
            None => match begun_by(seen) {
                Some((method, url)) => self.open(seen, method, url, wall()),
                None => return Vec::new(),
            },
        };
        let Some(entry) = self.entries.get_mut(&place) else { return Vec::new() };
        let before = entry.weight;
        let loss = entry.apply(seen, head, terms);
        self.weight = self.weight + entry.weight - before;
        self.dropped.body_bytes += loss.bytes;
        self.dropped.messages += loss.messages;
        self.dropped.others += loss.others;
        if entry.ended.is_some() {
            self.ended.insert(place);
        } else {
            self.ended.remove(&place);
        }
        // Dropped where no lock is held.
        self.make_room(bounds)
    }

    fn open(&mut self, seen: &Observation, method: Method, url: String, wall: SystemTime) -> u64 {
        let place = self.next;
        self.next += 1;
        let weight = Entry::bare_weight(&url);
        let entry = Entry {
            call: seen.call,
            scope: seen.scope.clone(),
            method,
            url,
            started: seen.at,
            started_at: wall,
            attempts: Vec::new(),
            decisions: Vec::new(),
            left_out: 0,
            stored: None,
            body: EntryBody::default(),
            ended: None,
            socket: None,
            events: None,
            body_at: None,
            is_from_store: false,
            weight,
            was_read: false,
        };
        self.weight += weight;
        self.entries.insert(place, Box::new(entry));
        self.places.insert(seen.call, place);
        place
    }

    fn make_room(&mut self, bounds: Bounds) -> Vec<Entry> {
        let mut gone = Vec::new();
        while self.entries.len() > bounds.entries.max(1) || self.weight > bounds.bytes {
            let oldest = self.ended.pop_first().and_then(|place| self.entries.remove(&place));
            let Some(entry) = oldest.or_else(|| self.entries.pop_first().map(|(_, entry)| entry)) else { break };
            self.weight -= entry.weight;
            self.places.remove(&entry.call);
            self.dropped.entries += u64::from(!entry.was_read);
            gone.push(*entry);
        }
        gone
    }

    /// All entries, oldest first, to be read by somebody.
    pub(super) fn read(&mut self) -> Vec<Entry> {
        self.entries.values_mut().map(|entry| read(entry)).collect()
    }

    /// That of one call.
    pub(super) fn read_one(&mut self, call: CallId) -> Option<Entry> {
        let place = self.places.get(&call)?;
        self.entries.get_mut(place).map(|entry| read(entry))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing more is heard of the calls that go on: they leave as if they had ended.
    pub(super) fn give_up_open(&mut self) {
        self.ended.extend(self.entries.keys());
    }

    pub(super) fn clear(&mut self) -> BTreeMap<u64, Box<Entry>> {
        self.places.clear();
        self.ended.clear();
        self.weight = 0;
        std::mem::take(&mut self.entries)
    }
}

fn read(entry: &mut Entry) -> Entry {
    entry.was_read = entry.ended.is_some();
    entry.clone()
}

/// What a call, or a WebSocket, begins with: method and URL.
fn begun_by(seen: &Observation) -> Option<(Method, String)> {
    let is_socket = seen.call.0 >> 63 == 1;
    match &seen.event {
        Event::CallStarted { method, url } if seen.call != CallId(0) => Some((method.clone(), url.clone())),
        // Its own URL comes with its head, or when it is open.
        Event::Connected { origin, .. } | Event::ConnectFailed { origin, .. } if is_socket => {
            Some((Method::GET, origin.clone()))
        }
        Event::RequestHead { method, .. } if is_socket => Some((method.clone(), String::new())),
        Event::SocketOpened { url, .. } if is_socket => Some((Method::GET, url.clone())),
        _ => None,
    }
}

/// The same as the room's own, for who looks before it takes a lock.
pub(super) fn head(seen: &Observation, terms: Terms<'_>) -> Option<EntryHead> {
    head_of(&seen.event, seen.at, terms.redactor)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode, Version};
    use netcomm_core::ErrorKind;

    use super::*;
    use crate::redactor::Redactor;

    const SOCKET: CallId = CallId(1 << 63 | 7);

    struct Play {
        ring: Ring,
        bounds: Bounds,
        redactor: Redactor,
        now: Instant,
    }

    impl Play {
        fn new(entries: usize, bytes: usize) -> Self {
            let bounds = Bounds { entries, bytes };
            Self { ring: Ring::default(), bounds, redactor: Redactor::new(), now: Instant::now() }
        }

        fn see(&mut self, call: CallId, event: Event) {
            self.now += Duration::from_millis(1);
            let seen = Observation::new(self.now, event).with_call(call, None);
            let terms = Terms { redactor: &self.redactor, body_bytes: 1000, messages: 10, has_bodies: true };
            let head = head(&seen, terms);
            drop(self.ring.take(&seen, head, terms, self.bounds, || SystemTime::UNIX_EPOCH));
            let weight: usize = self.ring.entries.values().map(|entry| entry.weight).sum();
            assert_eq!(self.ring.weight, weight, "the books are right");
            assert!(self.ring.weight <= self.bounds.bytes && self.ring.len() <= self.bounds.entries);
            assert_eq!(self.ring.places.len(), self.ring.len());
        }

        fn start(&mut self, call: u64) {
            self.see(CallId(call), Event::CallStarted { method: Method::GET, url: format!("http://a.example/{call}") });
        }

        fn end(&mut self, call: u64) {
            let (status, took) = (Some(StatusCode::OK), Duration::ZERO);
            self.see(CallId(call), Event::CallEnded { status, error: None, received_bytes: 0, took });
        }

        fn body(&mut self, call: u64, data: &'static str) {
            self.see(CallId(call), Event::ResponseBody { data: Bytes::from_static(data.as_bytes()) });
        }

        fn calls(&mut self) -> Vec<u64> {
            self.ring.read().iter().map(|entry| entry.call.0).collect()
        }
    }

    fn head_event(number: u32) -> Event {
        let (url, version) = ("http://a.example/?token=hunter2".to_owned(), Version::HTTP_11);
        let headers = HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("text/html"))]);
        Event::RequestHead { number, method: Method::GET, url, version, headers }
    }

    #[test]
    fn calls_are_told_apart_and_late_pieces_find_theirs() {
        let mut play = Play::new(10, 1 << 20);
        play.start(1);
        play.start(2);
        play.body(1, "on");
        play.body(2, "two");
        play.end(1);
        play.body(1, "e");
        play.body(3, "of nobody");
        let entries = play.ring.read();
        let bodies: Vec<_> = entries.iter().map(|entry| entry.body.data()).collect();
        assert_eq!(bodies, [&b"one"[..], b"two"]);
        assert!(entries[0].ended.is_some() && entries[1].ended.is_none());
    }

    #[test]
    fn the_oldest_that_has_ended_leaves_first() {
        let mut play = Play::new(3, 1 << 20);
        (1..=3).for_each(|call| play.start(call));
        play.end(2);
        play.start(4);
        assert_eq!(play.calls(), [1, 3, 4]);
        play.start(5);
        assert_eq!(play.calls(), [3, 4, 5], "none has ended");
        assert_eq!(play.ring.dropped.entries, 2);
        play.end(3);
        assert!(play.ring.read_one(CallId(3)).is_some(), "read to its end");
        play.start(6);
        assert_eq!(play.ring.dropped.entries, 2);
        play.body(3, "what left is not begun anew");
        assert_eq!(play.calls(), [4, 5, 6]);
    }

    #[test]
    fn a_call_that_never_ends_stays_bounded() {
        let mut play = Play::new(10, 200_000);
        play.start(1);
        for number in 1..1000 {
            let origin = "http://a.example:80".to_owned();
            play.see(CallId(1), Event::AttemptStarted { number, origin });
            play.see(CallId(1), head_event(number));
            play.see(CallId(1), Event::RequestBody { number, data: Bytes::from_static(&[b'x'; 3000]) });
            play.see(CallId(1), Event::Retrying { tries: number, wait: Duration::ZERO });
            play.body(1, "more");
        }
        let entry = play.ring.read_one(CallId(1)).expect("kept");
        let numbers: Vec<_> = entry.attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!((numbers.len(), numbers[0], numbers[15], numbers[16], numbers[31]), (32, 1, 16, 984, 999));
        assert_eq!(entry.left_out, 999 - 32 + 999 - 64);
        assert_eq!((entry.body.data().len(), entry.body.bytes()), (1000, 3996));
        assert_eq!(entry.url, "http://a.example/?token=***");
    }

    #[test]
    fn a_socket_that_never_ends_stays_bounded() {
        let mut play = Play::new(10, 200_000);
        play.see(SOCKET, head_event(1));
        for _ in 0..1000 {
            play.see(SOCKET, Event::MessageReceived { is_text: true, bytes: 3000 });
            let data = Bytes::from_static(&[b'x'; 3000]);
            play.see(SOCKET, Event::MessageContent { is_sent: false, is_text: true, data });
        }
        let entry = play.ring.read_one(SOCKET).expect("kept");
        let socket = entry.socket.expect("a socket");
        assert_eq!((socket.messages.len(), socket.left_out, socket.received), (10, 990, (1000, 3_000_000)));
        assert_eq!((play.ring.dropped.messages, play.ring.dropped.body_bytes), (990, 2_000_000));
    }

    #[test]
    fn a_handshake_that_fails_has_ended() {
        let mut play = Play::new(10, 1 << 20);
        let origin = || "wss://a.example:443".to_owned();
        play.see(SOCKET, Event::ConnectFailed { origin: origin(), error: ErrorKind::Tls });
        let entry = play.ring.read_one(SOCKET).expect("kept");
        assert_eq!((entry.error(), entry.attempts[0].error), (Some(ErrorKind::Tls), Some(ErrorKind::Tls)));
        assert_eq!(entry.url, "wss://a.example:443");
    }
}
