//! Whether a lost connection is made again, and when. Pure.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::error::{Error, ErrorKind, GaveUp};
use crate::random::Random;
use crate::retry::{Backoff, Class, Jitter, classify};

/// Within what time those whose network changed together come back.
const CROWD: Duration = Duration::from_millis(250);

/// For waits that no clock can tell.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whether and when a long-lived connection that was lost, or could not be made, is made again: a WebSocket, an event
/// stream. The first one is no exception.
///
/// The first wait is anywhere from nothing to 500 ms, each further one anywhere from 500 ms to a bound that starts at 1 s and
/// doubles up to 20 s. It begins anew after a connection that was ready (its ready hook, if there is one, went
/// well) and then lasted for 5 s, so that a server which takes connections and breaks them is not hammered.
///
/// By default tried again is after: failures of the network and of names, timeouts, a handshake of TLS that broke off; the
/// statuses 408, 425, 429, 500, 502, 503, 504. After 401 and 403 new credentials are asked for, once until a connection is
/// ready. Nothing helps against all others: certificates that are not accepted, other statuses, broken rules of the
/// protocol, refusals of the policy.
///
/// A WebSocket is also made again after an end without a close frame, and a close of the peer with 1000, 1001, 1005, 1006,
/// 1011 to 1014, 3000 to 4999. 1000 is among them since servers say it as well when they only rotate their connections: who
/// takes it for a farewell says so with [`classify`](Self::classify). It stays away after other codes and after a close of
/// our own. An event stream is also made again when it ends; its first wait, and the least of all further ones, are
/// what the server's `retry` says, once it has said it.
///
/// ```
/// use std::time::Duration;
///
/// use netcomm_core::{Reconnect, Verdict};
///
/// let patient = Reconnect::default().max_elapsed(Duration::from_secs(3600));
/// let stubborn = Reconnect::default().classify(|error| error.is_tls().then_some(Verdict::Retry));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Reconnect {
    first: Duration,
    floor: Duration,
    backoff: Backoff,
    stable: Duration,
    max_attempts: Option<u32>,
    max_elapsed: Option<Duration>,
    retry_after_max: Duration,
    classify: Option<Arc<Classify>>,
}

type Classify = dyn Fn(&Error) -> Option<Verdict> + Send + Sync;

/// What an error says about another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It may be otherwise soon.
    Retry,
    /// It may be otherwise after that time; the backoff comes on top, for not all shall come back at the same moment.
    RetryAfter(Duration),
    /// It may be otherwise with other credentials. Said twice without a ready connection in between it is
    /// [`Fatal`](Self::Fatal).
    RefreshCredentials,
    /// It would be the same again.
    Fatal,
}

impl Verdict {
    /// What a failure to connect says, by its status and kind; `Retry-After` ([`Error::retry_at`]) counts where another try
    /// helps. What it means that a connection ended is the business of its protocol.
    #[must_use]
    pub fn of(error: &Error, now: Instant) -> Self {
        let asked = error.retry_at().map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
        match (Self::of_failure(error), asked) {
            (Self::Retry, Some(wait)) => Self::RetryAfter(wait),
            (verdict, _) => verdict,
        }
    }

    fn of_failure(error: &Error) -> Self {
        let retry_if = |is_passing: bool| if is_passing { Self::Retry } else { Self::Fatal };
        match error.kind() {
            ErrorKind::Invalid
            | ErrorKind::Denied
            | ErrorKind::Canceled
            | ErrorKind::Unsupported
            | ErrorKind::Protocol
            | ErrorKind::TooLarge
            | ErrorKind::Decode
            | ErrorKind::Redirect
            | ErrorKind::User => Self::Fatal,
            // Verification fails for as long as certificate and clock are what they are. A handshake that broke off is told
            // apart by the dialer, which marks it unsent. A proxy's statuses are no matter of our credentials; those that pass
            // are marked as well.
            ErrorKind::Tls | ErrorKind::Proxy => retry_if(error.is_retryable()),
            // Who provides them may need the network too; without a mark they are not to be had.
            ErrorKind::Auth => retry_if(error.is_retryable()),
            _ => match error.status() {
                Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Self::RefreshCredentials,
                Some(status) => retry_if(classify(Ok(status)) != Class::Final),
                None => retry_if(error.kind() == ErrorKind::Io || error.is_retryable()),
            },
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            floor: Duration::from_millis(500),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(20)),
            stable: Duration::from_secs(5),
            max_attempts: None,
            max_elapsed: None,
            retry_after_max: Duration::from_secs(300),
            classify: None,
        }
    }
}

impl Reconnect {
    /// One connection, and none after it.
    pub fn never() -> Self {
        Self::default().max_attempts(0)
    }

    /// The bound of the first wait, which falls anywhere below. Default 500 ms.
    pub fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// The least of all further waits. Default 500 ms.
    pub fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// The bounds of the waits after the first one, and where between the floor and its bound one falls. Default 1 s,
    /// doubled up to 20 s, full jitter.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long a ready connection has to last before its loss counts as a first one. Default 5 s.
    pub fn stable(mut self, stable: Duration) -> Self {
        self.stable = stable;
        self
    }

