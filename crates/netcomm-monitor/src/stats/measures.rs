//! An observation as named amounts with labels, for libraries that do the counting themselves.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use netcomm_core::{ErrorKind, Event};

use super::instruments::{
    ADDRESS, CODE, CROSSED, DIRECTION, ERROR, FORM, MAYBE_SENT, METHOD, Metric, OUTCOME, PASSED, PORT, REASON, STAGE,
    STATUS, STEP, TURN, VERSION,
};
use super::words;

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Amount {
    /// So many more.
    Add(u64),
    /// Up or down.
    Shift(i64),
    /// This, from now on.
    Set(u64),
    /// One value of a distribution.
    Record(f64),
}

/// What a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word<'a> {
    Static(&'static str),
    Text(&'a str),
    Number(u16),
}

/// A few labels, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Labels<'a>([Option<(&'static str, Word<'a>)>; 6]);

impl<'a> Labels<'a> {
    const NONE: Self = Self([None; 6]);

    fn of<const N: usize>(labels: [(&'static str, Word<'a>); N]) -> Self {
        labels.into_iter().fold(Self::NONE, |all, (name, word)| all.and(name, Some(word)))
    }

    /// With one more, if there is one.
    fn and(mut self, name: &'static str, word: Option<Word<'a>>) -> Self {
        if let (Some(word), Some(free)) = (word, self.0.iter_mut().find(|label| label.is_none())) {
            *free = Some((name, word));
        }
        self
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Word<'a>)> {
        self.0.iter().copied().flatten()
    }

    #[cfg(feature = "metrics")]
    pub(super) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }
}

/// Origins that may stand in labels: those that came first. What counts elsewhere never forgets one.
#[derive(Debug)]
pub(super) struct Admitted {
    origins: RwLock<HashSet<Box<str>>>,
    most: usize,
}

impl Admitted {
    pub(super) fn new(most: usize) -> Self {
        Self { origins: RwLock::default(), most }
    }

    fn labels<'a>(&self, origin: &'a str) -> Labels<'a> {
        if !self.admits(origin) {
            return Labels::of([(ADDRESS, Word::Static(words::OTHER))]);
        }
        let (address, port) = words::server(origin);
        Labels::of([(ADDRESS, Word::Text(address))]).and(PORT, port.map(Word::Text))
    }

    fn admits(&self, origin: &str) -> bool {
        {
            let origins = self.origins.read().unwrap_or_else(PoisonError::into_inner);
            if origins.contains(origin) || origins.len() >= self.most {
                return origins.contains(origin);
            }
        }
        let mut origins = self.origins.write().unwrap_or_else(PoisonError::into_inner);
        if origins.len() < self.most {
            origins.insert(Box::from(origin));
        }
        origins.contains(origin)
    }
}

fn answer(labels: Labels<'_>, status: Option<u16>, error: Option<ErrorKind>) -> Labels<'_> {
    let failed = status.filter(|status| *status >= 400).map(Word::Number);
    let error = words::error(words::error_number(error)).map(Word::Static).or(failed);
    labels.and(STATUS, status.map(Word::Number)).and(ERROR, error)
}

fn yes_or_no(is: bool) -> Word<'static> {
    Word::Static(if is { "true" } else { "false" })
}

