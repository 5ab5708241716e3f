//! What responses are stored under.

use std::fmt;

use http::Uri;
use netcomm_core::redact_url;

/// The primary key of stored responses (RFC 9111 §2): a partition and an absolute URI.
///
/// The method is not part of it: what is stored answers `GET`, and `HEAD` from the same entry.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Partition, a line feed, URI: neither holds a line feed, so that equal texts are equal keys.
    text: Box<str>,
}

impl Key {
    /// The key of a canonical, absolute URI in that partition. Control characters in a partition become spaces.
    #[must_use]
    pub fn new(partition: &str, uri: &Uri) -> Self {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let path = uri.path();
        let query = uri.query();
        // To the byte: it is kept as a box, and a byte of room would have it moved into a smaller one.
        let query_bytes = query.map_or(0, |query| query.len() + 1);
        let bytes = partition.len() + scheme.len() + authority.len() + path.len() + query_bytes + "\n://".len();
        let mut text = String::with_capacity(bytes);
        match partition.bytes().any(|byte| byte.is_ascii_control()) {
            false => text.push_str(partition),
            true => text.extend(partition.chars().map(|c| if c.is_ascii_control() { ' ' } else { c })),
        }
        text.push('\n');
        text.push_str(scheme);
        text.push_str("://");
        text.push_str(authority);
        text.push_str(path);
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        Self { text: text.into() }
    }

    /// The key whose text that is, as [`as_str`](Self::as_str) gave it; `None` for any other text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        text.contains('\n').then(|| Self { text: text.into() })
    }

    /// The key, where this one is not asked for again: what is left has no text.
    pub(crate) fn take(&mut self) -> Self {
        Self { text: std::mem::take(&mut self.text) }
    }

    /// The whole key as text, for stores that write it down.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition; empty for the one that all share.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.text.split_once('\n').map_or("", |(partition, _)| partition)
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        self.text.split_once('\n').map_or("", |(_, uri)| uri)
    }

    /// Partition, scheme and authority: equal for keys of the same partition and origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        let uri = self.text.find('\n').map_or(0, |at| at + 1);
        let authority = self.text[uri..].find("://").map_or(uri, |at| uri + at + 3);
        let end = self.text[authority..].find(['/', '?']).map_or(self.text.len(), |at| authority + at);
        &self.text[..end]
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("partition", &self.partition()).field("url", &redact_url(self.uri())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: &str, uri: &str) -> Key {
        Key::new(partition, &uri.parse().expect(uri))
    }

    #[test]
    fn parts() {
        let stored = key("tenant", "https://a.example:8443/x/y?z=1");
        assert_eq!(stored.partition(), "tenant");
        assert_eq!(stored.uri(), "https://a.example:8443/x/y?z=1");
        assert_eq!(stored.origin(), "tenant\nhttps://a.example:8443");
        assert_eq!(key("", "http://a.example/").origin(), key("", "http://a.example/b?c").origin());
        assert_ne!(key("", "http://a.example/").origin(), key("t", "http://a.example/").origin());
        assert_eq!(Key::from_text(stored.as_str()), Some(stored));
        assert_eq!(Key::from_text("http://a.example/"), None);
    }

    #[test]
    fn a_partition_cannot_pass_for_part_of_a_uri() {
        assert_eq!(key("a\nhttp://b.example/", "http://c.example/").partition(), "a http://b.example/");
        assert_ne!(key("", "http://a.example/?b"), key("", "http://a.example/"));
    }
}
