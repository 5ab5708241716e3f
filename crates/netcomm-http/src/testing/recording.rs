//! Exchanges as they are kept: redacted, a line of JSON each. Pure but for the file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use netcomm_core::{Error, ErrorKind, Phase, Result, is_secret_header, is_secret_query};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

const KINDS: [ErrorKind; 21] = [
    ErrorKind::Invalid,
    ErrorKind::Denied,
    ErrorKind::Offline,
    ErrorKind::Dns,
    ErrorKind::Connect,
    ErrorKind::Proxy,
    ErrorKind::Tls,
    ErrorKind::Timeout,
    ErrorKind::Closed,
    ErrorKind::Incomplete,
    ErrorKind::Protocol,
    ErrorKind::TooLarge,
    ErrorKind::Decode,
    ErrorKind::Redirect,
    ErrorKind::Status,
    ErrorKind::Auth,
    ErrorKind::Busy,
    ErrorKind::Canceled,
    ErrorKind::Unsupported,
    ErrorKind::Io,
    ErrorKind::User,
];

const PHASES: [Phase; 9] = [
    Phase::Blocked,
    Phase::Dns,
    Phase::Connect,
    Phase::Proxy,
    Phase::Tls,
    Phase::Send,
    Phase::Wait,
    Phase::Receive,
    Phase::Total,
];

/// Exchanges of requests and responses, in the order in which the requests were sent.
///
/// Its text (`Display`, `FromStr`) is a line of JSON for each exchange, with the response's body in base64; secrets are
/// `***`. The request's body is not kept, only its length and a checksum, since it is where passwords are.
///
/// | field | content |
/// |---|---|
/// | `method`, `url` | of the request; the URL without user information and fragment, values of secret query parameters hidden |
/// | `request_headers` | pairs of name and value |
/// | `request_body` | `bytes` and `fnv1a` (64 bits, hexadecimal; no protection against forgery) |
/// | `status`, `headers`, `body` | of the response; absent if there was none |
/// | `complete` | `false` if the response's body was not read to its end |
/// | `error`, `phase`, `detail` | what kept the response from coming, in the words of [`ErrorKind::as_str`] |
///
/// Bytes of header values beyond ASCII stand as the characters U+0080 to U+00FF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    pub(super) exchanges: Vec<Exchange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exchange {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) request_headers: Vec<(String, String)>,
    #[serde(default)]
    pub(super) request_body: Checksum,
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Answer>,
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    #[serde(default, with = "as_base64")]
    pub(super) body: Vec<u8>,
    #[serde(default)]
    pub(super) complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// Length and FNV-1a of a body: tells bodies apart that differ by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) bytes: u64,
    #[serde(with = "as_hex")]
    fnv1a: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { bytes: 0, fnv1a: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Checksum {
    pub(super) fn add(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        for byte in data {
            self.fnv1a = (self.fnv1a ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

mod as_base64 {
    use super::{BASE64, Deserialize};
    use base64::Engine as _;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod as_hex {
    use super::Deserialize;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            error: error.kind().as_str().to_owned(),
            phase: error.phase().map(|phase| phase.as_str().to_owned()),
            detail: error.detail().map(str::to_owned),
        }
    }

    /// The error again; of a kind that this version does not know, [`ErrorKind::Unsupported`].
    pub(super) fn error(&self) -> Error {
        let kind = KINDS.into_iter().find(|kind| kind.as_str() == self.error).unwrap_or(ErrorKind::Unsupported);
        let mut error = Error::new(kind, "replay");
        if let Some(phase) = PHASES.into_iter().find(|phase| Some(phase.as_str()) == self.phase.as_deref()) {
            error = error.with_phase(phase);
        }
        if let Some(detail) = &self.detail {
            error = error.with_detail(detail.clone());
        }
        error
    }
}

impl Recording {
    /// Reads a recording from a file; blocks while it does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read, [`ErrorKind::Decode`] with the line if it is no recording.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        std::fs::read_to_string(&path).map_err(|error| file_error("load recording", path.as_ref(), error))?.parse()
    }

    /// Writes the recording to a file, over what may be there; blocks while it does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        std::fs::write(&path, self.to_string()).map_err(|error| file_error("save recording", path.as_ref(), error))
    }

    /// How many exchanges it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }
}

fn file_error(operation: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, operation).with_detail(path.display().to_string()).with_source(error)
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for exchange in &self.exchanges {
            writeln!(f, "{}", serde_json::to_string(exchange).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

impl FromStr for Recording {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let parse = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| {
                Error::new(ErrorKind::Decode, "parse recording")
                    .with_detail(format!("line {}", number + 1))
                    .with_source(error)
            })
        };
        Ok(Self { exchanges: lines.map(parse).collect::<Result<_>>()? })
    }
}

/// What is a secret, beyond the names that [`is_secret_header`] and [`is_secret_query`] know.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets {
    pub(super) headers: Vec<HeaderName>,
    pub(super) queries: Vec<String>,
}

