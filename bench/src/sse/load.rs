//! What is parsed: a corpus, in pieces of one size.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::corpus::{Kind, Totals};
use crate::error::{Error, Result};

const KIB: usize = 1024;

/// Events of one kind, as they come in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) kind: Kind,
    pub(super) piece_bytes: usize,
}

/// All loads of the parsers.
pub(super) const LOADS: &[Load] = &[
    Load { kind: Kind::Llm, piece_bytes: 16 * KIB },
    Load { kind: Kind::Llm, piece_bytes: KIB },
    Load { kind: Kind::Tick, piece_bytes: 16 * KIB },
    Load { kind: Kind::Tick, piece_bytes: KIB },
    Load { kind: Kind::Large, piece_bytes: 16 * KIB },
    Load { kind: Kind::Large, piece_bytes: KIB },
    Load { kind: Kind::Prose, piece_bytes: 16 * KIB },
    Load { kind: Kind::Huge, piece_bytes: 16 * KIB },
    Load { kind: Kind::Huge, piece_bytes: KIB },
];

/// A load as it is given to a parser.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) pieces: Arc<[Bytes]>,
    pub(super) bytes: usize,
    pub(super) totals: Totals,
}

impl Load {
    /// So many bytes of it or a little more; of the huge kind one event.
    pub(super) fn pieces(self, bytes: usize) -> Pieces {
        let bytes = if self.kind == Kind::Huge { 1 } else { bytes };
        let corpus = self.kind.corpus(bytes);
        let length = corpus.text.len();
        let piece = |start| corpus.text.slice(start..length.min(start + self.piece_bytes));
        let pieces = (0..length).step_by(self.piece_bytes).map(piece).collect();
        Pieces { pieces, bytes: length, totals: corpus.totals }
    }
}

/// As `tick-by-16-kib`.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-by-{}-kib", self.kind, self.piece_bytes / KIB)
    }
}

impl FromStr for Load {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = LOADS.iter().find(|load| load.to_string() == text);
        found.copied().ok_or_else(|| format!("no load `{text}`").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_have_names() {
        for load in LOADS {
            assert_eq!(load.to_string().parse::<Load>().unwrap(), *load);
        }
        assert_eq!(LOADS[5].to_string(), "large-by-1-kib");
    }

    #[test]
    fn pieces_are_the_corpus() {
        for load in LOADS {
            let (pieces, corpus) = (load.pieces(100_000), load.kind.corpus(100_000));
            assert!(pieces.pieces.concat() == corpus.text, "{load}");
            assert_eq!((pieces.bytes, pieces.totals), (corpus.text.len(), corpus.totals));
            let (last, others) = pieces.pieces.split_last().unwrap();
            assert!(others.iter().all(|piece| piece.len() == load.piece_bytes) && last.len() <= load.piece_bytes);
        }
    }
}
