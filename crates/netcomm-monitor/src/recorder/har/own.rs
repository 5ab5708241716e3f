//! What HAR has no fields for: messages of WebSockets as browsers write them, and what only a client itself can know.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::message::text_of;
use super::{Shown, dates};
use crate::recorder::entry::{Decided, Entry, EntryDecision};

#[derive(Serialize)]
pub(super) struct SocketMessage<'e> {
    #[serde(rename = "type")]
    way: &'static str,
    /// Seconds since 1970.
    time: f64,
    opcode: u8,
    /// That of binary messages in base64, as browsers have it.
    data: Cow<'e, str>,
}

pub(super) fn messages(entry: &Entry) -> Vec<SocketMessage<'_>> {
    let messages = entry.socket.iter().flat_map(|socket| &socket.messages);
    messages
        .map(|message| SocketMessage {
            way: if message.is_sent { "send" } else { "receive" },
            time: dates::seconds(entry.started_at + message.at.saturating_duration_since(entry.started)),
            opcode: if message.is_text { 1 } else { 2 },
            data: if message.is_text { text_of(message.body.data()).0 } else { base64(message.body.data()).into() },
        })
        .collect()
}

fn base64(data: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(data)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own<'e> {
    /// As text: numbers of this size are not kept by all readers of JSON.
    call: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    decisions: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Value>,
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u32,
    #[serde(skip_serializing_if = "is_false")]
    request_cut: bool,
    #[serde(skip_serializing_if = "is_false")]
    response_cut: bool,
    #[serde(skip_serializing_if = "is_false")]
    running: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl<'e> Own<'e> {
    pub(super) fn of(shown: &Shown<'e>) -> Self {
        let Shown { entry, attempt, is_last, .. } = *shown;
        let socket = entry.socket.as_ref().filter(|_| is_last).map(|socket| {
            json!({
                "subprotocol": socket.subprotocol,
                "compressed": socket.compressed,
                "sent": socket.sent.0,
                "sentBytes": socket.sent.1,
                "received": socket.received.0,
                "receivedBytes": socket.received.1,
                "leftOut": socket.left_out,
                "closeCode": socket.closed.map(|closed| closed.0),
                "closedCleanly": socket.closed.map(|closed| closed.1),
            })
        });
        let events = entry.events.as_ref().filter(|_| is_last).map(|events| {
            json!({
                "events": events.events,
                "bytes": events.bytes,
                "resumed": events.resumed,
                "error": events.error.map(|error| format!("{error:?}")),
            })
        });
        Self {
            call: entry.call.0.to_string(),
            attempt: attempt.map(|attempt| attempt.number),
            scope: entry.scope.as_deref(),
            reused: attempt.and_then(|attempt| attempt.connection).map(|connection| connection.reused),
            decisions: if is_last { entry.decisions.iter().map(decision).collect() } else { Vec::new() },
            socket,
            events,
            left_out: if is_last { entry.left_out } else { 0 },
            request_cut: attempt.is_some_and(|attempt| attempt.request_body.is_cut()),
            response_cut: shown.has_body && entry.body.is_cut(),
            running: is_last && entry.ended.is_none(),
        }
    }
}

/// One decision: what, when, and what belongs to it. Times in milliseconds.
fn decision(decision: &EntryDecision) -> Value {
    let mut value = match &decision.what {
        Decided::Redirected { status, to, crossed_origin } => {
            json!({ "what": "redirect", "status": status.as_u16(), "to": to, "crossedOrigin": crossed_origin })
        }
        Decided::Retried { tries, wait, status, error } => json!({
            "what": "retry",
            "tries": tries,
            "wait": millis(*wait),
            "status": status.map(|status| status.as_u16()),
            "error": error.map(|error| format!("{error:?}")),
        }),
        Decided::GaveUp(why) => json!({ "what": "gave up", "why": format!("{why:?}") }),
        Decided::Hedged => json!({ "what": "hedge" }),
        Decided::Held { stage, took, passed } => {
            json!({ "what": "held", "stage": format!("{stage:?}"), "took": millis(*took), "passed": passed })
        }
        Decided::Resumed(offset) => json!({ "what": "resumed", "offset": offset }),
        Decided::Cache { hit, forwarded, stored, detail } => {
            json!({ "what": "cache", "hit": hit, "forwarded": forwarded, "stored": stored, "detail": detail })
        }
        Decided::Kept(number) => json!({ "what": "kept", "number": number }),
        Decided::Deferred(wait) => json!({ "what": "deferred", "wait": millis(*wait) }),
        Decided::CookieRefused(why) => json!({ "what": "cookie refused", "why": why }),
    };
    if let Value::Object(fields) = &mut value {
        fields.insert("after".to_owned(), millis(decision.after).into());
    }
    value
}

fn millis(took: Duration) -> f64 {
    took.as_micros() as f64 / 1000.0
}
