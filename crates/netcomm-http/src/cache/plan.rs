//! What becomes of a request: answered from store, or sent on and how (RFC 9111 §4). Pure: requests, entries and the
//! time go in, a plan comes out.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, PRAGMA, RANGE,
};
use http::{HeaderMap, Method, StatusCode};
use netcomm_core::{Error, ErrorKind};

use crate::cache::directives::{MaxStale, RequestDirectives};
use crate::cache::entry::Entry;
use crate::cache::freshness::{Rules, Terms};
use crate::cache::mode::CacheMode;
use crate::cache::range::{self, Asked};
use crate::cache::status::Forwarded;
use crate::cache::{selecting, validation};

#[cfg(test)]
mod tests;

/// A request as the cache sees it: all fields that will be sent.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// Whether these have nothing to say to a cache; see [`is_plain`].
    pub(crate) is_plain: bool,
    pub(crate) mode: CacheMode,
    /// How old an answer may be, in place of what its head says.
    pub(crate) ttl: Option<Duration>,
    pub(crate) identity: Option<u64>,
    /// Whether it is asked on the cache's own account, to confirm what is stored.
    pub(crate) refreshes: bool,
    /// Whether the network is known to be away.
    pub(crate) offline: bool,
    pub(crate) now: SystemTime,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Plan {
    /// It is answered from store.
    Serve(Serve),
    /// It is sent on.
    Forward(Forward),
    /// It may not be sent on, and nothing answers it.
    Unsatisfiable,
}

/// An answer from store.
#[derive(Clone, Debug)]
pub(crate) struct Serve {
    pub(crate) entry: Arc<Entry>,
    /// With which part of it.
    pub(crate) answer: Answer,
    /// How old it is.
    pub(crate) age: Duration,
    /// How long it will be fresh; negative for how long it has been stale, in seconds.
    pub(crate) ttl: i64,
    /// Why it is used though it is stale.
    pub(crate) excuse: Option<Excuse>,
    /// Whether it is to be confirmed in the background.
    pub(crate) refresh: bool,
}

/// Why a stale response is used (RFC 9111 §4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    /// The caller wants it so: `max-stale`, a mode that looks only at the store.
    Asked,
    /// `stale-while-revalidate`.
    Revalidating,
    /// There is no network.
    Offline,
    /// The origin cannot be reached.
    Unreachable,
    /// `stale-if-error`.
    Error,
}

/// A request that is sent on.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub(crate) why: Forwarded,
    /// Whether its answer may be stored.
    pub(crate) stores: bool,
    /// The entries that the origin may confirm.
    pub(crate) candidates: Vec<Arc<Entry>>,
    /// The part that completes an entry.
    pub(crate) gap: Option<(Arc<Entry>, Range<u64>)>,
    /// What may stand in if the origin fails.
    pub(crate) fallback: Option<Arc<Entry>>,
    /// Whether the caller wants the origin's own word, from every cache on the way.
    pub(crate) end_to_end: Option<EndToEnd>,
}

/// What a mode adds to a request on its way (Fetch, "HTTP-network-or-cache fetch").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndToEnd {
    /// `Cache-Control: no-cache` and `Pragma: no-cache`.
    Reload,
    /// `Cache-Control: max-age=0`.
    Revalidate,
}

impl Forward {
    pub(crate) fn plain(why: Forwarded, stores: bool) -> Self {
        Self { why, stores, candidates: Vec::new(), gap: None, fallback: None, end_to_end: None }
    }

    /// Whether the request goes on as it is, and nothing stored has a part in its answer.
    pub(crate) fn is_straight(&self) -> bool {
        self.candidates.is_empty() && self.gap.is_none() && self.fallback.is_none() && self.end_to_end.is_none()
    }
}

/// How an entry answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With all of it (or, to a `HEAD`, with its head).
    Whole,
    /// With a part (206).
    Part(Range<u64>),
    /// The part that is asked for lies outside of a body of that length (416).
    Outside(u64),
    /// The request's own condition is met (304).
    NotModified,
    /// What is asked for is not there.
    Missing,
}

