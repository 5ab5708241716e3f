//! Bodies of the type `multipart/form-data` (RFC 7578), as HTML forms send them.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, ErrorKind, Result};

/// A form to be sent: parts with names, in the order in which they are added.
///
/// Parts are streamed one after the other and never copied into one buffer. The boundary between them is made of 128
/// random bits, so that it stands in no part by accident.
///
/// # Examples
///
/// ```
/// use netcomm_http::multipart::{Form, Part};
///
/// # fn main() -> Result<(), netcomm_core::Error> {
/// let form = Form::new()
///     .text("title", "A walk")
///     .part("photo", Part::bytes("…").file_name("walk.png").content_type("image/png")?);
/// let header = form.content_type();
/// let body = form.into_body();
/// assert!(header.to_str().is_ok_and(|value| value.starts_with("multipart/form-data; boundary=")));
/// assert!(body.len().is_some());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Form {
    boundary: String,
    parts: Vec<(String, Part)>,
}

impl Form {
    /// A form without parts and with a random boundary.
    pub fn new() -> Self {
        // Two keyed hashes of a hasher that the system seeded at random: nobody who writes a part can foresee them.
        let random = || RandomState::new().hash_one(());
        let boundary = format!("netcomm-{:016x}{:016x}", random(), random());
        Self { boundary, parts: Vec::new() }
    }

    /// The same with this boundary. It is up to the caller that no part holds it: a part that does ends there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is not 1 to 70 of the characters `A-Za-z0-9'()+_,-./:=?` and space, the last one no
    /// space (RFC 2046 §5.1.1).
    pub fn with_boundary(mut self, boundary: &str) -> Result<Self> {
        let valid = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len())
            && !boundary.ends_with(' ')
            && boundary.bytes().all(|byte| byte == b' ' || is_boundary_byte(byte));
        if !valid {
            return Err(Error::new(ErrorKind::Invalid, "build form").with_detail("not a boundary"));
        }
        boundary.clone_into(&mut self.boundary);
        Ok(self)
    }

    /// Adds a text field. The name may be any text, also one that another part has.
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part(name, Part::text(value))
    }

    /// Adds a part. The name may be any text, also one that another part has: that is how several files are sent
    /// (RFC 7578 §4.3).
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// The value of `Content-Type` that belongs to the body: it names the boundary.
    ///
    /// # Panics
    ///
    /// Never: a boundary holds nothing that a header may not.
    #[must_use]
    pub fn content_type(&self) -> HeaderValue {
        // RFC 2046 §5.1.1: what is no token must be quoted. No boundary character needs a backslash.
        let quote = if self.boundary.bytes().all(is_token_byte) { "" } else { "\"" };
        HeaderValue::try_from(format!("multipart/form-data; boundary={quote}{}{quote}", self.boundary))
            .expect("boundary characters are visible ASCII or spaces")
    }

    /// The body. Its length is known if that of every part is, and it can be sent again if every part can.
    ///
    /// # Panics
    ///
    /// Never: only parts that could be cloned once are cloned again.
    #[must_use]
    pub fn into_body(self) -> Body {
        let mut pieces = Vec::with_capacity(2 * self.parts.len() + 1);
        let mut delimiter = format!("--{}\r\n", self.boundary);
        for (name, part) in self.parts {
            let mut head = delimiter.clone().into_bytes();
            part.write_head(&name, &mut head);
            pieces.push(Body::from(head));
            pieces.push(part.body);
            if !delimiter.starts_with('\r') {
                delimiter.insert_str(0, "\r\n");
            }
        }
        // The last delimiter has two more hyphens before its line end.
        delimiter.insert_str(delimiter.len() - 2, "--");
        pieces.push(delimiter.into());

        if pieces.iter().any(|piece| piece.try_clone().is_none()) {
            return Sequence::body(pieces);
        }
        // A body cannot be shared between threads, a lock around it can.
        let pieces = Mutex::new(pieces);
        Body::replayable(move || {
            let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
            let again = |piece: &Body| piece.try_clone().expect("every piece could be cloned before");
            Sequence::body(pieces.iter().map(again))
        })
    }
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parts.iter().map(|(name, _)| name).collect();
        f.debug_struct("Form").field("parts", &names).finish_non_exhaustive()
    }
}

