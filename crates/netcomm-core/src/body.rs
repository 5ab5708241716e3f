//! The one streaming body, of requests and of responses.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

use crate::error::{Error, ErrorKind, Result};

type BoxedBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>;
type Maker = Arc<dyn Fn() -> Body + Send + Sync>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes read at once from a reader.
const READ_BYTES: usize = 16 * 1024;

/// A body: nothing, bytes in memory, or a stream.
///
/// Bytes are shared, never copied. Implements [`http_body::Body`]; for plain loops there is [`chunk`](Self::chunk).
#[derive(Default)]
pub struct Body {
    kind: Kind,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(BoxedBody),
    /// A stream that can be made anew; made at the first poll.
    Made {
        maker: Maker,
        current: Option<BoxedBody>,
    },
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    /// Any [`http_body::Body`]. Errors that are no [`Error`] become one of kind [`ErrorKind::User`].
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { kind: Kind::Stream(Box::pin(Foreign { body })) }
    }

    /// A body that fails with netcomm's own [`Error`] already; saves a layer over [`new`](Self::new).
    #[must_use]
    pub fn boxed(body: Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>) -> Self {
        Self { kind: Kind::Stream(body) }
    }

    /// A stream of chunks, of unknown length. It can be sent once.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self { kind: Kind::Stream(Box::pin(Chunks { stream: Box::pin(stream) })) }
    }

    /// All that a reader gives. `length`, if known, is announced to the peer; a reader that gives less or more fails
    /// the body. It can be sent once.
    pub fn from_reader(reader: impl AsyncRead + Send + 'static, length: Option<u64>) -> Self {
        let reader = Reader { reader: Box::pin(reader), buffer: BytesMut::new(), length, read: 0 };
        Self { kind: Kind::Stream(Box::pin(reader)) }
    }

    /// A body that can be sent more than once: `maker` is called for each sending (a redirect, a repetition).
    pub fn replayable(maker: impl Fn() -> Self + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Made { maker: Arc::new(maker), current: None } }
    }

    /// The same body again, from its beginning. `None` for a stream that can be sent only once.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        Some(Self {
            kind: match &self.kind {
                Kind::Empty => Kind::Empty,
                Kind::Bytes(bytes) => Kind::Bytes(bytes.clone()),
                Kind::Stream(_) => return None,
                Kind::Made { maker, .. } => Kind::Made { maker: Arc::clone(maker), current: None },
            },
        })
    }

    /// The bytes that are left, if they are all in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        static EMPTY: Bytes = Bytes::new();
        match &self.kind {
            Kind::Empty => Some(&EMPTY),
            Kind::Bytes(bytes) => Some(bytes),
            Kind::Stream(_) | Kind::Made { .. } => None,
        }
    }

    /// How many bytes are left, if that is known.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Whether it is known that nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The next bytes; `None` at the end. Trailers are passed over.
    ///
    /// # Errors
    ///
    /// What the stream fails with; it must not be read on after that.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// All bytes, at most `max_bytes` of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] as soon as more come or are announced; what the stream fails with.
    ///
    /// # Cancel safety
    ///
    /// The body is lost if the future is dropped.
    pub async fn collect(mut self, max_bytes: usize) -> Result<Bytes> {
        let too_large = || {
            Error::new(ErrorKind::TooLarge, "collect body")
                .with_detail(format!("more than {max_bytes} bytes (limit buffered_bytes)"))
        };
        let least = self.size_hint().lower();
        if least > max_bytes as u64 {
            return Err(too_large());
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if first.len() > max_bytes {
            return Err(too_large());
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::with_capacity(
            (first.len() + second.len()).max(usize::try_from(least).unwrap_or(0).min(max_bytes)),
        );
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if all.len() + chunk.len() > max_bytes {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let kind = &mut self.get_mut().kind;
        match kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *kind = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Stream(body) => body.as_mut().poll_frame(cx),
            Kind::Made { maker, current } => current.get_or_insert_with(|| Box::pin(maker())).as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Bytes(bytes) => bytes.is_empty(),
            Kind::Stream(body) => body.is_end_stream(),
            Kind::Made { current, .. } => current.as_ref().is_some_and(|body| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(body) => body.size_hint(),
            Kind::Made { maker, current } => {
                current.as_ref().map_or_else(|| maker().size_hint(), |body| body.size_hint())
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Bytes(_) => "bytes",
            Kind::Stream(_) => "stream",
            Kind::Made { .. } => "replayable",
        };
        f.debug_struct("Body").field("kind", &kind).field("len", &self.len()).finish()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes) } }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

fn user_error(error: impl Into<BoxError>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(own) => *own,
        Err(foreign) => Error::new(ErrorKind::User, "read body").with_source(foreign),
    }
}

pin_project_lite::pin_project! {
    struct Foreign<B> {
        #[pin]
        body: B,
    }
}

impl<B> HttpBody for Foreign<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.project().body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(user_error)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Chunks<S> {
    stream: Pin<Box<S>>,
}

impl<S, E> HttpBody for Chunks<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let item = ready!(self.stream.as_mut().poll_next(cx));
        Poll::Ready(item.map(|chunk| chunk.map(Frame::data).map_err(user_error)))
    }
}

