//! What is sent to open a stream. Pure.

use std::fmt;

use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcomm_core::{Body, Endless, Error, ErrorKind, GaveUp, Redacted, Result, Text, redact_url};
use url::{Host, Url};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(crate) const OPERATION: &str = "open event stream";

/// What is asked for, each time a source opens its stream: a `GET` for `text/event-stream`, unless it is changed.
pub struct Request {
    url: String,
    method: Method,
    headers: HeaderMap,
    body: Body,
    /// What was set and cannot be sent.
    mistake: Option<Error>,
}

/// Where in the stream the server was asked to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// Nowhere: there is no last event id.
    #[default]
    Fresh,
    /// Behind the event with this id, sent as `Last-Event-ID`.
    After(Text),
    /// Nowhere, though there is this id: it holds a control character, or nothing but space, which no header field may.
    Unsendable(Text),
}

impl Request {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), method: Method::GET, headers: HeaderMap::new(), body: Body::empty(), mistake: None }
    }

    /// Another URL.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Another method than `GET`.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets a header field, in place of what it was.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let pair =
            name.try_into().map_err(Into::into).and_then(|name| Ok((name, value.try_into().map_err(Into::into)?)));
        match pair {
            Ok((name, mut value)) => {
                value.set_sensitive(netcomm_core::is_secret_header(&name));
                self.headers.insert(name, value);
            }
            Err(error) => {
                let error: http::Error = error;
                self.mistake.get_or_insert_with(|| Error::new(ErrorKind::Invalid, OPERATION).with_source(error));
            }
        }
        self
    }

    /// Sets header fields, each in place of what it was.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        let mut last = None;
        for (name, mut value) in headers {
            let is_first = name.is_some();
            last = name.or(last);
            let Some(name) = &last else { continue };
            value.set_sensitive(value.is_sensitive() || netcomm_core::is_secret_header(name));
            if is_first {
                self.headers.insert(name, value);
            } else {
                self.headers.append(name, value);
            }
        }
        self
    }

    /// A body. One that can be sent only once ([`Body::try_clone`]) makes a source that cannot come back.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// A value as JSON. Needs the feature `json`.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => {
                self.headers.entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                self.body(json)
            }
            Err(error) => {
                self.mistake.get_or_insert_with(|| Error::new(ErrorKind::Invalid, "write json").with_source(error));
                self
            }
        }
    }

    /// The same with these header fields and no others.
    #[cfg(feature = "live")]
    pub(crate) fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// What was set: the header fields, for other requests to go with.
    #[cfg(feature = "live")]
    pub(crate) fn into_headers(self) -> Result<HeaderMap> {
        self.mistake.map_or(Ok(self.headers), |mistake| Err(mistake.with_url(&self.url)))
    }

    pub(crate) fn as_url(&self) -> &str {
        &self.url
    }

    /// Whether it goes to this machine itself, which needs no network.
    pub(crate) fn is_local(&self) -> bool {
        let host = Url::parse(&self.url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
        match host {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                name == "localhost" || name.ends_with(".localhost")
            }
            None => false,
        }
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == Method::GET
    }

    /// The same once more; a body that can be sent only once goes with the first.
    pub(crate) fn next(&mut self) -> Self {
        let spent = || Error::new(ErrorKind::User, OPERATION).with_detail("the body can be sent only once");
        let body = self.body.try_clone();
        let mistake = match body {
            Some(_) => None,
            None => Some(spent().with_gave_up(GaveUp::BodySpent)),
        };
        let body = body.unwrap_or_else(|| std::mem::take(&mut self.body));
        let next = Self {
            url: self.url.clone(),
            method: self.method.clone(),
            headers: self.headers.clone(),
            body,
            mistake: self.mistake.clone(),
        };
        if self.mistake.is_none() {
            self.mistake = mistake;
        }
        next
    }

    /// The request as it was set, with nothing of a stream about it.
    pub(crate) fn into_plain(self, operation: &'static str) -> Result<http::Request<Body>> {
        if let Some(mistake) = self.mistake {
            return Err(mistake.with_url(&self.url));
        }
        let invalid = |why: String| Error::new(ErrorKind::Invalid, operation).with_detail(why).with_url(&self.url);
        let mut url = Url::parse(&self.url).map_err(|error| invalid(format!("the URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("the URL's scheme is `{}`, not http or https", url.scheme())));
        }
        url.set_fragment(None);
        let mut request = http::Request::new(self.body);
        *request.uri_mut() = url.as_str().parse().map_err(|error| invalid(format!("the URL: {error}")))?;
        *request.method_mut() = self.method;
        *request.headers_mut() = self.headers;
        Ok(request)
    }

    /// The request itself, going on behind that event.
    pub(crate) fn into_http(self, last_event_id: &str) -> Result<(http::Request<Body>, Resume)> {
        let mut request = self.into_plain(OPERATION)?;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        let resume = match last_event_id {
            "" => Resume::Fresh,
            id => match field_value(id) {
                Some(value) => {
                    headers.insert(LAST_EVENT_ID, value);
                    Resume::After(id.into())
                }
                None => Resume::Unsendable(id.into()),
            },
        };
        request.extensions_mut().insert(Endless);
        Ok((request, resume))
    }
}

/// What a header field says of that id. Space around it is lost over HTTP/1.1 and forbidden over HTTP/2 (RFC 9113 §8.2.1).
fn field_value(id: &str) -> Option<HeaderValue> {
    let id = id.trim_matches([' ', '\t']);
    HeaderValue::from_bytes(id.as_bytes()).ok().filter(|value| !value.is_empty())
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &redact_url(&self.url))
            .field("headers", &Redacted(&self.headers))
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: &str) -> (http::Request<Body>, Resume) {
        Request::new("http://a.example/x?y#z").into_http(id).expect("a request")
    }

    #[test]
    fn a_request_says_what_it_wants() {
        let (request, resume) = sent("");
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "http://a.example/x?y");
        assert_eq!(request.headers()[ACCEPT], "text/event-stream");
        assert_eq!(request.headers()[CACHE_CONTROL], "no-cache");
        assert!(!request.headers().contains_key(LAST_EVENT_ID), "an empty id is none");
        assert!(request.extensions().get::<Endless>().is_some());
        assert_eq!(resume, Resume::Fresh);
        let own = Request::new("http://a.example/").header("accept", "*/*").into_http("").expect("a request").0;
        assert_eq!(own.headers()[ACCEPT], "*/*");
    }

    #[test]
    fn fields_replace_each_other_by_name() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "1"), ("a", "2"), ("accept", "x/y"), ("authorization", "Bearer s")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let request = Request::new("http://a.example/").header("a", "0").headers(headers);
        assert!(!format!("{request:?}").contains("Bearer"), "a secret is known by its name");
        let sent = request.into_http("").expect("a request").0;
        assert_eq!(sent.headers().get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(sent.headers()[ACCEPT], "x/y");
    }

    #[test]
    fn an_id_goes_as_utf_8_or_not_at_all() {
        let (request, resume) = sent("…7");
        assert_eq!(request.headers()[LAST_EVENT_ID].as_bytes(), "…7".as_bytes());
        assert_eq!(resume, Resume::After("…7".into()));
        let (request, resume) = sent(" 7 8\t");
        assert_eq!(request.headers()[LAST_EVENT_ID], "7 8", "space around it is no part of a field's value");
        assert_eq!(resume, Resume::After(" 7 8\t".into()));
        for id in ["a\u{1}b", "\u{7f}", " "] {
            let (request, resume) = sent(id);
            assert!(!request.headers().contains_key(LAST_EVENT_ID));
            assert_eq!(resume, Resume::Unsendable(id.into()));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_said() {
        for (request, word) in [
            (Request::new("ftp://a.example/"), "`ftp`"),
            (Request::new("nonsense"), "URL"),
            (Request::new("http://a.example/").header("a b", "c"), ""),
            (Request::new("http://a.example/").header("a", "c\nd"), ""),
        ] {
            let error = request.into_http("").expect_err(word);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_body_goes_each_time_if_it_can() {
        let mut request = Request::new("http://a.example/").body("again");
        for _ in 0..2 {
            let (sent, _) = request.next().into_http("").expect("a request");
            assert_eq!(sent.body().as_bytes().map(AsRef::as_ref), Some(&b"again"[..]));
        }
        let mut request = Request::new("http://a.example/").body(Body::from_reader(&b"once"[..], Some(4)));
        assert!(request.next().into_http("").is_ok());
        let error = request.next().into_http("").expect_err("spent");
        assert_eq!((error.kind(), error.gave_up()), (ErrorKind::User, Some(GaveUp::BodySpent)));
    }
}
