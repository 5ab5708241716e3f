//! What harness and service say to each other. Pure.

use std::collections::BTreeMap;

use netcomm::sse::{End, Event, Notice};
use serde::{Deserialize, Serialize};

/// What of the protocol the service can do.
pub(super) const CAPABILITIES: &[&str] = &[
    "bom",
    "comments",
    "event-type-listeners",
    "headers",
    "last-event-id",
    "post",
    "read-timeout",
    "report",
    "restart",
    "server-directed-shutdown-request",
];

/// A wish for a source.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create {
    pub(super) stream_url: String,
    pub(super) callback_url: String,
    /// What the harness calls it.
    pub(super) tag: Option<String>,
    pub(super) initial_delay_ms: Option<u64>,
    pub(super) read_timeout_ms: Option<u64>,
    pub(super) last_event_id: Option<String>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) method: Option<String>,
    pub(super) body: Option<String>,
}

/// What a source is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Tell events of that type too.
    Listen(String),
    /// Ask for the stream again.
    Restart,
}

#[derive(Deserialize)]
struct Said {
    command: String,
    listen: Option<Listen>,
}

#[derive(Deserialize)]
struct Listen {
    r#type: String,
}

impl Order {
    /// `None` for what means nothing.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let Said { command, listen } = serde_json::from_slice(json).ok()?;
        match (command.as_str(), listen) {
            ("listen", Some(Listen { r#type })) => Some(Self::Listen(r#type)),
            ("restart", _) => Some(Self::Restart),
            _ => None,
        }
    }
}

/// What the harness is told of a source.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Told {
    Event { event: Shown },
    Comment { comment: String },
    Error { error: String },
}

#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Shown {
    r#type: String,
    data: String,
    id: String,
}

impl Told {
    /// What is told of that, if anything: a stream that is lost is an error, and so is a try that came to nothing; the wait
    /// after a loss, and an end that is none of them, are nothing new. `was_lost` keeps the one apart from the other.
    pub(super) fn of(notice: Notice, was_lost: &mut bool) -> Option<Self> {
        let had_lost = matches!(notice, Notice::Waiting { .. } | Notice::Closed(_)) && std::mem::take(was_lost);
        Some(match notice {
            Notice::Event(Event { event_type, data, id, .. }) => {
                let (r#type, data, id) = (event_type.to_string(), data.to_string(), id.to_string());
                Self::Event { event: Shown { r#type, data, id } }
            }
            Notice::Comment(comment) => Self::Comment { comment: comment.to_string() },
            Notice::Lost { cause, .. } => {
                *was_lost = true;
                Self::Error { error: cause.to_string() }
            }
            Notice::Waiting { cause: error, .. } | Notice::Closed(End::Failed(error)) if !had_lost => {
                Self::Error { error: error.to_string() }
            }
            Notice::Connecting { .. } => {
                *was_lost = false;
                return None;
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use netcomm::{Error, ErrorKind};
    use serde_json::json;

    use super::*;

    #[test]
    fn orders_are_read_and_nonsense_is_none() {
        let parse = |json: serde_json::Value| Order::parse(json.to_string().as_bytes());
        assert_eq!(parse(json!({"command": "restart"})), Some(Order::Restart));
        assert_eq!(
            parse(json!({"command": "listen", "listen": {"type": "add"}})),
            Some(Order::Listen("add".to_owned()))
        );
        for wrong in [json!({}), json!([]), json!({"command": "listen"}), json!({"command": "sing"})] {
            assert_eq!(parse(wrong.clone()), None, "{wrong}");
        }
        assert_eq!(Order::parse(b"restart"), None);
    }

    #[test]
    fn what_is_told_looks_like_this() {
        let told = |notice| serde_json::to_value(Told::of(notice, &mut false)).expect("JSON");
        let event = Event::new("x\ny").with_type("add").with_id("7");
        let shown = json!({"kind": "event", "event": {"type": "add", "data": "x\ny", "id": "7"}});
        assert_eq!(told(Notice::Event(event)), shown);
        assert_eq!(told(Notice::Comment(" hi".into())), json!({"kind": "comment", "comment": " hi"}));
        assert_eq!(told(Notice::Closed(End::NoContent)), json!(null));
    }

    #[test]
    fn each_trouble_is_one_error() {
        let cause = || Error::new(ErrorKind::Closed, "read");
        let lost = || Notice::Lost { cause: cause(), uptime: Duration::ZERO };
        let waiting = || Notice::Waiting { attempt: 1, wait: None, cause: cause() };
        let failed = || Notice::Closed(End::Failed(cause()));
        for (story, errors) in [
            (vec![lost(), waiting()], 1),
            (vec![lost(), failed()], 1),
            (vec![lost(), waiting(), waiting()], 2),
            (vec![lost(), Notice::Connecting { attempt: 1 }, waiting()], 2),
            (vec![failed()], 1),
            (vec![Notice::Closed(End::NoContent)], 0),
        ] {
            let mut was_lost = false;
            let told = story.iter().filter(|notice| Told::of((*notice).clone(), &mut was_lost).is_some()).count();
            assert_eq!(told, errors, "{story:?}");
        }
    }
}
