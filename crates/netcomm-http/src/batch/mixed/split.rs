//! Where one part ends and the next begins (RFC 2046 §5.1.1).

use bytes::Bytes;

/// The parts of a body, without what stands before the first delimiter and after the last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) parts: Vec<Bytes>,
    /// Whether the last delimiter was there: if not, the last part may be half of one.
    pub(super) is_closed: bool,
}

pub(super) fn split(body: &Bytes, boundary: &[u8]) -> Split {
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < body.len() {
        let line = &body[at..];
        let length = line.iter().position(|byte| *byte == b'\n').map_or(line.len(), |end| end + 1);
        let next = at + length;
        if let Some(is_last) = delimiter(&line[..length], boundary) {
            if let Some(start) = start.take() {
                parts.push(body.slice(start..before_line_end(body, start, at)));
            }
            if is_last {
                return Split { parts, is_closed: true };
            }
            start = Some(next);
        }
        at = next;
    }
    if let Some(start) = start {
        parts.push(body.slice(start.min(body.len())..));
    }
    Split { parts, is_closed: false }
}

/// Whether a line is a delimiter, and then whether it is the last.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    match rest.trim_ascii_end() {
        b"" => Some(false),
        b"--" => Some(true),
        // A longer word that begins alike.
        _ => None,
    }
}

/// The line end before a delimiter belongs to it.
fn before_line_end(body: &[u8], start: usize, at: usize) -> usize {
    let part = &body[start..at];
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    let part = part.strip_suffix(b"\r").unwrap_or(part);
    start + part.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn parts_of_bodies() {
        let cases: &[(&str, &[&str], bool)] = &[
            ("--b\r\none\r\n--b\r\ntwo\r\n--b--\r\n", &["one", "two"], true),
            ("--b\none\n--b\ntwo\n--b--", &["one", "two"], true),
            ("before\r\n--b\r\none\r\n--b--\r\nafter\r\n--b\r\nno part\r\n--b--", &["one"], true),
            ("--b \t\r\none\r\n--b--  \r\n", &["one"], true),
            ("--b\r\n\r\n--b\r\n--b--", &["", ""], true),
            ("--b\r\none\r\n\r\n\r\n--b--", &["one\r\n\r\n"], true),
            ("--b\none\r\r\n--b--", &["one\r"], true),
            ("--b\r\n--bc\r\nx--b\r\n --b\r\n--b--", &["--bc\r\nx--b\r\n --b"], true),
            ("--b\r\none--b--\r\n--b--", &["one--b--"], true),
            ("--b--", &[], true),
            ("", &[], false),
            ("--b", &[""], false),
            ("--b\r\n", &[""], false),
            ("--b\r\none\r\n--b\r\ntw", &["one", "tw"], false),
            ("--b\r\none\r\n--b-", &["one\r\n--b-"], false),
            ("--c\r\none\r\n--c--\r\n", &[], false),
        ];
        for (body, parts, is_closed) in cases {
            let parts = parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
            let expected = Split { parts, is_closed: *is_closed };
            assert_eq!(split(&Bytes::from_static(body.as_bytes()), b"b"), expected, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_joined_comes_apart_again(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            crlf: bool,
        ) {
            let line_end = if crlf { "\r\n" } else { "\n" };
            let mut body = Vec::new();
            for part in &parts {
                body.extend_from_slice(format!("--boundary{line_end}").as_bytes());
                body.extend_from_slice(part);
                body.extend_from_slice(line_end.as_bytes());
            }
            body.extend_from_slice(b"--boundary--");
            let split = split(&body.into(), b"boundary");
            proptest::prop_assert!(split.is_closed);
            // A carriage return before a line end belongs to it, also where the other lines end in LF.
            let read = |part: &Vec<u8>| if crlf { part.clone() } else { part.strip_suffix(b"\r").unwrap_or(part).to_vec() };
            let expected: Vec<_> = parts.iter().map(read).collect();
            proptest::prop_assert_eq!(split.parts, expected);
        }
    }
}
