//! What browsers are held to beyond parsing: the rest of the web platform's tests of event sources, restated.
//!
//! Named after the files they restate. The standard's reading of statuses holds (`StatusPolicy::Spec`), and what a browser
//! makes of `readyState` is here whether a source asks again or is over. Waits are held in a time that leaps ahead.

use std::time::Duration;

use http::Method;
use netcomm_core::Reconnect;
use netcomm_sse::{Builder, StatusPolicy};

use crate::play;
use crate::score::Score;
use crate::script::Want::{After, Body, Field, Method as Asked, NoField, Target};
use crate::script::{Case, EVENT_STREAM, Step, asks, opened, opened_for, says};
use crate::told::{Ending, Told, event, message};

/// All cases, judged.
pub(crate) fn score() -> Score {
    play::score("wpt", &cases())
}

fn cases() -> Vec<Case> {
    [statuses(), redirects(), requests(), content_types(), ids(), waits(), ends()].concat()
}

fn by_the_standard(builder: Builder) -> Builder {
    builder.status(StatusPolicy::Spec)
}

fn case<const N: usize>(name: impl Into<String>, steps: [Vec<Step>; N]) -> Case {
    Case::new(name, steps.into_iter().flatten().collect()).with(by_the_standard)
}

fn over(how: Ending) -> Vec<Step> {
    vec![Step::Tells(Told::Over(how))]
}

/// The server says it, the client tells it.
fn passes(text: &'static str, told: Told) -> Vec<Step> {
    vec![says(text), Step::Tells(told)]
}

fn answers(status: u16, fields: &[(&'static str, &'static str)]) -> Vec<Step> {
    vec![asks([]), Step::Answers(status, fields.to_vec())]
}

/// The server ends the stream, and the client asks again.
fn lost() -> Vec<Step> {
    vec![Step::Ends, Step::Tells(Told::Lost)]
}

fn hello() -> Vec<Step> {
    passes("data: data\n\n", message("data"))
}

fn statuses() -> Vec<Case> {
    let fields = [("content-type", "text/event-stream")];
    [204, 205, 210, 299, 404, 410, 503]
        .map(|status| {
            let end = if status == 204 { Ending::NoContent } else { Ending::Error };
            case(format!("request-status-error ({status})"), [answers(status, &fields), over(end)])
        })
        .to_vec()
}

fn redirects() -> Vec<Case> {
    [301, 302, 303, 307]
        .map(|status| {
            let moved = answers(status, &[("location", "/moved?to=here")]);
            let there = opened_for([Asked("GET"), Target("/moved?to=here"), Field("accept", "text/event-stream")]);
            case(format!("request-redirect ({status})"), [moved, there, hello()])
        })
        .to_vec()
}

fn requests() -> Vec<Case> {
    vec![
        case("request-accept", [opened_for([Field("accept", "text/event-stream")]), hello()]),
        case("request-cache-control", [opened_for([Field("cache-control", "no-cache")]), hello()]),
        // A form that was answered with a redirect becomes a GET of an event stream; 307 keeps what was asked with.
        case(
            "request-post-to-connect (303)",
            [
                vec![asks([Asked("POST"), Body("a=b")]), Step::Answers(303, vec![("location", "/stream")])],
                opened_for([Asked("GET"), Body(""), NoField("content-length")]),
                hello(),
            ],
        )
        .with(|builder| by_the_standard(builder).method(Method::POST).body("a=b")),
        case(
            "request-post-to-connect (307)",
            [
                vec![asks([Asked("POST"), Body("a=b")]), Step::Answers(307, vec![("location", "/stream")])],
                opened_for([Asked("POST"), Body("a=b")]),
                hello(),
            ],
        )
        .with(|builder| by_the_standard(builder).method(Method::POST).body("a=b")),
        case("url-bogus", [over(Ending::Error)])
            .with(|builder| builder.prepare(async |request: netcomm_sse::Request, _| Ok(request.url("ftp://a.test/")))),
        case("url-bogus (no URL)", [over(Ending::Error)]).with(|builder| {
            builder.prepare(async |request: netcomm_sse::Request, _| Ok(request.url("http://this is invalid/")))
        }),
    ]
}

fn content_types() -> Vec<Case> {
    let opens = |content_type| vec![asks([]), Step::Opens(content_type)];
    vec![
        // These answers do not end; what they say is waited for a little, so that the error can show it.
        case("format-mime-bogus", [opens("text/x-bogus"), over(Ending::Error)]).leaping(),
        case("format-mime-valid-bogus", [opens("text/x-bogus;charset=utf-8"), over(Ending::Error)]).leaping(),
        case("format-mime-bogus (none)", [answers(200, &[]), over(Ending::Error)]),
        case("format-mime-trailing-semicolon", [opens("text/event-stream;"), hello()]),
        case(
            "format-utf-8",
            [opens("text/event-stream;charset=windows-1252"), passes("data: ok…\n\n", message("ok…"))],
        ),
    ]
}

