//! What is said of the network where nobody draws: a line for each thing, as text or as an object. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use netcomm::monitor::{Quality, Snapshot};
use serde_json::{Value, json};

use super::row::Row;
use super::standing::Standing;
use crate::output::escaped;

/// One thing that is told.
#[derive(Clone, Debug)]
pub(super) enum Told<'t> {
    State(&'t Standing),
    Quality(&'t Quality),
    Call(&'t Row),
    /// A message went over a WebSocket, or came.
    Message {
        url: &'t str,
        is_sent: bool,
        is_text: bool,
        bytes: usize,
    },
    /// Where the proxy listens.
    Proxy(&'t str),
    /// Observations that came faster than they were told of.
    Missed(u64),
    End(&'t Snapshot),
}

impl Told<'_> {
    /// As an object; `at` are seconds since 1970.
    pub(super) fn json(&self, at: f64) -> Value {
        let (kind, mut told) = match self {
            Self::State(standing) => ("state", standing.json()),
            Self::Quality(quality) => ("quality", serde_json::to_value(quality).unwrap_or_default()),
            Self::Call(row) => ("call", row.json()),
            Self::Message { url, is_sent, is_text, bytes } => {
                let (way, data) = (way(*is_sent), if *is_text { "text" } else { "binary" });
                ("message", json!({ "url": url, "way": way, "data": data, "bytes": bytes }))
            }
            Self::Proxy(url) => ("proxy", json!({ "url": url })),
            Self::Missed(count) => ("missed", json!({ "count": count })),
            Self::End(snapshot) => (
                "end",
                json!({
                    "calls": snapshot.calls.started,
                    "errors": errors(snapshot),
                    "bytes": snapshot.calls.received_bytes,
                    "attempts": snapshot.attempts.started,
                    "connections": snapshot.connections.opened,
                }),
            ),
        };
        if let Value::Object(told) = &mut told {
            told.insert("at".to_owned(), at.into());
            told.insert("kind".to_owned(), kind.into());
        }
        told
    }

    /// As text; `since` the beginning.
    pub(super) fn text(&self, since: Duration) -> String {
        let told = match self {
            Self::State(standing) => standing.text(),
            Self::Quality(quality) => words(quality),
            Self::Call(row) => row.text(),
            Self::Message { url, is_sent, is_text, bytes } => {
                let kind = if *is_text { "text" } else { "binary" };
                format!("{url}: {} {bytes} bytes of {kind}", way(*is_sent))
            }
            Self::Proxy(url) => format!("proxy at {url}"),
            Self::Missed(count) => format!("{count} things happened faster than they could be told"),
            Self::End(snapshot) => format!(
                "{} calls, {} errors, {} bytes, {} connections",
                snapshot.calls.started,
                errors(snapshot),
                snapshot.calls.received_bytes,
                snapshot.connections.opened
            ),
        };
        format!("{:>9.3} s  {}", since.as_secs_f64(), escaped(&told))
    }
}

fn way(is_sent: bool) -> &'static str {
    if is_sent { "sent" } else { "received" }
}

/// Calls that came to an error.
pub(super) fn errors(snapshot: &Snapshot) -> u64 {
    let failed = snapshot.calls.ended.iter().filter(|ended| ended.error.is_some());
    failed.map(|ended| ended.duration.count).sum()
}

/// How good the network is, in a line.
pub(super) fn words(quality: &Quality) -> String {
    let mut text = format!("quality {} of 100", quality.score);
    if let Some(effective) = quality.effective {
        write!(text, ", {effective}").expect("a string takes all text");
    }
    let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1000.0);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for (name, value) in [
        ("rtt", quality.rtt.or(quality.http_rtt).map(millis)),
        ("p95", quality.rtt_p95.map(millis)),
        ("jitter", quality.jitter.map(millis)),
        ("downlink", quality.downlink_kbps.map(rate)),
        ("loss", quality.loss.map(percent)),
        ("failures", quality.failures.map(percent)),
        ("confidence", Some(format!("{:.0} %", quality.confidence * 100.0))),
    ] {
        if let Some(value) = value {
            write!(text, ", {name} {value}").expect("a string takes all text");
        }
    }
    text
}

/// A rate of kbit/s in its best unit.
pub(super) fn rate(kbps: f64) -> String {
    match kbps {
        _ if kbps >= 1e6 => format!("{:.1} Gbit/s", kbps / 1e6),
        _ if kbps >= 1e3 => format!("{:.1} Mbit/s", kbps / 1e3),
        _ => format!("{kbps:.0} kbit/s"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use netcomm::monitor::Stats;

    use super::*;
    use crate::monitor::{row, standing};

    #[test]
    fn each_thing_is_an_object_with_its_time_and_kind() {
        let standing = standing::tests::online(Instant::now());
        let row = row::tests::row(1, "GET", "http://a.example/", 200);
        let snapshot = Stats::new().snapshot();
        let message = Told::Message { url: "ws://a.example/", is_sent: true, is_text: true, bytes: 3 };
        for (told, kind, name) in [
            (Told::State(&standing), "state", "reach"),
            (Told::Quality(&Quality::default()), "quality", "rtt_ms"),
            (Told::Call(&row), "call", "url"),
            (message, "message", "way"),
            (Told::Proxy("http://127.0.0.1:1"), "proxy", "url"),
            (Told::Missed(3), "missed", "count"),
            (Told::End(&snapshot), "end", "calls"),
        ] {
            let json = told.json(1.5);
            assert_eq!((json["at"].as_f64(), &json["kind"]), (Some(1.5), &json!(kind)));
            assert!(json.get(name).is_some(), "{json}");
            assert!(told.text(Duration::from_millis(1500)).starts_with("    1.500 s  "));
        }
    }

    #[test]
    fn a_line_is_one_line() {
        let told = Told::Proxy("a\nb\x1b[2J");
        assert!(told.text(Duration::ZERO).ends_with("proxy at a\\nb\\u{1b}[2J"));
    }

    #[test]
    fn quality_in_words() {
        let mut quality = Quality::default();
        assert_eq!(words(&quality), "quality 0 of 100, confidence 0 %");
        quality.rtt = Some(Duration::from_micros(12_340));
        quality.downlink_kbps = Some(50_000.0);
        quality.loss = Some(0.015);
        assert_eq!(words(&quality), "quality 0 of 100, rtt 12.3 ms, downlink 50.0 Mbit/s, loss 1.5 %, confidence 0 %");
        assert_eq!((rate(900.0).as_str(), rate(2.5e6).as_str()), ("900 kbit/s", "2.5 Gbit/s"));
    }
}
