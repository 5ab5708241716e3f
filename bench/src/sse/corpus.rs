//! What is streamed: events of one kind, the same bytes in every process.

use std::fmt::{self, Write};
use std::str::FromStr;

use bytes::Bytes;

use crate::error::{Error, Result};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Of what kind the events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of a chat completion, as language models stream it: one line of JSON, about 114 bytes in all.
    Llm,
    /// A price: type, id and a short JSON object, 56 bytes in all.
    Tick,
    /// 16 KiB of data in one line, all of it ASCII.
    Large,
    /// The same with a letter beyond ASCII here and there.
    Prose,
    /// 5 MiB of data in one line.
    Huge,
}

/// Events of one kind, whole ones.
#[derive(Debug)]
pub(super) struct Corpus {
    pub(super) text: Bytes,
    pub(super) totals: Totals,
}

/// What whoever read a corpus must have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) events: u64,
    /// Of the events' data alone.
    pub(super) data_bytes: u64,
}

impl Totals {
    /// Counts an event.
    pub(super) fn add(&mut self, data_bytes: usize) {
        self.events += 1;
        self.data_bytes += data_bytes as u64;
    }
}

impl Kind {
    const ALL: [Self; 5] = [Self::Llm, Self::Tick, Self::Large, Self::Prose, Self::Huge];

    /// As many events as it takes to reach that size.
    pub(super) fn corpus(self, bytes: usize) -> Corpus {
        let mut totals = Totals::default();
        let mut text = String::with_capacity(bytes + self.most_bytes());
        while text.len() < bytes {
            let number = totals.events;
            if self == Self::Tick {
                write!(text, "event: tick\nid: {}\n", 100_000 + number % 900_000).expect("a string takes all");
            }
            text.push_str("data: ");
            let start = text.len();
            self.write_data(&mut text, number);
            totals.add(text.len() - start);
            text.push_str("\n\n");
        }
        Corpus { text: text.into(), totals }
    }

    fn write_data(self, text: &mut String, number: u64) {
        let written = match self {
            Self::Llm => {
                let word = WORDS[number as usize % WORDS.len()];
                write!(
                    text,
                    r#"{{"id":"chatcmpl-9f3a71","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":"{word}"}}}}]}}"#
                )
            }
            Self::Tick => {
                write!(text, r#"{{"p":{}.{:04},"v":{}}}"#, 100 + number % 900, number % 9973, 100_000 + number % 7919)
            }
            Self::Large | Self::Prose | Self::Huge => {
                let length = text.len() + self.most_bytes() - FRAME_BYTES;
                let words = WORDS.iter().filter(|word| self == Self::Prose || word.is_ascii());
                let words = words.cycle().skip(number as usize % WORDS.len());
                text.extend(words.scan(text.len(), |so_far, word| {
                    *so_far += word.len();
                    (*so_far < length).then_some(*word)
                }));
                text.extend(std::iter::repeat_n('.', length - text.len()));
                Ok(())
            }
        };
        written.expect("a string takes all");
    }

    /// The length of the longest event of that kind.
    fn most_bytes(self) -> usize {
        match self {
            Self::Llm => 128,
            Self::Tick => 56,
            Self::Large | Self::Prose => 16 * KIB + FRAME_BYTES,
            Self::Huge => 5 * MIB + FRAME_BYTES,
        }
    }
}

/// `data: `, and the ends of the line and of the event.
const FRAME_BYTES: usize = 8;

/// What a model says. Most texts have a letter beyond ASCII here and there.
const WORDS: &[&str] = &[
    " the", " stream", " of", " events", " is", " open", ",", " and", " each", " token", " comes", " by", " itself",
    " —", " naïve", " readers", " wait", " for", " more", " than", " one", ".", " They", " need", " not", ".",
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Llm => "llm",
            Self::Tick => "tick",
            Self::Large => "large",
            Self::Prose => "prose",
            Self::Huge => "huge",
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("no kind of events `{text}`").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_length() {
        for (kind, bytes, expected) in [
            (Kind::Llm, MIB, 112..117),
            (Kind::Tick, MIB, 56..57),
            (Kind::Large, MIB, 16_392..16_393),
            (Kind::Prose, MIB, 16_392..16_393),
        ] {
            let corpus = kind.corpus(bytes);
            assert!(expected.contains(&(corpus.text.len() / corpus.totals.events as usize)), "{kind}: {corpus:?}");
            assert!(corpus.text.ends_with(b"\n\n"));
            assert_eq!(corpus.text.is_ascii(), matches!(kind, Kind::Tick | Kind::Large), "{kind}");
        }
        let huge = Kind::Huge.corpus(1);
        assert_eq!(huge.totals, Totals { events: 1, data_bytes: 5 * MIB as u64 });
        assert_eq!(huge.text.len(), 5 * MIB + FRAME_BYTES);
    }

    #[test]
    fn data_is_json_where_it_says_so() {
        for kind in [Kind::Llm, Kind::Tick] {
            let corpus = kind.corpus(32 * KIB);
            let text = std::str::from_utf8(&corpus.text).unwrap();
            let mut totals = Totals::default();
            for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
                serde_json::from_str::<serde_json::Value>(data).unwrap();
                totals.add(data.len());
            }
            assert_eq!(totals, corpus.totals);
        }
    }

    #[test]
    fn kinds_have_names() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
        }
        assert!("x".parse::<Kind>().is_err());
    }
}