/// Hands each amount of an observation to `take`. The same numbers as in a [`Snapshot`](super::Snapshot), by the same names.
pub(super) fn measure<'a>(event: &'a Event, admitted: &Admitted, mut take: impl FnMut(Metric, Labels<'a>, Amount)) {
    use Amount::{Add, Record, Set, Shift};
    let mut one = |metric| take(metric, Labels::NONE, Add(1));
    match event {
        Event::CallStarted { .. } => take(Metric::ActiveRequests, Labels::NONE, Shift(1)),
        Event::CallEnded { status, error, received_bytes, took } => {
            take(Metric::ActiveRequests, Labels::NONE, Shift(-1));
            let labels = answer(Labels::NONE, status.map(|status| status.as_u16()), *error);
            take(Metric::CallDuration, labels, Record(took.as_secs_f64()));
            take(Metric::ResponseBodySize, Labels::NONE, Record(*received_bytes as f64));
        }
        Event::Redirected { crossed_origin, .. } => {
            take(Metric::Redirects, Labels::of([(CROSSED, yes_or_no(*crossed_origin))]), Add(1));
        }
        Event::Resumed { .. } => one(Metric::Resumptions),
        Event::AttemptStarted { .. } => one(Metric::AttemptsStarted),
        Event::AttemptEnded { origin, method, version, status, error, reused, took, .. } => {
            let labels = admitted.labels(origin);
            let method = words::method(words::method_number(method));
            let labels = labels.and(METHOD, Some(Word::Static(method)));
            let labels = answer(labels, status.map(|status| status.as_u16()), *error);
            let version = words::version(words::version_number(*version)).map(Word::Static);
            if *reused {
                one(Metric::AttemptsReused);
            }
            take(Metric::RequestDuration, labels.and(VERSION, version), Record(took.as_secs_f64()));
        }
        Event::Resolved { cached: true, .. } => one(Metric::LookupsCached),
        Event::Resolved { addresses, took, .. } => {
            if *addresses == 0 {
                one(Metric::LookupsFailed);
            }
            take(Metric::LookupDuration, Labels::NONE, Record(took.as_secs_f64()));
        }
        Event::Connected { origin, steps, .. } => {
            let labels = admitted.labels(origin);
            take(Metric::ConnectionsOpened, labels, Add(1));
            take(Metric::OpenConnections, labels, Shift(1));
            for (step, took) in [("connect", steps.connect), ("proxy", steps.proxy), ("tls", steps.tls)] {
                if let Some(took) = took {
                    take(Metric::StepDuration, Labels::of([(STEP, Word::Static(step))]), Record(took.as_secs_f64()));
                }
            }
        }
        Event::ConnectFailed { error, .. } => {
            take(Metric::ConnectionsFailed, answer(Labels::NONE, None, Some(*error)), Add(1));
        }
        Event::Disconnected { origin, .. } => {
            let labels = admitted.labels(origin);
            take(Metric::ConnectionsClosed, labels, Add(1));
            take(Metric::OpenConnections, labels, Shift(-1));
        }
        Event::CacheAsked { hit, stored, .. } => {
            one(if *hit { Metric::CacheHits } else { Metric::CacheMisses });
            if *stored {
                one(Metric::CacheStores);
            }
        }
        Event::Retrying { wait, .. } => take(Metric::RetryWait, Labels::NONE, Record(wait.as_secs_f64())),
        Event::GaveUp { why } => {
            let reason = words::reason(words::reason_number(*why));
            take(Metric::GaveUp, Labels::of([(REASON, Word::Static(reason))]), Add(1));
        }
        Event::Hedged { .. } => one(Metric::Hedges),
        Event::Held { stage, took, passed } => {
            let stage = words::stage(words::stage_number(*stage));
            let labels = Labels::of([(STAGE, Word::Static(stage)), (PASSED, yes_or_no(*passed))]);
            take(Metric::HeldDuration, labels, Record(took.as_secs_f64()));
        }
        Event::Kept { maybe_sent, .. } => {
            take(Metric::Kept, Labels::of([(MAYBE_SENT, yes_or_no(*maybe_sent))]), Add(1));
        }
        Event::BreakerTurned { origin, until } => {
            let turn = if until.is_some() { "opened" } else { "closed" };
            take(Metric::BreakerTurns, Labels::of([(TURN, Word::Static(turn))]), Add(1));
            // Of those that have no place of their own it cannot be told.
            if admitted.admits(origin) {
                take(Metric::BreakerOpen, admitted.labels(origin), Set(u64::from(until.is_some())));
            }
        }
        Event::Deferred { .. } => one(Metric::Deferrals),
        Event::TokenRefreshed { ok } => {
            let outcome = if *ok { "fetched" } else { "failed" };
            take(Metric::Tokens, Labels::of([(OUTCOME, Word::Static(outcome))]), Add(1));
        }
        Event::CookieRefused { .. } => one(Metric::CookiesRefused),
        Event::SocketOpened { .. } => {
            one(Metric::SocketsOpened);
            take(Metric::SocketsOpen, Labels::NONE, Shift(1));
        }
        Event::SocketClosed { code, clean, took, .. } => {
            take(Metric::SocketsOpen, Labels::NONE, Shift(-1));
            let code = words::close_code(words::close_number(*code));
            let code = code.map_or(Word::Static(words::OTHER), Word::Number);
            take(Metric::SocketsClosed, Labels::of([(CODE, code)]), Add(1));
            if !*clean {
                take(Metric::SocketsUnclean, Labels::NONE, Add(1));
            }
            take(Metric::SocketDuration, Labels::NONE, Record(took.as_secs_f64()));
        }
        Event::MessageSent { is_text, bytes } => message("sent", *is_text, *bytes, take),
        Event::MessageReceived { is_text, bytes } => message("received", *is_text, *bytes, take),
        Event::StreamOpened { resumed, .. } => {
            one(Metric::StreamsOpened);
            if *resumed {
                one(Metric::StreamsResumed);
            }
            take(Metric::StreamsOpen, Labels::NONE, Shift(1));
        }
        Event::StreamEnded { error, took, .. } => {
            take(Metric::StreamsOpen, Labels::NONE, Shift(-1));
            take(Metric::StreamsEnded, answer(Labels::NONE, None, *error), Add(1));
            take(Metric::StreamDuration, Labels::NONE, Record(took.as_secs_f64()));
        }
        Event::EventReceived { bytes } => {
            one(Metric::Events);
            take(Metric::EventBytes, Labels::NONE, Add(*bytes as u64));
        }
        Event::BodyReceived { bytes } => take(Metric::ReceivedBytes, Labels::NONE, Add(*bytes)),
        Event::RoundTrip { took } => take(Metric::RoundTrip, Labels::NONE, Record(took.as_secs_f64())),
        // Contents are not asked for, and what later versions of core add is not known here.
        _ => {}
    }
}

fn message<'a>(direction: &'static str, is_text: bool, bytes: usize, mut take: impl FnMut(Metric, Labels<'a>, Amount)) {
    let form = if is_text { "text" } else { "binary" };
    let direction = (DIRECTION, Word::Static(direction));
    take(Metric::Messages, Labels::of([direction, (FORM, Word::Static(form))]), Amount::Add(1));
    take(Metric::MessageBytes, Labels::of([direction]), Amount::Add(bytes as u64));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_that_come_late_have_no_label_of_their_own() {
        let admitted = Admitted::new(2);
        let text = |origin| admitted.labels(origin).iter().map(|(_, word)| word).collect::<Vec<_>>();
        let of = |address| vec![Word::Text(address), Word::Text("1")];
        assert_eq!(text("http://a:1"), of("a"));
        assert_eq!(text("http://b:1"), of("b"));
        assert_eq!(text("http://c:1"), [Word::Static("_OTHER")]);
        assert_eq!(text("http://a:1"), of("a"));
    }
}
