//! Why somebody does not pass, in words.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netcomm_core::{Error, ErrorKind, Phase, Rate, Stage};

use super::concurrency::{Concurrency, Kind};

/// What somebody could not get past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    Held,
    Rate,
    Places,
}

/// Why somebody does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its turn would come too late; where that is known, then.
    Hopeless { barrier: Barrier, at: Option<Instant>, before: usize },
    /// So many wait already that one more may not.
    Crowded { waiting: usize },
    /// It has waited for a place as long as it could.
    TimedOut,
}

/// What a gate was set to, for words about it.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The scope whose gate it is; `None` for that of an origin.
    pub(super) scope: Option<Arc<str>>,
    pub(super) rate: Option<Rate>,
    pub(super) concurrency: Option<Concurrency>,
}

const OPERATION: &str = "wait for turn";

/// The error of a refusal.
pub(super) fn refused(terms: &Terms, refusal: Refusal, times: Times) -> Error {
    let mut text = terms.scope.as_ref().map(|name| format!("scope {name:?}: ")).unwrap_or_default();
    let left = rounded(times.until.saturating_duration_since(times.now));
    // Writing to a string does not fail.
    let _ = match refusal {
        Refusal::Hopeless { barrier, at, before } => {
            let wait = at.map(|at| rounded(at.saturating_duration_since(times.now)));
            match (barrier, wait) {
                (Barrier::Held, Some(wait)) => {
                    write!(text, "the server asked to be left alone for {wait:?} more, and {left:?} are left")
                }
                (Barrier::Rate, Some(wait)) => {
                    let rate = terms.rate.map(|rate| rate.to_string()).unwrap_or_default();
                    write!(
                        text,
                        "rate limit of {rate}: its turn is in {wait:?}, {before} before it, and {left:?} are left"
                    )
                }
                (_, None) | (Barrier::Places, _) => {
                    write!(text, "{}: no place is free, {before} wait, and no time is left", places(terms))
                }
            }
        }
        Refusal::Crowded { waiting } => write!(text, "{}: {waiting} wait already, and no more may", any(terms)),
        Refusal::TimedOut => {
            let waited = rounded(times.now.saturating_duration_since(times.came));
            write!(text, "{}: it was not its turn within {waited:?}", any(terms))
        }
    };
    let error = match refusal {
        Refusal::TimedOut => Error::timeout(OPERATION, Phase::Blocked),
        _ => Error::new(ErrorKind::Busy, OPERATION).with_phase(Phase::Blocked),
    };
    let error = error.with_stage(Stage::Limit).with_detail(text);
    match times.next {
        Some(at) => error.with_retry_at(at),
        None => error,
    }
}

/// When it came, when it is refused, and how long it would have waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) came: Instant,
    pub(super) now: Instant,
    pub(super) until: Instant,
    /// When one that came now would have its turn at the earliest, if that is a matter of time.
    pub(super) next: Option<Instant>,
}

/// The limit that calls wait for where it is not known better: on places if there is one.
fn any(terms: &Terms) -> String {
    match (terms.concurrency, terms.rate) {
        (None, Some(rate)) => format!("rate limit of {rate}"),
        _ => places(terms),
    }
}

fn places(terms: &Terms) -> String {
    match terms.concurrency.map(|concurrency| concurrency.kind) {
        Some(Kind::Fixed(limit)) => format!("limit of {limit} at a time"),
        Some(Kind::Adaptive(_)) => "adaptive limit at a time".into(),
        None => "hold of the server".into(),
    }
}

/// For reading: no more digits than anybody wants.
fn rounded(time: Duration) -> Duration {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros < 1000 { Duration::from_micros(micros) } else { Duration::from_millis(micros.div_ceil(1000)) }
}
