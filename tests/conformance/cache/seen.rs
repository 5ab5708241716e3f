//! What came back, and what the origin says that it saw.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::latin;

/// A response as the caller got it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) interim: Vec<(u16, HeaderMap)>,
    /// There was no response: the origin had cut the connection.
    pub(crate) cut: Option<String>,
}

impl Seen {
    /// A field's value; of several lines one, as scripts see it.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        joined(&self.headers, name)
    }

    /// The number at the beginning of a field's value.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).as_deref().and_then(leading_number)
    }
}

/// All values of a field in one line.
pub(crate) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().map(latin::text).peekable();
    values.peek()?;
    Some(values.collect::<Vec<_>>().join(", "))
}

/// As JavaScript's `parseInt`.
pub(crate) fn leading_number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    text[..text.len() - digits.len() + end].parse().ok()
}

/// A request as the origin saw it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    /// The number that the client gave it.
    pub(crate) request_num: Option<i64>,
    pub(crate) request_method: String,
    pub(crate) request_headers: Map<String, Value>,
    /// What it answered, as far as the client must get it as it is.
    #[serde(default)]
    pub(crate) response_headers: Vec<(String, Lines)>,
}

impl Recorded {
    /// A field of the request; names are in small letters there.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        match self.request_headers.get(&name.to_ascii_lowercase())? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// A field that was sent in one line or in several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Lines {
    pub(crate) fn joined(&self) -> String {
        match self {
            Self::One(line) => line.clone(),
            Self::Many(lines) => lines.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_scripts_read_them() {
        for (text, expected) in
            [("12", Some(12)), (" -3x", Some(-3)), ("4, 5", Some(4)), ("x", None), ("", None), ("-", None)]
        {
            assert_eq!(leading_number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_of_a_field_are_one() {
        let mut headers = HeaderMap::new();
        headers.append("a", "1".parse().unwrap());
        headers.append("a", "2".parse().unwrap());
        assert_eq!(joined(&headers, "A").as_deref(), Some("1, 2"));
        assert_eq!(joined(&headers, "b"), None);
    }
}
