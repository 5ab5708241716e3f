//! The suite's checks, in the suite's order. Pure.

use std::collections::BTreeSet;
use std::fmt;

use http::HeaderMap;

use crate::case::{Expected, Interim, Source, Step, Text};
use crate::date;
use crate::seen::{Recorded, Seen, joined, leading_number};

/// Statuses without a body.
const BODYLESS: [u16; 2] = [204, 304];
/// What the origin answers where it expected a condition and got none that holds.
const NO_CONDITION: u16 = 999;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The thing that the case is about.
    Assertion,
    /// Something before that: the case could not be played.
    Setup,
    /// No answer in time, or none at all where one was due.
    Broken,
}

/// The first check of a case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn setup(message: impl Into<String>) -> Self {
        Self { class: Class::Setup, message: message.into() }
    }

    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { class: Class::Broken, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Class::Assertion => f.write_str(&self.message),
            Class::Setup => write!(f, "setup: {}", self.message),
            Class::Broken => write!(f, "broken: {}", self.message),
        }
    }
}

type Result<T = ()> = std::result::Result<T, Failure>;

/// `holds`, or else the message, as a failure of the setup or of the case.
fn ensure(is_setup: bool, holds: bool, message: impl FnOnce() -> String) -> Result {
    if holds {
        return Ok(());
    }
    let class = if is_setup { Class::Setup } else { Class::Assertion };
    Err(Failure { class, message: message() })
}

impl Step {
    fn is_setup(&self, check: &str) -> bool {
        self.setup || self.setup_tests.iter().any(|name| name == check)
    }
}

/// Checks a response when it has come. `number` counts requests from 1, `uuid` is the body where the case names none.
pub(crate) fn response(number: usize, step: &Step, seen: &Seen, uuid: &str) -> Result {
    if let Some(cut) = &seen.cut {
        return without_response(number, step, cut);
    }
    once(seen)?;
    source(number, step, seen)?;
    status(number, step, seen)?;
    headers(number, step, seen)?;
    interim(step, seen)?;
    body(step, seen, uuid)
}

/// The origin cut the connection and no cache stepped in, so that there is nothing to look at. That is as it must be
/// where nothing may come from the cache; a gateway would have made an answer of it.
fn without_response(number: usize, step: &Step, cut: &str) -> Result {
    let wants_response = match step.expected_status {
        Some(expected) => expected.is_some(),
        None => step.expected_type != Some(Source::NotCached),
    };
    ensure(step.is_setup("expected_type"), !wants_response, || {
        format!("Response {number} does not come from cache: {cut}")
    })
}

/// Whoever sends a request twice spoils the counting.
fn once(seen: &Seen) -> Result {
    let numbers = seen.get("Request-Numbers").unwrap_or_default();
    let numbers: Vec<_> = numbers.split(' ').collect();
    let different: BTreeSet<_> = numbers.iter().collect();
    ensure(true, numbers.len() == different.len(), || "retry".to_owned())
}

fn source(number: usize, step: &Step, seen: &Seen) -> Result {
    let is_setup = step.is_setup("expected_type");
    let count = seen.number("Server-Request-Count").and_then(|count| usize::try_from(count).ok());
    match step.expected_type {
        // Some caches leave the field out of a 304.
        Some(Source::Cached) if seen.status == 304 && count.is_none() => Ok(()),
        Some(Source::Cached) => ensure(is_setup, count.is_some_and(|count| count < number), || {
            format!("Response {number} does not come from cache")
        }),
        Some(Source::NotCached) => {
            ensure(is_setup, count == Some(number), || format!("Response {number} comes from cache"))
        }
        Some(Source::EtagValidated | Source::LmValidated) | None => Ok(()),
    }
}

fn status(number: usize, step: &Step, seen: &Seen) -> Result {
    let is = |expected: u16, is_setup: bool| {
        ensure(is_setup, seen.status == expected, || {
            format!("Response {number} status is {}, not {expected}", seen.status)
        })
    };
    match (step.expected_status, &step.response_status) {
        (Some(None), _) => Ok(()),
        (Some(Some(expected)), _) => is(expected, step.is_setup("expected_status")),
        (None, Some((expected, _))) => is(*expected, true),
        (None, None) if seen.status == NO_CONDITION => ensure(step.is_setup("expected_type"), false, || {
            format!("Request {number} should have been conditional, but it was not.")
        }),
        (None, None) => is(200, true),
    }
}

