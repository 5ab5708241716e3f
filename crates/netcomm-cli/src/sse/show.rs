//! What is shown: data on stdout, what happens to the stream on stderr, or all of it as JSON on stdout.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use netcomm::Result;
use netcomm::sse::{End, Event, Notice, Resume};
use serde_json::{Value, json};

use super::Ending;
use crate::args::SseShow;
use crate::{exit, json, output};

/// So much is written at a time where events come faster than they are read.
const FULL: usize = 64 << 10;

/// Writes what is to be shown.
pub(super) struct Show {
    style: Style,
    told: Told,
    /// What is to be written to stdout next.
    pending: Vec<u8>,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// For eyes: with the type, and escapes for what a terminal would obey.
    Terminal,
    /// The data and the end of a line.
    Lines,
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
    pub(super) fn new(args: &SseShow) -> Self {
        let style = match io::stdout().is_terminal() {
            _ if args.json => Style::Json,
            true => Style::Terminal,
            false => Style::Lines,
        };
        let told = match io::stderr().is_terminal() {
            _ if args.quiet || args.json => Told::Nothing,
            true => Told::All { dim: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) },
            false => Told::Bad,
        };
        Self { style, told, pending: Vec::new() }
    }

    /// Takes what happened: events for [`flush`](Self::flush) to write, the rest is told at once.
    ///
    /// # Errors
    ///
    /// Kind `Io`.
    pub(super) fn notice(&mut self, notice: &Notice) -> Result<()> {
        if let Notice::Event(event) = notice {
            self.event(event);
            return if self.pending.len() >= FULL { self.flush() } else { Ok(()) };
        }
        if self.style == Style::Json {
            if let Some(state) = object(notice) {
                self.line(&state.to_string());
            }
            return Ok(());
        }
        if let Some((is_bad, words)) = words(notice) {
            // What came before stands before it.
            self.flush()?;
            match self.told {
                Told::All { dim: true } => output::tell(&format!("\x1b[2m* {words}\x1b[0m\n")),
                Told::All { dim: false } => output::tell(&format!("* {words}\n")),
                Told::Bad if is_bad => output::tell(&format!("* {words}\n")),
                Told::Bad | Told::Nothing => {}
            }
        }
        Ok(())
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

    /// Tells how it ended.
    pub(super) fn ending(&mut self, ending: &Ending) {
        if self.style == Style::Json {
            self.line(&closed(ending).to_string());
            // There is nobody left to tell that nobody reads it.
            drop(self.flush());
        } else if let Some(error) = ending.error() {
            output::tell(&exit::describe(error));
        }
    }

    fn event(&mut self, event: &Event) {
        match self.style {
            Style::Terminal => {
                let data = output::escaped(&event.data);
                match &*event.event_type {
                    netcomm::sse::MESSAGE => self.line(&data),
                    other => self.line(&format!("{}: {data}", output::escaped(other))),
                }
            }
            Style::Lines => self.line(&event.data),
            Style::Json => {
                let object = json!({
                    "type": "event",
                    "event": event.event_type.as_str(),
                    "id": event.id.as_str(),
                    "data": event.data.as_str(),
                });
                self.line(&object.to_string());
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
        self.pending.push(b'\n');
    }
}

/// What happened, for people, and whether it is bad.
fn words(notice: &Notice) -> Option<(bool, String)> {
    Some(match notice {
        Notice::Connecting { attempt: 1 } => (false, "connecting".to_owned()),
        Notice::Connecting { attempt } => (false, format!("connecting, attempt {attempt}")),
        Notice::Open(opened) => match &opened.resume {
            Resume::After(id) => (false, format!("open, from behind {}", output::escaped(id))),
            Resume::Unsendable(_) => {
                (true, "open, from the beginning: no header field can hold the last id".to_owned())
            }
            _ => (false, "open".to_owned()),
        },
        Notice::Comment(comment) => (true, format!(":{}", output::escaped(comment))),
        Notice::Gap { after } => (true, format!("events are missing behind {}", output::escaped(after))),
        Notice::Skipped(error) | Notice::NotKept(error) => (true, causes(error)),
        Notice::Lost { cause, .. } => (true, format!("lost: {}", causes(cause))),
        Notice::Waiting { wait: Some(wait), cause, .. } => {
            (true, format!("again in {:.1} s: {}", wait.as_secs_f64(), causes(cause)))
        }
        Notice::Waiting { .. } => (true, "again as soon as there is a network".to_owned()),
        _ => return None,
    })
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

/// What happened, in machine output; the end has a line of its own.
fn object(notice: &Notice) -> Option<Value> {
    Some(match notice {
        Notice::Connecting { attempt } => json!({ "type": "state", "state": "connecting", "attempt": attempt }),
        Notice::Open(opened) => {
            let after = match &opened.resume {
                Resume::After(id) => Some(id.as_str()),
                _ => None,
            };
            json!({ "type": "state", "state": "open", "status": opened.status.as_u16(), "after": after })
        }
        Notice::Lost { cause, uptime } => {
            json!({ "type": "state", "state": "lost", "error": json::error(cause), "uptime": millis(*uptime) })
        }
        Notice::Waiting { attempt, wait, cause } => json!({
            "type": "state", "state": "waiting", "attempt": attempt, "wait": wait.map(millis), "error": json::error(cause)
        }),
        Notice::Comment(comment) => json!({ "type": "comment", "text": comment.as_str() }),
        Notice::Retry(wait) => json!({ "type": "retry", "wait": millis(*wait) }),
        Notice::Gap { after } => json!({ "type": "gap", "after": after.as_str() }),
        Notice::Skipped(error) => json!({ "type": "skipped", "error": json::error(error) }),
        Notice::NotKept(error) => json!({ "type": "not_kept", "error": json::error(error) }),
        _ => return None,
    })
}

/// The end in machine output.
fn closed(ending: &Ending) -> Value {
    let by = match &ending.end {
        _ if ending.fault.is_some() => "error",
        Some(End::NoContent) => "no_content",
        Some(End::Sentinel) => "sentinel",
        Some(End::Finished) => "server",
        Some(End::Failed(_)) => "error",
        _ => "us",
    };
    json!({
        "type": "closed",
        "by": by,
        "events": ending.events,
        "last_event_id": ending.last_event_id,
        "error": ending.error().map(json::error),
    })
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(style: Style, event: Event) -> String {
        let mut show = Show { style, told: Told::Nothing, pending: Vec::new() };
        show.notice(&Notice::Event(event)).expect("taken");
        String::from_utf8(show.pending).expect("text")
    }

    #[test]
    fn events_in_every_style() {
        let event = || Event::new("a\x1b[2J\nb").with_type("add").with_id("7");
        for (style, expected) in [
            (Style::Terminal, "add: a\\u{1b}[2J\\nb\n"),
            (Style::Lines, "a\x1b[2J\nb\n"),
            (Style::Json, "{\"data\":\"a\\u001b[2J\\nb\",\"event\":\"add\",\"id\":\"7\",\"type\":\"event\"}\n"),
        ] {
            assert_eq!(shown(style, event()), expected, "{style:?}");
        }
        assert_eq!(shown(Style::Terminal, Event::new("x")), "x\n");
    }

    #[test]
    fn what_is_bad_is_told_in_any_case() {
        assert_eq!(words(&Notice::Connecting { attempt: 2 }), Some((false, "connecting, attempt 2".to_owned())));
        let gap = Notice::Gap { after: "4\n".into() };
        assert_eq!(words(&gap), Some((true, "events are missing behind 4\\n".to_owned())));
        assert_eq!(object(&gap), Some(json!({ "type": "gap", "after": "4\n" })));
        let ending = Ending { end: Some(End::Sentinel), events: 3, ..Ending::default() };
        assert_eq!(closed(&ending)["by"], json!("sentinel"));
    }
}
