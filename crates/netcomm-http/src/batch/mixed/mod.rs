//! Batches of whole HTTP requests: `multipart/mixed` (RFC 2046 §5.1) of `application/http` (RFC 9112 §10.2).

mod boundary;
mod part;
mod split;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderValue, Method, Request, Response};
use netcomm_core::{Error, ErrorKind, Result};

use self::part::Part;
use self::split::split;
use super::codec::{Answers, Codec, Encoded};

/// Whole requests in one, as OData's `$batch` and Google's batch endpoints take them. Each caller hands in an
/// [`http::Request`] and gets an [`http::Response`] of any status.
///
/// - Requests are written with the path and query of their URI; an absolute one also tells its host in `Host`.
///   `Content-Length` is written to fit. The client adds nothing to them: no cookies, no credentials, no defaults; what
///   it takes off the response as a whole (content codings) it takes off once.
/// - Answers are matched by `Content-ID`, with or without angle brackets and Google's `response-`, if there is at least
///   one that was asked for. If there is none they are matched by their order: too few are those of the first calls, as
///   from an OData service that stopped at an error.
/// - Lines may end in CRLF or LF alone. The head of an answer has at most 100 fields and 64 KiB. One whose length is
///   wrong, with a transfer coding, or of another type fails for its caller alone.
/// - The body of an answer is a view of the whole response, which it keeps in memory.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: netcomm_http::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use netcomm_http::batch::{Batcher, MultipartMixed};
///
/// let orders = Batcher::builder(&client, "https://shop.example/v2/batch", MultipartMixed::new()).build()?;
/// let order = orders.call(http::Request::get("/v2/orders/17").body(bytes::Bytes::new())?).await?;
/// assert!(order.status().is_success());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MultipartMixed {
    next_id: AtomicU64,
    ids: ContentIds,
}

/// How the parts of a batch are named. Answers are known by the same name, with or without brackets and `response-`:
/// numbers that a service gives of its own are not taken for ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentIds {
    /// `Content-ID: <1@netcomm>`, as RFC 2045 §7 has it and Google's endpoints want it. The default.
    #[default]
    Bracketed,
    /// `Content-ID: 1`, as OData has it.
    Bare,
    /// None: answers are matched by their order alone.
    Absent,
}

impl MultipartMixed {
    /// With the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self { next_id: AtomicU64::new(1), ids: ContentIds::default() }
    }

    /// How parts are named. Default [`ContentIds::Bracketed`].
    #[must_use]
    pub fn content_ids(mut self, ids: ContentIds) -> Self {
        self.ids = ids;
        self
    }
}

impl Default for MultipartMixed {
    fn default() -> Self {
        Self::new()
    }
}

impl Codec for MultipartMixed {
    type Call = Request<Bytes>;
    type Answer = Response<Bytes>;
    /// The number and the method of each request.
    type Sent = Vec<(u64, Method)>;

    fn size(&self, call: &Request<Bytes>) -> Result<usize> {
        write::check(call)?;
        Ok(write::part_bytes(call))
    }

    fn encode(&self, calls: Vec<Request<Bytes>>) -> Result<Encoded<Self::Sent>> {
        let first = self.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let boundary = boundary::fresh(&calls.iter().map(|call| &**call.body()).collect::<Vec<_>>());
        let mut body = Vec::with_capacity(calls.iter().map(write::part_bytes).sum::<usize>() + boundary.len() + 8);
        let mut sent = Vec::with_capacity(calls.len());
        for (id, call) in (first..).zip(calls) {
            write::part(&call, &boundary, self.ids.write(id), &mut body);
            sent.push((id, call.into_parts().0.method));
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type = HeaderValue::try_from(format!("multipart/mixed; boundary={boundary}"))
            .expect("a boundary is made of letters and digits");
        let encoded = Encoded::new(content_type, body, sent);
        Ok(encoded.with_header(ACCEPT, HeaderValue::from_static("multipart/mixed")))
    }

    fn decode(&self, sent: &Self::Sent, head: &Parts, body: Bytes) -> Result<Answers<Response<Bytes>>> {
        let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let boundary = boundary::of(content_type).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "read batch").with_detail("the response is no multipart with a boundary")
        })?;
        let split = split(&body, &boundary);
        let mut parts: Vec<_> = split.parts.into_iter().map(|part| Part::read(part, self.ids)).collect();
        if let Some(last) = parts.last_mut().filter(|_| !split.is_closed) {
            last.message =
                Err(Error::new(ErrorKind::Incomplete, "read batch").with_detail("the last delimiter is missing"));
        }
        let positions: HashMap<u64, usize> =
            sent.iter().enumerate().map(|(position, (id, _))| (*id, position)).collect();
        let by_id = |part: &Part| positions.get(&part.id?).copied();
        let has_ids = parts.iter().any(|part| by_id(part).is_some());
        let mut answers = Answers::new(sent.len());
        for (at, part) in parts.into_iter().enumerate() {
            let position = if has_ids { by_id(&part) } else { Some(at) };
            if let Some((position, (_, method))) = position.and_then(|at| Some((at, sent.get(at)?))) {
                answers.give(position, part.message.and_then(|message| message.answer_to(method)));
            }
        }
        Ok(answers)
    }
}

impl ContentIds {
    fn write(self, id: u64) -> Option<String> {
        match self {
            Self::Bracketed => Some(format!("<{id}{DOMAIN}>")),
            Self::Bare => Some(id.to_string()),
            Self::Absent => None,
        }
    }

    /// The number in a name that was given in this form.
    fn read(self, value: &[u8]) -> Option<u64> {
        let value = std::str::from_utf8(value.trim_ascii()).ok()?;
        let value = value.strip_prefix('<').and_then(|value| value.strip_suffix('>')).unwrap_or(value);
        let value = value.strip_prefix("response-").unwrap_or(value);
        let digits = match self {
            Self::Bracketed => value.strip_suffix(DOMAIN)?,
            Self::Bare => value,
            Self::Absent => return None,
        };
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    }
}

/// RFC 2045 §7: a name has two halves.
const DOMAIN: &str = "@netcomm";
