//! What travels: messages, and the text in them.

use std::fmt;

use bytes::Bytes;
pub use netcomm_core::Text;

/// One message (RFC 6455 §5.6).
///
/// Pings and pongs are not messages: a connection answers and measures them itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// Text, valid UTF-8.
    Text(Text),
    /// Bytes of any kind.
    Binary(Bytes),
}

/// Which of the two kinds a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, valid UTF-8.
    Text,
    /// Bytes of any kind.
    Binary,
}

impl Message {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::Binary(data.into())
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) => data,
        }
    }

    /// The payload as text: what a text message holds, or a binary one that is valid UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(data) => std::str::from_utf8(data).ok(),
        }
    }

    /// The payload, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(data) => data,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may be secret, and long: only their kind and size are shown.
        write!(f, "{:?}({} bytes)", self.kind(), self.len())
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::Binary(data.into())
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shared_and_not_shown() {
        let bytes = Bytes::from_static(b"secret");
        let message = Message::from(bytes.clone());
        assert_eq!(message.as_bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(format!("{message:?}"), "Binary(6 bytes)");
        assert_eq!(message.as_text(), Some("secret"));
        assert_eq!(message.into_bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(Message::binary(vec![0xff]).as_text(), None);
        assert_eq!(Message::text("é").len(), 2);
    }
}
