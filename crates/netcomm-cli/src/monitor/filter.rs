//! Which lines of a list are shown: words that all must hold. Pure.

use super::row::Row;

/// A filter as it was typed: words between spaces, all of which must hold. A word is a piece of the URL, or `status:5` (and
/// what begins so), `status:503`, `status:error`, `method:post`, `domain:x`, `did:retry`; with a `-` before it must not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    words: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    wanted: bool,
    what: What,
}

/// In lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Text(String),
    Status(String),
    Method(String),
    Domain(String),
    Did(String),
}

impl Filter {
    pub(super) fn parse(text: &str) -> Self {
        let words = text.split_whitespace().filter_map(|word| {
            let (wanted, word) = match word.strip_prefix('-') {
                Some(rest) => (false, rest),
                None => (true, word),
            };
            let word = word.to_lowercase();
            let what = match word.split_once(':') {
                Some(("status", rest)) => What::Status(rest.to_owned()),
                Some(("method", rest)) => What::Method(rest.to_owned()),
                Some(("domain", rest)) => What::Domain(rest.to_owned()),
                Some(("did", rest)) => What::Did(rest.to_owned()),
                _ => What::Text(word),
            };
            // What is only begun excludes nothing.
            (!what.is_empty()).then_some(Word { wanted, what })
        });
        Self { words: words.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn passes(&self, row: &Row) -> bool {
        self.words.iter().all(|word| word.what.holds(row) == word.wanted)
    }
}

impl What {
    fn is_empty(&self) -> bool {
        let (Self::Text(text) | Self::Status(text) | Self::Method(text) | Self::Domain(text) | Self::Did(text)) = self;
        text.is_empty()
    }

    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Text(text) => row.url.to_lowercase().contains(text),
            Self::Status(text) if text == "error" => row.error.is_some(),
            Self::Status(text) => row.status.is_some_and(|status| status.to_string().starts_with(text)),
            Self::Method(text) => row.method.to_lowercase().starts_with(text),
            // A domain with all that is below it, as far as it was typed.
            Self::Domain(text) => row.host().to_lowercase().contains(text),
            Self::Did(text) => row.did.iter().any(|did| did.to_lowercase().contains(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::row::tests::row;

    #[test]
    fn all_words_must_hold() {
        let mut post = row(1, "POST", "http://api.example/Users/42", 503);
        post.did = vec!["retry ×2".to_owned()];
        let mut failed = row(2, "GET", "https://cdn.example:8443/a.png", 0);
        (failed.status, failed.error) = (None, Some("connect"));
        for (text, of_post, of_failed) in [
            ("", true, true),
            ("  ", true, true),
            ("users", true, false),
            ("example", true, true),
            ("-users", false, true),
            ("status:5", true, false),
            ("status:503", true, false),
            ("status:50", true, false),
            ("status:4", false, false),
            ("-status:5", false, true),
            ("status:error", false, true),
            ("status:", true, true),
            ("method:post", true, false),
            ("METHOD:P", true, false),
            ("domain:cdn", false, true),
            ("domain:api.example status:5 users", true, false),
            ("domain:8443", false, false),
            ("did:retry", true, false),
            ("-did:retry -status:error", false, false),
            ("-", true, true),
        ] {
            let filter = Filter::parse(text);
            assert_eq!((filter.passes(&post), filter.passes(&failed)), (of_post, of_failed), "{text:?}");
        }
        assert!(Filter::parse("- status:").is_empty());
    }
}
