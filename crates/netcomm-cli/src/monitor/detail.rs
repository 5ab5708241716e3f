//! All that is known of one exchange, as lines: pure.

use std::time::Duration;

use http::HeaderMap;
use netcomm::monitor::{Decided, Entry, EntryAttempt, EntryBody, EntryHead, EntryTimings};

use crate::exit;
use crate::output::escaped;

/// Messages that are shown, at most.
const MESSAGES: usize = 200;
/// Bytes of a body that are shown, at most.
const SHOWN: usize = 4096;

/// A line of what is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    Heading(String),
    Text(String),
    /// A part of the time, within the whole of it: both from 0 to 1.
    Bar {
        name: &'static str,
        took: Duration,
        from: f64,
        to: f64,
    },
}

/// All lines, top to bottom.
pub(super) fn lines(entry: &Entry) -> Vec<Line> {
    let mut lines = vec![Line::Heading(format!("{} {}", entry.method, escaped(&entry.url)))];
    lines.push(text(match entry.ended {
        None => "goes on".to_owned(),
        Some(ended) => {
            let outcome = match (ended.status, ended.error) {
                (_, Some(error)) => exit::name(error).to_owned(),
                (Some(status), None) => status.as_u16().to_string(),
                (None, None) => "dropped".to_owned(),
            };
            format!("{outcome} after {}, {} bytes", millis(ended.took), ended.received_bytes)
        }
    }));
    for decision in &entry.decisions {
        lines.push(text(format!("{:>10}  {}", millis(decision.after), sentence(&decision.what))));
    }
    if entry.left_out > 0 {
        lines.push(text(format!("{} attempts and decisions are not kept", entry.left_out)));
    }
    for attempt in &entry.attempts {
        of_attempt(attempt, &mut lines);
    }
    if let Some(stored) = &entry.stored {
        lines.push(Line::Heading("answer from store".to_owned()));
        head(stored, &mut lines);
    }
    body("answer", &entry.body, &mut lines);
    if let Some(events) = &entry.events {
        lines.push(Line::Heading("event stream".to_owned()));
        lines.push(text(format!("{} events, {} bytes", events.events, events.bytes)));
    }
    if let Some(socket) = &entry.socket {
        lines.push(Line::Heading("messages".to_owned()));
        let (sent, received) = (socket.sent, socket.received);
        lines.push(text(format!("{} sent ({} bytes), {} received ({} bytes)", sent.0, sent.1, received.0, received.1)));
        if let Some((code, clean)) = socket.closed {
            lines.push(text(format!("closed with {code}, {}", if clean { "in order" } else { "without a goodbye" })));
        }
        // The newest first: who looks at a socket looks for what came last.
        for message in socket.messages.iter().rev().take(MESSAGES) {
            let way = if message.is_sent { "→" } else { "←" };
            let after = millis(message.at.saturating_duration_since(entry.started));
            lines.push(text(format!("{after:>10} {way} {}", content(&message.body))));
        }
    }
    lines
}

fn text(text: impl AsRef<str>) -> Line {
    Line::Text(escaped(text.as_ref()))
}

fn of_attempt(attempt: &EntryAttempt, lines: &mut Vec<Line>) {
    let outcome = match (attempt.status, attempt.error) {
        (_, Some(error)) => exit::name(error).to_owned(),
        (Some(status), None) => status.as_u16().to_string(),
        (None, None) => "under way".to_owned(),
    };
    let heading = format!("attempt {} at {}: {outcome}", attempt.number, attempt.origin);
    lines.push(Line::Heading(escaped(&heading)));
    if let Some(connection) = attempt.connection {
        let how = if connection.reused { "reused" } else { "new" };
        let peer = connection.peer.map_or_else(String::new, |peer| format!(" to {peer}"));
        lines.push(text(format!("{how} connection{peer}")));
    }
    lines.extend(waterfall(&attempt.timings()));
    if let Some(request) = &attempt.request {
        head(request, lines);
    }
    body("request", &attempt.request_body, lines);
    if let Some(response) = &attempt.response {
        head(response, lines);
    }
}

