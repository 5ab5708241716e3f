//! Machine output: what is known of a call as one JSON object.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use netcomm::Error;
use netcomm::core::{GaveUp, Stage, TlsInfo};
use netcomm::http::cache::{CacheStatus, Forwarded};
use netcomm::http::{Attempt, Reason, Response, Timing};
use serde_json::{Map, Value, json};

use crate::exit;

/// The response without its body and its timing, which come later.
pub(crate) fn head(response: &Response) -> Map<String, Value> {
    let headers = response.headers().iter();
    let headers: Vec<_> =
        headers.map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    let redirects: Vec<_> = response.redirects().iter().map(ToString::to_string).collect();
    let head = json!({
        "url": response.uri().to_string(),
        "status": response.status().as_u16(),
        "version": format!("{:?}", response.version()),
        "headers": headers,
        "redirects": redirects,
        "attempts": response.attempts().iter().map(attempt).collect::<Vec<_>>(),
        "gave_up": response.gave_up().map(gave_up),
        "retry_in": response.retry_at().map(until),
        "reused": response.timing().reused,
        "peer": response.peer().map(|peer| peer.to_string()),
        "tls": response.tls().map(tls),
        "cache": response.cache_status().map(cache),
    });
    match head {
        Value::Object(head) => head,
        _ => Map::new(),
    }
}

/// A body: as text if it is UTF-8, else in base64.
pub(crate) fn body(bytes: &Bytes) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "bytes": bytes.len(), "text": text }),
        Err(_) => json!({ "bytes": bytes.len(), "base64": STANDARD.encode(bytes) }),
    }
}

/// Where the time went, in milliseconds; `null` for what did not happen.
pub(crate) fn timing(timing: &Timing) -> Value {
    json!({
        "before": millis(timing.before),
        "blocked": millis(timing.blocked),
        "dns": timing.dns.map(millis),
        "connect": timing.connect.map(millis),
        "proxy": timing.proxy.map(millis),
        "tls": timing.tls.map(millis),
        "send": millis(timing.send),
        "wait": millis(timing.wait),
        "receive": timing.receive.map(millis),
        "total": millis(timing.total()),
    })
}

/// What went wrong.
pub(crate) fn error(error: &Error) -> Value {
    json!({
        "kind": exit::name(error.kind()),
        "message": error.to_string(),
        "phase": error.phase().map(|phase| phase.as_str()),
        "url": error.url(),
        "status": error.status().map(|status| status.as_u16()),
        "causes": exit::causes(error),
        "stage": error.stage().map(Stage::as_str),
        "attempts": error.attempts(),
        "elapsed": error.elapsed().map(millis),
        "gave_up": error.gave_up().map(gave_up),
        "retry_in": error.retry_at().map(until),
    })
}

/// The name of a reason for an attempt.
pub(crate) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::First => "first",
        Reason::Replay => "replay",
        Reason::Retry => "retry",
        Reason::Hedge => "hedge",
        _ => "other",
    }
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "reason": reason(attempt.reason),
        "started": millis(attempt.started),
        "took": millis(attempt.took),
        "status": attempt.outcome.ok().map(|status| status.as_u16()),
        "error": attempt.outcome.err().map(exit::name),
    })
}

fn gave_up(why: GaveUp) -> &'static str {
    match why {
        GaveUp::Final => "final",
        GaveUp::Unsafe => "unsafe",
        GaveUp::BodySpent => "body_spent",
        GaveUp::Attempts => "attempts",
        GaveUp::Elapsed => "elapsed",
        GaveUp::Deadline => "deadline",
        GaveUp::Budget => "budget",
        GaveUp::RetryAfter => "retry_after",
        _ => "other",
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The time that is left until then, in milliseconds.
fn until(at: Instant) -> f64 {
    millis(at.saturating_duration_since(Instant::now()))
}

fn cache(status: &CacheStatus) -> Value {
    json!({
        "hit": status.hit,
        "forwarded": status.forwarded.map(Forwarded::as_str),
        "forwarded_status": status.forwarded_status.map(|status| status.as_u16()),
        "ttl": status.ttl,
        "stored": status.stored,
        "detail": status.detail,
    })
}

fn tls(info: &TlsInfo) -> Value {
    json!({
        "version": info.version,
        "cipher_suite": info.cipher_suite,
        "peer_certificate": info.peer_certificate.as_ref().map(|der| STANDARD.encode(der)),
    })
}

#[cfg(test)]
mod tests {
    use netcomm::ErrorKind;
    use netcomm::core::Phase;

    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(body(&Bytes::from_static(b"hi")), json!({ "bytes": 2, "text": "hi" }));
        assert_eq!(body(&Bytes::from_static(b"\xff")), json!({ "bytes": 1, "base64": "/w==" }));
        let mut spent = Timing::default();
        spent.wait = Duration::from_micros(1234);
        let spent = timing(&spent);
        assert_eq!((&spent["wait"], &spent["total"], &spent["dns"]), (&json!(1.234), &json!(1.234), &Value::Null));
        let timeout = Error::timeout("send", Phase::Wait).with_url("http://a.example/?token=hunter2");
        let timeout = error(&timeout);
        assert_eq!(timeout["kind"], json!("timeout"));
        assert_eq!((&timeout["phase"], &timeout["url"]), (&json!("wait"), &json!("http://a.example/")));
        for name in ["stage", "elapsed", "gave_up", "retry_in"] {
            assert_eq!(timeout[name], Value::Null, "{name}");
        }
        let refused = Error::new(ErrorKind::TooLarge, "x")
            .with_stage(Stage::Limit)
            .with_attempts(3, Duration::from_millis(1500))
            .with_gave_up(GaveUp::BodySpent)
            .with_retry_at(Instant::now() + Duration::from_secs(3600));
        let refused = error(&refused);
        for (name, expected) in [
            ("kind", json!("too_large")),
            ("stage", json!("limit")),
            ("attempts", json!(3)),
            ("elapsed", json!(1500.0)),
            ("gave_up", json!("body_spent")),
        ] {
            assert_eq!(refused[name], expected, "{name}");
        }
        assert!(refused["retry_in"].as_f64().is_some_and(|left| left > 3_000_000.0 && left <= 3_600_000.0));
    }
}
