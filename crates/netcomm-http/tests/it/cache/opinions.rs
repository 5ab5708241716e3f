//! A second opinion on freshness and storing: `http-cache-semantics`, asked about the same requests and responses.
//!
//! Where the two differ on purpose, the cases are left out; each constant below names one such difference, and the
//! generators and [`agree`] say where it is left out. Beyond them it knows nothing of several variants, parts, and RFC
//! 5861.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use netcomm_core::Clock;
use netcomm_http::Redirects;
use netcomm_http::cache::{Cache, Forwarded};
use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer};
use netcomm_tests::TokioClock;
use proptest::option::{of, weighted};
use proptest::prelude::Strategy;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::URL;
use crate::stage::stage;

/// Statuses that it understands. RFC 9111 §3 lets a cache store others too, if they say how long they are fresh.
const UNDERSTOOD: [u16; 14] = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501];

/// RFC 9111 §3: `private` is a reason to store in a private cache; it wants another one. Left out: `private` alone.
const PRIVATE_IS_A_REASON: bool = true;

/// RFC 9111 §4.1: what varies by `*` matches no request. It is not stored here; there it is stored and never used.
const STAR_IS_NOT_STORED: bool = true;

/// RFC 9111 §5.2.2.8: `proxy-revalidate` is about what is stale; there nothing is fresh with it.
const PROXY_REVALIDATE_IS_ABOUT_STALE: bool = true;

/// RFC 9111 §5.2.2.4 and §5.2.2.10: neither `no-cache` nor, in a shared cache, `s-maxage` give way to `max-stale`.
const MAX_STALE_HAS_LIMITS: bool = true;

/// RFC 9111 §5.2.1.2: stale by no more than `max-stale`; there by less.
const MAX_STALE_IS_INCLUSIVE: bool = true;

// Never generated:
// - `Date` before the arrival (RFC 9111 §4.2.3: apparent age), which it does not count;
// - `Set-Cookie` (RFC 9111 §7.3), which keeps it from storing in a shared cache;
// - `Pragma` in responses (RFC 9111 §5.4: meaningless), which it obeys;
// - `immutable` without `max-age` (RFC 8246 §2 gives no freshness), which is worth a day to it;
// - numbers that are none or too large (RFC 9111 §1.2.2), and directives given twice (§4.2.1);
// - a request's own `If-Modified-Since` (RFC 9111 §4.3.1), which it sends in place of the stored date.

const DIRECTIVES: [&str; 7] =
    ["public", "private", "no-cache", "no-store", "must-revalidate", "proxy-revalidate", "immutable"];

#[derive(Clone, Debug)]
struct Case {
    is_shared: bool,
    status: u16,
    flags: Vec<&'static str>,
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    /// Seconds from the arrival; `Err` for what is no date.
    expires: Option<Result<i64, ()>>,
    /// Seconds after the arrival.
    date: Option<u64>,
    age: Option<u64>,
    /// Seconds before the arrival.
    modified: Option<u64>,
    etag: Option<&'static str>,
    vary: Option<&'static str>,
    authorized: bool,
    wants_nothing_stored: bool,
    later: u64,
    directive: Option<(&'static str, Option<u64>)>,
    pragma: bool,
    other_lang: bool,
    own_tag: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let seconds = || proptest::prop_oneof![0..4_u64, 0..120_u64, 0..100_000_u64];
    let status = proptest::prop_oneof![3 => proptest::strategy::Just(200), 2 => select(UNDERSTOOD.to_vec())];
    let flags = weighted(0.5, subsequence(DIRECTIVES.to_vec(), 0..3)).prop_map(Option::unwrap_or_default);
    let expires = of(proptest::prop_oneof![4 => (-50..200_i64).prop_map(Ok), 1 => proptest::strategy::Just(Err(()))]);
    let etag = of(select(vec!["\"a\"", "W/\"a\""]));
    let vary = weighted(0.3, select(vec!["lang", "*", "lang, x"]));
    let directive = weighted(
        0.4,
        (select(vec!["max-age", "min-fresh", "max-stale", "no-cache"]), weighted(0.9, 0..120_u64)).prop_map(
            |(name, value)| match name {
                "max-stale" => (name, value),
                "no-cache" => (name, None),
                _ => (name, Some(value.unwrap_or(7))),
            },
        ),
    );
    let response = (status, flags, weighted(0.5, seconds()), weighted(0.2, seconds()), expires, of(0..50_u64));
    let more = (weighted(0.3, 0..100_u64), of(0..1_000_000_u64), etag, vary);
    let rare = || proptest::bool::weighted(0.1);
    let request = (rare(), rare(), seconds(), directive, rare(), rare(), rare());
    (proptest::bool::ANY, response, more, request).prop_map(|(is_shared, response, more, request)| {
        let (status, flags, max_age, s_maxage, expires, date) = response;
        let (age, modified, etag, vary) = more;
        let (authorized, wants_nothing_stored, later, directive, pragma, other_lang, own_tag) = request;
        let skipped = |flag: &&str| {
            (*flag == "immutable" && max_age.is_none())
                || (*flag == "proxy-revalidate" && is_shared && PROXY_REVALIDATE_IS_ABOUT_STALE)
        };
        Case {
            is_shared,
            status,
            flags: flags.into_iter().filter(|flag| !skipped(flag)).collect(),
            max_age,
            s_maxage,
            expires,
            date,
            age,
            modified,
            etag,
            vary,
            authorized,
            wants_nothing_stored,
            later,
            directive,
            pragma,
            other_lang,
            own_tag,
        }
    })
}

fn date(at: SystemTime, offset: i64) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let at = Duration::from_secs(seconds.checked_add_signed(offset).expect("a date"));
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + at)
}

