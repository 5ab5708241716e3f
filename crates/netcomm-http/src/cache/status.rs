//! `Cache-Status` (RFC 9211), as a value and as a field.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::cache::field::Text;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

const USUAL_NAME: &str = "netcomm";

/// What nearly all misses come to, and its text under the usual name: to write that would cost each of them more than to
/// find their key.
const STORED: CacheStatus = CacheStatus {
    hit: false,
    forwarded: Some(Forwarded::UriMiss),
    forwarded_status: None,
    ttl: None,
    stored: true,
    collapsed: false,
    detail: None,
};
const STORED_TEXT: &str = "netcomm; fwd=uri-miss; stored";

/// What the cache did for a response (RFC 9211).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Whether the response came from store without the origin being asked.
    pub hit: bool,
    /// Why the request went on towards the origin.
    pub forwarded: Option<Forwarded>,
    /// The status of the origin's answer, where it was another one than the response has.
    pub forwarded_status: Option<StatusCode>,
    /// For how many seconds the stored response will be fresh; negative for how long it has been stale.
    pub ttl: Option<i64>,
    /// Whether the origin's answer was stored.
    pub stored: bool,
    /// Whether the request was answered together with another one that was in flight.
    pub collapsed: bool,
    /// More, in a word: why a stale response was used, or why the answer was not stored.
    pub detail: Option<&'static str>,
}

/// Why a request went on (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forwarded {
    /// The cache was told to keep out.
    Bypass,
    /// The method has to reach the origin.
    Method,
    /// Nothing is stored under the URI.
    UriMiss,
    /// What is stored goes with other requests.
    VaryMiss,
    /// The request's own directives want it.
    Request,
    /// What is stored is stale.
    Stale,
    /// Only a part of what is asked for is stored.
    Partial,
}

impl Forwarded {
    /// The token of the field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// The name under which a cache speaks. To clone the usual one writes to nothing that others share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Name {
    own: Option<Arc<str>>,
}

impl Name {
    /// A name of its own: a token.
    pub(crate) fn own(name: &str) -> Self {
        Self { own: Some(name.into()) }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.own.as_deref().unwrap_or(USUAL_NAME)
    }
}

impl CacheStatus {
    /// Adds the member of the cache of that name, a token, behind those of the caches nearer to the origin.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap, name: &str) {
        let value = match *self == STORED && name == USUAL_NAME {
            true => HeaderValue::from_static(STORED_TEXT),
            false => self.written(name).value(),
        };
        headers.append(CACHE_STATUS, value);
    }

    fn written(&self, name: &str) -> Text {
        let mut text = Text::default();
        text.push(name);
        if self.hit {
            text.push("; hit");
        }
        if let Some(why) = self.forwarded {
            text.push("; fwd=");
            text.push(why.as_str());
        }
        if let Some(status) = self.forwarded_status {
            text.push("; fwd-status=");
            text.push(status.as_str());
        }
        if let Some(ttl) = self.ttl {
            text.push(if ttl < 0 { "; ttl=-" } else { "; ttl=" });
            text.push_number(ttl.unsigned_abs());
        }
        if self.stored {
            text.push("; stored");
        }
        if self.collapsed {
            text.push("; collapsed");
        }
        if let Some(detail) = self.detail {
            text.push("; detail=");
            text.push(detail);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_text_is_what_would_be_written() {
        assert_eq!(STORED.written(USUAL_NAME).value(), STORED_TEXT);
        let mut headers = HeaderMap::new();
        STORED.add_to(&mut headers, "own");
        STORED.add_to(&mut headers, USUAL_NAME);
        let values: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(values, ["own; fwd=uri-miss; stored", STORED_TEXT]);
    }

    #[test]
    fn members() {
        for (status, expected) in [
            (CacheStatus { hit: true, ttl: Some(376), ..Default::default() }, "c; hit; ttl=376"),
            (
                CacheStatus { hit: true, ttl: Some(-412), detail: Some("offline"), ..Default::default() },
                "c; hit; ttl=-412; detail=offline",
            ),
            (
                CacheStatus {
                    forwarded: Some(Forwarded::Stale),
                    forwarded_status: Some(StatusCode::NOT_MODIFIED),
                    stored: true,
                    collapsed: true,
                    ..Default::default()
                },
                "c; fwd=stale; fwd-status=304; stored; collapsed",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(CACHE_STATUS, HeaderValue::from_static("other; hit"));
            status.add_to(&mut headers, "c");
            let values: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
            assert_eq!(values, ["other; hit", expected]);
            // It is a list of the structured kind.
            assert!(sfv::Parser::new(expected).parse::<sfv::List>().is_ok(), "{expected}");
        }
    }
}