/// The parts that took time, each beginning where the one before ended.
fn waterfall(timings: &EntryTimings) -> Vec<Line> {
    let total = timings.total().as_secs_f64();
    let parts = [
        ("blocked", timings.blocked),
        ("dns", timings.dns),
        ("connect", timings.connect),
        ("tls", timings.tls),
        ("send", timings.send),
        ("wait", timings.wait),
        ("receive", timings.receive),
    ];
    let share = |seconds: f64| if total > 0.0 { seconds / total } else { 0.0 };
    let mut before = 0.0;
    let bars = parts.into_iter().filter_map(|(name, took)| {
        let took = took?;
        let from = share(before);
        before += took.as_secs_f64();
        Some(Line::Bar { name, took, from, to: share(before) })
    });
    bars.collect()
}

fn head(head: &EntryHead, lines: &mut Vec<Line>) {
    let first = match (&head.method, head.status) {
        (Some(method), _) => format!("{method} {} {:?}", head.url.as_deref().unwrap_or_default(), head.version),
        (None, Some(status)) => format!("{:?} {status}", head.version),
        (None, None) => format!("{:?}", head.version),
    };
    lines.push(text(first));
    lines.extend(fields(&head.headers));
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = Line> {
    headers.iter().map(|(name, value)| text(format!("  {name}: {}", String::from_utf8_lossy(value.as_bytes()))))
}

fn body(whose: &str, body: &EntryBody, lines: &mut Vec<Line>) {
    if body.bytes() == 0 {
        return;
    }
    lines.push(Line::Heading(format!("body of the {whose}, {} bytes", body.bytes())));
    lines.extend(content(body).lines().map(text));
}

/// As much as can be shown of a body.
fn content(body: &EntryBody) -> String {
    let data = body.data();
    let shown = &data[..data.len().min(SHOWN)];
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text.to_owned(),
        // A character that is cut at the end.
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&shown[..error.valid_up_to()]).into_owned()
        }
        Err(_) => return format!("[{} bytes that are no text]", body.bytes()),
    };
    if (shown.len() as u64) < body.bytes() { text + "…" } else { text }
}

fn sentence(what: &Decided) -> String {
    match what {
        Decided::Redirected { status, to, crossed_origin } => {
            let dropped = if *crossed_origin { ", credentials dropped" } else { "" };
            format!("redirected by {} to {to}{dropped}", status.as_u16())
        }
        Decided::Retried { tries, wait, status, error } => {
            let why = match (status, error) {
                (_, Some(error)) => format!(" ({})", exit::name(*error)),
                (Some(status), None) => format!(" ({})", status.as_u16()),
                (None, None) => String::new(),
            };
            format!("try {tries} failed{why}, the next one after {}", millis(*wait))
        }
        Decided::GaveUp(why) => format!("not tried again: {}", why.as_str()),
        Decided::Hedged => "sent a second time, since it was slow".to_owned(),
        Decided::Held { stage, took, passed } => {
            let then = if *passed { "then let through" } else { "then refused" };
            format!("held by stage {} for {}, {then}", stage.as_str(), millis(*took))
        }
        Decided::Resumed(offset) => format!("resumed at byte {offset}"),
        Decided::Cache { hit, forwarded, stored, detail } => {
            format!("cache {}", crate::cache::words(*hit, *forwarded, *stored, *detail))
        }
        Decided::Kept(number) => format!("put into the outbox as number {number}"),
        Decided::Deferred(wait) => format!("the origin asks to be left alone for {}", millis(*wait)),
        Decided::CookieRefused(why) => format!("cookie refused: {why}"),
        other => format!("{other:?}"),
    }
}

