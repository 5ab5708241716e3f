//! What is shown: messages on stdout, what happens to the connection on stderr, or all of it as JSON on stdout.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netcomm::Result;
use netcomm::ws::{Closer, Event, Message};
use serde_json::{Value, json};

use super::ending::Ending;
use crate::args::{Framing, WsTalk};
use crate::{exit, json, output};

/// So much is written at a time where messages come faster than they are read.
const FULL: usize = 64 << 10;

/// Writes what is to be shown.
pub(super) struct Show {
    style: Style,
    told: Told,
    /// What is to be written to stdout next.
    pending: Vec<u8>,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// For eyes: with a mark, and escapes for what a terminal would obey.
    Terminal,
    /// The payload and the end of a line.
    Lines,
    /// The length in four bytes, and the payload.
    Length,
    /// A JSON object in each line.
    Json,
}

/// What is told on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// Losses and waits.
    Bad,
    /// Everything, in a dim colour if need be.
    All {
        dim: bool,
    },
}

impl Show {
    pub(super) fn new(talk: &WsTalk) -> Self {
        let style = match talk.binary {
            _ if talk.json => Style::Json,
            Some(Framing::Length) => Style::Length,
            _ if io::stdout().is_terminal() => Style::Terminal,
            _ => Style::Lines,
        };
        let told = match io::stderr().is_terminal() {
            _ if talk.quiet || talk.json => Told::Nothing,
            true => Told::All { dim: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) },
            false => Told::Bad,
        };
        Self { style, told, pending: Vec::new() }
    }

    /// Takes a message, for [`flush`](Self::flush) to write.
    pub(super) fn message(&mut self, message: &Message) {
        let payload = message.as_bytes();
        match self.style {
            Style::Terminal => {
                let shown = match message {
                    Message::Text(text) => output::escaped(text),
                    Message::Binary(data) => format!("[{} bytes] {}", data.len(), STANDARD.encode(data)),
                };
                self.line(&format!("< {shown}"));
            }
            Style::Lines => {
                self.pending.extend_from_slice(payload);
                self.pending.push(b'\n');
            }
            Style::Length => {
                // The limit of messages is such that their length fits.
                let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                self.pending.extend_from_slice(&length.to_be_bytes());
                self.pending.extend_from_slice(payload);
            }
            Style::Json => {
                let object = match message {
                    Message::Text(text) => json!({ "type": "message", "text": text.as_str() }),
                    Message::Binary(data) => json!({ "type": "message", "base64": STANDARD.encode(data) }),
                };
                self.line(&object.to_string());
            }
        }
    }

    /// Whether enough has gathered to be written.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= FULL
    }

    /// Writes what was taken.
    ///
    /// # Errors
    ///
    /// Kind `Io`.
    pub(super) fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() { Ok(()) } else { output::put(&pending) }
    }

    /// Tells what happened to the connection.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub(super) fn event(&mut self, event: &Event) -> Result<()> {
        if self.style == Style::Json {
            let Some(state) = state(event) else { return Ok(()) };
            self.line(&state.to_string());
            return self.flush();
        }
        let (is_bad, words) = match event {
            Event::Connecting { attempt: 1 } => (false, "connecting".to_owned()),
            Event::Connecting { attempt } => (false, format!("connecting, attempt {attempt}")),
            Event::Ready { .. } => (false, "connected".to_owned()),
            Event::Lost { cause, .. } => (true, format!("lost: {}", causes(cause))),
            Event::Waiting { wait: Some(wait), cause, .. } => {
                (true, format!("again in {:.1} s: {}", wait.as_secs_f64(), causes(cause)))
            }
            Event::Waiting { .. } => (true, "again as soon as there is a network".to_owned()),
            Event::Closed { closed: Some(closed), cause: None } => (false, closed.to_string()),
            _ => return Ok(()),
        };
        match self.told {
            Told::All { dim: true } => output::tell(&format!("\x1b[2m* {words}\x1b[0m\n")),
            Told::All { dim: false } => output::tell(&format!("* {words}\n")),
            Told::Bad if is_bad => output::tell(&format!("* {words}\n")),
            Told::Bad | Told::Nothing => {}
        }
        Ok(())
    }

    /// Tells how it ended.
    pub(super) fn ending(&mut self, ending: &Ending) {
        if self.style == Style::Json {
            self.line(&closed(ending).to_string());
            // There is nobody left to tell that nobody reads it.
            drop(self.flush());
            return;
        }
        let Some(error) = ending.error() else { return };
        output::tell(&exit::describe(&error));
        if let Some(lost) = ending.lost().filter(|lost| error.detail() != Some(lost)) {
            output::tell(&format!("netcomm: send: {lost}\n"));
        }
    }

    fn line(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
        self.pending.push(b'\n');
    }
}

