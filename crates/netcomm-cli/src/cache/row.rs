//! A stored response in one line: pure.

use std::fmt::Write as _;
use std::time::Duration;

use netcomm::core::{is_secret_header, redact_url};
use netcomm::http::cache::{Entry, Key};
use serde_json::{Value, json};

/// What is told of a stored response.
pub(super) struct Row<'a> {
    pub(super) key: &'a Key,
    pub(super) entry: &'a Entry,
    pub(super) age: Duration,
    /// Seconds for which it will be fresh; negative for how long it has been stale.
    pub(super) ttl: i64,
    /// Whether URLs are told with what may be secret in them.
    pub(super) full_urls: bool,
}

impl Row<'_> {
    fn url(&self) -> String {
        if self.full_urls { self.key.uri().to_owned() } else { redact_url(self.key.uri()) }
    }

    /// The request fields that it goes with; what may be secret of them is left out.
    fn variant(&self) -> impl Iterator<Item = (&str, Option<String>)> {
        self.entry.parts().selecting.fields.iter().map(|(name, value)| {
            let shown = value.as_ref().map(|value| match is_secret_header(name) {
                true => "***".to_owned(),
                false => String::from_utf8_lossy(value).escape_debug().to_string(),
            });
            (name.as_str(), shown)
        })
    }

    pub(super) fn text(&self) -> String {
        let parts = self.entry.parts();
        let whole = if self.entry.is_complete() { "complete" } else { "part" };
        let fresh = match self.ttl {
            ttl if ttl > 0 => format!("fresh {ttl} s"),
            ttl => format!("stale {} s", ttl.unsigned_abs()),
        };
        let mut text = format!(
            "{} {:>10} bytes  {whole:<8}  age {:>7} s  {fresh:<15}  {}",
            parts.status.as_u16(),
            self.entry.body_bytes(),
            self.age.as_secs(),
            self.url(),
        );
        if !self.full_urls && self.key.uri().contains('?') {
            // So that lines which differ only there are no riddle.
            text.push_str("?…");
        }
        for (name, value) in self.variant() {
            match value {
                Some(value) => write!(text, "  {name}: {value}"),
                None => write!(text, "  no {name}"),
            }
            .expect("a string takes all text");
        }
        text.push('\n');
        text
    }

    pub(super) fn json(&self) -> Value {
        let parts = self.entry.parts();
        json!({
            "url": self.url(),
            "partition": self.key.partition(),
            "status": parts.status.as_u16(),
            "bytes": self.entry.body_bytes(),
            "length": parts.length,
            "complete": self.entry.is_complete(),
            "age": self.age.as_secs(),
            "ttl": self.ttl,
            "variant": self.variant().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "with_authorization": parts.selecting.identity.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use http::header::{ACCEPT_ENCODING, COOKIE, ORIGIN};
    use http::{HeaderMap, StatusCode};
    use netcomm::http::cache::{EntryParts, Few, Selecting};

    use super::*;

    #[test]
    fn lines_hold_no_secret() {
        let key = Key::new("", &"http://a.example/x?token=hunter2".parse().expect("a URI"));
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let fields = vec![(ACCEPT_ENCODING, text("gzip")), (COOKIE, text("hunter2")), (ORIGIN, None)];
        let entry = Entry::new(EntryParts {
            status: StatusCode::OK,
            headers: HeaderMap::new().into(),
            selecting: Selecting { fields, identity: None },
            requested_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH,
            ttl: None,
            length: Some(5),
            segments: Few::default(),
        });
        let mut row = Row { key: &key, entry: &entry, age: Duration::from_secs(12), ttl: -3, full_urls: false };
        assert_eq!(
            row.text(),
            "200          0 bytes  part      age      12 s  stale 3 s        http://a.example/x?…  accept-encoding: gzip  \
             cookie: ***  no origin\n"
        );
        assert!(!row.json().to_string().contains("hunter2"));
        assert_eq!(row.json()["variant"], json!([["accept-encoding", "gzip"], ["cookie", "***"], ["origin", null]]));
        row.full_urls = true;
        assert!(row.text().contains("http://a.example/x?token=hunter2  accept"), "{}", row.text());
    }
}
