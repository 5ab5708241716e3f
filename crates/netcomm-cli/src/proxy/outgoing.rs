//! The body of an answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm::{Body, Error, ErrorKind};

/// A body, and what is done when it has ended.
pub(super) struct Outgoing {
    body: Body,
    bytes: u64,
    on_end: Option<OnEnd>,
}

/// Called once, with the bytes that went out and what kept the rest from it.
type OnEnd = Box<dyn FnOnce(u64, Option<&Error>) + Send + Sync>;

impl Outgoing {
    pub(super) fn new(body: Body, on_end: impl FnOnce(u64, Option<&Error>) + Send + Sync + 'static) -> Self {
        Self { body, bytes: 0, on_end: Some(Box::new(on_end)) }
    }

    fn end(&mut self, error: Option<&Error>) {
        if let Some(on_end) = self.on_end.take() {
            on_end(self.bytes, error);
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Poll::Ready(Some(Err(error))) => this.end(Some(error)),
            Poll::Ready(None) => this.end(None),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.end(None);
        } else {
            self.end(Some(&Error::new(ErrorKind::Canceled, "send answer").with_detail("the client has gone")));
        }
    }
}
