//! Requests, what is stored for them, and what becomes of them: tables.

use bytes::Bytes;
use http::HeaderName;

use super::*;
use crate::cache::blob::Blob;
use crate::cache::entry::{EntryParts, Segment, Selecting};
use crate::cache::few::Few;

fn rules(shared: bool) -> Rules {
    Rules { shared, unreachable: Duration::from_secs(1000), ..Rules::default() }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect(value))).collect()
}

fn entry_of(cache_control: &str, etag: Option<&str>, start: u64, text: &'static str) -> Arc<Entry> {
    let mut fields = headers(&[("cache-control", cache_control)]);
    if let Some(etag) = etag {
        fields.insert(ETAG, etag.parse().expect(etag));
    }
    Arc::new(Entry::new(EntryParts {
        status: StatusCode::OK,
        headers: fields.into(),
        selecting: Selecting::default(),
        requested_at: at(0),
        received_at: at(0),
        ttl: None,
        length: Some(10),
        segments: Few::one(Segment::whole(start, Blob::memory(Bytes::from_static(text.as_bytes())))),
    }))
}

fn entry(cache_control: &str) -> Arc<Entry> {
    entry_of(cache_control, Some("\"a\""), 0, "0123456789")
}

/// What a plan comes to, in a word or two.
fn told(plan: &Plan) -> String {
    match plan {
        Plan::Unsatisfiable => "504".to_owned(),
        Plan::Serve(serve) => {
            let excuse = serve.excuse.map(|excuse| format!(" {excuse:?}")).unwrap_or_default();
            format!("serve{excuse}{}", if serve.refresh { " refresh" } else { "" })
        }
        Plan::Forward(forward) => {
            let mut text = forward.why.as_str().to_owned();
            if !forward.candidates.is_empty() {
                text.push_str(" conditional");
            }
            if let Some((_, gap)) = &forward.gap {
                text.push_str(&format!(" gap {gap:?}"));
            }
            if let Some(end_to_end) = forward.end_to_end {
                text.push_str(&format!(" {end_to_end:?}"));
            }
            if !forward.stores {
                text.push_str(" unstored");
            }
            text
        }
    }
}

struct Case<'a> {
    fields: &'a [(&'static str, &'a str)],
    mode: CacheMode,
    offline: bool,
    ttl: Option<u64>,
    age: u64,
}

const PLAIN: Case<'_> = Case { fields: &[], mode: CacheMode::Default, offline: false, ttl: None, age: 5 };

fn asked(case: &Case<'_>, variants: &[Arc<Entry>], shared: bool) -> String {
    let headers = headers(case.fields);
    let question = Question {
        method: &Method::GET,
        headers: &headers,
        is_plain: is_plain(&headers),
        mode: case.mode,
        ttl: case.ttl.map(Duration::from_secs),
        identity: None,
        refreshes: false,
        offline: case.offline,
        now: at(case.age),
    };
    told(&plan(&question, variants, &rules(shared)))
}

#[test]
fn directives_of_responses_decide() {
    for (cache_control, age, expected) in [
        ("max-age=10", 9, "serve"),
        ("max-age=10", 10, "stale conditional"),
        ("max-age=10, no-cache", 5, "stale conditional"),
        ("max-age=10, no-cache=\"x\"", 5, "serve"),
        ("max-age=10, must-revalidate", 11, "stale conditional"),
        ("max-age=10, stale-while-revalidate=5", 15, "serve Revalidating refresh"),
        ("max-age=10, stale-while-revalidate=5", 16, "stale conditional"),
        ("max-age=10, stale-while-revalidate=5, must-revalidate", 15, "stale conditional"),
    ] {
        assert_eq!(asked(&Case { age, ..PLAIN }, &[entry(cache_control)], false), expected, "{cache_control} at {age}");
    }
    let plain = entry_of("max-age=1", None, 0, "0123456789");
    assert_eq!(asked(&PLAIN, &[plain], false), "stale");
    assert_eq!(asked(&PLAIN, &[], false), "uri-miss");
}

