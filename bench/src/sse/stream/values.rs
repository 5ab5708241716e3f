//! Where a user wants values and no text: each event's data read as JSON, by all clients into the same type.

use serde::Deserialize;

use super::lane::Peer;
use super::peers::{EventsourceClient, Transport};
use crate::error::{Error, Result, fail};
use crate::sse::corpus::Corpus;

/// What an event of either kind says: a piece of what a model says, or a price. Other fields are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Value {
    choices: Vec<Choice>,
    #[serde(rename = "p")]
    price: f64,
    #[serde(rename = "v")]
    volume: usize,
}

#[derive(Debug, Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: String,
}

impl Value {
    /// One number of all that it says.
    pub(super) fn sum(&self) -> usize {
        let said: usize = self.choices.iter().map(|choice| choice.delta.content.len()).sum();
        said + self.volume + self.price as usize
    }
}

/// Reads as many values as the corpus has events. Nobody sees the data's length any more: the last has to be the last.
pub(super) async fn read(peer: &mut impl Peer, corpus: &Corpus) -> Result<()> {
    let mut last = 0;
    for _ in 0..corpus.totals.events {
        last = peer.next().await?;
    }
    let expected = last_of(corpus)?.sum();
    if last != expected {
        return fail(format!("the last came to {last} instead of {expected}"));
    }
    Ok(())
}

fn last_of(corpus: &Corpus) -> Result<Value> {
    let text = std::str::from_utf8(&corpus.text)?;
    let (_, data) = text.rsplit_once("data: ").ok_or_else(|| Error::from("a corpus without data"))?;
    Ok(serde_json::from_str(data)?)
}

/// eventsource-client, and what its documentation leaves to its user.
pub(super) struct EventsourceJson(EventsourceClient);

impl Peer for EventsourceJson {
    const NAME: &'static str = "eventsource-json";

    type Shared = Transport;

    async fn open(transport: &Transport, url: &str) -> Result<Self> {
        Ok(Self(EventsourceClient::open(transport, url).await?))
    }

    async fn next(&mut self) -> Result<usize> {
        let event = self.0.event().await?;
        Ok(serde_json::from_str::<Value>(&event.data)?.sum())
    }

    async fn read(&mut self, corpus: &Corpus) -> Result<()> {
        read(self, corpus).await
    }
}

/// The values alone: each event's data read from memory, where it lies. What is above it is a client's own.
pub(super) struct JsonAlone;

impl Peer for JsonAlone {
    const NAME: &'static str = "json-alone";

    type Shared = ();

    async fn open((): &(), _: &str) -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Result<usize> {
        fail("it has no stream")
    }

    async fn read(&mut self, corpus: &Corpus) -> Result<()> {
        let (mut events, mut last) = (0, 0);
        let text = std::str::from_utf8(&corpus.text)?;
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            last = serde_json::from_str::<Value>(data)?.sum();
            events += 1;
        }
        if (events, last) != (corpus.totals.events, last_of(corpus)?.sum()) {
            return fail(format!("the last of {events} came to {last}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::corpus::Kind;

    #[test]
    fn values_of_both_kinds_say_something() {
        for (kind, events, expected) in [(Kind::Llm, 1, " the".len()), (Kind::Tick, 2, 101 + 100_001)] {
            let mut corpus = kind.corpus(1);
            while corpus.totals.events < events {
                corpus = kind.corpus(corpus.text.len() + 1);
            }
            assert_eq!(last_of(&corpus).unwrap().sum(), expected, "{kind}");
        }
    }
}