fn headers(number: usize, step: &Step, seen: &Seen) -> Result {
    let is_setup = step.is_setup("expected_response_headers");
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    for expected in &step.expected_response_headers {
        let (Expected::Named(name) | Expected::Valued(name, _) | Expected::Related(name, ..)) = expected;
        let value = seen.get(name);
        if !matches!(expected, Expected::Valued(..)) {
            ensure(is_setup, value.is_some(), || format!("Response {number} {name} header not present."))?;
        }
        match expected {
            Expected::Named(_) => {}
            Expected::Valued(_, wanted) => {
                let wanted = fixed_up(wanted, name, step, seen);
                ensure(is_setup, value.as_ref() == Some(&wanted), || {
                    format!("Response {number} header {name} is \"{}\", not \"{wanted}\"", shown(&value))
                })?;
            }
            Expected::Related(_, relation, other) => {
                let (holds, wish) = match (relation.as_str(), other) {
                    (">", Text::Offset(least)) => (
                        value.as_deref().and_then(leading_number).is_some_and(|number| number > *least),
                        format!("be bigger than {least}"),
                    ),
                    ("=", Text::Plain(other)) => (value == seen.get(other), format!("match {other}")),
                    _ => return Err(Failure::broken(format!("no relation `{relation}` is known"))),
                };
                ensure(is_setup, holds, || {
                    format!("Response {number} header {name} is {}, should {wish}", shown(&value))
                })?;
            }
        }
    }
    let is_setup = step.is_setup("expected_response_headers_missing");
    for unexpected in &step.expected_response_headers_missing {
        match unexpected {
            Expected::Named(name) => ensure(is_setup, !seen.headers.contains_key(name), || {
                format!("Response {number} includes unexpected header {name}: \"{}\"", shown(&seen.get(name)))
            })?,
            // The suite's own runner never gets as far as to compare these.
            Expected::Valued(name, Text::Plain(part)) => {
                let value = seen.get(name);
                ensure(is_setup, !value.as_ref().is_some_and(|value| value.contains(part.as_str())), || {
                    format!("Response {number} header {name} still has value \"{}\"", shown(&value))
                })?;
            }
            Expected::Valued(..) | Expected::Related(..) => return Err(Failure::broken("no such check is known")),
        }
    }
    Ok(())
}

/// A value as the origin printed it: distances become dates.
fn fixed_up(value: &Text, name: &str, step: &Step, from: &Seen) -> String {
    match value {
        Text::Plain(text) => text.clone(),
        Text::Offset(offset) => dated(name, *offset, step, from),
    }
}

/// The date that many seconds from the moment at which the origin made that response.
pub(crate) fn dated(name: &str, offset: i64, step: &Step, from: &Seen) -> String {
    let Some(now) = from.number("Server-Now").and_then(|now| u64::try_from(now).ok()) else {
        return "Invalid Date".to_owned();
    };
    if step.rfc850date.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        date::rfc850(now, offset)
    } else {
        date::imf_fixdate(now, offset)
    }
}

fn interim(step: &Step, seen: &Seen) -> Result {
    let Some(expected) = &step.expected_interim_responses else { return Ok(()) };
    let is_setup = step.is_setup("expected_interim_responses");
    for (at, expected) in expected.iter().enumerate() {
        let number = at + 1;
        let (status, fields): (u16, &[(String, String)]) = match expected {
            Interim::Bare((status,)) => (*status, &[]),
            Interim::With(status, fields) => (*status, fields),
        };
        let Some((seen_status, seen_headers)) = seen.interim.get(at) else {
            return ensure(is_setup, false, || format!("Interim response {number} not received"));
        };
        ensure(is_setup, *seen_status == status, || {
            format!("Interim response {number} status is {seen_status}, not {status}")
        })?;
        for (name, value) in fields {
            ensure(is_setup, has(seen_headers, name, value), || {
                format!("Interim response {number} header {name} is not {value}")
            })?;
        }
    }
    ensure(is_setup, seen.interim.len() == expected.len(), || {
        format!("{} interim responses received, not {}", seen.interim.len(), expected.len())
    })
}

fn has(headers: &HeaderMap, name: &str, value: &str) -> bool {
    joined(headers, name).as_deref() == Some(value)
}

