//! Bodies as they may be shown, in pieces cut anywhere: pure. Memory is a name's worth, whatever the depth.
//!
//! JSON is not parsed but scanned: a string that a colon follows is a key. That holds for all JSON, for several documents in
//! one body, for JSON in the lines of an event stream, and for the beginning of what was cut.

use super::text::{MOST_NAME_BYTES, unescaped};
use super::{HIDDEN, Redactor};

/// Looks at one body as it comes.
pub(crate) struct BodyScan {
    redactor: Redactor,
    form: Form,
    scan: Scan,
}

enum Scan {
    /// Which of the two it is tells the first byte.
    Unknown,
    Json(Json),
    Form,
}

impl BodyScan {
    /// `None` if nothing in a body of that type is hidden.
    pub(super) fn new(redactor: &Redactor, content_type: Option<&str>) -> Option<Self> {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let has_keys = !redactor.inner.body_keys.is_empty();
        let scan = if kind == "application/x-www-form-urlencoded" {
            Scan::Form
        } else if !has_keys || ["image/", "audio/", "video/", "font/"].iter().any(|start| kind.starts_with(start)) {
            return None;
        } else if kind.is_empty() {
            Scan::Unknown
        } else {
            Scan::Json(Json::default())
        };
        Some(Self { redactor: redactor.clone(), form: Form::default(), scan })
    }

    /// Takes a piece, and appends to `shown` what may be shown.
    pub(crate) fn feed(&mut self, piece: &[u8], shown: &mut Vec<u8>) {
        for &byte in piece {
            if let Scan::Unknown = self.scan {
                match byte {
                    byte if byte.is_ascii_whitespace() => {}
                    b'{' | b'[' | b'"' => self.scan = Scan::Json(Json::default()),
                    _ => self.scan = Scan::Form,
                }
            }
            match &mut self.scan {
                Scan::Unknown => shown.push(byte),
                Scan::Json(json) => json.feed(byte, shown, &self.redactor),
                Scan::Form => self.form.feed(byte, shown, &self.redactor),
            }
        }
    }
}

/// `name=value&name=value`.
#[derive(Default)]
struct Form {
    name: Vec<u8>,
    state: InForm,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum InForm {
    #[default]
    Name,
    Value,
    Secret,
}

impl Form {
    fn feed(&mut self, byte: u8, shown: &mut Vec<u8>, redactor: &Redactor) {
        match (self.state, byte) {
            (_, b'&') => {
                self.name.clear();
                self.state = InForm::Name;
            }
            (InForm::Secret, _) => return,
            (InForm::Name, b'=') => {
                let name = unescaped(&String::from_utf8_lossy(&self.name));
                shown.push(byte);
                if redactor.hides_field(&name) {
                    shown.extend_from_slice(HIDDEN.as_bytes());
                    self.state = InForm::Secret;
                } else {
                    self.state = InForm::Value;
                }
                return;
            }
            (InForm::Name, _) if self.name.len() < MOST_NAME_BYTES => self.name.push(byte),
            (InForm::Name, _) => self.state = InForm::Value,
            (InForm::Value, _) => {}
        }
        shown.push(byte);
    }
}

#[derive(Default)]
struct Json {
    /// The last string, without escapes.
    string: Vec<u8>,
    /// Whether that string has just ended.
    is_behind: bool,
    state: InJson,
}

#[derive(Clone, Copy, Default)]
enum InJson {
    #[default]
    Outside,
    String,
    Escape,
    /// So many digits of `\uXXXX` are still to come.
    Unicode(u8, u32),
    /// Behind the colon of a key that is hidden.
    BeforeSecret,
    SecretText {
        escaped: bool,
    },
    SecretNested {
        depth: u32,
        in_string: bool,
        escaped: bool,
    },
    SecretWord,
}

impl Json {
    fn feed(&mut self, byte: u8, shown: &mut Vec<u8>, redactor: &Redactor) {
        match &mut self.state {
            InJson::Outside => {
                match byte {
                    b'"' => {
                        self.string.clear();
                        self.state = InJson::String;
                    }
                    b':' if self.is_behind && redactor.hides_key(&String::from_utf8_lossy(&self.string)) => {
                        self.state = InJson::BeforeSecret;
                    }
                    _ => {}
                }
                self.is_behind &= byte.is_ascii_whitespace();
                shown.push(byte);
            }
            InJson::String => {
                match byte {
                    b'\\' => self.state = InJson::Escape,
                    b'"' => {
                        self.is_behind = true;
                        self.state = InJson::Outside;
                    }
                    _ => self.push(byte),
                }
                shown.push(byte);
            }
            InJson::Escape => {
                self.state = InJson::String;
                match byte {
                    b'u' => self.state = InJson::Unicode(4, 0),
                    b'b' | b'f' | b'n' | b'r' | b't' => self.push(b' '),
                    _ => self.push(byte),
                }
                shown.push(byte);
            }
            InJson::Unicode(left, value) => {
                *value = *value * 16 + char::from(byte).to_digit(16).unwrap_or(0);
                *left -= 1;
                if *left == 0 {
                    let char = char::from_u32(*value).unwrap_or(char::REPLACEMENT_CHARACTER);
                    self.state = InJson::String;
                    for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                        self.push(byte);
                    }
                }
                shown.push(byte);
            }
            InJson::BeforeSecret if byte.is_ascii_whitespace() => shown.push(byte),
            InJson::BeforeSecret => {
                shown.extend_from_slice(b"\"***\"");
                self.state = match byte {
                    b'"' => InJson::SecretText { escaped: false },
                    b'{' | b'[' => InJson::SecretNested { depth: 1, in_string: false, escaped: false },
                    _ => InJson::SecretWord,
                };
            }
            InJson::SecretText { escaped } => match byte {
                _ if *escaped => *escaped = false,
                b'\\' => *escaped = true,
                b'"' => self.state = InJson::Outside,
                _ => {}
            },
            InJson::SecretNested { depth, in_string, escaped } => {
                match byte {
                    _ if *escaped => *escaped = false,
                    b'\\' if *in_string => *escaped = true,
                    b'"' => *in_string = !*in_string,
                    _ if *in_string => {}
                    b'{' | b'[' => *depth = depth.saturating_add(1),
                    b'}' | b']' => *depth -= 1,
                    _ => {}
                }
                if *depth == 0 {
                    self.state = InJson::Outside;
                }
            }
            InJson::SecretWord => {
                if matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace() {
                    self.state = InJson::Outside;
                    shown.push(byte);
                }
            }
        }
    }

