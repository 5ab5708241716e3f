//! Numbers as they are written. Pure.

/// Digits alone, that fit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_alone() {
        for (text, number) in [("0", Some(0)), ("007", Some(7)), ("18446744073709551615", Some(u64::MAX))] {
            assert_eq!(parse(text), number);
        }
        for text in ["", "+1", "-1", " 1", "1.0", "18446744073709551616", "a", "१"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