fn body(step: &Step, seen: &Seen, uuid: &str) -> Result {
    let is = |expected: &str, is_setup: bool| {
        ensure(is_setup, seen.body == expected, || format!("Response body is \"{}\", not \"{expected}\"", seen.body))
    };
    if step.check_body == Some(false) {
        return Ok(());
    }
    match (&step.expected_response_text, &step.response_body) {
        (Some(None), _) => Ok(()),
        (Some(Some(expected)), _) => is(expected, step.is_setup("expected_response_text")),
        (None, Some(expected)) => is(expected, true),
        (None, None) if BODYLESS.contains(&seen.status) || step.request_method.as_deref() == Some("HEAD") => Ok(()),
        (None, None) => is(uuid, true),
    }
}

/// Checks the requests that the origin saw, after the last of them.
pub(crate) fn origin(steps: &[Step], seen: &[Seen], recorded: &[Recorded]) -> Result {
    let mut recorded = recorded.iter();
    for (at, (step, seen)) in steps.iter().zip(seen).enumerate() {
        // The origin has not seen it.
        if step.expected_type == Some(Source::Cached) {
            continue;
        }
        request(at + 1, step, seen, recorded.next())?;
    }
    Ok(())
}

fn request(number: usize, step: &Step, seen: &Seen, recorded: Option<&Recorded>) -> Result {
    let is_setup = step.is_setup("expected_type");
    let condition = match step.expected_type {
        Some(Source::NotCached) => {
            let came = recorded.and_then(|request| request.request_num);
            ensure(is_setup, came == i64::try_from(number).ok(), || {
                format!("Response {number} comes from cache ({came:?} on server)")
            })?;
            None
        }
        Some(Source::EtagValidated) => Some("if-none-match"),
        Some(Source::LmValidated) => Some("if-modified-since"),
        Some(Source::Cached) | None => None,
    };
    let Some(recorded) = recorded else {
        let wants = condition.is_some() || step.expected_method.is_some() || !step.expected_request_headers.is_empty();
        return ensure(is_setup, !wants, || format!("request {number} wasn't sent to server"));
    };
    if let Some(condition) = condition {
        ensure(is_setup, recorded.get(condition).is_some(), || {
            format!("request {number} doesn't have {condition} header")
        })?;
    }
    fields(number, step, recorded)?;
    for (name, sent) in &recorded.response_headers {
        // A stand-in for a date costs nothing, and many put in their own.
        if name.eq_ignore_ascii_case("date") {
            continue;
        }
        let (received, sent) = (seen.get(name), sent.joined());
        ensure(true, received.as_ref() == Some(&sent), || {
            let received = received.clone().unwrap_or_else(|| "null".to_owned());
            format!("Response {number} header {name} is \"{received}\", not \"{sent}\"")
        })?;
    }
    match &step.expected_method {
        Some(method) => ensure(step.is_setup("expected_method"), recorded.request_method == *method, || {
            format!("Request {number} had method {}, not {method}", recorded.request_method)
        }),
        None => Ok(()),
    }
}

