//! Requests and responses as HAR describes them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Version};
use serde::Serialize;

use super::Shown;
use super::cookies::{self, Cookie};
use crate::recorder::body::EntryBody;
use crate::redactor::unescaped;

#[derive(Serialize)]
pub(super) struct Pair<'e> {
    name: Cow<'e, str>,
    value: Cow<'e, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'e> {
    method: &'e str,
    url: &'e str,
    http_version: &'static str,
    cookies: Vec<Cookie>,
    headers: Vec<Pair<'e>>,
    query_string: Vec<Pair<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_data: Option<PostData<'e>>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostData<'e> {
    mime_type: &'e str,
    text: Cow<'e, str>,
    /// HAR knows no coding here, but text that is none must be written somehow.
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'e> {
    status: u16,
    status_text: &'static str,
    http_version: &'static str,
    cookies: Vec<Cookie>,
    headers: Vec<Pair<'e>>,
    content: Content<'e>,
    #[serde(rename = "redirectURL")]
    redirect_url: Cow<'e, str>,
    headers_size: i64,
    body_size: i64,
    #[serde(rename = "_transferSize", skip_serializing_if = "Option::is_none")]
    transfer_size: Option<u64>,
    /// As browsers write what went wrong.
    #[serde(rename = "_error", skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'e> {
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<i64>,
    mime_type: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

impl<'e> Request<'e> {
    pub(super) fn of(shown: &Shown<'e>) -> Self {
        let entry = shown.entry;
        let head = shown.attempt.and_then(|attempt| attempt.request.as_ref());
        let followed = shown.before.and_then(|before| before.redirected_to.as_deref());
        let before = shown.before.and_then(|before| before.request.as_ref()?.url.as_deref());
        // Fragments are not sent, and HAR wants none.
        let url = head.and_then(|head| head.url.as_deref()).or(followed).or(before).unwrap_or(&entry.url);
        let url = url.split('#').next().unwrap_or_default();
        let method = head.and_then(|head| head.method.as_ref()).unwrap_or(&entry.method);
        let body = shown.attempt.map(|attempt| &attempt.request_body).filter(|body| body.bytes() > 0);
        Self {
            method: method.as_str(),
            url,
            http_version: version(head.map(|head| head.version)),
            cookies: head.map(|head| cookies::sent(&head.headers)).unwrap_or_default(),
            headers: head.map(|head| fields(&head.headers)).unwrap_or_default(),
            query_string: query(url),
            post_data: body.map(|body| {
                let (text, encoding) = text_of(body.data());
                PostData { mime_type: body.content_type().unwrap_or_default(), text, encoding }
            }),
            headers_size: -1,
            body_size: match (head, body) {
                (None, _) => -1,
                (Some(_), body) => signed(body.map_or(0, EntryBody::bytes)),
            },
        }
    }
}

impl<'e> Response<'e> {
    pub(super) fn of(shown: &Shown<'e>) -> Self {
        let entry = shown.entry;
        let is_from_store = shown.is_from_store();
        let head = match shown.attempt {
            Some(attempt) => attempt.response.as_ref(),
            None => entry.stored.as_ref().filter(|_| is_from_store),
        };
        let status = match shown.attempt {
            Some(attempt) => attempt.status,
            None => head.and_then(|head| head.status),
        };
        let error = match shown.attempt {
            Some(attempt) if !shown.is_last => attempt.error,
            Some(attempt) => attempt.error.or_else(|| entry.error()),
            None => entry.error(),
        };
        let location = head.and_then(|head| head.headers.get(http::header::LOCATION));
        let redirected = shown.attempt.and_then(|attempt| attempt.redirected_to.as_deref()).map(Cow::from);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let spoken = shown.attempt.and_then(|attempt| attempt.version);
        let body = Some(&entry.body).filter(|_| shown.has_body);
        let received = entry.ended.filter(|_| shown.has_body && entry.socket.is_none());
        let received = received.map(|ended| ended.received_bytes);
        Self {
            status: status.map_or(0, |status| status.as_u16()),
            status_text: status.and_then(|status| status.canonical_reason()).unwrap_or_default(),
            http_version: version(spoken.or_else(|| head.map(|head| head.version))),
            cookies: head.map(|head| cookies::set(&head.headers)).unwrap_or_default(),
            headers: head.map(|head| fields(&head.headers)).unwrap_or_default(),
            content: Content::of(body, head.map(|head| &head.headers), received.filter(|_| !is_from_store)),
            redirect_url: location.or(redirected).unwrap_or_default(),
            headers_size: -1,
            body_size: if is_from_store { 0 } else { received.map_or(-1, signed) },
            transfer_size: if is_from_store { Some(0) } else { received },
            error: error.map(|error| format!("{error:?}")),
        }
    }
}

impl<'e> Content<'e> {
    fn of(body: Option<&'e EntryBody>, headers: Option<&'e HeaderMap>, received: Option<u64>) -> Self {
        let named = headers.and_then(|headers| headers.get(http::header::CONTENT_TYPE)?.to_str().ok());
        let size = body.map_or(0, EntryBody::bytes);
        let text = body.map(EntryBody::data).filter(|data| !data.is_empty()).map(text_of);
        let (text, encoding) = text.map_or((None, None), |(text, encoding)| (Some(text), encoding));
        // What was not read to its end saves nothing.
        let saved = received.filter(|received| size > 0 && *received <= size);
        Self {
            size,
            compression: saved.map(|received| signed(size) - signed(received)),
            // HAR wants one always; this is what is known of it.
            mime_type: named.unwrap_or("x-unknown"),
            text,
            encoding,
        }
    }
}

fn fields(headers: &HeaderMap) -> Vec<Pair<'_>> {
    let field = |(name, value): (&'_ http::HeaderName, &'_ http::HeaderValue)| Pair {
        name: Cow::Owned(name.as_str().to_owned()),
        value: Cow::Owned(String::from_utf8_lossy(value.as_bytes()).into_owned()),
    };
    headers.iter().map(field).collect()
}

fn query(url: &str) -> Vec<Pair<'_>> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let parts = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    parts.map(|(name, value)| Pair { name: unescaped(name).into(), value: unescaped(value).into() }).collect()
}