impl Case {
    fn response(&self, now: SystemTime) -> Vec<(&'static str, String)> {
        let mut directives: Vec<String> = self.flags.iter().map(|flag| (*flag).to_owned()).collect();
        directives.extend(self.max_age.map(|seconds| format!("max-age={seconds}")));
        directives.extend(self.s_maxage.map(|seconds| format!("s-maxage={seconds}")));
        let mut fields = Vec::new();
        if !directives.is_empty() {
            fields.push(("cache-control", directives.join(", ")));
        }
        let expires = self.expires.map(|at| at.map_or_else(|()| "0".to_owned(), |offset| date(now, offset)));
        fields.extend(expires.map(|text| ("expires", text)));
        fields.extend(self.date.map(|offset| ("date", date(now, offset.cast_signed()))));
        fields.extend(self.age.map(|seconds| ("age", seconds.to_string())));
        fields.extend(self.modified.map(|offset| ("last-modified", date(now, -offset.cast_signed()))));
        fields.extend(self.etag.map(|tag| ("etag", tag.to_owned())));
        fields.extend(self.vary.map(|names| ("vary", names.to_owned())));
        fields
    }

    fn first(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("lang", "de".to_owned())];
        if self.authorized {
            fields.push(("authorization", "Bearer t".to_owned()));
        }
        if self.wants_nothing_stored {
            fields.push(("cache-control", "no-store".to_owned()));
        }
        fields
    }

    fn second(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("lang", if self.other_lang { "en" } else { "de" }.to_owned())];
        if self.authorized {
            fields.push(("authorization", "Bearer t".to_owned()));
        }
        match self.directive {
            Some((name, None)) => fields.push(("cache-control", name.to_owned())),
            Some((name, Some(value))) => fields.push(("cache-control", format!("{name}={value}"))),
            None if self.pragma => fields.push(("pragma", "no-cache".to_owned())),
            None => {}
        }
        if self.own_tag {
            fields.push(("if-none-match", "\"mine\"".to_owned()));
        }
        fields
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// Whether the other one differs about storing it on purpose.
    fn is_stored_otherwise(&self) -> bool {
        (PRIVATE_IS_A_REASON && self.has("private")) || (STAR_IS_NOT_STORED && self.vary == Some("*"))
    }

    /// Whether the other one differs about using it on purpose.
    fn is_used_otherwise(&self, staleness: Option<Duration>) -> bool {
        let Some(("max-stale", most)) = self.directive else { return false };
        let held = self.has("no-cache") || (self.is_shared && self.s_maxage.is_some());
        let at_the_edge = most.is_some_and(|most| staleness == Some(Duration::from_secs(most)));
        (MAX_STALE_HAS_LIMITS && held) || (MAX_STALE_IS_INCLUSIVE && at_the_edge)
    }
}

