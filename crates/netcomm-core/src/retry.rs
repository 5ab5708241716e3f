//! When to try again: waits, budgets, and which outcomes are worth it. Pure: nothing here sleeps or reads a clock.

use std::time::{Duration, Instant};

use http::StatusCode;

use crate::error::Error;
use crate::random::Random;

/// How waits grow from try to try.
///
/// The bound of the n-th wait is `initial × factor^(n − 1)`, at most `max`; the jitter says where below that bound
/// the wait falls. Default: 200 ms, doubled up to 20 s, full jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The bound of the first wait. Default 200 ms.
    pub initial: Duration,
    /// By how much the bound grows each time; less than 1 is read as 1. Default 2.
    pub factor: f64,
    /// What the bound does not grow beyond. Default 20 s.
    pub max: Duration,
    /// Where below its bound a wait falls. Default [`Jitter::Full`].
    pub jitter: Jitter,
}

/// Where below its bound a wait falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Anywhere from nothing to the bound: those who failed together come back evenly spread.
    #[default]
    Full,
    /// Anywhere in the upper half: for those who must not come back at once.
    Half,
    /// At the bound: for tests, and for who is alone.
    None,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(200),
            factor: 2.0,
            max: Duration::from_secs(20),
            jitter: Jitter::default(),
        }
    }
}

impl Backoff {
    /// Waits from `initial` to `max`, doubled each time, with full jitter.
    #[must_use]
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, ..Self::default() }
    }

    /// The same with another [`factor`](Self::factor).
    #[must_use]
    pub fn with_factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// The same with another [`jitter`](Self::jitter).
    #[must_use]
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// The longest that the `nth` wait can be, counted from 1.
    #[must_use]
    pub fn bound(&self, nth: u32) -> Duration {
        let factor = if self.factor > 1.0 { self.factor } else { 1.0 };
        let times = factor.powi(i32::try_from(nth.saturating_sub(1)).unwrap_or(i32::MAX));
        Duration::try_from_secs_f64(self.initial.as_secs_f64() * times).unwrap_or(Duration::MAX).min(self.max)
    }

    /// How long to wait before the try after the `nth` failure in a row, counted from 1.
    #[must_use]
    pub fn wait(&self, nth: u32, random: &Random) -> Duration {
        let bound = self.bound(nth);
        match self.jitter {
            Jitter::Full => bound.mul_f64(random.fraction()),
            Jitter::Half => bound / 2 + (bound / 2).mul_f64(random.fraction()),
            Jitter::None => bound,
        }
    }
}

/// How much may be sent beyond what was asked for: repetitions and hedges together, so that an origin in trouble gets
/// little more than it would anyway.
///
/// A purse that holds at most `reserve` tokens and starts full; each call adds `percent` hundredths of one, each minute
/// `per_minute`; each repetition takes one. Over any time there are at most `reserve + calls × percent / 100 + minutes ×
/// per_minute` repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Budget {
    /// The most that can be saved up. Default 10.
    pub reserve: u32,
    /// Repetitions that 100 calls pay for. Default 20.
    pub percent: u32,
    /// Repetitions that come free with each minute, so that who calls seldom may repeat too. Default 6: many clients that
    /// call seldom are a crowd as well.
    pub per_minute: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { reserve: 10, percent: 20, per_minute: 6 }
    }
}

impl Budget {
    /// No repetition at all.
    pub const NONE: Self = Self { reserve: 0, percent: 0, per_minute: 0 };

    /// The same with another [`reserve`](Self::reserve).
    #[must_use]
    pub const fn with_reserve(self, reserve: u32) -> Self {
        Self { reserve, ..self }
    }

    /// The same with another [`percent`](Self::percent).
    #[must_use]
    pub const fn with_percent(self, percent: u32) -> Self {
        Self { percent, ..self }
    }

    /// The same with another [`per_minute`](Self::per_minute).
    #[must_use]
    pub const fn with_per_minute(self, per_minute: u32) -> Self {
        Self { per_minute, ..self }
    }

