//! Whether an answer says that it is an event stream. Pure.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// What an answer must say of its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// `text/event-stream`, whatever its parameters: the stream is UTF-8 whatever its `charset` says. The default.
    #[default]
    Strict,
    /// The same, or nothing: for servers that forget it. A page of HTML is still known as one.
    AllowMissing,
    /// Anything.
    Any,
}

impl ContentType {
    /// Whether these header fields will do. Of several values the last one counts (WHATWG Fetch, "extract a MIME type").
    #[must_use]
    pub fn accepts(self, headers: &HeaderMap) -> bool {
        if self == Self::Any {
            return true;
        }
        let Some(value) = headers.get_all(CONTENT_TYPE).iter().next_back() else { return self == Self::AllowMissing };
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        essence.eq_ignore_ascii_case(b"text/event-stream")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        for (value, expected) in [
            (Some("text/event-stream"), true),
            (Some("text/event-stream;"), true),
            (Some("Text/Event-Stream; charset=windows-1252"), true),
            (Some(" text/event-stream ;x=y"), true),
            (Some("text/event-streamx"), false),
            (Some("text/x-bogus"), false),
            (Some("text/html; a=text/event-stream"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            assert_eq!(ContentType::Strict.accepts(&headers), expected, "{value:?}");
            assert_eq!(ContentType::AllowMissing.accepts(&headers), expected || value.is_none(), "{value:?}");
            assert!(ContentType::Any.accepts(&headers));
        }
    }

    #[test]
    fn the_last_of_several_counts() {
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.append(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        assert!(ContentType::Strict.accepts(&headers));
    }
}