    fn push(&mut self, byte: u8) {
        // What is longer is no key that anybody named, and may not look like one.
        if self.string.len() <= MOST_NAME_BYTES {
            self.string.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";

    fn redactor() -> Redactor {
        Redactor::new().with_body_keys(["pin", "Owner"])
    }

    fn in_pieces(content_type: &str, text: &str, size: usize) -> String {
        let mut scan = redactor().scan(Some(content_type).filter(|kind| !kind.is_empty())).expect("a scan");
        let mut shown = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            scan.feed(piece, &mut shown);
        }
        String::from_utf8(shown).expect("text")
    }

    #[test]
    fn what_is_named_goes_wherever_it_was_cut() {
        for (kind, text, expected) in [
            (JSON, r#"{"pin": 1234, "a": 1}"#, r#"{"pin": "***", "a": 1}"#),
            (JSON, r#"{"PIN":"12\"34","a":"pin"}"#, r#"{"PIN":"***","a":"pin"}"#),
            (JSON, r#"[{"a":{"owner" : {"x":["}\"",{}]}}},2]"#, r#"[{"a":{"owner" : "***"}},2]"#),
            (JSON, r#"{"p\u0069n":true}"#, r#"{"p\u0069n":"***"}"#),
            (JSON, r#"{"pin":null}{"pin":[1]}"#, r#"{"pin":"***"}{"pin":"***"}"#),
            (JSON, r#"{"note":"\"pin\": 7","pin"#, r#"{"note":"\"pin\": 7","pin"#),
            (JSON, r#"{"pin":"cut of"#, r#"{"pin":"***""#),
            ("text/event-stream", "data: {\"pin\":1}\n\n", "data: {\"pin\":\"***\"}\n\n"),
            (FORM, "a=1&pin=1234&user%5Bpassword%5D=x%26y&b=2", "a=1&pin=***&user%5Bpassword%5D=***&b=2"),
            (FORM, "client_secret=hunter2", "client_secret=***"),
            (FORM, "a&pin&=x", "a&pin&=x"),
            ("", r#" {"pin":1}"#, r#" {"pin":"***"}"#),
            ("", "pin=1&a=2", "pin=***&a=2"),
        ] {
            for size in [1, 2, 3, 1000] {
                assert_eq!(in_pieces(kind, text, size), expected, "{kind}: {text} by {size}");
            }
        }
    }

    #[test]
    fn who_names_nothing_pays_nothing_but_for_forms() {
        assert!(Redactor::new().scan(Some(JSON)).is_none());
        assert!(Redactor::new().scan(None).is_none());
        assert!(Redactor::new().scan(Some("Application/X-WWW-Form-Urlencoded; charset=utf-8")).is_some());
        assert!(redactor().scan(Some("image/png")).is_none());
    }

    #[test]
    fn ones_own_function_comes_last() {
        let own = redactor().with_bodies(|kind, body| format!("{kind:?} {}", body.len()).into());
        assert_eq!(own.body(Some(JSON), r#"{"pin":1}"#), "Some(\"application/json\") 13");
        assert_eq!(own.body(None, ""), "");
    }

    proptest! {
        #[test]
        fn no_secret_is_left_in_any_json(before in "[a-z\"\\\\{}\\[\\]:, ]{0,12}", depth in 0_usize..5, size in 1_usize..40) {
            let plain = serde_json_text(&before);
            let text = format!("{}{{\"n\":{plain},\"pin\":{{\"x\":[\"hunter2\",{plain}]}}}}{}", "[".repeat(depth), "]".repeat(depth));
            let shown = in_pieces(JSON, &text, size);
            prop_assert!(!shown.contains("hunter2"), "{shown}");
            let expected = format!("{}{{\"n\":{plain},\"pin\":\"***\"}}{}", "[".repeat(depth), "]".repeat(depth));
            prop_assert_eq!(shown, expected);
        }
    }

    fn serde_json_text(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
