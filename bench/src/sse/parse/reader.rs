//! A parser that is fed pieces which are in memory, and gives each event away as soon as it is there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::runtime::Runtime;

use crate::error::{Result, fail};
use crate::sse::corpus::Totals;
use crate::sse::load::Pieces;

/// A parser under test, written the way its own documentation would.
pub(super) trait Reader: 'static {
    /// Its name in the lines.
    const NAME: &'static str;

    /// Reads all pieces. What waits is driven on `runtime`, once for all of them.
    fn read(runtime: &Runtime, pieces: &Pieces) -> Result<Totals>;
}

/// What can be asked of any parser.
pub(super) trait Lane {
    /// Reads all pieces once, with a parser of its own.
    fn pass(&self, pieces: &Pieces) -> Result<()>;
}

struct Own {
    runtime: Runtime,
    read: fn(&Runtime, &Pieces) -> Result<Totals>,
}

/// The lane of a parser.
pub(super) fn lane<R: Reader>() -> Result<Box<dyn Lane>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(Box::new(Own { runtime, read: R::read }))
}

impl Lane for Own {
    fn pass(&self, pieces: &Pieces) -> Result<()> {
        let seen = (self.read)(&self.runtime, pieces)?;
        if seen != pieces.totals {
            return fail(format!("saw {seen:?} instead of {:?}", pieces.totals));
        }
        Ok(())
    }
}

/// The pieces as a stream that never waits.
pub(super) struct Source {
    pieces: Arc<[Bytes]>,
    next: usize,
}

impl Source {
    pub(super) fn new(pieces: &Arc<[Bytes]>) -> Self {
        Self { pieces: pieces.clone(), next: 0 }
    }
}

impl Stream for Source {
    type Item = std::result::Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.pieces.get(self.next).cloned();
        self.next += 1;
        Poll::Ready(piece.map(Ok))
    }
}
