//! Blocks of an event stream, for servers and for tests. Pure.

use std::time::Duration;

use bytes::Bytes;
use memchr::memchr3;
use netcomm_core::{Error, ErrorKind, Result, Text};

/// A block of an event stream: the lines of one event, or others, and a blank line.
///
/// Nothing that stands in a value can become a field or an event of its own. A setter that is called again replaces what
/// was set.
///
/// # Examples
///
/// ```
/// use netcomm_sse::Block;
///
/// let bytes = Block::new().event_type("add").id("7").data("one\ntwo").encode()?;
/// assert_eq!(bytes, "event: add\nid: 7\ndata: one\ndata: two\n\n");
/// assert!(Block::new().id("1\ndata: not mine").encode().is_err());
/// # Ok::<(), netcomm_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Block {
    comment: Option<Text>,
    event_type: Option<Text>,
    id: Option<Text>,
    retry: Option<Duration>,
    data: Option<Text>,
}

impl Block {
    /// One that says nothing: a blank line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The event's type; an empty one is `message`, as without.
    pub fn event_type(mut self, event_type: impl Into<Text>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// The last event id from this block on, whether or not it has data; an empty one takes it back.
    pub fn id(mut self, id: impl Into<Text>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The event's data; empty data are an event, none are not. CR, LF and CRLF part its lines, and are LF to who reads it.
    pub fn data(mut self, data: impl Into<Text>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// How long to wait before coming back, in whole milliseconds; more than 2^64 of them are as many.
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// A comment, for people and against silence; one for each line of it.
    pub fn comment(mut self, comment: impl Into<Text>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// The bytes, ready to be sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], with field and place, where the type holds a CR or LF, or the id one of them or a NUL:
    /// nothing could be written that reads back as that.
    pub fn encode(&self) -> Result<Bytes> {
        let mut out = Vec::with_capacity(self.room());
        if let Some(comment) = &self.comment {
            lines(&mut out, ":", comment);
        }
        if let Some(event_type) = &self.event_type {
            refuse("event", event_type, b'\n')?;
            lines(&mut out, "event: ", event_type);
        }
        if let Some(id) = &self.id {
            refuse("id", id, b'\0')?;
            lines(&mut out, "id: ", id);
        }
        if let Some(retry) = self.retry {
            let millis = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
            lines(&mut out, "retry: ", &millis.to_string());
        }
        if let Some(data) = &self.data {
            lines(&mut out, "data: ", data);
        }
        out.push(b'\n');
        Ok(out.into())
    }

    /// Enough, unless there are many lines.
    fn room(&self) -> usize {
        [&self.comment, &self.event_type, &self.id, &self.data]
            .into_iter()
            .flatten()
            .map(|text| text.len() + 16)
            .sum::<usize>()
            + 32
    }
}

/// A line for each line of the value.
fn lines(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut rest = value.as_bytes();
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
        out.push(b'\n');
        let Some(end) = end else { return };
        rest = &rest[end + if rest[end..].starts_with(b"\r\n") { 2 } else { 1 }..];
    }
}

/// Refuses CR, LF and one more.
fn refuse(field: &str, value: &str, too: u8) -> Result<()> {
    let Some(at) = memchr3(b'\n', b'\r', too, value.as_bytes()) else { return Ok(()) };
    let what = match value.as_bytes()[at] {
        b'\n' => "a line feed",
        b'\r' => "a carriage return",
        _ => "a NUL",
    };
    Err(Error::new(ErrorKind::Invalid, "encode event").with_detail(format!("`{field}` has {what} at byte {at}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::read_chunks;
    use crate::parser::{Item, Parser};
    use crate::{Event, MESSAGE};

    fn read(bytes: Bytes) -> Vec<Item> {
        let (items, _) = read_chunks(Parser::new().with_comments(true), &[bytes]);
        items.into_iter().collect::<Result<_, _>>().expect("within all limits")
    }

    #[test]
    fn blocks_look_like_this() {
        for (block, text) in [
            (Block::new(), "\n"),
            (Block::new().data(""), "data: \n\n"),
            (Block::new().data("a\n\r\nb\r"), "data: a\ndata: \ndata: b\ndata: \n\n"),
            (Block::new().comment("keep-alive"), ":keep-alive\n\n"),
            (Block::new().comment("a\ndata: b"), ":a\n:data: b\n\n"),
            (Block::new().retry(Duration::from_millis(1500)), "retry: 1500\n\n"),
            (Block::new().retry(Duration::MAX), "retry: 18446744073709551615\n\n"),
            (Block::new().data("x").data("y").id("").event_type("t"), "event: t\nid: \ndata: y\n\n"),
        ] {
            assert_eq!(block.encode().expect("valid"), text);
        }
    }

    #[test]
    fn what_would_become_another_line_is_refused_by_name_and_place() {
        for (block, detail) in [
            (Block::new().id("12\0"), "`id` has a NUL at byte 2"),
            (Block::new().id("\n"), "`id` has a line feed at byte 0"),
            (Block::new().id("1\r\ndata: x"), "`id` has a carriage return at byte 1"),
            (Block::new().event_type("ab\n"), "`event` has a line feed at byte 2"),
            (Block::new().event_type("\rb"), "`event` has a carriage return at byte 0"),
        ] {
            let error = block.encode().expect_err(detail);
            assert_eq!((error.kind(), error.detail()), (ErrorKind::Invalid, Some(detail)));
        }
        assert!(Block::new().event_type("a\0").encode().is_ok(), "a NUL in a type is a NUL");
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[ :a\n\r\u{feff}]{0,8}", Just(String::new())]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            event_type in text(), id in text(), data in text(), comment in text(), millis: u64,
        ) {
            let no_end = |text: &String| !text.contains(['\n', '\r']);
            let block = Block::new()
                .event_type(event_type.as_str())
                .id(id.as_str())
                .data(data.as_str())
                .comment(comment.as_str())
                .retry(Duration::from_millis(millis));
            let is_valid = no_end(&event_type) && no_end(&id) && !id.contains('\0');
            let encoded = block.encode();
            prop_assert_eq!(encoded.is_ok(), is_valid);
            if let Ok(bytes) = encoded {
                let line_feeds = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
                let mut items: Vec<_> =
                    line_feeds(&comment).split('\n').map(|line| Item::Comment(line.into())).collect();
                items.push(Item::Retry(Duration::from_millis(millis)));
                let event_type = if event_type.is_empty() { MESSAGE } else { &event_type };
                items.push(Item::Event(Event::new(line_feeds(&data)).with_type(event_type).with_id(id)));
                prop_assert_eq!(read(bytes), items);
            }
        }
    }
}
