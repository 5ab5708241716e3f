//! One part of a response: its own few fields, and the HTTP response that it holds.

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use netcomm_core::{Error, ErrorKind, Result};

use super::ContentIds;

/// A part as it was read; nothing in it harms another.
pub(super) struct Part {
    /// The number that was sent with a request and came back.
    pub(super) id: Option<u64>,
    pub(super) message: Result<Message>,
}

/// The response in a part. Where its body ends depends on the method of the request.
#[derive(Debug)]
pub(super) struct Message {
    head: Response<()>,
    rest: Bytes,
}

/// Fields of a part of its own.
const MAX_OWN_FIELDS: usize = 32;
/// Fields of a response.
const MAX_FIELDS: usize = 100;
/// Bytes of the head of a response, and of a part's own fields.
const MAX_HEAD_BYTES: usize = 64 * 1024;

impl Part {
    pub(super) fn read(mut part: Bytes, ids: ContentIds) -> Self {
        let own = match own_fields(&mut part) {
            Ok(own) => own,
            Err(error) => return Self { id: None, message: Err(error) },
        };
        let message = own.check().and_then(|()| Message::read(part));
        // Some put it among the fields of the response, as old clients do in the request.
        let inner = || message.as_ref().ok()?.head.headers().get("content-id").map(|id| id.as_bytes().to_vec());
        let id = own.id.or_else(inner).and_then(|id| ids.read(&id));
        Self { id, message }
    }
}

/// What a part says of itself.
#[derive(Debug, Default)]
struct Own {
    id: Option<Vec<u8>>,
    media_type: Option<Vec<u8>>,
    encoding: Option<Vec<u8>>,
}

impl Own {
    fn check(&self) -> Result<()> {
        let is = |value: &[u8], expected: &str| value.eq_ignore_ascii_case(expected.as_bytes());
        if self.media_type.as_ref().is_some_and(|media_type| !is(media_type, "application/http")) {
            return Err(wrong("a part of another type than application/http"));
        }
        let is_plain = |encoding: &Vec<u8>| ["binary", "8bit", "7bit"].iter().any(|plain| is(encoding, plain));
        if !self.encoding.as_ref().is_none_or(is_plain) {
            let error = Error::new(ErrorKind::Unsupported, "read batch");
            return Err(error.with_detail("a part with a transfer encoding other than binary"));
        }
        Ok(())
    }
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, "read batch").with_detail(what)
}

fn too_large(what: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, "read batch").with_detail(what)
}

/// Takes the part's own fields off it, up to the empty line.
fn own_fields(part: &mut Bytes) -> Result<Own> {
    let mut own = Own::default();
    let mut field: Vec<u8> = Vec::new();
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let Some(length) = part.iter().position(|byte| *byte == b'\n') else {
            return Err(wrong("a part whose own fields do not end"));
        };
        let line = part.split_to(length + 1);
        (lines, bytes) = (lines + 1, bytes + line.len());
        if lines > MAX_OWN_FIELDS || bytes > MAX_HEAD_BYTES {
            return Err(too_large("a part with too many fields of its own"));
        }
        // RFC 5322 §2.2.3: a line that begins with white space belongs to the one before.
        if line.trim_ascii().is_empty() || !line.starts_with(b" ") && !line.starts_with(b"\t") {
            own.take(&std::mem::take(&mut field));
        }
        if line.trim_ascii().is_empty() {
            return Ok(own);
        }
        field.extend_from_slice(&line);
    }
}

impl Own {
    fn take(&mut self, field: &[u8]) {
        let Some(colon) = field.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (field[..colon].trim_ascii(), field[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-id") {
            self.id = Some(value.to_vec());
        } else if name.eq_ignore_ascii_case(b"content-type") {
            let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
            self.media_type = Some(media_type.trim_ascii().to_vec());
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            self.encoding = Some(value.to_vec());
        }
    }
}

impl Message {
    fn read(mut part: Bytes) -> Result<Self> {
        let (head, length) = match parse(&part)? {
            Some(read) => read,
            // The empty line after a head without a body is taken for the one before the delimiter by many who write.
            None if part.ends_with(b"\n") => {
                let whole = [&part[..], b"\r\n"].concat();
                let (head, _) = parse(&whole)?.ok_or_else(|| wrong("a response whose head does not end"))?;
                (head, part.len())
            }
            None => return Err(wrong("a response whose head does not end")),
        };
        part.advance(length);
        Ok(Self { head, rest: part })
    }

    /// The response, with its body as RFC 9112 §6.3 has it: a part has an end of its own, as a connection has.
    pub(super) fn answer_to(self, method: &Method) -> Result<Response<Bytes>> {
        let Self { head, rest } = self;
        if head.headers().contains_key(TRANSFER_ENCODING) {
            return Err(wrong("a response with a transfer coding in a part"));
        }
        let is_bodiless =
            method == Method::HEAD || matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if is_bodiless {
            return Ok(head.map(|()| Bytes::new()));
        }
        let body = match length(head.headers())? {
            None => rest,
            Some(length) if length > rest.len() => {
                let detail = format!("{} of {length} bytes", rest.len());
                return Err(Error::new(ErrorKind::Incomplete, "read batch").with_detail(detail));
            }
            // Empty lines before a delimiter are a habit of some.
            Some(length) if rest[length..].trim_ascii().is_empty() => rest.slice(..length),
            Some(_) => return Err(wrong("a response that is longer than it says")),
        };
        Ok(head.map(|()| body))
    }
}

/// Reads the head of a response; `None` if it does not end.
fn parse(bytes: &[u8]) -> Result<Option<(Response<()>, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = match parsed.parse(&bytes[..bytes.len().min(MAX_HEAD_BYTES)]) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD_BYTES => {
            return Err(too_large("a response whose head is too long"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(too_large("a response with too many fields")),
        Err(error) => return Err(wrong("a part that is no HTTP response").with_source(error)),
    };
    let mut head = Response::new(());
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).filter(|code| !code.is_informational());
    *head.status_mut() = status.ok_or_else(|| wrong("a response whose status is none"))?;
    if parsed.version == Some(0) {
        *head.version_mut() = Version::HTTP_10;
    }
    let headers = head.headers_mut();
    for field in parsed.headers {
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
        else {
            return Err(wrong("a response with a field that is none"));
        };
        headers.append(name, value);
    }
    Ok(Some((head, length)))
}

/// `Content-Length`, which may be repeated if it is always the same (RFC 9112 §6.3).
fn length(headers: &HeaderMap) -> Result<Option<usize>> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.and_then(|text| text.parse().ok()) {
        Some(length) if values.all(|value| value == first) => Ok(Some(length)),
        _ => Err(wrong("a response whose length is none")),
    }
}