/// Whether a request has nothing to say to a cache: then nothing need be looked up.
pub(crate) fn is_plain(headers: &HeaderMap) -> bool {
    static TELLING: [HeaderName; 9] = [
        CACHE_CONTROL,
        PRAGMA,
        RANGE,
        IF_RANGE,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_MATCH,
        IF_UNMODIFIED_SINCE,
        AUTHORIZATION,
    ];
    headers.keys().all(|name| !TELLING.contains(name))
}

/// How an entry answers a request that asks for neither a part nor a condition.
fn answer_plainly(entry: &Entry, method: &Method) -> Answer {
    if *method == Method::HEAD || entry.is_complete() { Answer::Whole } else { Answer::Missing }
}

/// How an entry answers, as far as its bytes go.
pub(crate) fn answer(entry: &Entry, method: &Method, headers: &HeaderMap) -> Answer {
    let parts = entry.parts();
    if validation::is_conditional(headers) && validation::not_modified(headers, parts) {
        return Answer::NotModified;
    }
    if *method == Method::HEAD {
        return answer_plainly(entry, method);
    }
    let asked = match parts.status {
        StatusCode::OK if validation::range_counts(headers, parts) => range::asked(headers),
        _ => Asked::Whole,
    };
    match asked {
        Asked::Whole if entry.is_complete() => Answer::Whole,
        Asked::Whole | Asked::Several => Answer::Missing,
        Asked::One(part) => match range::select(parts, part) {
            Some(Ok(part)) if range::cover(&parts.segments, &part).is_some() => Answer::Part(part),
            Some(Err(length)) if entry.is_complete() => Answer::Outside(length),
            _ => Answer::Missing,
        },
    }
}

/// What becomes of a request, given what is stored under its key.
pub(crate) fn plan(question: &Question<'_>, variants: &[Arc<Entry>], rules: &Rules) -> Plan {
    within_reach(question, decided(question, variants, rules))
}

/// What becomes of a plain request for which nothing is stored, if its mode says nothing either: the usual miss, for which
/// there is nothing to be found out.
pub(crate) fn unknown(method: &Method, is_plain: bool, mode: CacheMode) -> Option<Plan> {
    let is_usual = is_plain && mode == CacheMode::Default && *method == Method::GET;
    is_usual.then(|| Plan::Forward(Forward::plain(Forwarded::UriMiss, true)))
}

/// What becomes of a request that no store can answer.
pub(crate) fn passed_by(question: &Question<'_>) -> Plan {
    within_reach(question, Plan::Forward(Forward::plain(Forwarded::Bypass, false)))
}

/// The plan, unless it needs a network that the request may not use.
fn within_reach(question: &Question<'_>, plan: Plan) -> Plan {
    match plan {
        Plan::Forward(_) if is_only_for_the_store(question) => Plan::Unsatisfiable,
        plan => plan,
    }
}

/// Whether nothing may be sent.
pub(crate) fn is_only_for_the_store(question: &Question<'_>) -> bool {
    question.mode == CacheMode::OnlyIfCached
        || (!question.is_plain && RequestDirectives::of(question.headers).only_if_cached)
}

