//! A complete dialect in JSON.

use std::borrow::Cow;

use netcomm_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::connection::Ack;
use crate::dialect::{Dialect, Reading, Writing};
use crate::message::{Message, Text};

/// A complete dialect: text messages that are JSON objects with these members, all optional.
///
/// | member | meaning |
/// |---|---|
/// | `data` | the payload, any JSON value |
/// | `topic` | the topic it belongs to |
/// | `seq` | the number of the message, counted from 1 by its sender; it wants `{"ack": seq}` |
/// | `dup` | `true`: was sent before |
/// | `ack`, `ack_to` | acknowledges that number; all up to that number |
/// | `id` | a request with that number, wants `{"re": id, "data": …}` |
/// | `re` | answers that request |
/// | `subscribe`, `unsubscribe` | a topic |
/// | `ping`, `pong` | `true`: asks for a sign of life; gives one |
///
/// What is sent through it must be JSON text: it becomes `data`. What comes without `data`, or is no JSON object, is given on as it
/// is.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonDialect;

#[derive(Default, Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dup: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    re: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribe: Option<&'a str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ping: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pong: bool,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    fn write(&self) -> Option<Message> {
        serde_json::to_string(self).ok().map(Message::from)
    }

    fn with_data(self, message: &Message) -> Result<Message> {
        let refuse = |detail| Error::new(ErrorKind::Invalid, "write message").with_detail(detail);
        let text = message.as_text().ok_or_else(|| refuse("only JSON text can be sent through this dialect"))?;
        let data: &RawValue = serde_json::from_str(text)
            .map_err(|error| refuse("only JSON text can be sent through this dialect").with_source(error))?;
        Envelope { data: Some(data), ..self }.write().ok_or_else(|| refuse("not JSON"))
    }
}

impl Dialect for JsonDialect {
    fn read(&self, message: Message) -> Result<Reading> {
        let Message::Text(text) = &message else {
            return Ok(Reading::plain(message));
        };
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
            return Ok(Reading::plain(message));
        };
        let ack = envelope.ack.map(Ack::One).or_else(|| envelope.ack_to.map(Ack::UpTo));
        let is_ours = ack.is_some() || envelope.pong || envelope.re.is_some() || envelope.seq.is_some();
        let inner = match envelope.data {
            Some(data) => Some(Message::text(data.get())),
            None if is_ours => None,
            None => Some(message.clone()),
        };
        Ok(Reading {
            message: inner,
            topic: envelope.topic.as_deref().map(Text::from),
            answers: envelope.re,
            sequence: envelope.seq,
            ack,
        })
    }

    fn write(&self, writing: Writing<'_>) -> Result<Message> {
        Envelope {
            seq: writing.sequence,
            dup: writing.redelivered,
            id: writing.request,
            topic: writing.topic.map(Cow::Borrowed),
            ..Envelope::default()
        }
        .with_data(writing.message)
    }

    fn acknowledge(&self, sequence: u64) -> Option<Message> {
        Envelope { ack: Some(sequence), ..Envelope::default() }.write()
    }

    fn subscribe(&self, topic: &str) -> Option<Message> {
        Envelope { subscribe: Some(topic), ..Envelope::default() }.write()
    }

    fn unsubscribe(&self, topic: &str) -> Option<Message> {
        Envelope { unsubscribe: Some(topic), ..Envelope::default() }.write()
    }

    fn ping(&self) -> Option<Message> {
        Envelope { ping: true, ..Envelope::default() }.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading {
        JsonDialect.read(Message::text(text)).expect("it reads everything")
    }

    #[test]
    fn what_is_sent_goes_into_data() {
        let message = Message::text(r#"{"a": [1, 2.50]}"#);
        let plain = Writing::plain(&message);
        for (writing, expected) in [
            (plain, r#"{"data":{"a": [1, 2.50]}}"#),
            (Writing { sequence: Some(7), ..plain }, r#"{"seq":7,"data":{"a": [1, 2.50]}}"#),
            (
                Writing { sequence: Some(7), redelivered: true, ..plain },
                r#"{"seq":7,"dup":true,"data":{"a": [1, 2.50]}}"#,
            ),
            (
                Writing { request: Some(3), topic: Some("\"q\""), ..plain },
                r#"{"id":3,"topic":"\"q\"","data":{"a": [1, 2.50]}}"#,
            ),
        ] {
            let written = JsonDialect.write(writing).expect("JSON");
            assert_eq!(written.as_text(), Some(expected), "byte by byte");
        }
        for refused in [Message::text("no json"), Message::text(""), Message::binary(vec![0xff])] {
            let error = JsonDialect.write(Writing::plain(&refused)).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn what_comes_is_taken_apart() {
        let reading = read(r#"{"topic": "news", "seq": 4, "data": "x"}"#);
        assert_eq!(reading.message.as_ref().and_then(Message::as_text), Some(r#""x""#));
        assert_eq!((reading.topic.as_deref(), reading.sequence), (Some("news"), Some(4)));
        assert_eq!(read(r#"{"ack": 9}"#).ack, Some(Ack::One(9)));
        assert_eq!(read(r#"{"ack_to": 9}"#).ack, Some(Ack::UpTo(9)));
        assert!(read(r#"{"ack": 9}"#).message.is_none() && read(r#"{"pong": true}"#).message.is_none());
        let answer = read(r#"{"re": 3, "data": 5}"#);
        assert_eq!((answer.answers, answer.message.as_ref().and_then(Message::as_text)), (Some(3), Some("5")));
        for foreign in ["[1]", "not json", r#"{"hello": 1}"#, r#"{"seq": -1, "data": 2}"#] {
            let reading = read(foreign);
            assert_eq!(reading.message.as_ref().and_then(Message::as_text), Some(foreign));
            assert!(reading.ack.is_none() && reading.sequence.is_none());
        }
    }
}