    /// How many tries there may be without a stable connection; the very first one counts. Default: without end. With 0 a
    /// lost connection stays lost.
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = Some(max_attempts);
        self
    }

    /// Whether there is to be no other connection after the first: [`never`](Self::never).
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.max_attempts == Some(0)
    }

    /// How long after the first failure since a stable connection a try may begin. Default: without end.
    pub fn max_elapsed(mut self, max_elapsed: Duration) -> Self {
        self.max_elapsed = Some(max_elapsed);
        self
    }

    /// What a `Retry-After`, and the `retry` of an event stream, are cut down to. Default 5 min: a connection that wants to
    /// be there asks now and then.
    pub fn retry_after_max(mut self, retry_after_max: Duration) -> Self {
        self.retry_after_max = retry_after_max;
        self
    }

    /// Asks your code first what an error means; `None` leaves it to the rules above. Called once per failure, not under
    /// a lock. What a WebSocket was closed with is in the error's source.
    pub fn classify(mut self, classify: impl Fn(&Error) -> Option<Verdict> + Send + Sync + 'static) -> Self {
        self.classify = Some(Arc::new(classify));
        self
    }

    /// What an error means: what [`classify`](Self::classify) says, else what `judge` does, with its wait cut down.
    #[must_use]
    pub fn verdict(&self, error: &Error, judge: impl FnOnce(&Error) -> Verdict) -> Verdict {
        if let Some(verdict) = self.classify.as_ref().and_then(|classify| classify(error)) {
            return verdict;
        }
        match judge(error) {
            Verdict::RetryAfter(wait) => Verdict::RetryAfter(wait.min(self.retry_after_max)),
            verdict => verdict,
        }
    }

    /// The wait after the `nth` failure in a row, counted from 1, with the base that the peer wants.
    fn wait(&self, nth: u32, base: Option<Duration>, random: &Random) -> Duration {
        if let Some(base) = base {
            return self.wait_from(base.min(self.retry_after_max).max(self.floor), nth, random);
        }
        if nth <= 1 {
            return self.first.mul_f64(random.fraction());
        }
        let spread = self.backoff.bound(nth - 1).saturating_sub(self.floor);
        // The jitter falls into what is above the floor: cut off at it, half of the early waits would be the same.
        let above = Backoff::new(spread, spread).with_jitter(self.backoff.jitter).wait(1, random);
        self.floor.saturating_add(above)
    }

    /// Never less than what the peer has named. A crowd that it has told the same is spread over a tenth of that at least.
    fn wait_from(&self, least: Duration, nth: u32, random: &Random) -> Duration {
        let grown = Backoff { initial: least, max: self.backoff.max.max(least), ..self.backoff };
        let mut spread = grown.bound(nth).saturating_sub(least);
        if self.backoff.jitter != Jitter::None {
            spread = spread.max(least / 10);
        }
        let above = Backoff::new(spread, spread).with_jitter(self.backoff.jitter).wait(1, random);
        least.saturating_add(above)
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("first", &self.first)
            .field("floor", &self.floor)
            .field("backoff", &self.backoff)
            .field("stable", &self.stable)
            .field("max_attempts", &self.max_attempts)
            .field("max_elapsed", &self.max_elapsed)
            .field("retry_after_max", &self.retry_after_max)
            .field("classify", &self.classify.is_some())
            .finish()
    }
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// A try then.
    At(Instant),
    /// A try then, with new credentials.
    RefreshThenAt(Instant),
    /// Nothing.
    GiveUp(GaveUp),
}

/// A try to connect, as whoever prepares it is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Which one it is since the last stable connection, from 1.
    pub number: u32,
    /// Whether the last one was refused for its credentials: get new ones.
    pub refresh: bool,
    /// What ended the last one, if there was one.
    pub cause: Option<Error>,
}

impl Attempt {
    /// The try of that number, with nothing before it.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self { number, refresh: false, cause: None }
    }

    /// The same after one that was refused for its credentials.
    #[must_use]
    pub fn with_refresh(self, refresh: bool) -> Self {
        Self { refresh, ..self }
    }

    /// The same after one that ended so.
    #[must_use]
    pub fn with_cause(self, cause: Option<Error>) -> Self {
        Self { cause, ..self }
    }
}

/// The tries of one connection that comes back, for those who make one: told what happens and when, it says what follows.
#[derive(Debug)]
pub struct Schedule {
    settings: Reconnect,
    /// What the peer wants the waits to begin with.
    base: Option<Duration>,
    /// Failures since the last stable connection, its loss too: how far the waits have grown.
    failures: u32,
    /// Tries since the last stable connection that did not lead to another one.
    tries: u32,
    /// The first of these failures.
    since: Option<Instant>,
    /// New credentials were asked for since the last ready connection.
    is_refreshed: bool,
    link: Link,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    /// A try is made.
    Trying,
    /// There is a connection; ready since.
    Open {
        ready: Option<Instant>,
    },
    /// The stable connection was lost; no try was made since.
    Lost,
    /// The next try, and up to when the peer wants to be left alone.
    Waiting {
        at: Instant,
        not_before: Option<Instant>,
    },
    GivenUp,
}

