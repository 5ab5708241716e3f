//! The header `Sec-WebSocket-Extensions` (RFC 6455 §9.1): what is offered, and what is agreed on.

use http::HeaderValue;

/// More than anybody offers: a header is no place to make a client allocate.
const MAX_EXTENSIONS: usize = 32;
const MAX_PARAMS: usize = 16;

/// One extension with its parameters, as they came: in order, in their case, twice if they came twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) name: String,
    /// A name and, if there was one, its value without quotes.
    pub(crate) params: Vec<(String, Option<String>)>,
}

/// Reads all lines of the header as one list. Empty elements count for nothing (RFC 9110 §5.6.1).
///
/// # Errors
///
/// What is wrong with the header, in words.
pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Vec<Extension>, String> {
    let mut extensions = Vec::new();
    for value in values {
        let mut cursor = Cursor(value.as_bytes());
        loop {
            cursor.skip_space();
            if !cursor.eat(b',') {
                if cursor.0.is_empty() {
                    break;
                }
                extensions.push(cursor.extension()?);
                if extensions.len() > MAX_EXTENSIONS {
                    return Err(format!("more than {MAX_EXTENSIONS} extensions"));
                }
            }
        }
    }
    Ok(extensions)
}

/// What is left of one line.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// One element of the list, up to its comma or the end of the line.
    fn extension(&mut self) -> Result<Extension, String> {
        let name = self.token().ok_or("an extension without a name")?;
        let mut params = Vec::new();
        loop {
            self.skip_space();
            if self.0.first().is_none_or(|byte| *byte == b',') {
                return Ok(Extension { name, params });
            }
            if !self.eat(b';') {
                return Err(format!("neither `;` nor `,` after `{}`", params.last().map_or(&name, |(param, _)| param)));
            }
            if params.len() == MAX_PARAMS {
                return Err(format!("more than {MAX_PARAMS} parameters of `{name}`"));
            }
            params.push(self.param(&name)?);
        }
    }

    fn param(&mut self, owner: &str) -> Result<(String, Option<String>), String> {
        self.skip_space();
        let name = self.token().ok_or_else(|| format!("a parameter of `{owner}` without a name"))?;
        self.skip_space();
        if !self.eat(b'=') {
            return Ok((name, None));
        }
        self.skip_space();
        let value = if self.eat(b'"') { self.quoted() } else { self.token() };
        let value = value.ok_or_else(|| format!("the value of `{name}` is no token"))?;
        Ok((name, Some(value)))
    }

    fn token(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| !is_token(*byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then(|| token.iter().copied().map(char::from).collect())
    }

    /// What stands before the closing quote: without its backslashes it has to be a token (RFC 6455 §9.1).
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        loop {
            let mut byte = self.next()?;
            if byte == b'"' {
                return (!value.is_empty()).then_some(value);
            }
            if byte == b'\\' {
                byte = self.next()?;
            }
            if !is_token(byte) {
                return None;
            }
            value.push(char::from(byte));
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn skip_space(&mut self) {
        while self.eat(b' ') || self.eat(b'\t') {}
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(lines: &[&str]) -> Result<Vec<Extension>, String> {
        let values: Vec<_> = lines.iter().map(|line| HeaderValue::from_str(line).expect("visible")).collect();
        parse(&values)
    }

    fn extension(name: &str, params: &[(&str, Option<&str>)]) -> Extension {
        let params = params.iter().map(|(name, value)| ((*name).into(), value.map(Into::into))).collect();
        Extension { name: name.into(), params }
    }

    #[test]
    fn the_examples_of_rfc_6455_9_1() {
        assert_eq!(parsed(&["foo"]), Ok(vec![extension("foo", &[])]));
        let baz = [("baz", Some("2"))];
        assert_eq!(parsed(&["bar; baz=2"]), Ok(vec![extension("bar", &baz)]));
        let list = vec![extension("foo", &[]), extension("bar", &baz)];
        assert_eq!(parsed(&["foo, bar; baz=2"]), Ok(list.clone()));
        assert_eq!(parsed(&["foo", "bar; baz=2"]), Ok(list), "several lines are one list");
        let mux = extension("mux", &[("max-channels", Some("4")), ("flow-control", None)]);
        let list = vec![extension("deflate-stream", &[]), mux, extension("private-extension", &[])];
        assert_eq!(parsed(&["deflate-stream, mux; max-channels=4; flow-control, private-extension"]), Ok(list));
    }

    #[test]
    fn what_else_is_an_extension() {
        assert_eq!(parsed(&[]), Ok(vec![]));
        assert_eq!(parsed(&["", " , ,\t,"]), Ok(vec![]));
        let spaced = vec![extension("a", &[("b", Some("c")), ("b", None)]), extension("A", &[])];
        assert_eq!(parsed(&["\ta ;b\t=  c ; b,,A "]), Ok(spaced));
        assert_eq!(parsed(&[r#"a;b="1\0""#]), Ok(vec![extension("a", &[("b", Some("10"))])]));
    }

    #[test]
    fn what_is_no_extension() {
        for (line, reason) in [
            (";a", "an extension without a name"),
            ("=", "an extension without a name"),
            ("\"a\"", "an extension without a name"),
            ("a b", "neither `;` nor `,` after `a`"),
            ("a;b c", "neither `;` nor `,` after `b`"),
            ("a;b=1=2", "neither `;` nor `,` after `b`"),
            ("a;", "a parameter of `a` without a name"),
            ("a;;b", "a parameter of `a` without a name"),
            ("a;,b", "a parameter of `a` without a name"),
            ("a;=1", "a parameter of `a` without a name"),
            ("a;b=", "the value of `b` is no token"),
            ("a;b=,c", "the value of `b` is no token"),
            ("a;b=\"\"", "the value of `b` is no token"),
            ("a;b=\"1 2\"", "the value of `b` is no token"),
            ("a;b=\"1,2\"", "the value of `b` is no token"),
            ("a;b=\"\\\"\"", "the value of `b` is no token"),
            ("a;b=\"1", "the value of `b` is no token"),
            ("a;b=\"1\\", "the value of `b` is no token"),
        ] {
            assert_eq!(parsed(&[line]), Err(reason.into()), "{line}");
        }
        let beyond_ascii = HeaderValue::from_bytes(b"a;b=\xe9").expect("allowed in a header");
        assert!(parse([&beyond_ascii]).is_err());
    }

    #[test]
    fn a_header_has_bounds() {
        assert_eq!(parsed(&[&"a,".repeat(32)]).map(|list| list.len()), Ok(32));
        assert_eq!(parsed(&[&"a,".repeat(16), &"a,".repeat(17)]), Err("more than 32 extensions".into()));
        assert_eq!(parsed(&[&format!("a{}", ";b".repeat(16))]).map(|list| list[0].params.len()), Ok(16));
        assert_eq!(parsed(&[&format!("a{}", ";b".repeat(17))]), Err("more than 16 parameters of `a`".into()));
    }

    proptest! {
        #[test]
        fn any_header_ends(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                let _answer = parse([&value]);
            }
        }

        #[test]
        fn what_is_written_is_read(
            list in proptest::collection::vec(
                ("[a-z-]{1,9}", proptest::collection::vec(("[a-z_]{1,9}", proptest::option::of("[0-9a-z]{1,3}")), 0..4)),
                0..4,
            ),
        ) {
            let list: Vec<_> = list.into_iter().map(|(name, params)| Extension { name, params }).collect();
            let mut lines = Vec::new();
            for Extension { name, params } in &list {
                let params = params.iter().map(|(name, value)| match value {
                    Some(value) => format!("; {name}=\"{value}\""),
                    None => format!(";{name}"),
                });
                lines.push(format!("{name}{}", params.collect::<String>()));
            }
            prop_assert_eq!(parsed(&[&lines.join(", ")]), Ok(list));
        }
    }
}
