//! The calls of a story: what is asked, how patiently, and what its sends will come to.

use std::time::Duration;

use netcomm_http::{Client, RequestBuilder};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::MILLI;
use super::origin::{Deed, Dialled, End};

/// Longer than any story.
const EVER: Duration = Duration::from_secs(1 << 20);

/// One call of many.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Since the call before it.
    pub(super) after: Duration,
    pub(super) origin: usize,
    pub(super) kind: Kind,
    /// What its sends come to, one after the other; the last one for all that follow.
    pub(super) deeds: Vec<Deed>,
    pub(super) timeout: Option<Duration>,
    /// When its caller drops it.
    pub(super) patience: Duration,
    /// Whether the body is read, or dropped at once.
    pub(super) reads: bool,
}

/// A method, and what its caller says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) method: &'static str,
    has_key: bool,
    idempotent: Option<bool>,
}

impl Kind {
    /// Whether the origin may get it twice.
    pub(super) fn may_come_twice(self) -> bool {
        let is_idempotent = matches!(self.method, "GET" | "PUT" | "DELETE");
        self.idempotent.unwrap_or(is_idempotent || self.has_key)
    }
}

impl Ask {
    pub(super) fn request(&self, client: &Client, id: usize) -> RequestBuilder {
        let url = format!("http://{}.example/{id}", origin(self.origin));
        let deeds: Vec<_> = self.deeds.iter().copied().map(Deed::to_text).collect();
        let mut call = client.request(self.kind.method.parse().expect("a method"), url).header("x-id", id.to_string());
        call = call.header("x-deeds", deeds.join(","));
        if self.kind.has_key {
            call = call.new_idempotency_key();
        }
        if let Some(idempotent) = self.kind.idempotent {
            call = call.idempotent(idempotent);
        }
        if !matches!(self.kind.method, "GET" | "DELETE") {
            call = call.body("some text");
        }
        match self.timeout {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }
}

/// The name of an origin.
pub(super) fn origin(number: usize) -> char {
    char::from(b'a' + u8::try_from(number).expect("some origins"))
}

pub(super) fn asks(kinds: impl Strategy<Value = Kind> + 'static, most: usize) -> impl Strategy<Value = Vec<Ask>> {
    let after = prop_oneof![2 => Just(0), 2 => 0..50_u64, 1 => 0..5000_u64].prop_map(millis);
    let timeout = weighted(0.4, (1..3000_u64).prop_map(millis));
    let patience = prop_oneof![4 => Just(EVER), 1 => (0..1000_u64).prop_map(millis)];
    let ask = (after, 0..3_usize, kinds, vec(deed(), 1..6), timeout, patience, any::<bool>());
    let ask = ask.prop_map(|(after, origin, kind, deeds, timeout, patience, reads)| Ask {
        after,
        origin,
        kind,
        deeds,
        timeout,
        patience,
        reads,
    });
    vec(ask, 1..most)
}

pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    let method = select(vec!["GET", "GET", "GET", "PUT", "DELETE", "POST", "PATCH"]);
    let said = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (method, proptest::bool::weighted(0.2), said).prop_map(|(method, has_key, idempotent)| Kind {
        method,
        has_key,
        idempotent,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    let takes = prop_oneof![3 => Just(0), 3 => 0..300_u64, 1 => 0..3000_u64].prop_map(millis);
    let status = prop_oneof![
        4 => Just(End::Answer(200)),
        4 => select(vec![503, 500, 429, 502, 404, 408]).prop_map(End::Answer),
        1 => Just(End::AnswerAndLeave),
        2 => Just(End::Cut),
        1 => Just(End::CutInHead),
        1 => Just(End::Stall),
    ];
    let asks_to_wait = weighted(0.1, 0..3_u64);
    (takes, status, prop_oneof![3 => Just(0), 1 => 0..200_u64].prop_map(millis), asks_to_wait)
        .prop_map(|(takes, end, body, retry_after)| Deed { takes, end, body, retry_after })
}

/// What dials come to.
pub(super) fn dials() -> impl Strategy<Value = Vec<Dialled>> {
    let dial = prop_oneof![
        8 => Just(Dialled::Served),
        1 => (0..300_u64).prop_map(|takes| Dialled::ServedAfter(millis(takes))),
        1 => Just(Dialled::Refused),
        1 => Just(Dialled::ClosedUnread),
        1 => Just(Dialled::Never),
    ];
    vec(dial, 1..12)
}

fn millis(count: u64) -> Duration {
    MILLI * u32::try_from(count).expect("not for years")
}
