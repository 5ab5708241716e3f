//! What may not be shown, decided in one place for all that shows something.

mod body;
mod header;
mod text;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::{is_secret_header, is_secret_query};

pub(crate) use self::body::BodyScan;
#[cfg(feature = "har")]
pub(crate) use self::text::unescaped;

/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "***";

type BodyFn = dyn Fn(Option<&str>, Bytes) -> Bytes + Send + Sync;

/// Takes secrets out of heads, URLs and bodies; `***` stands in their place. Cheap to clone.
///
/// Always hidden: values that are marked ([`HeaderValue::is_sensitive`]), the header fields and query parameters that
/// [`is_secret_header`] and [`is_secret_query`] know, user information of URLs, values of cookies (their names and attributes
/// stay), and the fields of forms (`application/x-www-form-urlencoded`) that would be secret as query parameters. More can be
/// named, less cannot. URLs in the fields `Location`, `Content-Location`, `Referer`, `Link` and `Refresh` lose their secrets too.
///
/// Other bodies are shown as they are, unless keys are named ([`with_body_keys`](Self::with_body_keys)) or a function is given
/// ([`with_bodies`](Self::with_bodies)). Nobody looks into multipart forms; secrets in paths are not known as such.
///
/// # Examples
///
/// ```
/// use netcomm_monitor::Redactor;
///
/// let redactor = Redactor::new().with_queries(["session"]).with_body_keys(["pin"]);
/// assert_eq!(redactor.url("https://me:word@a.example/x?page=2&session=s1"), "https://***@a.example/x?page=2&session=***");
/// let body = redactor.body(Some("application/json"), br#"{"user": {"pin": 1234}}"#.as_slice());
/// assert_eq!(body, r#"{"user": {"pin": "***"}}"#);
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    headers: Vec<HeaderName>,
    /// In lower case, as are the keys.
    queries: Vec<String>,
    body_keys: Vec<String>,
    bodies: Option<Arc<BodyFn>>,
}

impl Redactor {
    /// The strict one: what it hides is said [above](Self).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides these header fields too.
    #[must_use]
    pub fn with_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.inner).headers.extend(names);
        self
    }

    /// Hides these query parameters too, and fields of forms of these names. Case does not matter.
    #[must_use]
    pub fn with_queries(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names = names.into_iter().map(|name| name.as_ref().to_ascii_lowercase());
        Arc::make_mut(&mut self.inner).queries.extend(names);
        self
    }

    /// Hides what stands under these keys in JSON, at any depth and whatever it is, and in forms. Case does not matter. Looks
    /// at all content that is not known to be an image, a sound or a font, and at messages of WebSockets.
    #[must_use]
    pub fn with_body_keys(mut self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let keys = keys.into_iter().map(|key| key.as_ref().to_ascii_lowercase());
        Arc::make_mut(&mut self.inner).body_keys.extend(keys);
        self
    }

    /// Passes each body and each message through a function of one's own, behind all else: it is given the content type, if there
    /// is one, and as much of the body as is kept.
    ///
    /// It needs to see a body as a whole, so a [`Recorder`](crate::Recorder) calls it when entries are read, not when they enter.
    #[must_use]
    pub fn with_bodies(mut self, redact: impl Fn(Option<&str>, Bytes) -> Bytes + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.inner).bodies = Some(Arc::new(redact));
        self
    }

    /// Whether the values of a field are hidden whatever they are.
    #[must_use]
    pub fn hides_header(&self, name: &HeaderName) -> bool {
        is_secret_header(name) || self.inner.headers.contains(name)
    }

    /// Whether the value of a query parameter is hidden; `name` is without escapes.
    #[must_use]
    pub fn hides_query(&self, name: &str) -> bool {
        is_secret_query(name) || self.inner.queries.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The value of one field as it may be shown. What it says of cookies but their values stays.
    #[must_use]
    pub fn header(&self, name: &HeaderName, value: &HeaderValue) -> HeaderValue {
        header::redact(self, name, value)
    }

    /// A head as it may be shown.
    #[must_use]
    pub fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut shown = HeaderMap::with_capacity(headers.keys_len());
        for (name, value) in headers {
            shown.append(name, self.header(name, value));
        }
        shown
    }

    /// A URL, or a part of one, as it may be shown.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        text::redact_url(self, url)
    }

    /// A whole body as it may be shown.
    #[must_use]
    pub fn body(&self, content_type: Option<&str>, body: impl Into<Bytes>) -> Bytes {
        let body: Bytes = body.into();
        let body = match self.scan(content_type) {
            Some(mut scan) => {
                let mut shown = Vec::with_capacity(body.len());
                scan.feed(&body, &mut shown);
                shown.into()
            }
            None => body,
        };
        self.finished(content_type, body)
    }

    /// What looks at the pieces of a body as they come; `None` if there is nothing to look for.
    pub(crate) fn scan(&self, content_type: Option<&str>) -> Option<BodyScan> {
        BodyScan::new(self, content_type)
    }

    /// What the user's own function makes of what the rest has left.
    pub(crate) fn finished(&self, content_type: Option<&str>, body: Bytes) -> Bytes {
        match &self.inner.bodies {
            Some(bodies) if !body.is_empty() => bodies(content_type, body),
            _ => body,
        }
    }

    /// Whether there is such a function.
    pub(crate) fn has_own(&self) -> bool {
        self.inner.bodies.is_some()
    }

    /// Whether what stands under a key is hidden.
    fn hides_key(&self, key: &str) -> bool {
        self.inner.body_keys.iter().any(|own| own.eq_ignore_ascii_case(key))
    }

    /// Whether a field of a form is hidden, also where it is a part of something: `user[password]`, `user.password`.
    fn hides_field(&self, name: &str) -> bool {
        let last = name.trim_end_matches(']').rsplit(['[', '.']).next().unwrap_or(name);
        [name, last].into_iter().any(|name| self.hides_query(name) || self.hides_key(name))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("headers", &self.inner.headers)
            .field("queries", &self.inner.queries)
            .field("body_keys", &self.inner.body_keys)
            .field("bodies", &self.inner.bodies.is_some())
            .finish()
    }
}
