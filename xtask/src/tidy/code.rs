//! Rust text without what is no code: comments and literals become blanks, lines stay in place.

/// Replaces comments, strings and characters by spaces.
pub(super) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment(&chars, at).unwrap_or(at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            let blanked = chars[at..end.min(chars.len())].iter();
            out.extend(blanked.map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// The line, counted from 1, on which byte `at` lies.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the comment or literal that starts at `at` ends.
fn literal_or_comment(chars: &[char], at: usize) -> Option<usize> {
    let next = chars.get(at + 1);
    match chars[at] {
        '/' if next == Some(&'/') => Some(chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)),
        '/' if next == Some(&'*') => Some(block_comment(chars, at)),
        '"' => Some(quoted(chars, at + 1, '"')),
        'r' if starts_word(chars, at) => raw_string(chars, at),
        // A character is closed by a quote; a lifetime is not.
        '\'' if next == Some(&'\\') => Some(quoted(chars, at + 1, '\'')),
        '\'' if chars.get(at + 2) == Some(&'\'') => Some(at + 3),
        _ => None,
    }
}

/// Whether a raw string may start here: at a word's first letter, or after `b` or `c` alone.
fn starts_word(chars: &[char], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).is_some_and(|i| is_word(chars[i]));
    !before(1) || (matches!(chars[at - 1], 'b' | 'c') && !before(2))
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let is_close = |i: &usize| chars[*i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    Some((open + 1..chars.len()).find(is_close).map_or(chars.len(), |i| i + 1 + hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_stays() {
        for (text, kept) in [
            ("a // b\nc", "a\nc"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"a("b \" // c") d"#, "a( ) d"),
            (r##"x = r#"fn "quoted" {"#; y"##, "x = ; y"),
            ("br\"fn\" b'x' z", "b b z"),
            ("fn f<'a>(c: &'a u8) { '{' }", "fn f<'a>(c: &'a u8) { }"),
            (r"match c { '\'' => 1, '\\' => 2 }", "match c { => 1, => 2 }"),
            ("r#type r", "r#type r"),
            ("\"open", ""),
        ] {
            let blanked = blank(text);
            assert_eq!(blanked.matches('\n').count(), text.matches('\n').count());
            let squeezed: Vec<String> =
                blanked.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            assert_eq!(squeezed.join("\n"), kept, "{text}");
        }
    }
}
