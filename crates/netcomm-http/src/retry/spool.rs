//! A body that can be sent only once, kept while it is sent so that it can be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, ErrorKind, Result};

/// The same body, of which up to `max_bytes` are kept while it is sent. While all that was sent is kept, it can be sent
/// again.
pub(crate) fn spool(body: Body, max_bytes: usize) -> (Body, Spool) {
    let length = body.len();
    let source = Source { kept: Vec::new(), kept_bytes: 0, max_bytes, rest: Some(body), reader: 0, is_whole: true };
    let spool = Spool { source: Arc::new(Mutex::new(source)), length };
    (spool.again().unwrap_or_default(), spool)
}

/// What can be sent again.
#[derive(Clone)]
pub(crate) struct Spool {
    source: Arc<Mutex<Source>>,
    length: Option<u64>,
}

struct Source {
    kept: Vec<Frame<Bytes>>,
    kept_bytes: usize,
    max_bytes: usize,
    /// What has not been sent yet. `None` after its end.
    rest: Option<Body>,
    /// Which reading is the present one; what earlier ones ask for is theirs no more.
    reader: u64,
    /// Whether all frames so far are kept.
    is_whole: bool,
}

impl Spool {
    /// The body from its beginning; `None` if that is not kept any more. What was handed out before ends.
    pub(crate) fn again(&self) -> Option<Body> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if !source.is_whole {
            return None;
        }
        source.reader += 1;
        let reader = Reader { spool: self.clone(), number: source.reader, next: 0, sent_bytes: 0 };
        Some(Body::boxed(Box::pin(reader)))
    }
}

impl Source {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        if self.kept_bytes > self.max_bytes {
            self.is_whole = false;
            self.kept = Vec::new();
        }
        if self.is_whole {
            self.kept.push(copy(frame));
        }
    }
}

fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (None, Some(trailers)) => Frame::trailers(trailers.clone()),
        (None, None) => Frame::data(Bytes::new()),
    }
}

/// One reading: what is kept, then what comes.
struct Reader {
    spool: Spool,
    number: u64,
    next: usize,
    sent_bytes: u64,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let mut source = this.spool.source.lock().unwrap_or_else(PoisonError::into_inner);
        if source.reader != this.number {
            let error = Error::new(ErrorKind::Canceled, "send body").with_detail("it is being sent anew");
            return Poll::Ready(Some(Err(error)));
        }
        let frame = match source.kept.get(this.next) {
            Some(frame) => Some(copy(frame)),
            None => match &mut source.rest {
                None => None,
                Some(rest) => match ready!(Pin::new(rest).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        source.keep(&frame);
                        Some(frame)
                    }
                    Some(Err(error)) => {
                        // What has failed once fails again.
                        source.rest = None;
                        source.is_whole = false;
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => {
                        source.rest = None;
                        None
                    }
                },
            },
        };
        this.next += 1;
        this.sent_bytes += frame.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        let source = self.spool.source.lock().unwrap_or_else(PoisonError::into_inner);
        self.next >= source.kept.len() && source.rest.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match self.spool.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.sent_bytes)),
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn stream(chunks: &[&'static str]) -> Body {
        struct Chunks(VecDeque<&'static str>);
        impl HttpBody for Chunks {
            type Data = Bytes;
            type Error = Error;
            fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
                Poll::Ready(self.0.pop_front().map(|chunk| match chunk {
                    "!" => Err(Error::new(ErrorKind::User, "make body")),
                    chunk => Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))),
                }))
            }
        }
        Body::boxed(Box::pin(Chunks(chunks.iter().copied().collect())))
    }

    async fn read(body: &mut Body, chunks: usize) -> Result<String> {
        let mut text = String::new();
        for _ in 0..chunks {
            match body.chunk().await? {
                Some(chunk) => text.push_str(std::str::from_utf8(&chunk).expect("text")),
                None => break,
            }
        }
        Ok(text)
    }

    #[tokio::test]
    async fn what_was_sent_in_part_is_sent_again_in_whole() {
        let (mut first, spool) = spool(stream(&["ab", "cd", "ef"]), 6);
        assert_eq!(first.len(), None);
        assert_eq!(read(&mut first, 2).await.expect("two"), "abcd");
        let mut second = spool.again().expect("kept");
        assert_eq!(read(&mut first, 1).await.expect_err("the first reading is over").kind(), ErrorKind::Canceled);
        assert_eq!(read(&mut second, 9).await.expect("all"), "abcdef");
        assert_eq!(read(&mut spool.again().expect("kept"), 9).await.expect("all"), "abcdef");
    }

    #[tokio::test]
    async fn beyond_the_bound_nothing_is_kept_and_nothing_is_lost() {
        let (mut first, spool) = spool(stream(&["ab", "cd", "ef"]), 5);
        assert_eq!(read(&mut first, 9).await.expect("all"), "abcdef");
        assert!(spool.again().is_none());
        assert!(spool.source.lock().expect("not poisoned").kept.is_empty());
    }

    #[tokio::test]
    async fn a_length_stays_known() {
        let (mut first, spool) = spool(Body::from("abc"), 3);
        assert_eq!(first.len(), Some(3));
        assert_eq!(read(&mut first, 1).await.expect("all"), "abc");
        assert_eq!((first.len(), first.is_empty()), (Some(0), true));
        assert_eq!(spool.again().and_then(|body| body.len()), Some(3));
    }

    #[tokio::test]
    async fn a_source_that_fails_is_not_asked_again() {
        let (mut first, spool) = spool(stream(&["ab", "!", "cd"]), 9);
        assert_eq!(read(&mut first, 9).await.expect_err("it fails").kind(), ErrorKind::User);
        assert!(spool.again().is_none());
    }
}
