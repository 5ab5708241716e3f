//! What responses are stored under.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use http::Uri;
use netcomm_core::redact_url;

/// The primary key of stored responses (RFC 9111 §2): a partition and an absolute URI.
///
/// The method is not part of it: what is stored answers `GET`, and `HEAD` from the same entry.
#[derive(Clone)]
pub struct Key {
    /// Partition, a line feed, URI: neither holds a line feed, so that equal texts are equal keys.
    text: Text,
}

/// A text that lies in the key itself as long as it is short: most are made to look something up once, or lie in a table.
#[derive(Clone)]
enum Text {
    Short(Short),
    Long(Box<str>),
}

/// Whole texts behind each other.
#[derive(Clone, Copy)]
struct Short {
    len: u8,
    bytes: [u8; Self::MOST],
}

impl Short {
    /// With its length and what tells it from a long one it takes as much as seven words.
    const MOST: usize = 54;

    const fn new() -> Self {
        Self { len: 0, bytes: [0; Self::MOST] }
    }

    /// Whether there was room.
    #[inline]
    fn push(&mut self, text: &str) -> bool {
        let start = usize::from(self.len);
        let Some(room) = self.bytes.get_mut(start..start + text.len()) else { return false };
        room.copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
        true
    }
}

impl Key {
    /// The key of a canonical, absolute URI in that partition. Control characters in a partition become spaces.
    #[must_use]
    pub fn new(partition: &str, uri: &Uri) -> Self {
        let partition = match partition.bytes().any(|byte| byte.is_ascii_control()) {
            false => Cow::Borrowed(partition),
            true => partition.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect(),
        };
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let (path, query) = (uri.path(), uri.query());
        let mut short = Short::new();
        let is_short = short.push(&partition)
            && short.push("\n")
            && short.push(scheme)
            && short.push("://")
            && short.push(authority)
            && short.push(path)
            && query.is_none_or(|query| short.push("?") && short.push(query));
        if is_short {
            return Self { text: Text::Short(short) };
        }
        let (mark, query) = query.map_or(("", ""), |query| ("?", query));
        let text = [&*partition, "\n", scheme, "://", authority, path, mark, query].concat();
        Self { text: Text::Long(text.into()) }
    }

    /// The key whose text that is, as [`as_str`](Self::as_str) gave it; `None` for any other text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut short = Short::new();
        text.contains('\n').then(|| match short.push(text) {
            true => Self { text: Text::Short(short) },
            false => Self { text: Text::Long(text.into()) },
        })
    }

    /// The key, where this one is not asked for again: what is left has no text.
    pub(crate) fn take(&mut self) -> Self {
        Self { text: std::mem::replace(&mut self.text, Text::Short(Short::new())) }
    }

    /// The whole key as text, for stores that write it down.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.text {
            // Whole texts were put there.
            Text::Short(_) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Text::Long(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.text {
            Text::Short(Short { len, bytes }) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Long(text) => text.as_bytes(),
        }
    }

    /// The length of its text in bytes.
    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// The partition; empty for the one that all share.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.as_str().split_once('\n').map_or("", |(partition, _)| partition)
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        self.as_str().split_once('\n').map_or("", |(_, uri)| uri)
    }

    /// Partition, scheme and authority: equal for keys of the same partition and origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        let text = self.as_str();
        let uri = text.find('\n').map_or(0, |at| at + 1);
        let authority = text[uri..].find("://").map_or(uri, |at| uri + at + 3);
        let end = text[authority..].find(['/', '?']).map_or(text.len(), |at| authority + at);
        &text[..end]
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    /// The order of the texts, which is that of their bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
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
    fn short_and_long_keys_are_the_same_to_whoever_asks() {
        for more in 0..100 {
            for (partition, query) in [("", ""), ("tenant ä", ""), ("", "q=1")] {
                let mark = if query.is_empty() { "" } else { "?" };
                let uri = format!("http://a.example/{}{mark}{query}", "x".repeat(more));
                let text = format!("{partition}\n{uri}");
                let key = key(partition, &uri);
                assert_eq!(
                    (key.as_str(), key.partition(), key.uri(), key.len()),
                    (&*text, partition, &*uri, text.len())
                );
                assert_eq!(key, Key::from_text(&text).expect(&text));
                assert_eq!(matches!(key.text, Text::Short(_)), text.len() <= Short::MOST, "{text}");
            }
            let other = key("", &format!("http://a.example/{}", "y".repeat(more % 50)));
            let own = key("", &format!("http://a.example/{}", "x".repeat(more)));
            assert_eq!(own.cmp(&other), own.as_str().cmp(other.as_str()));
        }
        assert_eq!(size_of::<Key>(), 56);
        let mut key = key("", "http://a.example/");
        assert_eq!((key.take().uri(), key.as_str()), ("http://a.example/", ""));
    }

    #[test]
    fn a_partition_cannot_pass_for_part_of_a_uri() {
        assert_eq!(key("a\nhttp://b.example/", "http://c.example/").partition(), "a http://b.example/");
        assert_ne!(key("", "http://a.example/?b"), key("", "http://a.example/"));
    }
}