impl Schedule {
    /// Before the first try.
    #[must_use]
    pub const fn new(settings: Reconnect) -> Self {
        Self { settings, base: None, failures: 0, tries: 0, since: None, is_refreshed: false, link: Link::Trying }
    }

    /// The number of the try that is made or comes next, counted from 1 since the last stable connection.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.tries.saturating_add(1)
    }

    /// What it goes by.
    pub const fn settings(&self) -> &Reconnect {
        &self.settings
    }

    /// The peer says how long to wait (the `retry` of an event stream): from now on the least of all waits, cut down as
    /// [`Reconnect::retry_after_max`] says; a wait grows from there. `None` takes that back.
    pub const fn set_base(&mut self, base: Option<Duration>) {
        self.base = base;
    }

    /// There is a connection.
    pub const fn opened(&mut self) {
        self.link = Link::Open { ready: None };
    }

    /// The connection is of use: whatever had to be done first went well. Without a ready hook, at once after
    /// [`opened`](Self::opened).
    pub const fn ready(&mut self, now: Instant) {
        self.link = Link::Open { ready: Some(now) };
        self.is_refreshed = false;
    }

    /// The connection is gone. All begins anew if it was ready for long enough. [`failed`](Self::failed) does this
    /// too: for who loses a connection without an error.
    pub fn lost(&mut self, now: Instant) {
        let Link::Open { ready } = self.link else { return };
        let is_stable = ready.is_some_and(|at| now.saturating_duration_since(at) >= self.settings.stable);
        if is_stable {
            (self.failures, self.tries, self.since) = (0, 0, None);
        }
        self.link = if is_stable { Link::Lost } else { Link::Trying };
    }

    /// A try failed, or the connection was lost; [`Reconnect::verdict`] says what that means.
    pub fn failed(&mut self, now: Instant, verdict: Verdict, random: &Random) -> Next {
        self.lost(now);
        self.failures = self.failures.saturating_add(1);
        if !matches!(self.link, Link::Lost) {
            self.tries = self.tries.saturating_add(1);
        }
        let since = *self.since.get_or_insert(now);
        let (wait, asked, refresh) = match verdict {
            Verdict::Retry => (self.settings.wait(self.failures, self.base, random), None, false),
            Verdict::RetryAfter(wait) => {
                let jitter = self.settings.wait(self.failures, self.base, random);
                (wait.saturating_add(jitter), Some(wait), false)
            }
            Verdict::RefreshCredentials if !self.is_refreshed => {
                (self.settings.wait(self.failures, self.base, random), None, true)
            }
            Verdict::RefreshCredentials | Verdict::Fatal => return self.give_up(GaveUp::Final),
        };
        if self.settings.max_attempts.is_some_and(|most| self.tries >= most) {
            return self.give_up(GaveUp::Attempts);
        }
        let at = later(now, wait);
        if self.settings.max_elapsed.is_some_and(|most| at.saturating_duration_since(since) > most) {
            return self.give_up(GaveUp::Elapsed);
        }
        self.link = Link::Waiting { at, not_before: asked.map(|wait| later(now, wait)) };
        if refresh {
            self.is_refreshed = true;
            return Next::RefreshThenAt(at);
        }
        Next::At(at)
    }

    /// The try that was waited for is made now.
    pub const fn trying(&mut self) {
        if let Link::Waiting { .. } | Link::Lost = self.link {
            self.link = Link::Trying;
        }
    }

    /// All begins anew, as before the first try; what the peer wants stays.
    pub fn begin_anew(&mut self) {
        *self = Self { base: self.base, ..Self::new(self.settings.clone()) };
    }

    /// The network changed: what failed may go now. When the next try is due instead, if one is waited for: within 250 ms,
    /// for many notice it together, but not sooner than the peer has asked for. It counts like any other.
    #[must_use]
    pub fn network_changed(&mut self, now: Instant, random: &Random) -> Option<Instant> {
        let Link::Waiting { at, not_before } = self.link else { return None };
        let soon = later(now, CROWD.mul_f64(random.fraction()));
        // Whoever was told to wait keeps the moment it drew: there is a crowd behind that door as well.
        let at = if not_before.is_some_and(|asked| asked > soon) { at } else { at.min(soon) };
        self.link = Link::Waiting { at, not_before };
        Some(at)
    }

    const fn give_up(&mut self, why: GaveUp) -> Next {
        self.link = Link::GivenUp;
        Next::GiveUp(why)
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or_else(|| now + FAR)
}
