//! What a client tells, in the words of the cases. Pure.

use std::fmt;

use netcomm_core::Text;
use netcomm_sse::{End, Event, Notice};

/// One thing that a client tells.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Event(Event),
    Comment(Text),
    /// A stream is gone, and another one will be asked for.
    Lost,
    /// A try came to nothing, and another one will be made.
    Failed,
    /// It is over.
    Over(Ending),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its owner wanted it.
    Owner,
    /// The server has no more to say.
    NoContent,
    /// With an error.
    Error,
    /// Otherwise, which is right in no case.
    Other,
}

/// Makes one story of all notices.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    /// The loss of a stream was told, and not yet that another one will be asked for.
    has_lost: bool,
}

impl Ear {
    /// What that notice is in the words of the cases, if anything.
    pub(crate) fn hear(&mut self, notice: Notice) -> Option<Told> {
        match notice {
            Notice::Event(event) => Some(Told::Event(event)),
            Notice::Comment(comment) => Some(Told::Comment(comment)),
            Notice::Lost { .. } => {
                self.has_lost = true;
                None
            }
            Notice::Waiting { .. } if std::mem::take(&mut self.has_lost) => Some(Told::Lost),
            Notice::Waiting { .. } => Some(Told::Failed),
            Notice::Closed(end) => Some(Told::Over(match end {
                End::Owner => Ending::Owner,
                End::NoContent => Ending::NoContent,
                End::Failed(_) => Ending::Error,
                _ => Ending::Other,
            })),
            // A restart loses a stream and does not wait.
            Notice::Connecting { .. } if std::mem::take(&mut self.has_lost) => Some(Told::Lost),
            _ => None,
        }
    }
}

/// An event of the type `message`, without id.
pub(crate) fn message(data: impl Into<Text>) -> Told {
    event("message", data, "")
}

/// An event.
pub(crate) fn event(event_type: &str, data: impl Into<Text>, id: &str) -> Told {
    Told::Event(Event::new(data).with_type(event_type).with_id(id))
}

/// A comment: what stands behind the colon.
pub(crate) fn comment(text: &str) -> Told {
    Told::Comment(text.into())
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => {
                let data: String = event.data.chars().take(60).collect();
                write!(f, "event {:?} {data:?} ({} bytes) id {:?}", event.event_type, event.data.len(), event.id)
            }
            Self::Comment(comment) => write!(f, "comment {comment:?}"),
            Self::Lost => f.write_str("a lost stream"),
            Self::Failed => f.write_str("a failed try"),
            Self::Over(end) => write!(f, "the end ({end:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use netcomm_core::{Error, ErrorKind};

    use super::*;

    fn cause() -> Error {
        Error::new(ErrorKind::Closed, "read")
    }

    fn waiting() -> Notice {
        Notice::Waiting { attempt: 1, wait: None, cause: cause() }
    }

    #[test]
    fn a_loss_is_told_once_and_apart_from_failed_tries() {
        let mut ear = Ear::default();
        let lost = Notice::Lost { cause: cause(), uptime: Duration::ZERO };
        let story: Vec<_> = [waiting(), lost, waiting(), waiting(), Notice::Closed(End::NoContent)]
            .into_iter()
            .filter_map(|notice| ear.hear(notice))
            .collect();
        assert_eq!(story, [Told::Failed, Told::Lost, Told::Failed, Told::Over(Ending::NoContent)]);
    }
}