fn decided(question: &Question<'_>, variants: &[Arc<Entry>], rules: &Rules) -> Plan {
    let &Question { method, headers, mode, identity, .. } = question;
    if *method != Method::GET && *method != Method::HEAD {
        return Plan::Forward(Forward::plain(Forwarded::Method, mode != CacheMode::NoStore));
    }
    let is_plain = question.is_plain;
    let asked = if is_plain { RequestDirectives::default() } else { RequestDirectives::of(headers) };
    if mode == CacheMode::NoStore || asked.no_store {
        let end_to_end = (mode == CacheMode::NoStore).then_some(EndToEnd::Reload);
        return Plan::Forward(Forward { end_to_end, ..Forward::plain(Forwarded::Bypass, false) });
    }
    // Conditions under which the origin refuses: its own affair (RFC 9110 §13.1.1, §13.1.4).
    if !is_plain && (headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE)) {
        return Plan::Forward(Forward::plain(Forwarded::Bypass, false));
    }
    if mode == CacheMode::Reload {
        return Plan::Forward(Forward {
            end_to_end: Some(EndToEnd::Reload),
            ..Forward::plain(Forwarded::Request, true)
        });
    }
    // Of several that go with it, the one that came last (RFC 9111 §4); of those that came in one moment the first of the
    // list, which was stored last.
    let matching = variants.iter().rev().filter(|entry| selecting::matches(entry.parts(), headers, identity));
    let Some(entry) = matching.max_by_key(|entry| entry.parts().received_at) else {
        return Plan::Forward(miss(variants, identity, mode));
    };
    let known = Known::of(entry, question, rules);
    let answer = if is_plain { answer_plainly(entry, method) } else { answer(entry, method, headers) };
    if answer == Answer::Missing {
        return Plan::Forward(partial(entry, headers, mode));
    }
    let serve = |excuse, refresh| Plan::Serve(known.serve(entry, answer.clone(), excuse, refresh));
    if matches!(mode, CacheMode::ForceCache | CacheMode::OnlyIfCached) {
        return serve((!known.is_fresh()).then_some(Excuse::Asked), false);
    }
    let insists = asked.no_cache
        || question.refreshes
        // RFC 8246 §2: what does not change while it is fresh is not asked for again.
        || (mode == CacheMode::NoCache && !(known.terms.directives.immutable && known.is_fresh()));
    // The caller's own word on how long a response is good goes before that of its head.
    let must_ask = question.ttl.is_none() && known.terms.directives.no_cache.is_whole();
    if !insists && !must_ask {
        if known.satisfies(&asked) {
            return serve(None, false);
        }
        if let Some(excuse) = known.excuse(&asked, question, rules) {
            return serve(Some(excuse), excuse == Excuse::Revalidating);
        }
    }
    let has_validator = entry.headers().contains_key(ETAG) || entry.headers().contains_key(LAST_MODIFIED);
    Plan::Forward(Forward {
        why: match known.is_fresh() && (insists || !known.satisfies_age(&asked)) {
            true => Forwarded::Request,
            false => Forwarded::Stale,
        },
        stores: true,
        candidates: if has_validator { vec![Arc::clone(entry)] } else { Vec::new() },
        gap: None,
        fallback: Some(Arc::clone(entry)),
        end_to_end: (mode == CacheMode::NoCache).then_some(EndToEnd::Revalidate),
    })
}

/// Nothing goes with the request. What was stored for other requests may still be what the origin would send: it is
/// asked by the entity tags (RFC 9111 §4.3.1).
fn miss(variants: &[Arc<Entry>], identity: Option<u64>, mode: CacheMode) -> Forward {
    /// The most entity tags sent for one request.
    const MOST_TAGS: usize = 8;
    let why = if variants.is_empty() { Forwarded::UriMiss } else { Forwarded::VaryMiss };
    let tagged = variants.iter().filter(|entry| {
        entry.parts().selecting.identity == identity
            && entry.is_complete()
            && validation::strong_validator(entry.headers()).is_some()
    });
    Forward {
        candidates: tagged.take(MOST_TAGS).cloned().collect(),
        end_to_end: (mode == CacheMode::NoCache).then_some(EndToEnd::Revalidate),
        ..Forward::plain(why, true)
    }
}

/// Only a part of what is asked for is there: the rest is asked for, if it is one piece.
fn partial(entry: &Arc<Entry>, headers: &HeaderMap, mode: CacheMode) -> Forward {
    let gap = match (range::asked(headers), entry.parts().length) {
        (Asked::Whole, Some(length)) if !validation::is_conditional(headers) => {
            range::only_gap(&entry.parts().segments, length).map(|gap| (Arc::clone(entry), gap))
        }
        _ => None,
    };
    Forward {
        gap,
        end_to_end: (mode == CacheMode::NoCache).then_some(EndToEnd::Revalidate),
        ..Forward::plain(Forwarded::Partial, true)
    }
}

