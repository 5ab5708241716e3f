//! URLs, and text that has some in it, as they may be shown: pure.

use super::{HIDDEN, Redactor};

/// Names longer than that are no names.
pub(super) const MOST_NAME_BYTES: usize = 256;

/// The URL without user information and without the values of secret parameters, in its query, its path (`;name=value`) and
/// its fragment; those of a URL that stands in a parameter's value too.
pub(super) fn redact_url(redactor: &Redactor, url: &str) -> String {
    let mut shown = String::with_capacity(url.len());
    let mut rest = url;
    // A name begins behind these, and a value ends before the second group. `;` ends no value: who knows what is behind it?
    while let Some(at) = rest.find(['?', '&', '#', ';']) {
        shown.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let Some((name, behind)) = named(rest) else { continue };
        let end = behind.find(['&', '#', '>']).unwrap_or(behind.len());
        let (value, behind) = behind.split_at(end);
        if redactor.hides_query(&unescaped(name)) || holds_secret(redactor, value) {
            shown.push_str(name);
            shown.push('=');
            shown.push_str(HIDDEN);
            rest = behind;
        }
    }
    shown.push_str(rest);
    without_user(&shown)
}

/// What stands before `=`, if a name does.
fn named(text: &str) -> Option<(&str, &str)> {
    let end = text.find(['=', '?', '&', '#', ';', '>'])?;
    let name = &text[..end];
    let rest = text[end..].strip_prefix('=')?;
    (end <= MOST_NAME_BYTES).then_some((name.trim_start(), rest))
}

/// Whether an escaped value is a URL with a secret in it.
fn holds_secret(redactor: &Redactor, value: &str) -> bool {
    let inner = unescaped(value);
    inner != value && redact_url(redactor, &inner) != inner
}

/// Each authority without user information; what stands before `@` in text without a scheme is taken for it too.
fn without_user(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_first = true;
    loop {
        let start = match rest.find("://") {
            // What stands behind a path is no scheme of the whole.
            Some(at) if !is_first || !rest[..at].contains(['/', '?', '#']) => at + 3,
            _ if is_first && rest.starts_with("//") => 2,
            _ if is_first => 0,
            _ => break,
        };
        is_first = false;
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(['/', '\\', '?', '#', '>', ' ']).unwrap_or(rest.len());
        if let Some(at) = rest[..end].rfind('@') {
            shown.push_str(HIDDEN);
            rest = &rest[at..];
        }
    }
    shown.push_str(rest);
    shown
}

/// A name or value as its reader understands it.
pub(crate) fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        at += 1;
        match (byte, digit(at), digit(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => plain.push(b' '),
            _ => plain.push(byte),
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_all_but_secrets() {
        let redactor = Redactor::new().with_queries(["Session"]);
        for (url, expected) in [
            ("https://a.example/x?page=1&sort=a", "https://a.example/x?page=1&sort=a"),
            ("https://a.example/x?token=hunter2&page=1", "https://a.example/x?token=***&page=1"),
            ("https://a.example/x?a&token=hunter2", "https://a.example/x?a&token=***"),
            ("https://a.example/x?SESSION=hunter2#f", "https://a.example/x?SESSION=***#f"),
            ("https://a.example/x?%74oken=hunter2", "https://a.example/x?%74oken=***"),
            ("https://a.example/x?token=a=b;c?d", "https://a.example/x?token=***"),
            ("https://a.example/x?token", "https://a.example/x?token"),
            ("https://a.example/x?token=", "https://a.example/x?token=***"),
            ("https://a.example/x;token=hunter2/y", "https://a.example/x;token=***"),
            ("https://a.example/#access_token=hunter2&b=1", "https://a.example/#access_token=***&b=1"),
            ("https://a.example/?to=https%3A%2F%2Fb.example%2F%3Fsig%3Dhunter2&b=1", "https://a.example/?to=***&b=1"),
            ("https://a.example/?to=https%3A%2F%2Fu%3Ahunter2%40b.example&b=1", "https://a.example/?to=***&b=1"),
            ("https://a.example/?q=a%20b", "https://a.example/?q=a%20b"),
            ("https://u:hunter2@a.example/@x", "https://***@a.example/@x"),
            ("wss://hunter2@a.example", "wss://***@a.example"),
            ("//u:hunter2@a.example/x", "//***@a.example/x"),
            ("u:hunter2@a.example/x", "***@a.example/x"),
            ("u:hunter2@a.example/x?to=http://b.example", "***@a.example/x?to=http://b.example"),
            ("/x?token=hunter2", "/x?token=***"),
            ("?token=hunter2", "?token=***"),
            ("", ""),
        ] {
            assert_eq!(redactor.url(url), expected, "{url}");
        }
    }
}