/// Text as it is, all else in base64.
pub(super) fn text_of(data: &[u8]) -> (Cow<'_, str>, Option<&'static str>) {
    match std::str::from_utf8(data) {
        Ok(text) => (text.into(), None),
        // A cut may go through a character: that makes no other thing of a text.
        Err(error) if error.error_len().is_none() => (String::from_utf8_lossy(&data[..error.valid_up_to()]), None),
        Err(_) => (STANDARD.encode(data).into(), Some("base64")),
    }
}

fn version(version: Option<Version>) -> &'static str {
    match version {
        Some(Version::HTTP_10) => "HTTP/1.0",
        Some(Version::HTTP_11) => "HTTP/1.1",
        // As browsers know it again.
        Some(Version::HTTP_2) => "HTTP/2.0",
        Some(Version::HTTP_3) => "HTTP/3",
        _ => "unknown",
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_bytes_become_base64() {
        assert_eq!(text_of("schön".as_bytes()), ("schön".into(), None));
        assert_eq!(text_of(&"schö".as_bytes()[..4]), ("sch".into(), None), "cut in a character");
        assert_eq!(text_of(&[0xff, 0x00, b'a']), ("/wBh".into(), Some("base64")));
    }

    #[test]
    fn queries_are_unescaped() {
        let pairs: Vec<_> =
            query("http://a.example/?a=1%202&b&&c=x+y").into_iter().map(|p| (p.name, p.value)).collect();
        assert_eq!(pairs, [("a".into(), "1 2".into()), ("b".into(), "".into()), ("c".into(), "x y".into())]);
    }
}