struct Reader {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    buffer: BytesMut,
    length: Option<u64>,
    read: u64,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.buffer.len() < READ_BYTES {
            // Reclaims the allocation if the chunks handed out before are gone, else makes a new one.
            this.buffer.resize(READ_BYTES, 0);
        }
        let mut buffer = ReadBuf::new(&mut this.buffer[..READ_BYTES]);
        if let Err(error) = ready!(this.reader.as_mut().poll_read(cx, &mut buffer)) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Io, "read body").with_source(error))));
        }
        let count = buffer.filled().len();
        this.read += count as u64;
        let wrong = this.length.is_some_and(|length| this.read > length || (count == 0 && this.read < length));
        if wrong {
            let detail = format!("the reader gave {} bytes, {} were announced", this.read, this.length.unwrap_or(0));
            return Poll::Ready(Some(Err(Error::new(ErrorKind::User, "read body").with_detail(detail))));
        }
        Poll::Ready((count > 0).then(|| Ok(Frame::data(this.buffer.split_to(count).freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(self.read)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, |length| SizeHint::with_exact(length.saturating_sub(self.read)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_and_limits() {
        let body = || Body::replayable(|| Body::from_reader(&b"hello world"[..], Some(11)));
        assert_eq!(body().len(), Some(11));
        assert_eq!(body().collect(11).await.expect("fits"), "hello world");
        let error = body().collect(10).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let mut body = body();
        assert_eq!(body.chunk().await.expect("first").as_deref(), Some(&b"hello world"[..]));
        assert_eq!(body.try_clone().expect("replayable").collect(20).await.expect("again"), "hello world");
        assert_eq!(body.chunk().await.expect("end"), None);
    }

    #[tokio::test]
    async fn a_reader_must_keep_its_word() {
        for announced in [5, 20] {
            let body = Body::from_reader(&b"hello world"[..], Some(announced));
            let error = body.collect(100).await.expect_err("wrong length");
            assert_eq!(error.kind(), ErrorKind::User);
            assert!(error.to_string().contains("11 bytes"), "{error}");
        }
    }

    #[tokio::test]
    async fn foreign_errors_are_the_users_and_own_ones_stay() {
        let own = Error::new(ErrorKind::Decode, "x");
        let body = Body::new(Body::boxed(Box::pin(Chunks { stream: Box::pin(Once(Some(Err(own)))) })));
        assert_eq!(body.collect(1).await.expect_err("fails").kind(), ErrorKind::Decode);
        let body = Body::from_stream(Once(Some(Err::<Bytes, _>("no"))));
        assert!(body.try_clone().is_none());
        assert_eq!(body.collect(1).await.expect_err("fails").kind(), ErrorKind::User);
    }

    struct Once<T>(Option<T>);

    impl<T: Unpin> Stream for Once<T> {
        type Item = T;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
            Poll::Ready(self.0.take())
        }
    }
}
