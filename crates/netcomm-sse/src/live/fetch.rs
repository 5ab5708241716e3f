//! The whole document, asked for: what is sent, and what the answer means.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use netcomm_core::{AnyTransport, Attempt, Body, Clock, Error, ErrorKind, HttpTransport, Phase, Refused, Result};
use serde_json::Value;

use super::number;
use crate::open::{beginning, patience, within};
use crate::prepare::AnyPrepare;
use crate::request::Request;

pub(super) const OPERATION: &str = "fetch document";

/// Where the number of a document stands.
#[derive(Clone, Debug)]
pub(super) enum Numbering {
    Field(HeaderName),
    /// At that place of the document (RFC 6901).
    Member(String),
}

/// How a document is fetched.
pub(super) struct Fetch {
    pub(super) transport: AnyTransport,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) prepare: Option<AnyPrepare>,
    pub(super) numbering: Numbering,
    pub(super) timeout: Duration,
    pub(super) max_bytes: usize,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Fetched {
    Whole {
        value: Value,
        sequence: u64,
        etag: Option<HeaderValue>,
    },
    /// What is there is what the server has.
    Same {
        sequence: Option<u64>,
    },
}

impl Fetch {
    /// One try. `etag`: of what is there.
    pub(super) async fn run(&self, attempt: Attempt, etag: Option<HeaderValue>) -> Result<Fetched> {
        let made = Box::pin(self.make(attempt, etag));
        let late = || Err(Error::timeout(OPERATION, Phase::Total).with_url(&self.url));
        within(patience(&*self.clock, self.timeout), made).await.unwrap_or_else(late)
    }

    async fn make(&self, attempt: Attempt, etag: Option<HeaderValue>) -> Result<Fetched> {
        let mut request = Request::new(&self.url).with_headers(self.headers.clone());
        if let Some(prepare) = &self.prepare {
            request = prepare.prepare(request, attempt).await?;
        }
        let mut request = request.into_plain(OPERATION)?;
        let url = request.uri().to_string();
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        let is_conditional = etag.is_some();
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag);
        }
        let is_get = *request.method() == Method::GET;
        let (parts, body) = self.transport.send(request).await?.into_parts();
        match parts.status {
            StatusCode::OK => self.whole(&parts.headers, body).await,
            StatusCode::NOT_MODIFIED if is_conditional && is_get => {
                Ok(Fetched::Same { sequence: self.field(&parts.headers) })
            }
            status => {
                let body = beginning(body, &*self.clock).await;
                let refused = Refused::new(status, parts.headers, body);
                Err(refused.into_error(OPERATION, self.clock.now(), || self.clock.wall()))
            }
        }
        .map_err(|error| error.with_url(&url))
    }

    async fn whole(&self, headers: &HeaderMap, body: Body) -> Result<Fetched> {
        let bytes = body.collect(self.max_bytes).await?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::new(ErrorKind::Decode, OPERATION).with_source(error))?;
        let sequence = match &self.numbering {
            Numbering::Field(_) => self.field(headers),
            Numbering::Member(place) => value.pointer(place).and_then(|number| match number {
                Value::String(text) => number::parse(text),
                number => number.as_u64(),
            }),
        };
        let Some(sequence) = sequence else {
            let detail = match &self.numbering {
                Numbering::Field(name) => format!("no number in the field `{name}`"),
                Numbering::Member(place) => format!("no number in the document at `{place}`"),
            };
            return Err(Error::new(ErrorKind::Protocol, OPERATION).with_detail(detail));
        };
        Ok(Fetched::Whole { value, sequence, etag: headers.get(ETAG).cloned() })
    }

    fn field(&self, headers: &HeaderMap) -> Option<u64> {
        let Numbering::Field(name) = &self.numbering else { return None };
        number::parse(headers.get(name)?.to_str().ok()?.trim_matches([' ', '\t']))
    }
}
