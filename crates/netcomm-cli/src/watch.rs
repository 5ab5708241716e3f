//! What `--verbose` tells: every observation of the call, one line each, on stderr. Observations hold no secret.

use std::fmt;
use std::io::Write as _;
use std::time::{Duration, Instant};

use http::StatusCode;
use netcomm::core::ErrorKind;
use netcomm::core::{Event, Interest, Observation, Observe};

use crate::cache;

/// Writes observations to stderr.
pub(crate) struct Watch {
    started: Instant,
}

impl Watch {
    /// A watch that counts time from now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Observe for Watch {
    fn interest(&self) -> Interest {
        Interest::ALL.without(Interest::TRANSFER)
    }

    fn observe(&self, observation: &Observation) {
        let at = observation.at.saturating_duration_since(self.started);
        let line = format!("* {:>10}  {}\n", Millis(at).to_string(), describe(&observation.event));
        // Whether somebody reads it is not the call's concern.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::CallStarted { method, url } => format!("call {method} {url}"),
        Event::CallEnded { status, error, received_bytes, took } => {
            format!("call ended: {}, {received_bytes} bytes, {}", End(*status, *error), Millis(*took))
        }
        Event::Redirected { status, to, crossed_origin: true } => {
            format!("redirected by {} to {to}, another origin: credentials dropped", status.as_u16())
        }
        Event::Redirected { status, to, .. } => format!("redirected by {} to {to}", status.as_u16()),
        Event::Resumed { offset } => format!("resumed at byte {offset}"),
        Event::AttemptStarted { number, origin } => format!("attempt {number} at {origin}"),
        Event::AttemptEnded { number, status, error, reused, took, .. } => {
            let connection = if *reused { "reused connection" } else { "new connection" };
            format!("attempt {number}: {}, {connection}, {}", End(*status, *error), Millis(*took))
        }
        Event::Resolved { host, addresses, cached, took } => {
            let source = if *cached { "from memory" } else { "looked up" };
            format!("{host} has {addresses} addresses, {source}, {}", Millis(*took))
        }
        Event::Connected { peer, origin, steps, .. } => {
            let peer = peer.map_or_else(|| "a socket without address".to_owned(), |peer| peer.to_string());
            format!("connected to {origin} at {peer}, {}", Millis(steps.total()))
        }
        Event::ConnectFailed { origin, error } => format!("no connection to {origin}: {}", error.as_str()),
        Event::Disconnected { origin, reason } => format!("disconnected from {origin}: {reason}"),
        Event::CacheAsked { hit, forwarded, stored, detail } => {
            format!("cache {}", cache::words(*hit, *forwarded, *stored, *detail))
        }
        Event::Retrying { tries, wait } => format!("try {tries} failed, the next one in {}", Millis(*wait)),
        Event::GaveUp { why } => format!("not tried again: {}", why.as_str()),
        Event::Hedged { after } => format!("no answer after {}, sent a second time", Millis(*after)),
        Event::Held { stage, took, passed } => {
            let then = if *passed { "then let through" } else { "then refused" };
            format!("held by stage {} for {}, {then}", stage.as_str(), Millis(*took))
        }
        Event::BreakerTurned { origin, until: Some(_) } => format!("{origin} fails too often: left alone for a while"),
        Event::BreakerTurned { origin, until: None } => format!("{origin} is back"),
        Event::Deferred { origin, wait } => format!("{origin} asks to be left alone for {}", Millis(*wait)),
        Event::TokenRefreshed { ok: true } => "token refreshed".to_owned(),
        Event::TokenRefreshed { ok: false } => "token could not be refreshed".to_owned(),
        Event::CookieRefused { host, reason } => format!("cookie of {host} refused: {reason}"),
        other => format!("{other:?}"),
    }
}

struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}

/// How something ended: with a status, an error, or both.
struct End(Option<StatusCode>, Option<ErrorKind>);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(status), None) => write!(f, "{}", status.as_u16()),
            (Some(status), Some(error)) => write!(f, "{}, {}", status.as_u16(), error.as_str()),
            (None, Some(error)) => f.write_str(error.as_str()),
            (None, None) => f.write_str("without an answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use netcomm::core::{GaveUp, Stage};

    use super::*;

    #[test]
    fn lines() {
        let ended = Event::CallEnded {
            status: Some(StatusCode::OK),
            error: Some(ErrorKind::Incomplete),
            received_bytes: 7,
            took: Duration::from_micros(1500),
        };
        assert_eq!(describe(&ended), "call ended: 200, body incomplete, 7 bytes, 1.5 ms");
        let millis = Duration::from_millis;
        for (event, expected) in [
            (Event::Retrying { tries: 1, wait: millis(7) }, "try 1 failed, the next one in 7.0 ms"),
            (Event::GaveUp { why: GaveUp::Budget }, "not tried again: the retry budget is used up"),
            (Event::Hedged { after: millis(50) }, "no answer after 50.0 ms, sent a second time"),
            (
                Event::Held { stage: Stage::Limit, took: millis(9), passed: false },
                "held by stage limit for 9.0 ms, then refused",
            ),
            (
                Event::Deferred { origin: "http://a.example:80".to_owned(), wait: millis(1000) },
                "http://a.example:80 asks to be left alone for 1000.0 ms",
            ),
        ] {
            assert_eq!(describe(&event), expected);
        }
        let redirected =
            Event::Redirected { status: StatusCode::FOUND, to: "http://b.example/".to_owned(), crossed_origin: true };
        assert!(describe(&redirected).ends_with("credentials dropped"));
    }
}