#[test]
fn directives_of_requests_decide() {
    for (value, stored, expected) in [
        ("no-cache", "max-age=10", "request conditional"),
        ("no-store", "max-age=10", "bypass unstored"),
        ("max-age=4", "max-age=10", "request conditional"),
        ("max-age=5", "max-age=10", "serve"),
        ("min-fresh=5", "max-age=10", "serve"),
        ("min-fresh=6", "max-age=10", "request conditional"),
        ("max-stale", "max-age=1", "serve Asked"),
        ("max-stale=4", "max-age=1", "serve Asked"),
        ("max-stale=3", "max-age=1", "stale conditional"),
        ("max-stale", "max-age=1, must-revalidate", "stale conditional"),
        ("max-age=0", "max-age=1, stale-while-revalidate=99", "stale conditional"),
        ("only-if-cached", "max-age=10", "serve"),
        ("only-if-cached", "max-age=1", "504"),
    ] {
        let case = Case { fields: &[("cache-control", value)], ..PLAIN };
        assert_eq!(asked(&case, &[entry(stored)], false), expected, "{value} on {stored}");
    }
    let missing = Case { fields: &[("cache-control", "only-if-cached")], ..PLAIN };
    assert_eq!(asked(&missing, &[], false), "504");
    let pragma = Case { fields: &[("pragma", "no-cache")], ..PLAIN };
    assert_eq!(asked(&pragma, &[entry("max-age=10")], false), "request conditional");
    let refuses = Case { fields: &[("if-match", "\"a\"")], ..PLAIN };
    assert_eq!(asked(&refuses, &[entry("max-age=10")], false), "bypass unstored");
}

#[test]
fn modes_decide() {
    for (mode, fresh, stale, nothing) in [
        (CacheMode::Default, "serve", "stale conditional", "uri-miss"),
        (CacheMode::NoStore, "bypass Reload unstored", "bypass Reload unstored", "bypass Reload unstored"),
        (CacheMode::Reload, "request Reload", "request Reload", "request Reload"),
        (CacheMode::NoCache, "request conditional Revalidate", "stale conditional Revalidate", "uri-miss Revalidate"),
        (CacheMode::ForceCache, "serve", "serve Asked", "uri-miss"),
        (CacheMode::OnlyIfCached, "serve", "serve Asked", "504"),
    ] {
        let case = Case { mode, ..PLAIN };
        assert_eq!(asked(&case, &[entry("max-age=10")], false), fresh, "{mode:?}");
        assert_eq!(asked(&case, &[entry("max-age=1")], false), stale, "{mode:?}");
        assert_eq!(asked(&case, &[], false), nothing, "{mode:?}");
    }
    let case = Case { mode: CacheMode::NoCache, ..PLAIN };
    assert_eq!(asked(&case, &[entry("max-age=10, immutable")], false), "serve");
    assert_eq!(asked(&case, &[entry("max-age=1, immutable")], false), "stale conditional Revalidate");
}

#[test]
fn without_a_network_what_is_stale_answers_unless_it_forbids_that() {
    for (stored, age, private, shared) in [
        ("max-age=1", 5, "serve Offline", "serve Offline"),
        ("max-age=1", 1001, "serve Offline", "serve Offline"),
        ("max-age=1", 1002, "stale conditional", "stale conditional"),
        ("max-age=1, must-revalidate", 5, "stale conditional", "stale conditional"),
        ("max-age=1, proxy-revalidate", 5, "serve Offline", "stale conditional"),
        ("s-maxage=1", 5, "serve Offline", "stale conditional"),
        ("no-cache", 5, "stale conditional", "stale conditional"),
    ] {
        let case = Case { offline: true, age, ..PLAIN };
        assert_eq!(asked(&case, &[entry(stored)], false), private, "{stored} at {age}");
        assert_eq!(asked(&case, &[entry(stored)], true), shared, "{stored} at {age}, shared");
    }
}

#[test]
fn the_callers_time_to_live_goes_before_that_of_the_response() {
    for (ttl, stored, expected) in
        [(10, "max-age=1", "serve"), (10, "no-cache", "serve"), (5, "max-age=10", "stale conditional")]
    {
        assert_eq!(asked(&Case { ttl: Some(ttl), ..PLAIN }, &[entry(stored)], false), expected, "{ttl} on {stored}");
    }
}

