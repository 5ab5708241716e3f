//! Several pieces of a request's body as one: what is ready goes to the socket in one write.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Pieces in their order. None of them is copied.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Empty only if there are no others.
    first: Bytes,
    rest: VecDeque<Bytes>,
    rest_bytes: usize,
}

impl Pieces {
    pub(super) fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest_bytes += piece.len();
            self.rest.push_back(piece);
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        Self { first: piece, ..Self::default() }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.first.len() + self.rest_bytes
    }

    fn chunk(&self) -> &[u8] {
        &self.first
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = std::iter::once(&self.first).filter(|first| !first.is_empty()).chain(&self.rest);
        slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while count >= self.first.len() {
            count -= self.first.len();
            let Some(next) = self.rest.pop_front() else {
                self.first.clear();
                assert_eq!(count, 0, "no more can be taken than there is");
                return;
            };
            self.rest_bytes -= next.len();
            self.first = next;
        }
        self.first.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(texts: &[&'static str]) -> Pieces {
        let mut pieces = Pieces::default();
        texts.iter().for_each(|text| pieces.push(Bytes::from_static(text.as_bytes())));
        pieces
    }

    #[test]
    fn they_are_read_like_one_however_much_is_taken_at_a_time() {
        for texts in [&["", "one", "", "two", "three"][..], &["alone"], &[""], &[]] {
            let whole = texts.concat();
            for step in 1..=whole.len() {
                let (mut pieces, mut read) = (pieces(texts), Vec::new());
                while pieces.has_remaining() {
                    assert_eq!(pieces.remaining(), whole.len() - read.len());
                    assert!(!pieces.chunk().is_empty());
                    let mut slices = [IoSlice::new(&[]); 8];
                    let count = pieces.chunks_vectored(&mut slices);
                    let ahead: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                    assert_eq!(ahead, &whole.as_bytes()[read.len()..], "all that is left is shown");
                    let taken = step.min(ahead.len());
                    read.extend_from_slice(&ahead[..taken]);
                    pieces.advance(taken);
                }
                assert_eq!(read, whole.as_bytes());
                assert_eq!((pieces.chunk(), pieces.chunks_vectored(&mut [IoSlice::new(&[])])), (&b""[..], 0));
            }
        }
    }

    #[test]
    fn no_more_is_shown_than_there_is_room_for() {
        let pieces = pieces(&["one", "two", "three"]);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(pieces.chunks_vectored(&mut slices), 2);
        assert_eq!((&*slices[0], &*slices[1]), (&b"one"[..], &b"two"[..]));
        assert_eq!(pieces.chunks_vectored(&mut []), 0);
    }
}