fn map(fields: &[(&'static str, String)]) -> HeaderMap {
    let value = |text: &String| text.parse::<HeaderValue>().expect("a value");
    fields.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
}

fn request(fields: &[(&'static str, String)]) -> Request<()> {
    let mut request = Request::get(URL).body(()).expect("a request");
    *request.headers_mut() = map(fields);
    request
}

fn members(value: Option<&str>) -> BTreeSet<String> {
    value.into_iter().flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect()
}

/// Asks both. What the two did, for the count: stored, and answered from store.
async fn agree(case: Case) -> (bool, bool) {
    let arrival = TokioClock::new().wall();
    let response = case.response(arrival);
    let fields = response.clone();
    let status = case.status;
    let stage = stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        fields.iter().fold(Reply::status(status), |reply, (name, value)| reply.header(*name, value.clone())).body("")
    }));
    let cache = Cache::builder();
    let cache = if case.is_shared { cache.shared() } else { cache };
    // Theirs is not bounded.
    let cache = cache.heuristic(0.1, Duration::MAX).build();
    let client = stage.builder().cache(cache).redirects(Redirects::Manual).build().expect("a client");
    let send = async |fields: &[(&'static str, String)]| {
        let call = client.get(URL).headers(map(fields));
        let response = call.send().await.expect("a response");
        let status = *response.cache_status().expect("a cache");
        response.bytes().await.expect("a body");
        status
    };

    let mut answer = Response::new(());
    *answer.status_mut() = case.status.try_into().expect("a status");
    *answer.headers_mut() = map(&response);
    let options = CacheOptions { shared: case.is_shared, ..CacheOptions::default() };
    let theirs = CachePolicy::new_options(&request(&case.first()), &answer, arrival, options);

    let ours = send(&case.first()).await;
    if case.is_stored_otherwise() {
        return (false, false);
    }
    assert_eq!(ours.stored, theirs.is_storable(), "stored? {case:?}");
    if !ours.stored {
        return (false, false);
    }
    tokio::time::advance(Duration::from_secs(case.later)).await;
    let now = arrival + Duration::from_secs(case.later);
    let verdict = theirs.before_request(&request(&case.second()), now);
    let ours = send(&case.second()).await;
    let lifetime = ours.ttl.map(|ttl| ttl + i64::try_from(theirs.age(now).as_secs()).expect("an age"));
    let staleness = ours.ttl.filter(|ttl| *ttl <= 0).map(|ttl| Duration::from_secs(ttl.unsigned_abs()));
    if case.is_used_otherwise(staleness) {
        return (true, false);
    }
    match verdict {
        BeforeRequest::Fresh(head) => {
            assert!(ours.hit, "not used, but {head:?}: {ours:?}, {case:?}");
            let left = i64::try_from(theirs.time_to_live(now).as_secs()).expect("a time");
            let ttl = ours.ttl.expect("a time to live").max(0);
            assert!(ttl.abs_diff(left) <= 1, "{ttl} s left here, {left} s there, lifetime {lifetime:?}: {case:?}");
        }
        BeforeRequest::Stale { request: wire, matches } => {
            assert!(!ours.hit, "used: {ours:?}, {case:?}");
            assert_eq!(ours.forwarded == Some(Forwarded::VaryMiss), !matches, "{ours:?}, {case:?}");
            let sent = stage.server.requests().pop().expect("a request");
            if matches {
                let text = |name: &str| wire.headers.get(name).map(|value| value.to_str().expect("text"));
                let tags = (members(sent.header("if-none-match")), members(text("if-none-match")));
                assert_eq!(tags.0, tags.1, "{case:?}");
                // With a tag of its own the request gets no date: its own tag goes first (RFC 9110 §13.1.3).
                if !(case.own_tag && case.etag.is_none()) {
                    assert_eq!(sent.header("if-modified-since"), text("if-modified-since"), "{case:?}");
                }
            }
        }
    }
    (true, ours.hit)
}

#[test]
fn another_implementation_says_the_same() {
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"netcomm: a second opinion.......");
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (stored, hits) = (Cell::new(0), Cell::new(0));
    let outcome = runner.run(&cases(), |case| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (is_stored, is_hit) = runtime.expect("a runtime").block_on(agree(case));
        stored.set(stored.get() + usize::from(is_stored));
        hits.set(hits.get() + usize::from(is_hit));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(stored.get() > 700 && hits.get() > 200, "{} stored, {} hits: too few to tell", stored.get(), hits.get());
}
