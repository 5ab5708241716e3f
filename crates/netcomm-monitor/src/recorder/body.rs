//! As much of a body as is kept, and how much there was.

use std::fmt;

use bytes::Bytes;

use crate::redactor::{BodyScan, Redactor};

/// A body, or a message, as far as it was kept: redacted, cut at a bound, its true size counted.
#[derive(Default)]
pub struct EntryBody {
    kept: Vec<u8>,
    bytes: u64,
    taken: u64,
    content_type: Option<String>,
    /// What looks at the pieces that are still to come.
    scan: Option<BodyScan>,
    has_begun: bool,
}

impl EntryBody {
    /// What was kept of it, secrets taken out.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.kept
    }

    /// How long it was in truth, in bytes; so far, while it still comes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there was more of it than was kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.taken < self.bytes
    }

    /// Its content type, where the head that came with it was kept.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Says what it is, before the first piece comes.
    pub(super) fn set_content_type(&mut self, content_type: Option<String>) {
        self.content_type = content_type;
    }

    /// Takes a piece, up to `most` bytes of the whole. Gives how many bytes it has let go.
    pub(super) fn take(&mut self, piece: &[u8], most: usize, redactor: &Redactor) -> u64 {
        if !self.has_begun {
            self.has_begun = true;
            self.scan = redactor.scan(self.content_type.as_deref());
        }
        self.bytes += piece.len() as u64;
        let room = most.saturating_sub(usize::try_from(self.taken).unwrap_or(usize::MAX));
        let taken = &piece[..piece.len().min(room)];
        self.taken += taken.len() as u64;
        match &mut self.scan {
            Some(scan) => scan.feed(taken, &mut self.kept),
            None => self.kept.extend_from_slice(taken),
        }
        if self.is_cut() {
            self.close();
        }
        (piece.len() - taken.len()) as u64
    }

    /// Nothing more is kept: no memory waits for it.
    pub(super) fn close(&mut self) {
        self.scan = None;
        self.kept.shrink_to_fit();
    }

    /// The memory that it takes beside its own, that for what is still to come included.
    pub(super) fn weight(&self) -> usize {
        self.kept.capacity()
    }

    /// Counts a piece of which nothing is kept.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Lets the user's own function look at it.
    pub(super) fn finish(&mut self, redactor: &Redactor) {
        if !redactor.has_own() {
            return;
        }
        let kept = Bytes::from(std::mem::take(&mut self.kept));
        self.kept = redactor.finished(self.content_type.as_deref(), kept).into();
    }
}

impl Clone for EntryBody {
    fn clone(&self) -> Self {
        Self {
            kept: self.kept.clone(),
            bytes: self.bytes,
            taken: self.taken,
            content_type: self.content_type.clone(),
            // Nothing more comes to a copy.
            scan: None,
            has_begun: true,
        }
    }
}

impl fmt::Debug for EntryBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long, and no redactor knows all secrets: whoever wants to see it asks for it.
        write!(f, "EntryBody({} of {} bytes)", self.kept.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_cut_and_its_size_is_true() {
        let mut body = EntryBody::default();
        let redactor = Redactor::new();
        assert_eq!(body.take(b"abc", 5, &redactor), 0);
        assert!(!body.is_cut() && body.weight() >= 3);
        assert_eq!(body.take(b"defg", 5, &redactor), 2);
        assert_eq!(body.take(b"hi", 5, &redactor), 2);
        assert_eq!(body.weight(), 5, "nothing waits for more");
        assert_eq!((body.data(), body.bytes(), body.is_cut()), (&b"abcde"[..], 9, true));
    }

    #[test]
    fn secrets_go_before_they_enter_whatever_the_pieces() {
        let redactor = Redactor::new().with_body_keys(["pin"]);
        let mut body = EntryBody::default();
        body.set_content_type(Some("application/json".into()));
        for piece in [&b"{\"pi"[..], b"n\": \"hun", b"ter2\", \"a\": 1}"] {
            body.take(piece, 1000, &redactor);
            assert!(!body.data().windows(3).any(|part| part == b"hun"));
        }
        assert_eq!(body.data(), b"{\"pin\": \"***\", \"a\": 1}");
        assert!(!body.is_cut(), "what was hidden is not missing");
    }
}