fn ids() -> Vec<Case> {
    let goes_on = |id| [lost(), opened_for([Field("last-event-id", id)])].concat();
    vec![
        // Sent as the bytes of UTF-8, and still that of events that come without one on the next stream.
        case(
            "format-field-id",
            [
                opened_for([NoField("last-event-id")]),
                passes("id: …\ndata: hello\n\n", event("message", "hello", "…")),
                goes_on("…"),
                passes("data: …\n\n", event("message", "…", "…")),
            ],
        ),
        case(
            "format-field-id-2",
            [
                opened_for([NoField("last-event-id")]),
                passes("id: …\nretry: 20\ndata: hello\n\n", event("message", "hello", "…")),
                lost(),
                opened_for([Field("last-event-id", "…"), After(Duration::from_millis(20), Duration::from_millis(60))]),
                passes("data: …\n\n", event("message", "…", "…")),
                passes("data: …\n\n", event("message", "…", "…")),
            ],
        )
        .leaping(),
        case(
            "format-field-id-null",
            [
                opened(),
                passes("id: \0\0\ndata: hello\n\n", message("hello")),
                lost(),
                opened_for([NoField("last-event-id")]),
                hello(),
            ],
        ),
        case(
            "format-field-id-null (after another)",
            [
                opened(),
                passes("id: 1\ndata: hello\n\n", event("message", "hello", "1")),
                passes("id: a\0b\ndata: hello\n\n", event("message", "hello", "1")),
                goes_on("1"),
            ],
        ),
        case(
            "format-data-before-final-empty-line",
            [
                opened(),
                vec![says("retry: 1\ndata: test1\n\nid: test\ndata: test2"), Step::Tells(message("test1"))],
                lost(),
                opened_for([NoField("last-event-id")]),
                vec![says("id: test\ndata: test2"), Step::Ends, Step::Tells(Told::Lost)],
                opened_for([NoField("last-event-id")]),
            ],
        ),
    ]
}

fn waits() -> Vec<Case> {
    let tenth = |millis: u64| After(Duration::from_millis(millis * 9 / 10), Duration::from_millis(millis * 11 / 10));
    // As a source is set up unless its owner says otherwise.
    let by_default = |builder: Builder| by_the_standard(builder).reconnect(Reconnect::default());
    let retries = |name, chunk, millis| {
        case(name, [opened(), passes(chunk, message("x")), lost(), opened_for([tenth(millis)]), hello()])
            .with(by_default)
            .leaping()
    };
    vec![
        retries("format-field-retry", "retry: 3000\ndata: x\n\n", 3000),
        retries("format-field-retry-bogus", "retry: 3000\nretry: 1000x\ndata: x\n\n", 3000),
        retries(
            "format-field-retry-bogus (signs)",
            "retry: 3000\nretry: +100\nretry: -1\nretry: 1.5\ndata: x\n\n",
            3000,
        ),
        retries("format-field-retry-empty", "retry: 3000\nretry\nretry:\ndata: x\n\n", 3000),
        // It counts from its line on, and for the streams after this one too.
        case(
            "format-field-retry (later streams)",
            [opened(), vec![says("retry: 2000\n")], lost(), opened_for([tenth(2000)]), hello()],
        )
        .with(by_default)
        .leaping(),
    ]
}

fn ends() -> Vec<Case> {
    let messages = |wait| {
        [vec![Step::Asks(wait), Step::Opens(EVENT_STREAM)], passes("data: opened\n\n", message("opened"))].concat()
    };
    vec![
        case("eventsource-reconnect", [messages(Vec::new()), lost(), messages(Vec::new())]),
        case("eventsource-close", [opened(), hello(), vec![Step::Closes, Step::LetsGo], over(Ending::Owner)]),
        case(
            "eventsource-close (while it waits)",
            [opened(), hello(), lost(), vec![Step::Closes], over(Ending::Owner)],
        )
        .with(|builder| by_the_standard(builder).reconnect(long()))
        .leaping(),
        case("request-cancellation", [vec![asks([]), Step::Closes, Step::LetsGo], over(Ending::Owner)]),
    ]
}

/// One that has time to be closed.
fn long() -> Reconnect {
    let hour = Duration::from_secs(3600);
    Reconnect::default().floor(hour).first(hour)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        let cases = cases();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
    }
}
