//! Bytes to text by the charset that `Content-Type` names.
//!
//! Strict in every charset: a byte sequence that stands for no character is an error, never a replacement character,
//! because a caller who cannot see the damage cannot ask again. The only room that names `encoding_rs`.

use bytes::{Buf, Bytes};
use http::HeaderValue;
use netcomm_core::{Error, ErrorKind, Result};

/// The byte order mark in UTF-8. RFC 3629 §6: a signature at the start, not part of the text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The text of a body with this `Content-Type`.
///
/// Without a `charset` parameter it is read as UTF-8, as browsers and RFC 8259 do. Other charsets than UTF-8 and
/// US-ASCII need the feature `charset`, which knows the labels of the WHATWG Encoding standard. The bytes are not copied
/// if they are UTF-8 and nobody else holds them.
///
/// # Errors
///
/// [`ErrorKind::Decode`] that names the offset (UTF-8) or the charset (others).
pub(crate) fn text(bytes: Bytes, content_type: Option<&HeaderValue>) -> Result<String> {
    match content_type.and_then(|value| parameter(value.as_bytes(), "charset")) {
        Some(label) if !is_utf8(&label) => legacy(&bytes, &label),
        _ => utf8(bytes),
    }
}

fn is_utf8(label: &str) -> bool {
    ["", "utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| name.eq_ignore_ascii_case(label))
}

fn utf8(mut bytes: Bytes) -> Result<String> {
    let skipped = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    bytes.advance(skipped);
    String::from_utf8(bytes.into()).map_err(|error| {
        let at = skipped + error.utf8_error().valid_up_to();
        // The whole error would carry the bytes along.
        failed(format!("no utf-8 at byte {at}")).with_source(error.utf8_error())
    })
}

#[cfg(feature = "charset")]
fn legacy(bytes: &[u8], label: &str) -> Result<String> {
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).ok_or_else(|| unknown(label))?;
    match encoding.decode_with_bom_removal(bytes) {
        (text, false) => Ok(text.into_owned()),
        (_, true) => Err(failed(format!("malformed {}", encoding.name()))),
    }
}

#[cfg(not(feature = "charset"))]
fn legacy(_: &[u8], label: &str) -> Result<String> {
    Err(unknown(label))
}

fn unknown(label: &str) -> Error {
    // The label is the peer's text and may be long.
    failed(format!("unknown charset {:?}", label.chars().take(40).collect::<String>()))
}

fn failed(detail: String) -> Error {
    Error::new(ErrorKind::Decode, "decode text").with_detail(detail)
}

/// The first parameter of this name in a media type (RFC 9110 §8.3.1): names in any case, the value a token or quoted
/// (§5.6.4). Bytes outside UTF-8 become replacement characters and so match no known value.
fn parameter(media_type: &[u8], name: &str) -> Option<String> {
    let mut rest = media_type;
    // What stands before the first semicolon is the type itself.
    next_piece(&mut rest);
    while !rest.is_empty() {
        let piece = next_piece(&mut rest);
        let Some(equals) = piece.iter().position(|&byte| byte == b'=') else {
            continue;
        };
        if piece[..equals].trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
            return Some(unquote(piece[equals + 1..].trim_ascii()));
        }
    }
    None
}

/// Cuts off what stands before the next semicolon that is not quoted.
fn next_piece<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (mut quoted, mut escaped) = (false, false);
    let end = rest.iter().position(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' => return !quoted,
            _ => {}
        }
        false
    });
    let (piece, after) = match end {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = after;
    piece
}

fn unquote(value: &[u8]) -> String {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return String::from_utf8_lossy(value).into_owned();
    };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    let mut escaped = false;
    let mut plain = inner.to_vec();
    plain.retain(|&byte| {
        escaped = byte == b'\\' && !escaped;
        !escaped
    });
    String::from_utf8_lossy(plain.trim_ascii()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8], content_type: &str) -> Result<String> {
        let value = HeaderValue::from_str(content_type).expect("a header value");
        text(Bytes::from_static(bytes), Some(&value))
    }

    #[test]
    fn utf8_is_the_default_and_strict() {
        for content_type in [
            "text/plain",
            "",
            "text/plain; charset=utf-8",
            "text/plain;CHARSET=\"UTF-8\"",
            "text/plain; charset=us-ascii",
            "text/plain; x=\"a;charset=koi8-r\"; charset=utf8",
            "text/plain; x=\"\\\";charset=koi8-r\"; charset=utf8",
            "text/plain; charset = utf-8 ; charset=koi8-r",
            "text/plain; charset=; y",
            "text/plain; charset",
        ] {
            assert_eq!(read("\u{feff}grüße".as_bytes(), content_type).expect(content_type), "grüße");
            let error = read(b"\xef\xbb\xbfab\xffc", content_type).expect_err(content_type);
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert_eq!(error.detail(), Some("no utf-8 at byte 5"));
        }
        assert_eq!(text(Bytes::new(), None).expect("empty"), "");
        assert!(read(b"cut \xe2\x82", "text/plain").is_err());
    }

    #[test]
    fn only_one_byte_order_mark_goes() {
        assert_eq!(text("\u{feff}\u{feff}a".into(), None).expect("text"), "\u{feff}a");
    }

    #[test]
    fn unique_bytes_are_not_copied() {
        let bytes = Bytes::from(b"hello world, hello world".to_vec());
        let at = bytes.as_ptr();
        let text = text(bytes, None).expect("text");
        assert_eq!(text.as_ptr(), at);
    }

    #[test]
    fn an_unknown_charset_is_named() {
        for content_type in ["text/plain; charset=klingon", "text/plain; charset=\"klin\\gon\""] {
            let error = read(b"a", content_type).expect_err("unknown");
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert_eq!(error.detail(), Some("unknown charset \"klingon\""));
        }
        let value = HeaderValue::from_bytes(b"text/plain; charset=\xff").expect("obs-text");
        assert!(text(Bytes::new(), Some(&value)).is_err());
    }

    #[cfg(feature = "charset")]
    #[test]
    fn legacy_charsets() {
        for (bytes, charset, expected) in [
            (&b"gr\xfc\xdfe"[..], "iso-8859-1", "grüße"),
            (b"\x80", "windows-1252", "€"),
            (b"\xd0\xd2\xc9\xd7\xc5\xd4", "KOI8-R", "привет"),
            (b"\x93\xfa\x96{", "\"shift_jis\"", "日本"),
            (b"\xff\xfea\0", "utf-16le", "a"),
            (b"a\0", "utf-16", "a"),
        ] {
            let text = read(bytes, &format!("text/plain; charset={charset}")).expect(charset);
            assert_eq!(text, expected, "{charset}");
        }
        for (bytes, charset) in [(&b"\x93"[..], "shift_jis"), (b"a", "utf-16le"), (b"\xff", "euc-kr")] {
            let error = read(bytes, &format!("text/plain; charset={charset}")).expect_err(charset);
            assert_eq!(error.kind(), ErrorKind::Decode);
        }
    }

    #[cfg(not(feature = "charset"))]
    #[test]
    fn legacy_charsets_are_not_built_in() {
        let error = read(b"a", "text/plain; charset=iso-8859-1").expect_err("not built in");
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Decode, Some("unknown charset \"iso-8859-1\"")));
    }
}
