//! What is asked for, and which answers mean what. Pure.

use http::Method;
use netcomm_core::Limits;

use crate::play::PATH;
use crate::script::Want::{Body, Field, Method as Asked, NoField, Target};
use crate::script::{Case, Step, asks, opened_for, says};
use crate::told::{Ending, Told, message};

pub(super) fn cases() -> Vec<Case> {
    let standard = [
        Asked("GET"),
        Target(PATH),
        Field("accept", "text/event-stream"),
        Field("cache-control", "no-cache"),
        NoField("last-event-id"),
    ];
    let over = || Step::Tells(Told::Over(Ending::Error));
    let no_content = vec![asks([]), Step::Answers(204, Vec::new()), Step::Tells(Told::Over(Ending::NoContent))];
    let mut cases = vec![
        Case::new("http/default method and fields", hello(opened_for(standard))),
        Case::new("http/204 ends it", no_content),
        Case::new("http/custom fields", hello(opened_for([Field("x-one", "1"), Field("x-two", "2 and 3")])))
            .with(|builder| builder.header("X-One", "1").header("x-two", "2 and 3")),
        Case::new("http/POST", hello(opened_for([Asked("POST"), Body("{\"a\":1}")])))
            .with(|builder| builder.method(Method::POST).body("{\"a\":1}")),
        Case::new("http/REPORT", hello(opened_for([Asked("REPORT"), Body("<a/>")])))
            .with(|builder| builder.method(Method::from_bytes(b"REPORT").unwrap_or_default()).body("<a/>")),
        Case::new("http/initial last event id", hello(opened_for([Field("last-event-id", "abc")])))
            .with(|builder| builder.last_event_id("abc")),
    ];
    for status in [301, 307] {
        let moved = [asks([Target(PATH)]), Step::Answers(status, vec![("location", "{url}/moved")])];
        let there = opened_for([Target("/moved"), Asked("GET"), Field("accept", "text/event-stream")]);
        cases.push(Case::new(format!("http/{status} is followed"), hello([moved.to_vec(), there].concat())));
        let nowhere = vec![asks([]), Step::Answers(status, Vec::new()), over()];
        cases.push(Case::new(format!("http/{status} without Location"), nowhere));
        // An empty reference is the URL itself, so that it is asked for until the redirects are used up.
        let here = [asks([Target(PATH)]), Step::Answers(status, vec![("location", "")])];
        let around = [vec![here; 1 + Limits::default().redirects].concat(), vec![over()]].concat();
        cases.push(Case::new(format!("http/{status} with an empty Location"), around));
    }
    cases
}

/// And then a message.
fn hello(mut steps: Vec<Step>) -> Vec<Step> {
    let told =
        if starts_behind_an_id(&steps) { crate::told::event("message", "Hello", "abc") } else { message("Hello") };
    steps.extend([says("data: Hello\n\n"), Step::Tells(told)]);
    steps
}

/// The id that was asked for is that of all events until another one comes.
fn starts_behind_an_id(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Asks(wants) => wants.iter().any(|want| matches!(want, Field("last-event-id", _))),
        _ => false,
    })
}
