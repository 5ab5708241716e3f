//! The document: what it holds, which number it has, and what a change comes to. Pure.

use http::HeaderValue;
use netcomm_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::change::Change;
use super::limits::LiveLimits;
use super::order::{Fit, Order};
use super::patch::Content;

/// A copy of a server's document.
#[derive(Debug)]
pub(super) struct Document {
    /// `None`: never fetched, or spoiled by a change that failed half-way.
    content: Option<Content>,
    order: Order,
    /// Of what is held, to the letter: gone with the first change.
    etag: Option<HeaderValue>,
    /// The number is that of before, since an answer that confirmed the document did not say one.
    is_number_guessed: bool,
    limits: LiveLimits,
}

/// What a change came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Applied,
    /// It is part of the document.
    Old,
    /// Others are missing before it: nothing was changed, and the document has to be fetched.
    Gap(Error),
    /// The server does not count on from where it was: as with a gap.
    Anew(Error),
    /// It does not apply: the document is spoiled, and has to be fetched.
    Broken(Error),
}

impl Document {
    pub(super) fn new(limits: LiveLimits) -> Self {
        Self { content: None, order: Order::default(), etag: None, is_number_guessed: false, limits }
    }

    /// It came, with all that is known of it.
    pub(super) fn fetched(&mut self, value: Value, sequence: u64, etag: Option<HeaderValue>) {
        self.content = Some(Content::new(value));
        self.order.fetched(sequence);
        self.etag = etag;
        self.is_number_guessed = false;
    }

    /// What is held is what the server has; at that number, if it says so. Few do: an answer without content
    /// need not repeat what describes the content (RFC 9110 §15.4.5).
    pub(super) fn confirmed(&mut self, sequence: Option<u64>) {
        self.is_number_guessed = sequence.is_none();
        let reached = self.order.reached();
        self.order.fetched(sequence.unwrap_or(reached));
    }

    pub(super) fn opened(&mut self, after: Option<u64>) {
        self.order.opened(after);
    }

    pub(super) fn lost(&mut self) {
        self.order.lost();
    }

    pub(super) fn apply(&mut self, change: Change) -> Outcome {
        let Change { sequence, previous, patch } = change;
        let reached = self.order.reached();
        match self.order.fit(sequence, previous, patch.is_whole()) {
            Fit::Next => {}
            Fit::Old => return Outcome::Old,
            Fit::Gap => {
                if self.is_number_guessed {
                    // Asked once more with this validator, the server would confirm it once more.
                    self.etag = None;
                }
                return Outcome::Gap(out_of_step(
                    ErrorKind::Incomplete,
                    format!("change {sequence} came after {reached}"),
                ));
            }
            Fit::Anew => {
                let detail = format!("change {sequence} came where those after {reached} were asked for");
                return Outcome::Anew(out_of_step(ErrorKind::Protocol, detail));
            }
        }
        let Some(content) = &mut self.content else {
            return Outcome::Broken(out_of_step(ErrorKind::Protocol, "a change without a document".to_owned()));
        };
        self.etag = None;
        match content.apply(patch, &self.limits) {
            Ok(()) => {
                self.order.advanced(sequence);
                self.is_number_guessed = false;
                Outcome::Applied
            }
            Err(error) => {
                self.content = None;
                Outcome::Broken(error)
            }
        }
    }

    /// What it says, as a value.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let content = self.content.as_ref().map_or(&Value::Null, |content| &content.value);
        T::deserialize(content).map_err(|error| {
            let detail = format!("as of change {}", self.order.reached());
            Error::new(ErrorKind::Decode, "read document").with_detail(detail).with_source(error)
        })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.content.is_some()
    }

    pub(super) fn reached(&self) -> u64 {
        self.order.reached()
    }

    /// The ETag of exactly what is held.
    pub(super) fn etag(&self) -> Option<&HeaderValue> {
        self.etag.as_ref()
    }
}

fn out_of_step(kind: ErrorKind, detail: String) -> Error {
    Error::new(kind, "follow document").with_detail(detail)
}

#[cfg(test)]
mod tests;