    /// A full purse.
    #[must_use]
    pub fn purse(self, now: Instant) -> Purse {
        Purse { budget: self, parts: u64::from(self.reserve) * TOKEN, filled: now }
    }
}

/// A token in the unit that purses count in: a minute brings as many milliseconds.
const TOKEN: u64 = 60_000;

/// What is left of a [`Budget`].
#[derive(Clone, Debug)]
pub struct Purse {
    budget: Budget,
    parts: u64,
    /// Up to when time has been paid for.
    filled: Instant,
}

impl Purse {
    /// A call pays in.
    pub fn deposit(&mut self) {
        self.add(u64::from(self.budget.percent) * (TOKEN / 100));
    }

    /// Takes one token, if there is one.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        self.refill(now);
        let enough = self.parts >= TOKEN;
        if enough {
            self.parts -= TOKEN;
        }
        enough
    }

    /// When there will be a token, as far as time alone brings it; `None` if time brings none.
    #[must_use]
    pub fn next_at(&self, now: Instant) -> Option<Instant> {
        let mut later = self.clone();
        later.refill(now);
        let missing = TOKEN.saturating_sub(later.parts);
        if missing == 0 {
            return Some(now);
        }
        let per_minute = u64::from(self.budget.per_minute);
        (per_minute > 0 && self.budget.reserve > 0)
            .then(|| later.filled + Duration::from_millis(missing.div_ceil(per_minute)))
    }

    /// Each millisecond brings `per_minute` parts.
    fn refill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.filled).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        if millis > 0 {
            self.add(millis.saturating_mul(u64::from(self.budget.per_minute)));
            self.filled += Duration::from_millis(millis);
        }
    }

    fn add(&mut self, parts: u64) {
        let most = u64::from(self.budget.reserve) * TOKEN;
        self.parts = self.parts.saturating_add(parts).min(most);
    }
}

/// What an outcome says about trying again. Whether it is *safe* to send again is another question: see
/// [`Error::is_unsent`] and the method's idempotence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// It would be the same again: a success, a refusal, a fault that time does not mend.
    Final,
    /// It may be otherwise soon: the connection broke, a gateway found nobody.
    Transient,
    /// It may be otherwise later: the peer says that it has too much to do.
    Overloaded,
}

