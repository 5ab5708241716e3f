//! A body of zeros that costs next to nothing to make: the same 64 KiB over and over.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

const CHUNK_BYTES: usize = 64 * 1024;

static CHUNK: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// So many zeros.
#[derive(Debug)]
pub(super) struct Zeros {
    left: u64,
}

impl Zeros {
    pub(super) fn new(bytes: u64) -> Self {
        Self { left: bytes }
    }
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.left.min(CHUNK_BYTES as u64);
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length;
        let chunk = Bytes::from_static(&CHUNK).slice(..length as usize);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