/// One part of a [`Form`]: a value or a file. `Debug` does not show the content.
#[must_use]
pub struct Part {
    body: Body,
    file_name: Option<String>,
    headers: HeaderMap,
}

impl Part {
    /// A text. Without a `Content-Type` it is read as UTF-8, which it is.
    pub fn text(value: impl Into<String>) -> Self {
        Self::stream(value.into())
    }

    /// Bytes in memory; they are shared, not copied.
    pub fn bytes(value: impl Into<Bytes>) -> Self {
        Self::stream(value.into())
    }

    /// A stream. The length of the form is known if [`Body::len`] is, and the form can be sent again if the body is
    /// one that can ([`Body::replayable`]). Trailers are dropped.
    pub fn stream(body: impl Into<Body>) -> Self {
        Self { body: body.into(), file_name: None, headers: HeaderMap::new() }
    }

    /// Makes the part a file of this name, which may be any text. It is a file's name and no path (RFC 7578 §4.2):
    /// receivers ignore directories, or should.
    ///
    /// A file whose type is not set is sent as `application/octet-stream`.
    pub fn file_name(mut self, file_name: impl Into<String>) -> Self {
        self.file_name = Some(file_name.into());
        self
    }

    /// Sets the media type, such as `image/png`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no `type/subtype` with or without parameters.
    pub fn content_type(self, media_type: &str) -> Result<Self> {
        let name = media_type.split(';').next().unwrap_or("").trim_end();
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        let well_formed = name.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
        match HeaderValue::from_str(media_type) {
            Ok(value) if well_formed => Ok(self.header(CONTENT_TYPE, value)),
            _ => Err(Error::new(ErrorKind::Invalid, "build form").with_detail("not a media type")),
        }
    }

    /// Sets a header of the part; one of the same name is replaced. Few receivers look at others than `Content-Type`
    /// (RFC 7578 §4.8). `Content-Disposition`, if given, stands in place of the one made from the names.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn write_head(&self, name: &str, head: &mut Vec<u8>) {
        if !self.headers.contains_key(CONTENT_DISPOSITION) {
            head.extend_from_slice(b"Content-Disposition: form-data; name=\"");
            write_escaped(name, head);
            if let Some(file_name) = &self.file_name {
                head.extend_from_slice(b"\"; filename=\"");
                write_escaped(file_name, head);
            }
            head.extend_from_slice(b"\"\r\n");
        }
        if self.file_name.is_some() && !self.headers.contains_key(CONTENT_TYPE) {
            head.extend_from_slice(b"Content-Type: application/octet-stream\r\n");
        }
        for (name, value) in &self.headers {
            write_name(name, head);
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("body", &self.body).field("file_name", &self.file_name).finish_non_exhaustive()
    }
}

/// RFC 2046 §5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;

/// `bcharsnospace` of RFC 2046 §5.1.1.
fn is_boundary_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A name as browsers write it (WHATWG HTML, "multipart/form-data encoding algorithm"): UTF-8, with the three
/// characters escaped that could end the quotes or the line. A `%` stays, as there: receivers do not decode reliably.
fn write_escaped(text: &str, head: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' => head.extend_from_slice(b"%22"),
            b'\r' => head.extend_from_slice(b"%0D"),
            b'\n' => head.extend_from_slice(b"%0A"),
            _ => head.push(byte),
        }
    }
}

/// A header's name with each word capitalised: names have no case, but not every parser of forms knows.
fn write_name(name: &HeaderName, head: &mut Vec<u8>) {
    let mut first = true;
    for byte in name.as_str().bytes() {
        head.push(if first { byte.to_ascii_uppercase() } else { byte });
        first = byte == b'-';
    }
}