/// Why an entry may stand in for an answer that did not come, or came as an error (RFC 9111 §4.2.4, RFC 5861 §4).
pub(crate) fn rescue(
    entry: &Arc<Entry>,
    question: &Question<'_>,
    rules: &Rules,
    failure: Result<StatusCode, &Error>,
) -> Option<Serve> {
    let known = Known::of(entry, question, rules);
    if known.terms.forbids_stale(rules.shared) || RequestDirectives::of(question.headers).no_cache {
        return None;
    }
    let staleness = known.age.saturating_sub(known.lifetime);
    let asked = RequestDirectives::of(question.headers).stale_if_error;
    let told = known.terms.directives.stale_if_error.max(asked);
    let within = told.is_some_and(|most| staleness <= most);
    let excuse = match failure {
        Ok(
            StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT,
        ) if within => Excuse::Error,
        Ok(_) => return None,
        Err(error) if is_unreachable(error) && staleness <= rules.unreachable => Excuse::Unreachable,
        Err(error) if within && is_failure(error) => Excuse::Error,
        Err(_) => return None,
    };
    let answer = answer(entry, question.method, question.headers);
    (answer != Answer::Missing).then(|| known.serve(entry, answer, Some(excuse), false))
}

/// An answer with what the origin has just confirmed.
pub(crate) fn confirmed(entry: &Arc<Entry>, question: &Question<'_>, rules: &Rules) -> Serve {
    let answer = answer(entry, question.method, question.headers);
    Known::of(entry, question, rules).serve(entry, answer, None, false)
}

/// Whether the origin could not be reached.
fn is_unreachable(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Offline | ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Closed | ErrorKind::Unavailable
    ) || (error.is_timeout() && error.is_unsent())
}

/// Whether the network or the origin failed, not the caller or a policy.
fn is_failure(error: &Error) -> bool {
    is_unreachable(error)
        || matches!(
            error.kind(),
            ErrorKind::Timeout | ErrorKind::Proxy | ErrorKind::Tls | ErrorKind::Incomplete | ErrorKind::Protocol
        )
}

/// What is known of an entry at one moment.
struct Known<'e> {
    terms: &'e Terms,
    age: Duration,
    lifetime: Duration,
}

impl<'e> Known<'e> {
    fn of(entry: &'e Entry, question: &Question<'_>, rules: &Rules) -> Self {
        let terms = entry.terms(|parts| Terms::of(parts, rules));
        let age = terms.age(entry.parts(), question.now);
        Self { terms, age, lifetime: question.ttl.unwrap_or(terms.lifetime) }
    }

    fn serve(&self, entry: &Arc<Entry>, answer: Answer, excuse: Option<Excuse>, refresh: bool) -> Serve {
        Serve { entry: Arc::clone(entry), answer, age: self.age, ttl: self.ttl(), excuse, refresh }
    }

    fn is_fresh(&self) -> bool {
        self.age < self.lifetime
    }

    fn ttl(&self) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        seconds(self.lifetime).saturating_sub(seconds(self.age))
    }

    /// RFC 9111 §5.2.1.
    fn satisfies(&self, asked: &RequestDirectives) -> bool {
        self.is_fresh() && self.satisfies_age(asked)
    }

    fn satisfies_age(&self, asked: &RequestDirectives) -> bool {
        asked.max_age.is_none_or(|most| self.age <= most)
            && asked.min_fresh.is_none_or(|least| self.lifetime.saturating_sub(self.age) >= least)
    }

    fn excuse(&self, asked: &RequestDirectives, question: &Question<'_>, rules: &Rules) -> Option<Excuse> {
        if self.terms.forbids_stale(rules.shared) {
            return None;
        }
        let staleness = self.age.saturating_sub(self.lifetime);
        match asked.max_stale {
            Some(MaxStale::Any) if asked.max_age.is_none() && asked.min_fresh.is_none() => return Some(Excuse::Asked),
            Some(MaxStale::By(most)) if self.satisfies_age(asked) && staleness <= most => return Some(Excuse::Asked),
            _ => {}
        }
        if question.offline && staleness <= rules.unreachable {
            return Some(Excuse::Offline);
        }
        let window = self.terms.directives.stale_while_revalidate?;
        let asks_nothing = asked.max_age.is_none() && asked.min_fresh.is_none();
        (asks_nothing && question.mode == CacheMode::Default && staleness <= window).then_some(Excuse::Revalidating)
    }
}