/// The fields of a request that the origin must have seen, and those that it must not.
fn fields(number: usize, step: &Step, recorded: &Recorded) -> Result {
    let lists = [
        (&step.expected_request_headers, "expected_request_headers", true),
        (&step.expected_request_headers_missing, "expected_request_headers_missing", false),
    ];
    for (list, check, wanted) in lists {
        let is_setup = step.is_setup(check);
        for expected in list {
            let (name, holds) = match expected {
                Expected::Named(name) => (name, recorded.get(name).is_some()),
                Expected::Valued(name, Text::Plain(value)) => (name, recorded.get(name).as_ref() == Some(value)),
                Expected::Valued(..) | Expected::Related(..) => return Err(Failure::broken("no such check is known")),
            };
            ensure(is_setup, holds == wanted, || {
                let value = recorded.get(name).map_or_else(|| "missing".to_owned(), |value| format!("\"{value}\""));
                let not = if wanted { "not as expected" } else { "not expected" };
                format!("Request {number} header {name} is {value}, {not}: {expected:?}")
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const UUID: &str = "uuid";
    const NOW: &str = "784111777000";

    fn step(step: Value) -> Step {
        serde_json::from_value(step).unwrap()
    }

    /// A response of the origin, with its fields and some others.
    fn seen(status: u16, count: u32, fields: &[(&str, &str)]) -> Seen {
        let mut seen = Seen { status, body: UUID.to_owned(), ..Seen::default() };
        let count = count.to_string();
        let own = [("server-request-count", count.as_str()), ("server-now", NOW), ("request-numbers", "1 2")];
        for (name, value) in own.iter().chain(fields) {
            seen.headers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        seen
    }

    fn class(result: Result) -> Option<Class> {
        result.err().map(|failure| failure.class)
    }

    #[test]
    fn where_a_response_comes_from_is_told_by_counting() {
        use Class::{Assertion, Setup};
        let with_setup = |source: &str| json!({ "expected_type": source, "setup_tests": ["expected_type"] });
        for (asked, count, expected) in [
            (json!({ "expected_type": "cached" }), 1, None),
            (json!({ "expected_type": "cached" }), 2, Some(Assertion)),
            (json!({ "expected_type": "cached", "setup": true }), 2, Some(Setup)),
            (with_setup("cached"), 2, Some(Setup)),
            (json!({ "expected_type": "not_cached" }), 2, None),
            (json!({ "expected_type": "not_cached" }), 1, Some(Assertion)),
        ] {
            let text = asked.to_string();
            assert_eq!(class(response(2, &step(asked), &seen(200, count, &[]), UUID)), expected, "{text} {count}");
        }
        let bare = Seen { status: 304, ..Seen::default() };
        let asked = json!({ "expected_type": "cached", "expected_status": 304 });
        assert_eq!(response(2, &step(asked), &bare, UUID), Ok(()));
        let twice = Seen {
            headers: HeaderMap::from_iter([("request-numbers".parse().unwrap(), "1 1".parse().unwrap())]),
            ..bare
        };
        assert_eq!(response(2, &step(json!({})), &twice, UUID), Err(Failure::setup("retry")));
    }

    #[test]
    fn a_cut_connection_is_an_answer_where_the_cache_must_not_step_in() {
        let cut = || Seen { cut: Some("connection closed".to_owned()), ..Seen::default() };
        for (asked, expected) in [
            (json!({ "expected_type": "not_cached" }), None),
            (json!({ "expected_status": null }), None),
            (json!({ "expected_type": "cached" }), Some(Class::Assertion)),
            (json!({ "expected_type": "cached", "setup_tests": ["expected_type"] }), Some(Class::Setup)),
            (json!({}), Some(Class::Assertion)),
        ] {
            let text = asked.to_string();
            assert_eq!(class(response(2, &step(asked), &cut(), UUID)), expected, "{text}");
        }
    }

    #[test]
    fn the_status_is_the_expected_one() {
        use Class::{Assertion, Setup};
        for (asked, status, expected) in [
            (json!({}), 200, None),
            (json!({}), 404, Some(Setup)),
            (json!({ "expected_type": "lm_validated" }), 999, Some(Assertion)),
            (json!({ "expected_type": "lm_validated", "setup": true }), 999, Some(Setup)),
            (json!({ "response_status": [404, "Not Found"] }), 404, None),
            (json!({ "response_status": [404, "Not Found"] }), 200, Some(Setup)),
            (json!({ "response_status": [503, ""], "expected_status": 200 }), 503, Some(Assertion)),
            (json!({ "response_status": [503, ""], "expected_status": null }), 400, None),
        ] {
            let text = asked.to_string();
            assert_eq!(class(response(1, &step(asked), &seen(status, 1, &[]), UUID)), expected, "{text} {status}");
        }
    }

    #[test]
    fn header_fields_are_held_to_what_is_expected() {
        let fields = [("a", "1"), ("a", "2"), ("age", "31"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("b", "31")];
        for (asked, holds) in [
            (json!({ "expected_response_headers": ["A", ["a", "1, 2"], ["Age", ">", 30], ["date", 0]] }), true),
            (json!({ "expected_response_headers": [["age", "=", "b"]] }), true),
            (json!({ "expected_response_headers": ["c"] }), false),
            (json!({ "expected_response_headers": [["a", "1"]] }), false),
            (json!({ "expected_response_headers": [["Age", ">", 31]] }), false),
            (json!({ "expected_response_headers": [["date", 1]] }), false),
            (json!({ "expected_response_headers": [["c", ">", 1]] }), false),
            (json!({ "expected_response_headers_missing": ["c", ["a", "3"], ["c", "x"]] }), true),
            (json!({ "expected_response_headers_missing": ["a"] }), false),
            (json!({ "expected_response_headers_missing": [["a", "2"]] }), false),
        ] {
            let text = asked.to_string();
            let result = response(1, &step(asked), &seen(200, 1, &fields), UUID);
            assert_eq!(class(result), (!holds).then_some(Class::Assertion), "{text}");
        }
    }

    #[test]
    fn bodies_are_compared_where_there_is_one() {
        for (asked, status, body, expected) in [
            (json!({}), 200, UUID, None),
            (json!({}), 200, "other", Some(Class::Setup)),
            (json!({ "check_body": false }), 200, "other", None),
            (json!({ "expected_response_text": null }), 200, "other", None),
            (json!({ "expected_response_text": "01" }), 200, "01", None),
            (json!({ "expected_response_text": "01" }), 200, UUID, Some(Class::Assertion)),
            (json!({ "response_body": "AAA" }), 200, UUID, Some(Class::Setup)),
            (json!({ "expected_status": 304 }), 304, "", None),
            (json!({ "request_method": "HEAD" }), 200, "", None),
        ] {
            let text = asked.to_string();
            let mut seen = seen(status, 1, &[]);
            body.clone_into(&mut seen.body);
            assert_eq!(class(response(1, &step(asked), &seen, UUID)), expected, "{text} {body}");
        }
    }

    #[test]
    fn interim_responses_are_counted_and_compared() {
        let asked = || step(json!({ "expected_interim_responses": [[102], [103, [["link", "</a>"]]]] }));
        let link = |value: &str| HeaderMap::from_iter([(http::header::LINK, value.parse().unwrap())]);
        for (interim, message) in [
            (vec![(102, HeaderMap::new()), (103, link("</a>"))], None),
            (vec![(102, HeaderMap::new())], Some("Interim response 2 not received")),
            (vec![(100, HeaderMap::new()), (103, link("</a>"))], Some("Interim response 1 status is 100, not 102")),
            (vec![(102, HeaderMap::new()), (103, link("</b>"))], Some("Interim response 2 header link is not </a>")),
            (
                vec![(102, HeaderMap::new()), (103, link("</a>")), (103, link("</a>"))],
                Some("3 interim responses received, not 2"),
            ),
        ] {
            let seen = Seen { interim, ..seen(200, 1, &[]) };
            let told = response(1, &asked(), &seen, UUID).err().map(|failure| failure.message);
            assert_eq!(told.as_deref(), message);
        }
    }

    fn recorded(number: i64, request: &Value, response: &Value) -> Recorded {
        let recorded = json!({
            "request_num": number, "request_method": "GET", "request_headers": request, "response_headers": response,
        });
        serde_json::from_value(recorded).unwrap()
    }

    #[test]
    fn the_origin_is_asked_what_it_saw() {
        let steps = |second: Value| [step(json!({})), step(json!({ "expected_type": "cached" })), step(second)];
        let all = [seen(200, 1, &[]), seen(200, 1, &[]), seen(200, 2, &[("etag", "\"b\""), ("x", "1"), ("x", "2")])];
        let first = recorded(1, &json!({}), &json!([]));
        let third = recorded(
            3,
            &json!({ "if-none-match": "\"a\"", "abc": "123" }),
            &json!([["ETag", "\"b\""], ["X", ["1", "2"]], ["Date", "whenever"]]),
        );
        for (asked, message) in [
            (json!({}), None),
            (json!({ "expected_type": "not_cached" }), None),
            (json!({ "expected_type": "etag_validated" }), None),
            (json!({ "expected_type": "lm_validated" }), Some("request 3 doesn't have if-modified-since header")),
            (json!({ "expected_request_headers": ["Abc", ["abc", "123"]] }), None),
            (json!({ "expected_request_headers_missing": ["def", ["abc", "1"]] }), None),
            (json!({ "expected_method": "GET" }), None),
            (json!({ "expected_method": "HEAD" }), Some("Request 3 had method GET, not HEAD")),
        ] {
            let text = asked.to_string();
            let told = origin(&steps(asked), &all, &[first.clone(), third.clone()]).err();
            assert_eq!(told.map(|failure| failure.message).as_deref(), message, "{text}");
        }
        for asked in [
            json!({ "expected_request_headers": ["def"] }),
            json!({ "expected_request_headers": [["abc", "1"]] }),
            json!({ "expected_request_headers_missing": ["Abc"] }),
        ] {
            let text = asked.to_string();
            let told = origin(&steps(asked), &all, &[first.clone(), third.clone()]);
            assert_eq!(class(told), Some(Class::Assertion), "{text}");
        }
        let changed = recorded(3, &json!({}), &json!([["ETag", "\"other\""]]));
        assert_eq!(class(origin(&steps(json!({})), &all, &[first.clone(), changed])), Some(Class::Setup));
        let unseen = origin(&steps(json!({ "expected_type": "etag_validated" })), &all, &[first]);
        assert_eq!(unseen.unwrap_err().message, "request 3 wasn't sent to server");
    }
}