/// Bodies one after the other.
struct Sequence {
    pieces: VecDeque<Body>,
}

impl Sequence {
    fn body(pieces: impl IntoIterator<Item = Body>) -> Body {
        Body::boxed(Box::pin(Self { pieces: pieces.into_iter().collect() }))
    }
}

impl HttpBody for Sequence {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        while let Some(piece) = self.pieces.front_mut() {
            match ready!(Pin::new(piece).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                // A trailer section in the middle would end the whole body.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.pieces.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.pieces.pop_front();
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        let hints: Vec<_> = self.pieces.iter().map(HttpBody::size_hint).collect();
        hint.set_lower(hints.iter().fold(0, |sum, hint| sum.saturating_add(hint.lower())));
        let upper = |sum: u64, hint: &SizeHint| sum.checked_add(hint.upper()?);
        if let Some(upper) = hints.iter().try_fold(0, upper) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn bytes(body: Body) -> Bytes {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(body.collect(1 << 20)).expect("memory does not fail")
    }

    fn form() -> Form {
        Form::new().with_boundary("b0undary").expect("valid")
    }

    /// A stream of unknown length that can be read once.
    fn once(text: &'static str) -> Body {
        struct Once(Option<&'static str>);

        impl futures_core::Stream for Once {
            type Item = Result<Bytes>;

            fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                Poll::Ready(self.0.take().map(|text| Ok(Bytes::from_static(text.as_bytes()))))
            }
        }
        Body::from_stream(Once(Some(text)))
    }

    #[test]
    fn bytes_on_the_wire() {
        let body = form()
            .text("title", "A \"walk\"\r\n--")
            .part("fi\"le\r\n", Part::bytes(&b"\x89PNG"[..]).file_name("ü\".png"))
            .part("empty", Part::text(""))
            .part("json", Part::text("{}").content_type("application/json; charset=utf-8").expect("a type"))
            .part(
                "odd",
                Part::stream(once("streamed"))
                    .file_name("a\\b")
                    .header(HeaderName::from_static("x-my-id"), HeaderValue::from_static("7")),
            )
            .part(
                "ignored",
                Part::text("own").header(CONTENT_DISPOSITION, HeaderValue::from_static("form-data; name=own")),
            )
            .into_body();
        assert_eq!(body.len(), None);
        assert!(body.try_clone().is_none());
        let expected = [
            b"--b0undary\r\n\
              Content-Disposition: form-data; name=\"title\"\r\n\
              \r\n\
              A \"walk\"\r\n--\r\n\
              --b0undary\r\n\
              Content-Disposition: form-data; name=\"fi%22le%0D%0A\"; filename=\""
                .as_slice(),
            "ü".as_bytes(),
            b"%22.png\"\r\n\
              Content-Type: application/octet-stream\r\n\
              \r\n\
              \x89PNG\r\n\
              --b0undary\r\n\
              Content-Disposition: form-data; name=\"empty\"\r\n\
              \r\n\
              \r\n\
              --b0undary\r\n\
              Content-Disposition: form-data; name=\"json\"\r\n\
              Content-Type: application/json; charset=utf-8\r\n\
              \r\n\
              {}\r\n\
              --b0undary\r\n\
              Content-Disposition: form-data; name=\"odd\"; filename=\"a\\b\"\r\n\
              Content-Type: application/octet-stream\r\n\
              X-My-Id: 7\r\n\
              \r\n\
              streamed\r\n\
              --b0undary\r\n\
              Content-Disposition: form-data; name=own\r\n\
              \r\n\
              own\r\n\
              --b0undary--\r\n",
        ]
        .concat();
        assert_eq!(bytes(body), expected);
    }

    #[test]
    fn a_form_without_parts() {
        let body = form().into_body();
        assert_eq!(body.len(), Some(14));
        assert_eq!(bytes(body), "--b0undary--\r\n");
    }

    #[test]
    fn length_and_repetition_are_those_of_the_parts() {
        let body = Form::new()
            .text("a", "b")
            .part("c", Part::stream(Body::replayable(|| Body::from_reader(&b"made"[..], Some(4)))))
            .into_body();
        let again = body.try_clone().expect("every part can be sent again");
        let length = body.len().expect("every length is known");
        let (first, second) = (bytes(body), bytes(again));
        assert_eq!(first, second);
        assert_eq!(first.len() as u64, length);

        let body = form().part("c", Part::stream(Body::from_reader(&b"once"[..], Some(4)))).into_body();
        assert!(body.try_clone().is_none());
        assert_eq!(body.len(), Some(bytes(body).len() as u64));
    }

    #[test]
    fn an_error_of_a_part_ends_the_form() {
        let broken = Body::from_reader(&b"short"[..], Some(6));
        let mut body = form().part("a", Part::stream(broken)).text("b", "").into_body();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            assert!(body.chunk().await.is_ok_and(|head| head.is_some()));
            assert!(body.chunk().await.is_ok_and(|part| part.is_some()));
            assert!(body.chunk().await.is_err());
            assert_eq!(body.chunk().await.expect("ended"), None);
        });
    }