/// Milliseconds, with as many digits as say something.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use http::{HeaderMap, Method, StatusCode, Version};
    use netcomm::core::{CallId, Event, Observation, Observe as _, Steps};
    use netcomm::monitor::Recorder;
    use netcomm_tests::{ManualClock, ScriptedDialer};

    use super::*;

    const CANARY: &str = "hunter2";

    fn recorded(events: impl IntoIterator<Item = (u64, Event)>) -> Vec<Line> {
        let recorder = Recorder::new(&netcomm::Env::new(ScriptedDialer::new(), ManualClock::new()));
        let began = Instant::now();
        for (after, event) in events {
            let seen = Observation::new(began + Duration::from_millis(after), event);
            recorder.observe(&seen.with_call(CallId(7), None));
        }
        lines(&recorder.entry(CallId(7)).expect("an entry"))
    }

    fn has(lines: &[Line], piece: &str) -> bool {
        let holds = |text: &str| text.contains(piece);
        lines.iter().any(|line| matches!(line, Line::Heading(text) | Line::Text(text) if holds(text)))
    }

    #[test]
    fn an_exchange_from_its_head_to_its_end() {
        let origin = || "http://a.example:80".to_owned();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {CANARY}").parse().expect("a value"));
        headers.insert("x-odd", "a\tb".parse().expect("a value"));
        let url = "http://a.example/x".to_owned();
        let lines = recorded([
            (0, Event::CallStarted { method: Method::GET, url: url.clone() }),
            (0, Event::AttemptStarted { number: 1, origin: origin() }),
            (
                4,
                Event::ConnectionTaken {
                    number: 1,
                    peer: None,
                    local: None,
                    reused: true,
                    blocked: Duration::from_millis(4),
                    steps: Steps::default(),
                },
            ),
            (4, Event::RequestHead { number: 1, method: Method::GET, url, version: Version::HTTP_11, headers }),
            (
                16,
                Event::ResponseHead {
                    number: 1,
                    status: StatusCode::OK,
                    version: Version::HTTP_11,
                    headers: HeaderMap::new(),
                },
            ),
            (
                16,
                Event::AttemptEnded {
                    number: 1,
                    origin: origin(),
                    method: Method::GET,
                    version: Some(Version::HTTP_11),
                    status: Some(StatusCode::OK),
                    error: None,
                    reused: true,
                    wait: Some(Duration::from_millis(12)),
                    took: Duration::from_millis(16),
                },
            ),
            (16, Event::ResponseBody { data: Bytes::from_static(b"one\ntwo\x1b[2J") }),
            (
                20,
                Event::CallEnded {
                    status: Some(StatusCode::OK),
                    error: None,
                    received_bytes: 11,
                    took: Duration::from_millis(20),
                },
            ),
        ]);
        for piece in [
            "GET http://a.example/x",
            "200 after 20 ms, 11 bytes",
            "attempt 1 at http://a.example:80: 200",
            "reused connection",
            "  authorization: ",
            "HTTP/1.1 200 OK",
            "one",
            "two\\u{1b}[2J",
        ] {
            assert!(has(&lines, piece), "{piece:?} in {lines:#?}");
        }
        assert!(!has(&lines, CANARY), "{lines:#?}");
        let bars = lines.iter().filter_map(|line| match line {
            Line::Bar { name, from, to, .. } => Some((*name, *from, *to)),
            _ => None,
        });
        let bars: Vec<_> = bars.collect();
        assert_eq!(bars[0], ("blocked", 0.0, 0.2));
        assert!(bars.iter().any(|(name, ..)| *name == "wait"), "{bars:?}");
    }

    #[test]
    fn messages_of_a_socket_come_newest_first() {
        let opened = Event::SocketOpened { url: "ws://a.example/".to_owned(), subprotocol: None, compressed: false };
        let message = |is_sent, text: &'static str| Event::MessageContent {
            is_sent,
            is_text: true,
            data: Bytes::from_static(text.as_bytes()),
        };
        let lines = recorded([
            (0, Event::CallStarted { method: Method::GET, url: "ws://a.example/".to_owned() }),
            (0, opened),
            (1, message(true, "first")),
            (1, Event::MessageSent { is_text: true, bytes: 5 }),
            (2, message(false, "second")),
            (2, Event::MessageReceived { is_text: true, bytes: 6 }),
        ]);
        let at = |piece: &str| lines.iter().position(|line| matches!(line, Line::Text(text) if text.contains(piece)));
        assert!(at("← second").is_some() && at("← second") < at("→ first"), "{lines:#?}");
    }
}
