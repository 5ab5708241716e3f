//! A stored response.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};

use crate::cache::blob::Blob;
use crate::cache::few::Few;
use crate::cache::fields::Fields;
use crate::cache::freshness::Terms;

/// A stored response, immutable: what changes it makes another one, which shares its body.
pub struct Entry {
    parts: EntryParts,
    /// Its place among the requests of its cache; 0 if it is older than the cache.
    ticket: u64,
    /// What the cache's rules make of the head; worked out when it is first used, which many an entry never is.
    terms: OnceLock<Box<Terms>>,
}

/// Everything that a store has to keep of an entry.
#[derive(Clone)]
pub struct EntryParts {
    /// The status; of a partial response that of the whole, 200.
    pub status: StatusCode,
    /// The header fields without those that belong to a connection (RFC 9111 §3.1).
    pub headers: Fields,
    /// The request header fields that selected this response (RFC 9111 §4.1).
    pub selecting: Selecting,
    /// When the request was sent that brought or last confirmed it.
    pub requested_at: SystemTime,
    /// When its head came, or was last confirmed.
    pub received_at: SystemTime,
    /// How long it is fresh, in place of what the head says, if the caller said so.
    pub ttl: Option<Duration>,
    /// The length of the whole body, if that is known.
    pub length: Option<u64>,
    /// The pieces of the body that there are, in order, none over another.
    pub segments: Few<Segment>,
}

/// The request header fields that an entry was selected by.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Selecting {
    /// Each field that `Vary` names, with its value in normal form; `None` where the request had none.
    pub fields: Vec<(HeaderName, Option<Bytes>)>,
    /// A fingerprint of the request's credentials in a private cache: what was fetched for one user is not given to
    /// another.
    pub identity: Option<u64>,
}

/// A piece of a body: a blob, and where it begins.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The offset of its first byte in the whole body.
    pub start: u64,
    /// The bytes of the blob that count.
    pub part: Range<u64>,
    /// Its bytes.
    pub blob: Blob,
}

impl Segment {
    /// A whole blob at that offset.
    #[must_use]
    pub fn whole(start: u64, blob: Blob) -> Self {
        Self { start, part: 0..blob.len(), blob }
    }

    /// The same bytes without a head that may lie in one piece with them, for an entry that has another one.
    pub(crate) fn apart(&self) -> Self {
        Self { blob: self.blob.apart(), ..self.clone() }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.part.end.saturating_sub(self.part.start)
    }

    /// The bytes of the whole body that it holds.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.bytes())
    }
}

impl Entry {
    /// An entry of these parts.
    #[must_use]
    pub fn new(parts: EntryParts) -> Self {
        Self { parts, ticket: 0, terms: OnceLock::new() }
    }

    /// The answer to the request with that ticket.
    pub(crate) fn with_ticket(self, ticket: u64) -> Self {
        Self { ticket, ..self }
    }

    /// An entry of these parts, the answer to the request with that ticket.
    pub(crate) fn answering(parts: EntryParts, ticket: u64) -> Arc<Self> {
        // Made where it will lie: it is large.
        Arc::new(Self { parts, ticket, terms: OnceLock::new() })
    }

    /// Gives it the body that came, and its length. Whether it could be given one: nobody else holds it yet.
    pub(crate) fn end(self: &mut Arc<Self>, length: Option<u64>, segments: Few<Segment>) -> bool {
        let Some(own) = Arc::get_mut(self) else { return false };
        (own.parts.length, own.parts.segments) = (length, segments);
        true
    }

    /// The parts, for an entry that is made of this one.
    pub(crate) fn into_parts(self: Arc<Self>) -> EntryParts {
        Arc::try_unwrap(self).map_or_else(|shared| shared.parts.clone(), |own| own.parts)
    }

    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// The parts, for stores that write them down.
    #[must_use]
    pub fn parts(&self) -> &EntryParts {
        &self.parts
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// The stored header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.parts.headers.as_map()
    }

    /// Whether the whole body is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match (self.parts.length, &*self.parts.segments) {
            (Some(0), []) => true,
            (Some(length), segments) => {
                let mut at = 0;
                for segment in segments {
                    let range = segment.range();
                    if range.start != at {
                        return false;
                    }
                    at = range.end;
                }
                at == length
            }
            (None, _) => false,
        }
    }

    /// Bytes of the body that are there.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.parts.segments.iter().map(Segment::bytes).sum()
    }

    /// About how many bytes the entry takes in memory once it is used: its head, with what is made of it then, and those
    /// pieces of its body that lie there.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let EntryParts { headers, selecting, segments, .. } = &self.parts;
        let selected: usize = (selecting.fields.iter())
            .map(|(_, value)| size_of::<(HeaderName, Option<Bytes>)>() + value.as_ref().map_or(0, Bytes::len))
            .sum();
        let body: u64 =
            segments.iter().filter_map(|segment| segment.blob.as_bytes()).map(|bytes| bytes.len() as u64).sum();
        // One lies in the entry itself.
        let pieces = if segments.len() > 1 { size_of_val(&**segments) } else { 0 };
        (size_of::<Self>() + size_of::<Terms>() + headers.weight() + selected + pieces) as u64 + body
    }

    /// The groups that the response belongs to (RFC 9875 §2).
    pub fn groups(&self) -> impl Iterator<Item = String> {
        crate::cache::groups::of(self.headers()).into_iter()
    }

    /// Whether it may belong to a group.
    pub(crate) fn names_groups(&self) -> bool {
        self.parts.headers.names_groups()
    }

    pub(crate) fn terms(&self, make: impl FnOnce(&EntryParts) -> Terms) -> &Terms {
        self.terms.get_or_init(|| Box::new(make(&self.parts)))
    }

    /// The terms, if they were worked out.
    pub(crate) fn known_terms(&self) -> Option<&Terms> {
        self.terms.get().map(|terms| &**terms)
    }
}

impl fmt::Debug for Selecting {
    /// The names alone: a response may vary by what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Selecting").field("fields", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("status", &self.parts.status)
            .field("headers", &self.parts.headers)
            .field("length", &self.parts.length)
            .field("body_bytes", &self.body_bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EntryParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryParts")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("length", &self.length)
            .field("segments", &self.segments)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::freshness::Rules;

    #[test]
    fn an_entry_that_is_never_used_has_no_room_for_terms() {
        let at = SystemTime::UNIX_EPOCH;
        let entry = Entry::new(EntryParts {
            status: StatusCode::OK,
            headers: Fields::default(),
            selecting: Selecting::default(),
            requested_at: at,
            received_at: at,
            ttl: None,
            length: None,
            segments: Few::default(),
        });
        assert!(size_of_val(&entry) < size_of::<EntryParts>() + size_of::<Terms>());
        let weight = entry.weight();
        assert!(weight as usize >= size_of_val(&entry) + size_of::<Terms>());
        assert!(entry.known_terms().is_none());
        let terms = entry.terms(|parts| Terms::of(parts, &Rules::default())).clone();
        assert_eq!(entry.known_terms(), Some(&terms));
        assert_eq!(entry.weight(), weight, "being used makes no entry heavier");
    }
}
