//! Tokens and lists of them (RFC 9110 §5.6): pure.

use http::{HeaderMap, HeaderName};

/// The members of a list field, all its lines taken together; one that is no visible text is shown as empty.
pub(super) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("\u{0}").split(','))
        .map(|member| member.trim_matches([' ', '\t']))
        // RFC 9110 §5.6.1.2: empty members count for nothing.
        .filter(|member| !member.is_empty())
}

/// Whether a list field has that member, in any case.
pub(super) fn has(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    list(headers, name).any(|member| member.eq_ignore_ascii_case(wanted))
}

/// Whether it is a token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONNECTION;

    use super::*;

    #[test]
    fn lists() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive,\t Upgrade ,,"));
        headers.append(CONNECTION, HeaderValue::from_static("close"));
        headers.append(CONNECTION, HeaderValue::from_bytes(b"\xff").expect("opaque"));
        assert_eq!(list(&headers, &CONNECTION).collect::<Vec<_>>(), ["keep-alive", "Upgrade", "close", "\u{0}"]);
        assert!(has(&headers, &CONNECTION, "upgrade") && !has(&headers, &CONNECTION, "up"));
    }

    #[test]
    fn tokens() {
        for text in ["chat", "v1.chat+json", "a|b"] {
            assert!(is_token(text), "{text}");
        }
        for text in ["", "a b", "a,b", "a/b", "\"a\"", "é", "a\r"] {
            assert!(!is_token(text), "{text}");
        }
    }
}
