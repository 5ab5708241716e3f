//! Changes over a WebSocket: the one room that names netcomm-ws.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use netcomm_core::{Error, ErrorKind, Result, Subscription};
use netcomm_ws::{Connection, ConnectionBuilder, Delivery, Event, Greet, Greeting, Link, Message, Resume};
use serde_json::Value;

use super::change::Change;
use super::follow::{Follow, Following, News};
use super::patch::Patch;

/// Changes as messages of a WebSocket: `{"sequence": 7, "merge": …}`, or `"patch"`, or `"replace"`, as JSON; `"previous"` says
/// which change it follows, where that is not one less. Other messages, without a `sequence` or
/// in no JSON at all, are passed over. Needs the feature
/// `ws`.
///
/// The connection comes back by itself. On each one your own words come first, with the number behind which changes are wanted.
#[derive(Clone)]
pub struct SocketChanges {
    connect: Arc<dyn Fn() -> ConnectionBuilder + Send + Sync>,
    words: Arc<Words>,
}

type Words = dyn Fn(u64) -> Message + Send + Sync;

impl SocketChanges {
    /// Of the connection that is built so; `words` says, with the number reached, the message that asks for the changes
    /// behind it. What the builder has as its greeting is replaced by that.
    pub fn new(
        connect: impl Fn() -> ConnectionBuilder + Send + Sync + 'static,
        words: impl Fn(u64) -> Message + Send + Sync + 'static,
    ) -> Self {
        Self { connect: Arc::new(connect), words: Arc::new(words) }
    }
}

impl Follow for SocketChanges {
    fn follow(&self, after: u64) -> Following {
        let reached = Arc::new(Reached { passed_on: AtomicU64::new(after), asked: AtomicU64::new(after) });
        let greet = Hello { words: Arc::clone(&self.words), reached: Arc::clone(&reached) };
        match (self.connect)().greet(greet).lazy(true).open() {
            Ok((connection, messages)) => {
                let events = connection.events(None);
                connection.start();
                Following::new(Messages { connection, events, messages, reached })
            }
            Err(error) => Following::failed(error),
        }
    }
}

impl fmt::Debug for SocketChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketChanges")
    }
}

/// How far the numbers have come.
struct Reached {
    passed_on: AtomicU64,
    /// What the connection of now was asked to go on behind.
    asked: AtomicU64,
}

struct Hello {
    words: Arc<Words>,
    reached: Arc<Reached>,
}

impl Greet for Hello {
    async fn greet(&self, link: &mut Link<'_>, _: &Resume) -> Result<Greeting> {
        let after = self.reached.passed_on.load(Ordering::Acquire);
        self.reached.asked.store(after, Ordering::Release);
        link.send((self.words)(after)).await?;
        Ok(Greeting::new())
    }
}

struct Messages {
    connection: Connection,
    events: Subscription<Event>,
    messages: Subscription<Delivery>,
    reached: Arc<Reached>,
}

impl Messages {
    fn opened(&self) -> News {
        News::Open { after: Some(self.reached.asked.load(Ordering::Acquire)) }
    }
}

impl Stream for Messages {
    type Item = Result<News>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // What happens to the connection goes before its messages, so that one of a new connection is known for that.
        while let Poll::Ready(Some(event)) = Pin::new(&mut this.events).poll_next(cx) {
            match event {
                Ok(Event::Ready { .. }) => return Poll::Ready(Some(Ok(this.opened()))),
                Ok(Event::Lost { cause, .. } | Event::Waiting { cause, .. }) => {
                    return Poll::Ready(Some(Ok(News::Lost(cause))));
                }
                Ok(Event::Closed { cause, .. }) => return Poll::Ready(cause.map(Err)),
                // What was not heard is where the connection stands now.
                Err(_) if this.connection.state().is_ready() => return Poll::Ready(Some(Ok(this.opened()))),
                Ok(_) | Err(_) => {}
            }
        }
        loop {
            match Pin::new(&mut this.messages).poll_next(cx) {
                Poll::Ready(Some(Ok(delivery))) => match read(&delivery.message) {
                    Ok(None) => return Poll::Ready(Some(Ok(News::Alive))),
                    Ok(Some(change)) => {
                        this.reached.passed_on.fetch_max(change.sequence, Ordering::AcqRel);
                        return Poll::Ready(Some(Ok(News::Change(change))));
                    }
                    Err(error) => return Poll::Ready(Some(Ok(News::Unreadable(error)))),
                },
                // What is missing shows as a gap.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("connection", &self.connection).finish_non_exhaustive()
    }
}

fn read(message: &Message) -> Result<Option<Change>> {
    let wrong = |detail: &'static str| Error::new(ErrorKind::Protocol, "read change").with_detail(detail);
    // Whatever else the peer says is not for this document.
    let Ok(Value::Object(mut members)) = serde_json::from_slice(message.as_bytes()) else { return Ok(None) };
    let Some(sequence) = members.get("sequence") else { return Ok(None) };
    let sequence = sequence.as_u64().ok_or_else(|| wrong("its `sequence` is no number"))?;
    let patch = if let Some(patch) = members.remove("merge") {
        Patch::merge_value(patch)
    } else if let Some(patch) = members.remove("patch") {
        Patch::operations_value(patch)?
    } else if let Some(whole) = members.remove("replace") {
        Patch::whole_value(whole)
    } else {
        return Err(wrong("neither `merge` nor `patch` nor `replace`"));
    };
    let change = Change::new(sequence, patch);
    Ok(Some(match members.get("previous") {
        Some(previous) => change.with_previous(previous.as_u64().ok_or_else(|| wrong("its `previous` is no number"))?),
        None => change,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        for (message, read_as) in [
            (r#"{"sequence":7,"merge":{"a":1}}"#, "Some(Change { sequence: 7, previous: None, patch: Merge })"),
            (r#"{"sequence":7,"merge":null}"#, "Some(Change { sequence: 7, previous: None, patch: Merge })"),
            (r#"{"sequence":7,"patch":[]}"#, "Some(Change { sequence: 7, previous: None, patch: Operations(0) })"),
            (
                r#"{"sequence":7,"previous":3,"replace":1}"#,
                "Some(Change { sequence: 7, previous: Some(3), patch: Whole })",
            ),
            (r#"{"hello":1}"#, "None"),
            ("[]", "None"),
            ("pong", "None"),
        ] {
            assert_eq!(format!("{:?}", read(&Message::text(message)).expect(message)), read_as);
        }
        for message in [r#"{"sequence":7}"#, r#"{"sequence":"7","merge":1}"#, r#"{"sequence":7,"patch":{}}"#] {
            assert!(read(&Message::text(message)).is_err(), "{message}");
        }
    }
}
