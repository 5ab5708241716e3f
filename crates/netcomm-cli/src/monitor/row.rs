//! One exchange as a line of a list: pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netcomm::core::CallId;
use netcomm::monitor::{Decided, Entry};
use serde_json::{Value, json};

use crate::exit;

/// One call, or one WebSocket, as a line of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) call: CallId,
    /// Since 1970, in seconds.
    pub(super) at: f64,
    pub(super) method: String,
    /// Redacted.
    pub(super) url: String,
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'static str>,
    /// `None` while it goes on.
    pub(super) took: Option<Duration>,
    pub(super) bytes: u64,
    /// Where it went in the end, `scheme://host:port`.
    pub(super) origin: Option<String>,
    pub(super) attempts: usize,
    /// What netcomm did for it.
    pub(super) did: Vec<String>,
    /// Messages sent and received, if it is a WebSocket.
    pub(super) messages: Option<(u64, u64)>,
    /// Events that came, if it is an event stream.
    pub(super) events: Option<u64>,
}

impl Row {
    pub(super) fn of(entry: &Entry) -> Self {
        let socket = entry.socket.as_ref();
        let socket_bytes = socket.map(|socket| socket.received.1);
        let event_bytes = entry.events.as_ref().map(|events| events.bytes);
        Self {
            call: entry.call,
            at: seconds(entry.started_at),
            method: entry.method.as_str().to_owned(),
            url: entry.url.clone(),
            status: entry.status().map(|status| status.as_u16()),
            error: entry.error().map(exit::name),
            took: entry.ended.map(|ended| ended.took),
            bytes: socket_bytes
                .or_else(|| entry.ended.map(|ended| ended.received_bytes))
                .or(event_bytes)
                .unwrap_or_else(|| entry.body.bytes()),
            origin: entry.attempts.last().map(|attempt| attempt.origin.clone()),
            attempts: entry.attempts.len(),
            did: did(entry),
            messages: socket.map(|socket| (socket.sent.0, socket.received.0)),
            events: entry.events.as_ref().map(|events| events.events),
        }
    }

    /// The host that was asked, without port.
    pub(super) fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(&*self.url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        }
    }

    /// What became of it, in a word.
    pub(super) fn outcome(&self) -> String {
        match (self.status, self.error) {
            (_, Some(error)) => error.to_owned(),
            (Some(status), None) => status.to_string(),
            (None, None) if self.took.is_some() => "dropped".to_owned(),
            (None, None) => "…".to_owned(),
        }
    }

    /// Whether it came to nothing, or to an answer that says so.
    pub(super) fn is_bad(&self) -> bool {
        self.error.is_some() || self.status.is_some_and(|status| status >= 400)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "call": self.call.0,
            "method": self.method,
            "url": self.url,
            "status": self.status,
            "error": self.error,
            "took": self.took.map(|took| took.as_secs_f64() * 1000.0),
            "bytes": self.bytes,
            "origin": self.origin,
            "attempts": self.attempts,
            "did": self.did,
        })
    }

    pub(super) fn text(&self) -> String {
        let took = self.took.map_or_else(|| "…".to_owned(), |took| format!("{} ms", took.as_millis()));
        let did = if self.did.is_empty() { String::new() } else { format!("; {}", self.did.join(", ")) };
        format!("{} {}: {}, {took}, {} bytes{did}", self.method, self.url, self.outcome(), self.bytes)
    }
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> f64 {
    let exact = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    (exact * 1000.0).round() / 1000.0
}

/// What was decided for it, in few words each.
fn did(entry: &Entry) -> Vec<String> {
    let decided = entry.decisions.iter().filter_map(|decision| word(&decision.what));
    let mut did = Vec::<(String, u32)>::new();
    for word in decided {
        match did.iter_mut().find(|(own, _)| *own == word) {
            Some((_, times)) => *times += 1,
            None => did.push((word, 1)),
        }
    }
    did.into_iter().map(|(word, times)| if times > 1 { format!("{word} ×{times}") } else { word }).collect()
}

fn word(what: &Decided) -> Option<String> {
    Some(match what {
        Decided::Redirected { .. } => "redirect".to_owned(),
        Decided::Retried { .. } => "retry".to_owned(),
        Decided::GaveUp(_) => "gave up".to_owned(),
        Decided::Hedged => "hedge".to_owned(),
        Decided::Held { stage, passed, .. } => match passed {
            true => format!("waited ({})", stage.as_str()),
            false => format!("refused ({})", stage.as_str()),
        },
        Decided::Resumed(_) => "resumed".to_owned(),
        Decided::Cache { hit: true, .. } => "from cache".to_owned(),
        Decided::Cache { stored: true, .. } => "to cache".to_owned(),
        Decided::Cache { .. } => return None,
        Decided::Kept(_) => "outbox".to_owned(),
        Decided::Deferred(_) => "deferred".to_owned(),
        Decided::CookieRefused(_) => "cookie refused".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use netcomm::core::Stage;

    use super::*;

    pub(in super::super) fn row(number: u64, method: &str, url: &str, status: u16) -> Row {
        Row {
            call: CallId(number),
            at: 1_700_000_000.0 + number as f64,
            method: method.to_owned(),
            url: url.to_owned(),
            status: Some(status),
            error: None,
            took: Some(Duration::from_millis(10 * number)),
            bytes: 100 * number,
            origin: None,
            attempts: 1,
            did: Vec::new(),
            messages: None,
            events: None,
        }
    }

    #[test]
    fn hosts_are_without_port() {
        for (url, host) in [
            ("http://a.example/x", "a.example"),
            ("http://a.example:81/x?y", "a.example"),
            ("ws://[::1]:81/", "[::1]"),
            ("https://[::1]/", "[::1]"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(row(1, "GET", url, 200).host(), host, "{url}");
        }
    }

    #[test]
    fn a_call_is_told_in_a_line_and_as_an_object() {
        let mut row = row(1, "GET", "http://a.example/", 503);
        row.did = vec!["retry ×2".to_owned()];
        assert_eq!(row.text(), "GET http://a.example/: 503, 10 ms, 100 bytes; retry ×2");
        assert!(row.is_bad());
        assert_eq!(row.json()["took"], 10.0);
        (row.status, row.error, row.took) = (None, Some("connect"), None);
        assert_eq!((row.outcome().as_str(), row.text().contains("connect, …")), ("connect", true));
        (row.error, row.took) = (None, None);
        assert_eq!(row.outcome(), "…");
    }

    #[test]
    fn decisions_are_few_words() {
        let held = |passed| Decided::Held { stage: Stage::Limit, took: Duration::ZERO, passed };
        for (what, expected) in [
            (Decided::Hedged, "hedge"),
            (held(true), "waited (limit)"),
            (held(false), "refused (limit)"),
            (Decided::Cache { hit: true, forwarded: None, stored: false, detail: None }, "from cache"),
        ] {
            assert_eq!(word(&what).as_deref(), Some(expected));
        }
    }
}
