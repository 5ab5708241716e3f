//! Readers of field values that several rooms want.

use std::time::{Duration, SystemTime};

use http::header::{DATE, Entry, HeaderName};
use http::{HeaderMap, HeaderValue};

/// All values of a field as one (RFC 9110 §5.2). `None` if there is no such field.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut values = headers.get_all(name).iter();
    let mut all = values.next()?.as_bytes().to_vec();
    for value in values {
        all.extend_from_slice(b", ");
        all.extend_from_slice(value.as_bytes());
    }
    Some(all)
}

/// The members of a list (RFC 9110 §5.6.1), without the white space around them and without empty ones; commas in
/// quoted strings do not part members.
pub(crate) fn members<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).into_iter().flat_map(|value| split(value.as_bytes())).filter(|member| !member.is_empty())
}

/// The members of one value of a list, empty ones included.
pub(crate) fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let comma = unquoted_comma(text);
        let member = comma.map_or(text, |at| &text[..at]);
        rest = comma.map(|at| &text[at + 1..]);
        Some(member.trim_ascii())
    })
}

/// Where the first comma stands that is in no quoted string.
pub(crate) fn unquoted_comma(text: &[u8]) -> Option<usize> {
    // Most values quote nothing.
    let start = text.iter().position(|byte| matches!(byte, b',' | b'"'))?;
    let (mut quoted, mut escaped) = (false, false);
    let comma = text[start..].iter().position(|&byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' if quoted => {
            escaped = true;
            false
        }
        b'"' => {
            quoted = !quoted;
            false
        }
        b',' => !quoted,
        _ => false,
    })?;
    Some(start + comma)
}

/// A number of seconds (RFC 9111 §1.2.2): digits only. One too large to be held is the largest there is.
pub(crate) fn seconds(text: &[u8]) -> Option<Duration> {
    let mut number = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Never so large that ten times as much is too much for it.
        number = (number * 10 + u64::from(digit)).min(MOST_SECONDS);
    }
    (!text.is_empty()).then(|| Duration::from_secs(number))
}

/// 2³¹ seconds, which stands for "for ever" (RFC 9111 §1.2.2).
const MOST_SECONDS: u64 = 1 << 31;

/// A number as a field's value.
pub(crate) fn number(number: u64) -> HeaderValue {
    let mut text = Text::default();
    text.push_number(number);
    text.value()
}

/// A short value in the making, without the machinery of formatting.
pub(crate) struct Text {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; Self::MOST], len: 0 }
    }
}

impl Text {
    /// What is pushed beyond is lost.
    const MOST: usize = 192;

    pub(crate) fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    pub(crate) fn push_number(&mut self, mut number: u64) {
        /// Digits of the largest `u64`.
        const DIGITS: usize = 20;
        let mut digits = [b'0'; DIGITS];
        let mut at = DIGITS - 1;
        while number > 9 {
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            at -= 1;
        }
        digits[at] = b'0' + number as u8;
        self.push_bytes(&digits[at..]);
    }

    fn push_bytes(&mut self, text: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let taken = text.len().min(room.len());
        room[..taken].copy_from_slice(&text[..taken]);
        self.len += taken;
    }

    /// The value; an empty one if anything but visible ASCII and spaces was pushed.
    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.bytes[..self.len]).unwrap_or(HeaderValue::from_static(""))
    }
}

/// A date in any of the three forms of RFC 9110 §5.6.7. Letters of either case are taken, and a day of the week that is
/// not that of the date: the date counts.
pub(crate) fn date(text: &[u8]) -> Option<SystemTime> {
    /// The longest form: `Wednesday, 09-Nov-94 08:49:37 GMT`.
    const LONGEST: usize = 33;
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const SHORT: usize = 3;
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST && text.is_ascii())?;
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    let mut usual = String::with_capacity(LONGEST);
    let mut in_word = false;
    for letter in text.chars() {
        usual.push(if in_word { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() });
        in_word = letter.is_ascii_alphabetic();
    }
    if usual.ends_with(" Gmt") {
        usual.replace_range(usual.len() - SHORT.., "GMT");
    }
    let day = usual.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    let rest = &usual[day.len()..];
    let named = |name: &str| if day.len() == SHORT { name[..SHORT].to_owned() } else { name.to_owned() };
    DAYS.iter().any(|name| named(name) == day).then_some(())?;
    DAYS.iter().find_map(|name| httpdate::parse_http_date(&format!("{}{rest}", named(name))).ok())
}

/// The date in a field that has exactly one value.
pub(crate) fn only_date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    date(first.as_bytes())
}

/// Gives a head without a date that of its arrival (RFC 9110 §6.6.1).
pub(crate) fn dated(headers: &mut HeaderMap, now: SystemTime) {
    if let Entry::Vacant(date) = headers.entry(DATE)
        && let Some(now) = dated_value(now)
    {
        date.insert(now);
        // Without the room that it has grown by.
        *headers = headers.clone();
    }
}

/// A date as a field's value.
pub(crate) fn dated_value(date: SystemTime) -> Option<HeaderValue> {
    HeaderValue::try_from(written(date)).ok()
}

/// A date as it is written (RFC 9110 §5.6.7).
pub(crate) fn written(date: SystemTime) -> String {
    httpdate::fmt_http_date(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_lists() {
        let members = |text: &'static str| {
            split(text.as_bytes()).map(|m| std::str::from_utf8(m).expect(text)).collect::<Vec<_>>()
        };
        assert_eq!(members("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(members(r#"a="x, y", b"#), [r#"a="x, y""#, "b"]);
        assert_eq!(members(r#"a, b="x, y" , c, d"#), ["a", r#"b="x, y""#, "c", "d"]);
        assert_eq!(members(r#"a="x\", y", b"#), [r#"a="x\", y""#, "b"]);
        assert_eq!(members(",a,"), ["", "a", ""]);
        assert_eq!(members(r#""open, b"#), [r#""open, b"#]);
    }

    #[test]
    fn numbers_of_seconds() {
        for (text, expected) in [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(MOST_SECONDS)),
            ("99999999999999999999999", Some(MOST_SECONDS)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("a1", None),
            ("1 ", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn values_in_the_making() {
        for n in [0, 9, 10, 376, 1 << 31, u64::MAX] {
            assert_eq!(number(n), n.to_string());
        }
        let mut text = Text::default();
        text.push(&"x".repeat(500));
        text.push_number(1);
        assert_eq!(text.value().len(), Text::MOST);
    }

    #[test]
    fn dates() {
        let expected = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "SUN, 06 NOV 1994 08:49:37 gMT",
            "sun, 06 nov 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Mon Nov  6 08:49:37 1994",
        ] {
            assert_eq!(date(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "",
            "0",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
    }
}
