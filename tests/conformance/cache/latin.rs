//! Text of header fields as JavaScript has it: each character is a byte (ISO-8859-1).

use http::HeaderValue;

/// The value as it goes over the wire. What is no byte becomes `?`; it stands in no field that is compared.
pub(crate) fn value(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    HeaderValue::from_bytes(&bytes)
}

/// The text of a value that came over the wire.
pub(crate) fn text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_a_byte() {
        let sent = value("\"abcdefü\"").unwrap();
        assert_eq!(sent.as_bytes(), b"\"abcdef\xfc\"");
        assert_eq!(text(&sent), "\"abcdefü\"");
        assert_eq!(value("a → b").unwrap(), "a ? b");
        assert!(value("a\nb").is_err());
    }
}