#[test]
fn parts_are_completed() {
    let part = |start, text| entry_of("max-age=10", Some("\"a\""), start, text);
    let range = |value| Case { fields: value, ..PLAIN };
    assert_eq!(asked(&PLAIN, &[part(0, "01234")], false), "partial gap 5..10");
    assert_eq!(asked(&PLAIN, &[part(5, "56789")], false), "partial gap 0..5");
    assert_eq!(asked(&PLAIN, &[part(2, "234")], false), "partial");
    assert_eq!(asked(&range(&[("range", "bytes=0-4")]), &[part(0, "01234")], false), "serve");
    assert_eq!(asked(&range(&[("range", "bytes=0-5")]), &[part(0, "01234")], false), "partial");
    assert_eq!(asked(&range(&[("range", "bytes=0-1,3-4")]), &[entry("max-age=10")], false), "partial");
    let only = Case { mode: CacheMode::OnlyIfCached, ..PLAIN };
    assert_eq!(asked(&only, &[part(0, "01234")], false), "504");
}

#[test]
fn other_methods_go_on() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let headers = HeaderMap::new();
        let question = Question {
            method: &method,
            headers: &headers,
            is_plain: is_plain(&headers),
            mode: CacheMode::ForceCache,
            ttl: None,
            identity: None,
            refreshes: false,
            offline: true,
            now: at(0),
        };
        assert_eq!(told(&plan(&question, &[entry("max-age=10")], &rules(false))), "method", "{method}");
    }
}

#[test]
fn the_usual_miss_is_known_to_be_one_without_a_question() {
    let modes = [
        CacheMode::Default,
        CacheMode::NoStore,
        CacheMode::Reload,
        CacheMode::NoCache,
        CacheMode::ForceCache,
        CacheMode::OnlyIfCached,
    ];
    for (method, mode) in [Method::GET, Method::HEAD, Method::POST].iter().flat_map(|m| modes.map(|mode| (m, mode))) {
        for fields in [&[][..], &[("cache-control", "no-store")], &[("if-none-match", "\"a\"")], &[("foo", "bar")]] {
            let headers = headers(fields);
            let question = Question {
                method,
                headers: &headers,
                is_plain: is_plain(&headers),
                mode,
                ttl: Some(Duration::from_secs(1)),
                identity: Some(1),
                refreshes: true,
                offline: true,
                now: at(0),
            };
            let Some(known) = unknown(method, question.is_plain, mode) else { continue };
            let planned = plan(&question, &[], &rules(false));
            assert_eq!(format!("{known:?}"), format!("{planned:?}"), "{method} {mode:?} {fields:?}");
        }
    }
    assert!(unknown(&Method::GET, true, CacheMode::Default).is_some());
}

#[test]
fn what_stands_in_for_an_origin_that_fails() {
    let error = |kind| Err(Error::new(kind, "test"));
    let failed = |status: u16| Ok(StatusCode::from_u16(status).expect("a status"));
    for (stored, age, failure, expected) in [
        ("max-age=1", 5, error(ErrorKind::Connect), Some(Excuse::Unreachable)),
        ("max-age=1", 5, error(ErrorKind::Closed), Some(Excuse::Unreachable)),
        ("max-age=1", 1002, error(ErrorKind::Connect), None),
        ("max-age=1, stale-if-error=2000", 1002, error(ErrorKind::Connect), Some(Excuse::Error)),
        ("max-age=1", 5, error(ErrorKind::Timeout), None),
        ("max-age=1, stale-if-error=9", 5, error(ErrorKind::Timeout), Some(Excuse::Error)),
        ("max-age=1, stale-if-error=9", 5, error(ErrorKind::Denied), None),
        ("max-age=1, stale-if-error=9", 5, failed(503), Some(Excuse::Error)),
        ("max-age=1, stale-if-error=9", 11, failed(503), None),
        ("max-age=1, stale-if-error=9", 5, failed(501), None),
        ("max-age=1", 5, failed(503), None),
        ("max-age=1, stale-if-error=9, must-revalidate", 5, failed(503), None),
        ("max-age=1, must-revalidate", 5, error(ErrorKind::Connect), None),
    ] {
        let headers = HeaderMap::new();
        let question = Question {
            method: &Method::GET,
            headers: &headers,
            is_plain: is_plain(&headers),
            mode: CacheMode::Default,
            ttl: None,
            identity: None,
            refreshes: false,
            offline: false,
            now: at(age),
        };
        let label = format!("{stored} at {age}: {failure:?}");
        let stands_in = rescue(&entry(stored), &question, &rules(false), failure.as_ref().copied());
        assert_eq!(stands_in.and_then(|serve| serve.excuse), expected, "{label}");
    }
}
