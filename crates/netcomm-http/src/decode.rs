//! Content codings of responses (RFC 9110 §8.4): what to undo, and undoing it as a stream.
//!
//! [`plan`] reads the header and decides, [`decode`] does it. Nothing that fails here passes for a shorter body: a coded
//! stream that is cut off, garbled or followed by other bytes ends in an error. Memory is bounded by one chunk of coded
//! bytes, one buffer of decoded ones and the window of the coding (at most 16 MiB, brotli's). The only room that names
//! `async_compression`.

use std::sync::LazyLock;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use netcomm_core::{Body, Error, ErrorKind, Limits, Result};

/// The names of the codings built in, as they stand in `Accept-Encoding`.
const BUILT_IN: &[&str] = &[
    #[cfg(feature = "gzip")]
    "gzip",
    #[cfg(feature = "gzip")]
    "deflate",
    #[cfg(feature = "brotli")]
    "br",
    #[cfg(feature = "zstd")]
    "zstd",
];

/// A content coding that is built in. Without any of the features there is none, and no value of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1952.
    #[cfg(feature = "gzip")]
    Gzip,
    /// RFC 1950, or bare RFC 1951 from servers that took the name at its word.
    #[cfg(feature = "gzip")]
    Deflate,
    /// RFC 7932.
    #[cfg(feature = "brotli")]
    Brotli,
    /// RFC 8878, with the window of RFC 9659.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Coding {
    /// By its registered name in lower case; `x-gzip` is the same as `gzip` (RFC 9110 §8.4.1.3).
    fn by_name(name: &str) -> Option<Self> {
        match name {
            #[cfg(feature = "gzip")]
            "gzip" | "x-gzip" => Some(Self::Gzip),
            #[cfg(feature = "gzip")]
            "deflate" => Some(Self::Deflate),
            #[cfg(feature = "brotli")]
            "br" => Some(Self::Brotli),
            #[cfg(feature = "zstd")]
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What is to be done with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing: it is not coded.
    Identity,
    /// Decode these, in this order: the coding applied last comes first.
    Decode(Vec<Coding>),
    /// Leave body and header as they are: this coding is not known here.
    Unknown(String),
}

/// Decides by all `Content-Encoding` fields together. Names are compared without case; `identity` and empty members
/// are passed over.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`] if more codings lie one upon the other than `limits.decode_layers`, known ones or not.
pub(crate) fn plan(headers: &HeaderMap, limits: &Limits) -> Result<Plan> {
    let names: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    if names.is_empty() {
        return Ok(Plan::Identity);
    }
    if names.len() > limits.decode_layers {
        let (count, limit) = (names.len(), limits.decode_layers);
        return Err(Error::new(ErrorKind::TooLarge, "decode body")
            .with_detail(format!("{count} content codings, more than {limit} (limit decode_layers)")));
    }
    let mut codings = Vec::with_capacity(names.len());
    // Listed in the order in which they were applied (RFC 9110 §8.4), so undone from the end.
    for name in names.into_iter().rev() {
        match Coding::by_name(&name) {
            Some(coding) => codings.push(coding),
            None => return Ok(Plan::Unknown(name)),
        }
    }
    Ok(Plan::Decode(codings))
}

/// The value of `Accept-Encoding`: what is built in, without preferences. `None` if nothing is.
pub(crate) fn accept_encoding() -> Option<HeaderValue> {
    static VALUE: LazyLock<Option<HeaderValue>> =
        LazyLock::new(|| HeaderValue::try_from(BUILT_IN.join(", ")).ok().filter(|value| !value.is_empty()));
    VALUE.clone()
}

/// The body without these codings, the first of which was applied last. An empty body stays empty, as the answer to a
/// HEAD is; trailers are dropped.
///
/// The body fails with
/// - [`ErrorKind::Incomplete`] if the coded bytes end too early,
/// - [`ErrorKind::Decode`] if they are not what the coding allows, or if more follow after its end,
/// - [`ErrorKind::TooLarge`] past `limits.body_bytes` decoded bytes, or past `limits.decode_ratio` decoded bytes for
///   each byte that came from `body`, once more than 1 MiB was decoded. Every layer is held to both,
/// - the very error of `body` if that fails, after what could be decoded until then.
#[cfg(any(feature = "gzip", feature = "brotli", feature = "zstd"))]
pub(crate) fn decode(body: Body, codings: Vec<Coding>, limits: &Limits) -> Body {
    stream::layers(body, codings, limits)
}

/// The body as it is: no coding is built in, so none can be asked for.
#[cfg(not(any(feature = "gzip", feature = "brotli", feature = "zstd")))]
pub(crate) fn decode(body: Body, codings: Vec<Coding>, _: &Limits) -> Body {
    match codings.into_iter().next() {
        None => body,
        Some(coding) => match coding {},
    }
}

#[cfg(any(feature = "gzip", feature = "brotli", feature = "zstd"))]
mod stream {
    use std::io;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Poll, ready};

    #[cfg(feature = "brotli")]
    use async_compression::tokio::bufread::BrotliDecoder;
    #[cfg(feature = "gzip")]
    use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZlibDecoder};
    #[cfg(feature = "zstd")]
    use async_compression::{tokio::bufread::ZstdDecoder, zstd::DParameter};
    use bytes::{Buf, Bytes, BytesMut};
    use http_body::{Body as HttpBody, Frame};
    use netcomm_core::{Body, Error, ErrorKind, Limits, Result};
    use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, ReadBuf};

    use super::Coding;

    /// Bytes made room for at once.
    const BUFFER_BYTES: usize = 16 * 1024;
    /// Room below which a new buffer is made, so that chunks do not become tiny at its end.
    const LEAST_ROOM_BYTES: usize = 4 * 1024;
    /// Decoded bytes from which on the ratio counts: short bodies of one repeated byte are harmless and common.
    const RATIO_FREE_BYTES: u64 = 1024 * 1024;
    /// RFC 9659 §3: windows of the coding `zstd` are not larger than 8 MiB.
    #[cfg(feature = "zstd")]
    const ZSTD_WINDOW_LOG_MAX: u32 = 23;

    pub(super) fn layers(body: Body, codings: Vec<Coding>, limits: &Limits) -> Body {
        if body.is_end_stream() {
            return body;
        }
        // One count for all layers: the ratio is that of the outermost coded bytes to those of each layer, else two
        // layers could multiply what one may not do.
        let coded = Arc::new(AtomicU64::new(0));
        let mut outermost = true;
        codings.into_iter().fold(body, |body, coding| {
            let source = Source {
                body,
                chunk: Bytes::new(),
                ended: false,
                failure: None,
                count: std::mem::take(&mut outermost).then(|| Arc::clone(&coded)),
            };
            Body::boxed(Box::pin(Layer {
                coding,
                source: Some(source),
                decoder: None,
                buffer: BytesMut::new(),
                decoded: 0,
                coded: Arc::clone(&coded),
                body_bytes: limits.body_bytes,
                decode_ratio: limits.decode_ratio,
            }))
        })
    }

    /// One coding being undone.
    struct Layer {
        coding: Coding,
        /// Until the first byte has come: it decides whether there is anything to decode, and by what.
        source: Option<Source>,
        /// From then on. At the end and after an error there is neither.
        decoder: Option<Box<dyn Decoder>>,
        buffer: BytesMut,
        decoded: u64,
        coded: Arc<AtomicU64>,
        body_bytes: u64,
        decode_ratio: u64,
    }

    impl HttpBody for Layer {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
            let this = self.get_mut();
            let item = ready!(this.poll_chunk(cx)).transpose();
            if !matches!(item, Some(Ok(_))) {
                (this.source, this.decoder) = (None, None);
            }
            Poll::Ready(item.map(|chunk| chunk.map(Frame::data)))
        }

        fn is_end_stream(&self) -> bool {
            self.source.is_none() && self.decoder.is_none()
        }
    }

    impl Layer {
        fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
            if let Some(mut source) = self.source.take() {
                let first = match source.poll_bytes(cx) {
                    Poll::Ready(bytes) => bytes.first().copied(),
                    Poll::Pending => {
                        self.source = Some(source);
                        return Poll::Pending;
                    }
                };
                match first {
                    Some(first) => self.decoder = Some(decoder(self.coding, first, source)?),
                    None => return Poll::Ready(source.failure.map_or(Ok(None), Err)),
                }
            }
            let Some(decoder) = &mut self.decoder else {
                return Poll::Ready(Ok(None));
            };
            if self.buffer.capacity() < LEAST_ROOM_BYTES {
                // Takes back the last buffer if the chunks handed out of it are gone, else makes a new one.
                self.buffer.reserve(BUFFER_BYTES);
            }
            // The future holds nothing between polls, so making it anew each time loses nothing.
            let count = match ready!(pin!(decoder.read_buf(&mut self.buffer)).poll(cx)) {
                Ok(count) => count,
                Err(error) => {
                    let source = decoder.source();
                    return Poll::Ready(Err(match source.failure.take() {
                        Some(failure) => failure,
                        // Whatever a decoder says about the end of its input, it wanted more.
                        None if source.ended => failed(ErrorKind::Incomplete, self.coding).with_source(error),
                        None => failed(ErrorKind::Decode, self.coding).with_source(error),
                    }));
                }
            };
            if count == 0 {
                let source = decoder.source();
                let junk = !ready!(source.poll_bytes(cx)).is_empty();
                return Poll::Ready(match source.failure.take() {
                    Some(failure) => Err(failure),
                    None if junk => Err(failed(ErrorKind::Decode, self.coding)
                        .with_detail(format!("bytes after the end of {}", name(self.coding)))),
                    None => Ok(None),
                });
            }
            self.decoded += count as u64;
            Poll::Ready(self.check().map(|()| Some(self.buffer.split().freeze())))
        }

        fn check(&self) -> Result<()> {
            let too_large = |detail| Err(Error::new(ErrorKind::TooLarge, "decode body").with_detail(detail));
            if self.decoded > self.body_bytes {
                return too_large(format!("more than {} bytes (limit body_bytes)", self.body_bytes));
            }
            let coded = self.coded.load(Ordering::Relaxed);
            if self.decoded > RATIO_FREE_BYTES && self.decoded > coded.saturating_mul(self.decode_ratio) {
                return too_large(format!(
                    "{coded} bytes of {} became {}, more than {} for one (limit decode_ratio)",
                    name(self.coding),
                    self.decoded,
                    self.decode_ratio,
                ));
            }
            Ok(())
        }
    }

    fn failed(kind: ErrorKind, coding: Coding) -> Error {
        Error::new(kind, "decode body").with_detail(name(coding))
    }

    fn name(coding: Coding) -> &'static str {
        match coding {
            #[cfg(feature = "gzip")]
            Coding::Gzip => "gzip",
            #[cfg(feature = "gzip")]
            Coding::Deflate => "deflate",
            #[cfg(feature = "brotli")]
            Coding::Brotli => "br",
            #[cfg(feature = "zstd")]
            Coding::Zstd => "zstd",
        }
    }

    /// A decoder that gives back where it reads from.
    trait Decoder: AsyncRead + Unpin + Send {
        fn source(&mut self) -> &mut Source;
    }

    macro_rules! decoders {
        ($($(#[$feature:meta])? $decoder:ident),+ $(,)?) => {
            $($(#[$feature])?
            impl Decoder for $decoder<Source> {
                fn source(&mut self) -> &mut Source {
                    self.get_mut()
                }
            })+
        };
    }

    decoders!(
        #[cfg(feature = "gzip")]
        GzipDecoder,
        #[cfg(feature = "gzip")]
        ZlibDecoder,
        #[cfg(feature = "gzip")]
        DeflateDecoder,
        #[cfg(feature = "brotli")]
        BrotliDecoder,
        #[cfg(feature = "zstd")]
        ZstdDecoder,
    );

    /// The decoder of a stream that begins with `first`.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "brotli")),
        expect(unused_variables, reason = "zstd has only one form")
    )]
    fn decoder(coding: Coding, first: u8, source: Source) -> Result<Box<dyn Decoder>> {
        Ok(match coding {
            #[cfg(feature = "gzip")]
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(source);
                // RFC 1952 §2.2: a file is a series of members.
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            // RFC 1950 §2.2: the method 8 in the low four bits, at most 7 in the high ones. In RFC 1951 the same
            // bits would be a stored block with padding that is not zero, which no encoder writes.
            #[cfg(feature = "gzip")]
            Coding::Deflate if first & 0x8f == 0x08 => Box::new(ZlibDecoder::new(source)),
            #[cfg(feature = "gzip")]
            Coding::Deflate => Box::new(DeflateDecoder::new(source)),
            // The window 0010001 is invalid in RFC 7932 §9.1; the decoder takes it for "large window brotli", which
            // may ask for a gigabyte.
            #[cfg(feature = "brotli")]
            Coding::Brotli if first & 0x7f == 0b001_0001 => {
                return Err(failed(ErrorKind::Decode, coding).with_source("invalid window"));
            }
            #[cfg(feature = "brotli")]
            Coding::Brotli => Box::new(BrotliDecoder::new(source)),
            #[cfg(feature = "zstd")]
            Coding::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
                let mut decoder = ZstdDecoder::with_params(source, &[window]);
                // RFC 8878 §3: one or more frames.
                decoder.multiple_members(true);
                Box::new(decoder)
            }
        })
    }

    /// The coded bytes: hands out the chunks of the body as they are.
    ///
    /// A failure of the body looks to the decoder like the end. It is kept here, so that what was decoded until then
    /// still comes out, and the error after it is the body's own.
    struct Source {
        body: Body,
        chunk: Bytes,
        ended: bool,
        failure: Option<Error>,
        /// Counts the bytes taken. Those taken, not those that came: so the ratio does not depend on how large the
        /// chunks are.
        count: Option<Arc<AtomicU64>>,
    }

    impl Source {
        /// What is there to be read; empty only at the end.
        fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<&[u8]> {
            while self.chunk.is_empty() && !self.ended {
                match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => self.chunk = frame.into_data().unwrap_or_default(),
                    Some(Err(error)) => {
                        self.failure = Some(error);
                        self.ended = true;
                    }
                    None => self.ended = true,
                }
            }
            Poll::Ready(&self.chunk)
        }
    }

    impl AsyncBufRead for Source {
        fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
            self.get_mut().poll_bytes(cx).map(Ok)
        }

        fn consume(self: Pin<&mut Self>, count: usize) {
            let this = self.get_mut();
            this.chunk.advance(count);
            if let Some(total) = &this.count {
                total.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }

    impl AsyncRead for Source {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let bytes = ready!(self.poll_bytes(cx));
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            self.consume(count);
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn nothing_to_decode() {
        for values in [&[][..], &[""], &["identity"], &["Identity, ,identity", ","]] {
            assert_eq!(plan(&headers(values), &Limits::default()).expect("few"), Plan::Identity);
        }
    }

    #[test]
    fn unknown_codings_are_named() {
        for (values, name) in
            [(&["COMPRESS"][..], "compress"), (&["identity, x"], "x"), (&["a", "b"], "b"), (&["gzip;q=1"], "gzip;q=1")]
        {
            let plan = plan(&headers(values), &Limits::default()).expect("few");
            assert_eq!(plan, Plan::Unknown(name.to_owned()));
        }
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"\xff").expect("obs-text");
        headers.insert(CONTENT_ENCODING, value);
        let plan = plan(&headers, &Limits::default()).expect("few");
        assert_eq!(plan, Plan::Unknown("\u{fffd}".to_owned()));
    }

    #[test]
    fn layers_are_counted_before_they_are_known() {
        for values in [&["gzip, gzip, gzip"][..], &["a,b", "c"], &["gzip,br", "identity, zstd"]] {
            let error = plan(&headers(values), &Limits::default()).expect_err("too many");
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(error.to_string().contains("decode_layers"), "{error}");
        }
        assert!(plan(&headers(&["gzip"]), &Limits::default().with_decode_layers(0)).is_err());
    }

    #[test]
    fn what_is_accepted_is_known() {
        let Some(value) = accept_encoding() else {
            assert!(BUILT_IN.is_empty());
            return;
        };
        for name in value.to_str().expect("ascii").split(", ") {
            assert!(Coding::by_name(name).is_some(), "{name}");
        }
    }
}

#[cfg(all(test, feature = "gzip", feature = "brotli", feature = "zstd"))]
mod stream_tests;
