//! Streams that end, break or fall silent, and what the next one goes on from. Pure.

use std::time::Duration;

use http::Method;

use crate::script::Want::{After, Body, Field, Method as Asked, NoField};
use crate::script::{Case, Step, opened, opened_for, says};
use crate::told::{Told, event, message};

pub(super) fn cases() -> Vec<Case> {
    let lost = || vec![Step::Ends, Step::Tells(Told::Lost)];
    let says_and_tells = |text, told| vec![says(text), Step::Tells(told)];
    let first = || says_and_tells("id: abc\ndata: 1\n\n", event("message", "1", "abc"));
    let restarted = vec![Step::Restarts, Step::LetsGo, Step::Tells(Told::Lost)];
    let silent = Duration::from_millis(500);
    let after_silence = After(silent, silent + Duration::from_millis(10));
    let again = [Asked("POST"), Body("the body")];
    vec![
        case(
            "restart",
            [
                opened(),
                first(),
                restarted,
                opened_for([Field("last-event-id", "abc")]),
                says_and_tells("data: 2\n\n", event("message", "2", "abc")),
            ],
        ),
        case("the last id is sent", [opened(), first(), lost(), opened_for([Field("last-event-id", "abc")])]),
        case(
            "the last id is kept if later events have none",
            [
                opened(),
                first(),
                says_and_tells("data: 2\n\n", event("message", "2", "abc")),
                lost(),
                opened_for([Field("last-event-id", "abc")]),
                says_and_tells("data: 3\n\n", event("message", "3", "abc")),
                lost(),
                opened_for([Field("last-event-id", "abc")]),
            ],
        ),
        case(
            "an empty id is not sent",
            [
                opened(),
                first(),
                says_and_tells("id:\ndata: 2\n\n", message("2")),
                lost(),
                opened_for([NoField("last-event-id")]),
            ],
        ),
        case("the body is sent again", [opened_for(again), lost(), opened_for(again)])
            .with(|builder| builder.method(Method::POST).body("the body")),
        case(
            "a stream that is silent for too long is lost",
            [
                opened(),
                says_and_tells("data: 1\n\n", message("1")),
                vec![Step::LetsGo, Step::Tells(Told::Lost)],
                opened_for([after_silence]),
                says_and_tells("data: 2\n\n", message("2")),
            ],
        )
        .with(|builder| builder.idle_timeout(Duration::from_millis(500)))
        .leaping(),
        case(
            "what is incomplete is dropped, with its id",
            [
                opened(),
                first(),
                vec![says("id: def\ndata: 2\n")],
                lost(),
                opened_for([Field("last-event-id", "abc")]),
                says_and_tells("data: 3\n\n", event("message", "3", "abc")),
            ],
        ),
        case(
            "the second stream works",
            [
                opened(),
                says_and_tells("data: 1\n\n", message("1")),
                lost(),
                opened(),
                says_and_tells("data: 2\n\n", message("2")),
            ],
        ),
    ]
}

fn case<const N: usize>(name: &str, steps: [Vec<Step>; N]) -> Case {
    Case::new(format!("reconnection/{name}"), steps.into_iter().flatten().collect())
}