/// What the outcome of one try says about another one, by the meanings of status codes (RFC 9110 §15, RFC 6585 §4,
/// RFC 8470 §5.2) and of [`Error::is_retryable`].
#[must_use]
pub fn classify(outcome: Result<StatusCode, &Error>) -> Class {
    match outcome.map(|status| status.as_u16()) {
        Ok(429 | 503) => Class::Overloaded,
        Ok(408 | 425 | 500 | 502 | 504) => Class::Transient,
        Ok(_) => Class::Final,
        Err(error) => match error.status() {
            Some(status) => classify(Ok(status)),
            None if error.is_retryable() => Class::Transient,
            None => Class::Final,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Phase};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bounds_double_up_to_the_most() {
        let backoff = Backoff::new(Duration::from_millis(100), SECOND);
        let bounds: Vec<_> = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|nth| backoff.bound(nth).as_millis()).into();
        assert_eq!(bounds, [100, 100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(backoff.with_factor(0.0).bound(9), backoff.initial, "waits do not shrink");
        assert_eq!(backoff.with_factor(f64::NAN).bound(9), backoff.initial);
        assert_eq!(backoff.with_factor(f64::INFINITY).bound(9), SECOND);
        assert_eq!(Backoff::new(Duration::ZERO, SECOND).with_factor(f64::INFINITY).bound(3), SECOND, "0 × ∞");
    }

    #[test]
    fn waits_fall_where_their_jitter_says() {
        let random = Random::seeded(3);
        let backoff = Backoff::new(SECOND, SECOND);
        let waits = |jitter| (0..1000).map(|_| backoff.with_jitter(jitter).wait(1, &random)).collect::<Vec<_>>();
        let full = waits(Jitter::Full);
        assert!(full.iter().all(|wait| *wait < SECOND));
        assert!(full.iter().min() < Some(&(SECOND / 50)) && full.iter().max() > Some(&(SECOND * 49 / 50)));
        let half = waits(Jitter::Half);
        assert!(half.iter().all(|wait| (SECOND / 2..SECOND).contains(wait)));
        assert!(half.iter().max() > Some(&(SECOND * 49 / 50)));
        assert!(waits(Jitter::None).iter().all(|wait| *wait == SECOND));
    }

    #[test]
    fn a_purse_gives_what_was_paid_in_and_never_more_than_it_holds() {
        let start = Instant::now();
        let mut purse = Budget { reserve: 2, percent: 50, per_minute: 0 }.purse(start);
        let take = |purse: &mut Purse| purse.withdraw(start);
        assert!(take(&mut purse) && take(&mut purse) && !take(&mut purse), "a full purse holds two");
        assert_eq!(purse.next_at(start), None, "time brings nothing");
        purse.deposit();
        assert!(!take(&mut purse), "half a token is none");
        purse.deposit();
        assert!(take(&mut purse) && !take(&mut purse));
        for _ in 0..100 {
            purse.deposit();
        }
        assert!(take(&mut purse) && take(&mut purse) && !take(&mut purse), "what it cannot hold is lost");
    }

    #[test]
    fn time_fills_a_purse() {
        let start = Instant::now();
        let mut purse = Budget { reserve: 3, percent: 0, per_minute: 120 }.purse(start);
        for _ in 0..3 {
            assert!(purse.withdraw(start));
        }
        assert_eq!(purse.next_at(start), Some(start + SECOND / 2));
        assert!(!purse.withdraw(start + Duration::from_millis(499)));
        assert!(purse.withdraw(start + SECOND / 2));
        assert!(!purse.withdraw(start + SECOND / 2));
        let later = start + 100 * SECOND;
        assert_eq!(purse.next_at(later), Some(later));
        assert!((0..3).all(|_| purse.withdraw(later)) && !purse.withdraw(later));
        assert!(!Budget::NONE.purse(start).withdraw(later));
    }

    #[test]
    fn small_steps_of_time_are_not_lost() {
        let start = Instant::now();
        let mut purse = Budget { reserve: 1, percent: 0, per_minute: 60 }.purse(start);
        assert!(purse.withdraw(start));
        let step = Duration::from_micros(300);
        let taken = (1..=10_000).filter(|n| purse.withdraw(start + step * *n)).count();
        assert_eq!(taken, 3, "three seconds, whatever the steps");
    }

    #[test]
    fn outcomes() {
        let status = |code| StatusCode::from_u16(code).expect("a status");
        for (codes, class) in [
            (&[200, 204, 301, 304, 400, 401, 403, 404, 409, 410, 421, 422, 501, 505, 511][..], Class::Final),
            (&[408, 425, 500, 502, 504], Class::Transient),
            (&[429, 503], Class::Overloaded),
        ] {
            for code in codes {
                assert_eq!(classify(Ok(status(*code))), class, "{code}");
                let error = Error::new(ErrorKind::Status, "x").with_status(status(*code));
                assert_eq!(classify(Err(&error)), class, "an error of {code}");
            }
        }
        for (error, class) in [
            (Error::new(ErrorKind::Closed, "x"), Class::Transient),
            (Error::new(ErrorKind::Dns, "x"), Class::Transient),
            (Error::timeout("x", Phase::Wait), Class::Transient),
            (Error::new(ErrorKind::Protocol, "x"), Class::Final),
            (Error::new(ErrorKind::Tls, "x"), Class::Final),
            (Error::new(ErrorKind::Denied, "x"), Class::Final),
        ] {
            assert_eq!(classify(Err(&error)), class, "{error}");
        }
    }
}