/// An error with what lies beneath it, in one line.
fn causes(error: &netcomm::Error) -> String {
    let mut text = error.to_string();
    for cause in exit::causes(error) {
        // An error may have said already what lies beneath it.
        if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    output::escaped(&text)
}

/// A change of state in machine output; the end has a line of its own.
fn state(event: &Event) -> Option<Value> {
    let state = match event {
        Event::Connecting { attempt } => json!({ "state": "connecting", "attempt": attempt }),
        Event::Ready { .. } => json!({ "state": "ready" }),
        Event::Lost { cause, uptime } => {
            json!({ "state": "lost", "error": json::error(cause), "uptime": millis(*uptime) })
        }
        Event::Waiting { attempt, wait, cause } => {
            json!({ "state": "waiting", "attempt": attempt, "wait": wait.map(millis), "error": json::error(cause) })
        }
        _ => return None,
    };
    let Value::Object(mut state) = state else { return None };
    state.insert("type".to_owned(), "state".into());
    Some(Value::Object(state))
}

/// The end in machine output.
fn closed(ending: &Ending) -> Value {
    let closed = ending.closed.as_ref();
    let by = closed.map(|closed| match closed.by {
        Closer::Us => "us",
        Closer::Peer => "peer",
        _ => "nobody",
    });
    json!({
        "type": "closed",
        "code": closed.map(|closed| closed.code.get()),
        "reason": closed.map(|closed| closed.reason.as_str()),
        "by": by,
        "clean": closed.map(|closed| closed.clean),
        "messages": ending.messages,
        "not_written": ending.not_written,
        "unknown": ending.unknown,
        "error": ending.error().as_ref().map(json::error),
    })
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use netcomm::{Error, ErrorKind};

    use super::*;

    fn shown(style: Style, message: impl Into<Message>) -> Vec<u8> {
        let mut show = Show { style, told: Told::Nothing, pending: Vec::new() };
        show.message(&message.into());
        show.pending
    }

    #[test]
    fn messages_in_every_style() {
        for (style, expected) in [
            (Style::Terminal, &b"< a\\u{1b}[2J\\n\n"[..]),
            (Style::Lines, b"a\x1b[2J\n\n"),
            (Style::Length, b"\0\0\0\x06a\x1b[2J\n"),
            (Style::Json, b"{\"text\":\"a\\u001b[2J\\n\",\"type\":\"message\"}\n"),
        ] {
            assert_eq!(shown(style, "a\x1b[2J\n"), expected, "{style:?}");
        }
        for (style, expected) in [
            (Style::Terminal, &b"< [2 bytes] /wo=\n"[..]),
            (Style::Lines, b"\xff\n\n"),
            (Style::Json, b"{\"base64\":\"/wo=\",\"type\":\"message\"}\n"),
        ] {
            assert_eq!(shown(style, &b"\xff\n"[..]), expected, "{style:?}");
        }
    }

    #[test]
    fn states_and_the_end() {
        let state = |event| state(&event).map(|state| state.to_string());
        let connecting = Event::Connecting { attempt: 2 };
        assert_eq!(state(connecting).as_deref(), Some(r#"{"attempt":2,"state":"connecting","type":"state"}"#));
        assert_eq!(state(Event::NetworkChanged), None);
        let mut ending = Ending::failed(Error::new(ErrorKind::Invalid, "x"));
        ending.not_written = 3;
        let told = closed(&ending);
        assert_eq!((&told["type"], &told["code"], &told["not_written"]), (&json!("closed"), &Value::Null, &json!(3)));
        assert_eq!(told["error"]["kind"], json!("invalid"));
    }
}