impl Secrets {
    pub(super) fn url(&self, uri: &Uri) -> String {
        self.text_url(&uri.to_string())
    }

    /// The URL without user information and fragment, with the values of secret parameters hidden.
    fn text_url(&self, url: &str) -> String {
        let url = url.split('#').next().unwrap_or_default();
        match url.split_once('?') {
            None => netcomm_core::redact_url(url),
            Some((base, query)) => {
                let pairs: Vec<_> = query.split('&').map(|pair| self.pair(pair)).collect();
                format!("{}?{}", netcomm_core::redact_url(base), pairs.join("&"))
            }
        }
    }

    fn pair(&self, pair: &str) -> String {
        let Some((name, _)) = pair.split_once('=') else {
            return pair.to_owned();
        };
        let decoded = form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name).unwrap_or_default();
        let secret = is_secret_query(&decoded) || self.queries.iter().any(|own| own.eq_ignore_ascii_case(&decoded));
        if secret { format!("{name}={HIDDEN}") } else { pair.to_owned() }
    }

    pub(super) fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), self.header(name, value))).collect()
    }

    fn header(&self, name: &HeaderName, value: &HeaderValue) -> String {
        if value.is_sensitive() || is_secret_header(name) || self.headers.contains(name) {
            return HIDDEN.to_owned();
        }
        let text: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        if matches!(name.as_str(), "location" | "content-location" | "referer") { self.text_url(&text) } else { text }
    }
}

/// The bytes of a header value that was kept as text.
pub(super) fn header_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_secrets_and_keep_the_rest() {
        let secrets = Secrets { headers: Vec::new(), queries: vec!["sid".to_owned()] };
        for (url, expected) in [
            ("http://a.example/x", "http://a.example/x"),
            ("http://u:p@a.example/x?page=2&access_token=s", "http://a.example/x?page=2&access_token=***"),
            (
                "http://a.example/?access%5Ftoken=s&b&sid=1&SID=2",
                "http://a.example/?access%5Ftoken=***&b&sid=***&SID=***",
            ),
            ("/relative?key=s#f", "/relative?key=***"),
        ] {
            assert_eq!(secrets.text_url(url), expected, "{url}");
        }
    }

    #[test]
    fn the_known_kinds_and_phases_are_all_there_are() {
        for kind in KINDS {
            let error = Failure::of(&Error::new(kind, "x").with_phase(Phase::Wait).with_detail("d")).error();
            assert_eq!((error.kind(), error.phase(), error.detail()), (kind, Some(Phase::Wait), Some("d")));
        }
        assert_eq!(
            Failure { error: "new".to_owned(), phase: None, detail: None }.error().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn checksums_are_fnv1a() {
        let mut sum = Checksum::default();
        sum.add(b"foo");
        sum.add(b"bar");
        assert_eq!((sum.bytes, sum.fnv1a), (6, 0x8594_4171_f739_67e8));
    }

    #[test]
    fn text_there_and_back() {
        let line = r#"{"method":"GET","url":"http://a.example/","status":200,"headers":[["x","ÿ"]],"body":"aGk=","complete":true}"#;
        let recording: Recording = format!("{line}\n\n").parse().unwrap();
        assert_eq!(recording.len(), 1);
        let answer = recording.exchanges[0].response.as_ref().unwrap();
        assert_eq!((&answer.body[..], header_bytes(&answer.headers[0].1)), (&b"hi"[..], vec![0xff]));
        assert_eq!(recording.to_string().parse::<Recording>().unwrap(), recording);
        let error = format!("{line}\nnonsense").parse::<Recording>().unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Decode, Some("line 2")));
    }
}