    #[test]
    fn boundaries() {
        let header = |boundary: &str| Form::new().with_boundary(boundary).map(|form| form.content_type());
        for (boundary, expected) in [
            ("a", "multipart/form-data; boundary=a"),
            ("a'+_-.b", "multipart/form-data; boundary=a'+_-.b"),
            ("a b", "multipart/form-data; boundary=\"a b\""),
            ("(a:b=c?/,)", "multipart/form-data; boundary=\"(a:b=c?/,)\""),
        ] {
            assert_eq!(header(boundary).expect(boundary), expected);
        }
        assert!(header(&"x".repeat(70)).is_ok());
        for boundary in ["", "a ", "a\"b", "a\r\nb", "ü", "a;b", "a\\b", &"x".repeat(71)] {
            assert_eq!(header(boundary).expect_err(boundary).kind(), ErrorKind::Invalid);
        }
        assert_ne!(Form::new().boundary, Form::new().boundary);
        assert!(Form::new().with_boundary(&Form::new().boundary).is_ok());
    }

    #[test]
    fn media_types() {
        for media_type in ["text/plain", "image/svg+xml", "text/plain; charset=\"x y\"", "a/b ;c=d"] {
            assert!(Part::text("").content_type(media_type).is_ok(), "{media_type}");
        }
        for media_type in ["", "text", "/", "text/", "text/plain\r\nx: y", "te xt/plain", "a/b/c"] {
            let error = Part::text("").content_type(media_type).expect_err(media_type);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let form = Form::new().text("name", "hunter2").part("key", Part::text("hunter2"));
        let text = format!("{form:?} {:?}", Part::text("hunter2").file_name("x"));
        assert!(!text.contains("hunter2") && text.contains("name"), "{text}");
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_its_line(
            name in proptest::collection::vec(any::<char>(), 0..20),
            file_name in "[\"\r\n\\\\;:= a-c-]{0,20}",
            swapped: bool,
        ) {
            let (name, file_name) = match swapped {
                false => (name.into_iter().collect(), file_name),
                true => (file_name, name.into_iter().collect::<String>()),
            };
            let body = bytes(form().part(name, Part::text("value").file_name(file_name)).into_body());
            let text = std::str::from_utf8(&body).expect("names are text");
            let (head, rest) = text.split_once("\r\n\r\n").expect("an empty line");
            proptest::prop_assert_eq!(rest, "value\r\n--b0undary--\r\n");
            let lines: Vec<_> = head.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
            proptest::prop_assert_eq!(lines.len(), 3);
            proptest::prop_assert_eq!(lines[1].matches('"').count(), 4);
            proptest::prop_assert!(lines[1].starts_with("Content-Disposition: form-data; name=\""));
        }
    }
}
