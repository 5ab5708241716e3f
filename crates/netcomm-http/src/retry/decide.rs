//! Whether a call that failed is tried again, and when: pure.

use std::time::{Duration, Instant};

use netcomm_core::{GaveUp, Purse};

use super::Retry;

/// What stands against another try, or for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// Whether another try may come to something else.
    pub(crate) is_worth_it: bool,
    /// Whether the peer may get the request twice.
    pub(crate) is_safe: bool,
    /// Whether there is a body to send again.
    pub(crate) has_body: bool,
    /// How long the peer, or the classifier, asks to wait.
    pub(crate) asked: Option<Duration>,
}

/// What was spent before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SoFar {
    pub(crate) tries: u32,
    /// When the first try began.
    pub(crate) since: Instant,
    pub(crate) now: Instant,
    /// When the call must be over.
    pub(crate) deadline: Option<Instant>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Another try, at that moment.
    Again(Instant),
    /// None.
    Stop(GaveUp),
}

/// Decides. The budget is asked last: what is not done for another reason costs no token.
pub(crate) fn decide(
    retry: &Retry,
    failure: Failure,
    so_far: SoFar,
    backoff: impl FnOnce() -> Duration,
    purse: &mut Purse,
) -> Decision {
    let SoFar { tries, since, now, deadline } = so_far;
    let stop = if !failure.is_worth_it {
        Some(GaveUp::Final)
    } else if !failure.is_safe {
        Some(GaveUp::Unsafe)
    } else if !failure.has_body {
        Some(GaveUp::BodySpent)
    } else if tries >= retry.attempts {
        Some(GaveUp::Attempts)
    } else if failure.asked.is_some_and(|asked| asked > retry.max_wait) {
        Some(GaveUp::RetryAfter)
    } else {
        None
    };
    if let Some(why) = stop {
        return Decision::Stop(why);
    }
    // Whoever is told to come back at a moment comes with all others that were told so: what the backoff would add
    // spreads them.
    let wait = match failure.asked {
        Some(asked) => asked.saturating_add(backoff().min(retry.backoff.bound(1))),
        None => backoff(),
    };
    let Some(at) = now.checked_add(wait) else { return Decision::Stop(GaveUp::Elapsed) };
    if at.saturating_duration_since(since) > retry.elapsed {
        return Decision::Stop(GaveUp::Elapsed);
    }
    if deadline.is_some_and(|deadline| at >= deadline) {
        return Decision::Stop(GaveUp::Deadline);
    }
    if !purse.withdraw(now) {
        return Decision::Stop(GaveUp::Budget);
    }
    Decision::Again(at)
}

#[cfg(test)]
mod tests {
    use netcomm_core::Budget;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    fn worth() -> Failure {
        Failure { is_worth_it: true, is_safe: true, has_body: true, asked: None }
    }

    #[test]
    fn each_reason_to_stop_has_its_name_and_costs_nothing() {
        let start = Instant::now();
        let retry = Retry::default().attempts(3).elapsed(10 * SECOND).max_wait(5 * SECOND);
        let so_far = SoFar { tries: 1, since: start, now: start + SECOND, deadline: Some(start + 8 * SECOND) };
        let wait = 100 * MILLI;
        let cases = [
            (worth(), so_far, wait, Decision::Again(so_far.now + wait)),
            (Failure { is_worth_it: false, is_safe: false, ..worth() }, so_far, wait, Decision::Stop(GaveUp::Final)),
            (Failure { is_safe: false, has_body: false, ..worth() }, so_far, wait, Decision::Stop(GaveUp::Unsafe)),
            (Failure { has_body: false, ..worth() }, so_far, wait, Decision::Stop(GaveUp::BodySpent)),
            (worth(), SoFar { tries: 2, ..so_far }, wait, Decision::Again(so_far.now + wait)),
            (worth(), SoFar { tries: 3, ..so_far }, wait, Decision::Stop(GaveUp::Attempts)),
            (worth(), so_far, 7 * SECOND, Decision::Stop(GaveUp::Deadline)),
            (worth(), so_far, 7 * SECOND - MILLI, Decision::Again(start + 8 * SECOND - MILLI)),
            (worth(), SoFar { deadline: None, ..so_far }, 9 * SECOND, Decision::Again(start + 10 * SECOND)),
            (worth(), SoFar { deadline: None, ..so_far }, 9 * SECOND + MILLI, Decision::Stop(GaveUp::Elapsed)),
            (worth(), SoFar { deadline: None, ..so_far }, Duration::MAX, Decision::Stop(GaveUp::Elapsed)),
            (Failure { asked: Some(5 * SECOND + MILLI), ..worth() }, so_far, wait, Decision::Stop(GaveUp::RetryAfter)),
            (Failure { asked: Some(SECOND), ..worth() }, so_far, wait, Decision::Again(so_far.now + SECOND + wait)),
            (
                Failure { asked: Some(SECOND), ..worth() },
                so_far,
                9 * SECOND,
                Decision::Again(so_far.now + SECOND + retry.backoff.bound(1)),
            ),
            (Failure { asked: Some(Duration::ZERO), ..worth() }, so_far, wait, Decision::Again(so_far.now + wait)),
        ];
        for (nth, (failure, so_far, wait, expected)) in cases.into_iter().enumerate() {
            let mut purse = Budget::NONE.with_reserve(1).purse(start);
            assert_eq!(decide(&retry, failure, so_far, || wait, &mut purse), expected, "case {nth}");
            let is_spent = matches!(expected, Decision::Again(_));
            assert_eq!(purse.withdraw(start), !is_spent, "case {nth}: a token goes with a try and with nothing else");
        }
    }

    #[test]
    fn an_empty_budget_stops() {
        let start = Instant::now();
        let so_far = SoFar { tries: 1, since: start, now: start, deadline: None };
        let mut purse = Budget::NONE.with_reserve(1).purse(start);
        let retry = Retry::default();
        let mut once = || decide(&retry, worth(), so_far, || SECOND, &mut purse);
        assert_eq!((once(), once()), (Decision::Again(start + SECOND), Decision::Stop(GaveUp::Budget)));
    }
}
