//! Bytes of stored bodies, wherever they lie.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use netcomm_core::{Body, Error, ErrorKind, Result};

use crate::cache::piece;

/// A run of stored bytes that never changes: shared memory, or something a store reads. Cheap to clone.
#[derive(Clone)]
pub struct Blob {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Memory(Bytes),
    Stored(Arc<dyn ReadBlob>),
}

/// A blob that has to be read from somewhere. A store whose blobs are no longer referred to may delete them once the
/// last clone is dropped.
pub trait ReadBlob: fmt::Debug + Send + Sync + 'static {
    /// What the store knows the blob by.
    fn id(&self) -> u64;

    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of it, if the store has that in memory: at once, cheap, and checked before. By default `None`. What has not
    /// the length of the part counts as `None`.
    fn at_hand(&self, part: &Range<u64>) -> Option<Bytes> {
        let _ = part;
        None
    }

    /// Opens a part of it. The future checks that the blob is there and whole as far as that can be told cheaply, and
    /// that the first bytes are sound: if it fails, the response is fetched anew.
    fn open(self: Arc<Self>, range: Range<u64>) -> Opening;
}

/// A body on its way from a store.
pub type Opening = Pin<Box<dyn Future<Output = Result<Body>> + Send>>;

impl Blob {
    /// A blob in memory.
    #[must_use]
    pub fn memory(bytes: Bytes) -> Self {
        Self { kind: Kind::Memory(bytes) }
    }

    /// A blob that a store reads.
    #[must_use]
    pub fn stored(blob: Arc<dyn ReadBlob>) -> Self {
        Self { kind: Kind::Stored(blob) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.kind {
            Kind::Memory(bytes) => bytes.len() as u64,
            Kind::Stored(blob) => blob.len(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Memory(bytes) => Some(bytes),
            Kind::Stored(_) => None,
        }
    }

    /// The same bytes, with memory of their own if they are so few that they may lie in one piece with others.
    pub(crate) fn apart(&self) -> Self {
        match self.as_bytes() {
            Some(bytes) if bytes.len() <= piece::MOST_BYTES => Self::memory(Bytes::copy_from_slice(bytes)),
            _ => self.clone(),
        }
    }

    /// What its store knows it by; `None` for one in memory.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        match &self.kind {
            Kind::Memory(_) => None,
            Kind::Stored(blob) => Some(blob.id()),
        }
    }

    /// A part of it, if it has that part and that is in memory: its own, or its store's.
    pub(crate) fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let bytes = match &self.kind {
            Kind::Memory(bytes) => bytes,
            Kind::Stored(blob) => {
                let length = range.end.checked_sub(range.start)?;
                return blob.at_hand(range).filter(|bytes| bytes.len() as u64 == length);
            }
        };
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
    }

    /// Opens a part of it.
    ///
    /// # Errors
    ///
    /// What the store fails with; of a blob in memory [`ErrorKind::Io`] for a part that it does not have.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn open(&self, range: Range<u64>) -> Result<Body> {
        match &self.kind {
            Kind::Memory(bytes) => match self.slice(&range) {
                Some(part) => Ok(part.into()),
                None => Err(Error::new(ErrorKind::Io, "read stored body")
                    .with_detail(format!("bytes {range:?} of {}", bytes.len()))),
            },
            Kind::Stored(blob) => Arc::clone(blob).open(range).await,
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.id().is_some() { "stored" } else { "memory" };
        f.debug_struct("Blob").field("kind", &kind).field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Claims(&'static [u8]);

    impl ReadBlob for Claims {
        fn id(&self) -> u64 {
            1
        }

        fn len(&self) -> u64 {
            9
        }

        fn at_hand(&self, _: &Range<u64>) -> Option<Bytes> {
            Some(Bytes::from_static(self.0))
        }

        fn open(self: Arc<Self>, _: Range<u64>) -> Opening {
            Box::pin(async { Ok(Body::empty()) })
        }
    }

    #[test]
    fn what_a_store_has_at_hand_must_be_as_long_as_what_is_asked_for() {
        let blob = |text: &'static str| Blob::stored(Arc::new(Claims(text.as_bytes())));
        assert_eq!(blob("abc").slice(&(2..5)).as_deref(), Some(&b"abc"[..]));
        #[expect(clippy::reversed_empty_ranges, reason = "what a store may hand in")]
        for range in [2..4, 2..6, 5..2] {
            assert_eq!(blob("abc").slice(&range), None, "{range:?}");
        }
        // It stays a blob of its store all the same: nobody writes its bytes down again.
        assert!(blob("abc").as_bytes().is_none());
    }

    #[test]
    fn small_bytes_come_apart_from_what_lies_beside_them() {
        let both = Bytes::from(vec![7; 100]);
        let blob = Blob::memory(both.slice(40..)).apart();
        assert!(both.is_unique());
        assert_eq!(blob.as_bytes(), Some(&both.slice(40..)));
        let large = Bytes::from(vec![7; 100_000]);
        let blob = Blob::memory(large.clone()).apart();
        assert_eq!(blob.as_bytes().map(|bytes| bytes.as_ptr()), Some(large.as_ptr()), "what is large lies alone");
        assert!(Blob::stored(Arc::new(Claims(b"abc"))).apart().as_bytes().is_none());
    }

    #[tokio::test]
    async fn a_part_that_is_not_there_is_an_error() {
        let blob = Blob::memory(Bytes::from_static(b"abc"));
        assert_eq!(blob.open(1..3).await.expect("a part").collect(9).await.expect("bytes"), "bc");
        #[expect(clippy::reversed_empty_ranges, reason = "what a store may hand in")]
        for range in [1..4, 4..4, 2..1, 0..u64::MAX] {
            assert_eq!(blob.open(range.clone()).await.expect_err("no such part").kind(), ErrorKind::Io, "{range:?}");
        }
    }
}
