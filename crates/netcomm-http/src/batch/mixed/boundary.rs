//! The line between parts: our own, and the one that a response names.

use std::hash::{BuildHasher, RandomState};

/// A boundary that stands in none of these bodies.
pub(super) fn fresh(bodies: &[&[u8]]) -> String {
    let random = || RandomState::new().hash_one(());
    // Two keyed hashes of a hasher that the system seeded at random: nobody who writes a body can foresee them.
    choose(std::iter::repeat_with(|| format!("netcomm{:016x}{:016x}", random(), random())), bodies)
}

fn choose(mut candidates: impl Iterator<Item = String>, bodies: &[&[u8]]) -> String {
    candidates.find(|candidate| !bodies.iter().any(|body| stands_in(candidate, body))).unwrap_or_default()
}

/// Whether a line of the body begins as a delimiter does.
fn stands_in(boundary: &str, body: &[u8]) -> bool {
    body.split(|byte| *byte == b'\n')
        .any(|line| line.strip_prefix(b"--").is_some_and(|line| line.starts_with(boundary.as_bytes())))
}

/// The parameter `boundary` of a multipart media type (RFC 2046 §5.1.1), if it is one.
pub(super) fn of(content_type: &[u8]) -> Option<Vec<u8>> {
    let (media_type, mut rest) = content_type.split_at(content_type.iter().position(|byte| *byte == b';')?);
    let top = media_type.trim_ascii().split(|byte| *byte == b'/').next()?;
    if !top.eq_ignore_ascii_case(b"multipart") {
        return None;
    }
    while let Some(parameter) = rest.trim_ascii_start().strip_prefix(b";") {
        let Some(equals) = parameter.iter().position(|byte| matches!(byte, b'=' | b';')) else { break };
        let (name, value) = parameter.split_at(equals);
        let Some(value) = value.strip_prefix(b"=") else {
            // A parameter without a value.
            rest = value;
            continue;
        };
        let (value, after) = value_of(value.trim_ascii_start())?;
        if name.trim_ascii().eq_ignore_ascii_case(b"boundary") {
            return (!value.is_empty()).then_some(value);
        }
        rest = after;
    }
    None
}

/// A token or a quoted string (RFC 9110 §5.6.4), and what follows it.
fn value_of(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let (value, after) = text.split_at(text.iter().position(|byte| *byte == b';').unwrap_or(text.len()));
        return Some((value.trim_ascii().to_vec(), after));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &quoted[at + 1..])),
            b'\\' => value.push(*bytes.next()?.1),
            _ => value.push(*byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_of_a_media_type() {
        for (content_type, expected) in [
            ("multipart/mixed; boundary=abc", Some("abc")),
            ("Multipart/Mixed;BOUNDARY=abc", Some("abc")),
            ("multipart/mixed; charset=utf-8; boundary=a(b)c ; x=y", Some("a(b)c")),
            ("multipart/mixed; boundary=\"a;b c\"; x=\"y\"", Some("a;b c")),
            ("multipart/mixed; x=\"boundary=no\"; boundary=\"a\\\"b\"", Some("a\"b")),
            ("multipart/mixed; x ; boundary = a", Some("a")),
            ("multipart/parallel;boundary=a", Some("a")),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=", None),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed; boundary=\"a", None),
            ("multipart/mixed; boundary", None),
            ("application/json; boundary=a", None),
            ("multipartx/mixed; boundary=a", None),
            ("; boundary=a", None),
            ("", None),
        ] {
            let boundary = of(content_type.as_bytes());
            assert_eq!(boundary.as_deref(), expected.map(str::as_bytes), "{content_type}");
        }
    }

    #[test]
    fn no_boundary_stands_in_a_body() {
        let bodies: &[&[u8]] = &[b"--a\r\n", b"x\n--bc--\n", b"x--d--c"];
        let candidates = ["a", "b", "c"].into_iter().map(str::to_owned);
        assert_eq!(choose(candidates, bodies), "c");
        assert_ne!(fresh(bodies), fresh(bodies));
        // RFC 2046 §5.1.1: 1 to 70 characters.
        assert!((1..=70).contains(&fresh(bodies).len()));
    }
}
