//! A request as a part.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request};
use netcomm_core::{Error, ErrorKind, Result};

/// What stands around each request: delimiter, fields of the part, request line, line ends; `Host` and lengths apart.
const AROUND_BYTES: usize = 220;

/// Whether a request can be a part.
pub(super) fn check(request: &Request<Bytes>) -> Result<()> {
    let refused = |why: &'static str| Err(Error::new(ErrorKind::Invalid, "build batch").with_detail(why));
    if *request.method() == Method::CONNECT {
        return refused("a tunnel is no part of a batch");
    }
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return refused("a part of a batch has no transfer coding");
    }
    Ok(())
}

/// How many bytes a request takes, and a few more.
pub(super) fn part_bytes(request: &Request<Bytes>) -> usize {
    let uri = request.uri();
    let target = uri.path_and_query().map_or(1, |path| path.as_str().len());
    let host = uri.authority().map_or(0, |authority| authority.as_str().len());
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    AROUND_BYTES + request.method().as_str().len() + target + host + fields.sum::<usize>() + request.body().len()
}

/// Writes delimiter, fields and request.
pub(super) fn part(request: &Request<Bytes>, boundary: &str, content_id: Option<String>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
    out.extend_from_slice(b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
    if let Some(id) = content_id {
        out.extend_from_slice(format!("Content-ID: {id}\r\n").as_bytes());
    }
    let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
    out.extend_from_slice(format!("\r\n{} {target} HTTP/1.1\r\n", request.method()).as_bytes());
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
    {
        // User information is no part of it (RFC 9110 §7.2).
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        out.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
    }
    write_fields(request.headers(), out);
    let has_content = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if has_content || !request.body().is_empty() {
        out.extend_from_slice(format!("Content-Length: {}\r\n", request.body().len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(request.body());
    out.extend_from_slice(b"\r\n");
}

fn write_fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        // The length is that of the body, whatever was set.
        if name != CONTENT_LENGTH {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}
