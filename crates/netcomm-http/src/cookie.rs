//! Cookies: which are kept, and which are sent where (RFC 6265, with what its successor RFC 6265bis tightens).
//!
//! Parsing and matching are pure and take the time as an argument; the jar is a bounded map behind a lock. The only room
//! that names the public-suffix list. Left out on purpose: `SameSite` and `HttpOnly`, which protect against pages and
//! scripts, and cookies without a name, which RFC 6265 §5.2 refuses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Uri};
use netcomm_core::{Error, ErrorKind, Host, Result};
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// Keeps the cookies that servers set and gives them back to the servers they are meant for.
///
/// Cheap to clone; clones share the cookies. Holds at most 3000 cookies, 180 for one site (a registrable domain, such as
/// `example.com` with all that lies under it), each of at most 4096 bytes plus domain and path; that is 18 MiB at the
/// very worst. Past that the cookies used least recently go, in a site first those not marked `Secure`. `Debug` shows
/// counts only.
///
/// Refused are cookies for a public suffix (`Domain=co.uk`) or for another site, those whose name begins with `__Host-`
/// or `__Secure-` (in any case) but which do not keep the promise, `Secure` ones that come over a clear connection, ones
/// that would hide a `Secure` cookie from there, and ones that are too large. No cookie lives longer than 400 days.
///
/// Secure cookies go over `https` and `wss` only, also to the own machine.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
///
/// use http::{HeaderValue, Uri};
/// use netcomm_http::CookieJar;
///
/// let jar = CookieJar::new();
/// let uri = Uri::from_static("https://shop.example/cart/");
/// let set = HeaderValue::from_static("basket=7; Path=/cart; Secure");
/// jar.store(&uri, [&set], SystemTime::now(), |reason| panic!("refused: {reason}"));
/// let header = jar.cookie_header(&uri, SystemTime::now());
/// assert_eq!(header.expect("one matches"), "basket=7");
/// ```
#[derive(Clone)]
pub struct CookieJar {
    inner: Arc<Mutex<Inner>>,
}

impl CookieJar {
    /// An empty jar.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(PER_SITE, TOTAL)
    }

    /// An empty jar for at most `per_site` cookies of one registrable domain (default 180) and `total` cookies of all
    /// together (default 3000). RFC 6265 §6.1 asks for at least 50 and 3000; 0 keeps none.
    #[must_use]
    pub fn with_limits(per_site: usize, total: usize) -> Self {
        let inner = Inner { sites: HashMap::new(), per_site, total, uses: 0 };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// The value of `Cookie` for a request to this URI at this time; marked as sensitive. `None` if no cookie matches.
    ///
    /// Cookies with longer paths come first, and older ones before younger (RFC 6265 §5.4).
    #[must_use]
    pub fn cookie_header(&self, uri: &Uri, now: SystemTime) -> Option<HeaderValue> {
        self.header_for(&Place::of(uri)?, now)
    }

    /// The same for an address, whose host is known.
    pub(crate) fn header_of(&self, address: &Address, now: SystemTime) -> Option<HeaderValue> {
        let origin = &address.origin;
        self.header_for(&Place::new(origin.host(), address.uri.path(), origin.is_secure())?, now)
    }

    fn header_for(&self, place: &Place<'_>, now: SystemTime) -> Option<HeaderValue> {
        let value = self.lock().header(place, now);
        if value.is_empty() {
            return None;
        }
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Takes the `Set-Cookie` fields of a response that came from this URI at this time. For each cookie that is not
    /// kept `refused` is told why, in a few words; it is never called under the jar's lock.
    ///
    /// A cookie that has expired already removes the one it names.
    pub fn store<'a>(
        &self,
        uri: &Uri,
        set_cookie: impl IntoIterator<Item = &'a HeaderValue>,
        now: SystemTime,
        mut refused: impl FnMut(&'static str),
    ) {
        let mut place = None;
        for field in set_cookie {
            // Most responses set no cookie; what they came from matters only if one does.
            let place = place.get_or_insert_with(|| Place::of(uri));
            let outcome = match place {
                None => Err("no host"),
                Some(place) => SetCookie::parse(field.as_bytes())
                    .and_then(|set| set.accept(place, now))
                    .and_then(|(cookie, site)| self.lock().keep(cookie, site, place, now)),
            };
            if let Err(reason) = outcome {
                refused(reason);
            }
        }
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        self.lock().sites.clear();
    }

    /// How many cookies are held. Expired ones count until something looks at their site.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no cookie is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Domain, path and name of each cookie, sorted; not the values.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, String, String)> {
        let entry = |cookie: &Cookie| (cookie.domain.clone(), cookie.path.clone(), cookie.name.clone());
        let mut entries: Vec<_> = self.lock().sites.values().flatten().map(entry).collect();
        entries.sort_unstable();
        entries
    }

    /// The cookies that outlive the session, as JSON for [`extend_json`](Self::extend_json). It holds their values in
    /// clear: store it as one stores a password.
    ///
    /// # Panics
    ///
    /// Never: what a cookie is made of can always be written.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.export(|cookie| cookie.expires.is_some())
    }

    /// As [`to_json`](Self::to_json), with the cookies that were meant to end with the session.
    ///
    /// # Panics
    ///
    /// Never: what a cookie is made of can always be written.
    #[must_use]
    pub fn to_json_with_session(&self) -> String {
        self.export(|_| true)
    }

    /// A jar with the usual limits that holds the cookies of a text written by [`to_json`](Self::to_json).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is no such text.
    pub fn from_json(json: &str) -> Result<Self> {
        let jar = Self::new();
        jar.extend_json(json)?;
        Ok(jar)
    }

    /// Adds the cookies of a text written by [`to_json`](Self::to_json). The text is not trusted: a cookie that no
    /// server could have set is passed over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is no such text; the jar stays as it was.
    pub fn extend_json(&self, json: &str) -> Result<()> {
        // The error itself may quote what it found, which may be a value; only its place goes on.
        let saved: Saved = serde_json::from_str(json).map_err(|error| {
            Error::new(ErrorKind::Decode, "read cookies").with_detail(format!(
                "line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        let mut inner = self.lock();
        for cookie in saved.cookies {
            if let Some((cookie, site)) = Cookie::load(cookie) {
                inner.insert(cookie, site);
                // No time is known here that could tell which have expired.
                inner.shrink(SystemTime::UNIX_EPOCH);
            }
        }
        Ok(())
    }

    fn export(&self, wanted: impl Fn(&Cookie) -> bool) -> String {
        let inner = self.lock();
        let mut cookies: Vec<_> = inner.sites.values().flatten().filter(|cookie| wanted(cookie)).collect();
        cookies.sort_unstable_by_key(|cookie| cookie.created);
        let cookies = cookies.into_iter().map(Cookie::save).collect();
        serde_json::to_string(&Saved { cookies }).expect("text, numbers and lists can be written as JSON")
    }

    /// Tells jars apart for as long as both are there; clones are the same jar.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No step under the lock leaves the map half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for CookieJar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("CookieJar")
            .field("sites", &inner.sites.len())
            .field("cookies", &inner.len())
            .finish_non_exhaustive()
    }
}

/// Cookies of one site; RFC 6265bis §5.7 leaves the number to the client, browsers take this one.
const PER_SITE: usize = 180;
/// RFC 6265 §6.1.
const TOTAL: usize = 3000;
/// RFC 6265bis §5.6: bytes of name and value together.
const MAX_PAIR_BYTES: usize = 4096;
/// RFC 6265bis §5.6: bytes of an attribute's value; longer attributes are passed over.
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// RFC 6265bis §5.5: the longest life of a cookie.
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The part of a URI that decides about cookies.
struct Place<'a> {
    /// In canonical form.
    host: Cow<'a, str>,
    is_name: bool,
    path: &'a str,
    secure: bool,
}

impl<'a> Place<'a> {
    fn of(uri: &'a Uri) -> Option<Self> {
        Self::new(uri.host()?, uri.path(), matches!(uri.scheme_str(), Some("https" | "wss")))
    }

    fn new(host: &'a str, path: &'a str, secure: bool) -> Option<Self> {
        let (is_name, host) = if Host::is_canonical(host) {
            // The last label of a name begins with a letter, that of an address with a digit.
            let last = host.bytes().rposition(|byte| byte == b'.').map_or(0, |dot| dot + 1);
            (host.as_bytes()[last..].first().is_some_and(u8::is_ascii_alphabetic), Cow::Borrowed(host))
        } else {
            let host = Host::parse(host).ok()?;
            (host.ip().is_none(), Cow::Owned(host.to_string()))
        };
        Some(Self { is_name, host, path: if path.starts_with('/') { path } else { "/" }, secure })
    }

    /// RFC 6265 §5.1.3, of canonical texts.
    fn domain_matches(&self, domain: &str) -> bool {
        self.host == domain || (self.is_name && is_below(&self.host, domain))
    }

    /// RFC 6265 §5.1.4: the directory of the path, without the slash at its end.
    fn default_path(&self) -> &str {
        match self.path.rfind('/') {
            None | Some(0) => "/",
            Some(at) => &self.path[..at],
        }
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|above| above.ends_with('.'))
}

/// RFC 6265 §5.1.4.
fn path_matches(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

/// Whether names under this one belong to different people, as those under `co.uk` do. A name that the list does not
/// know is one if it is a single label.
fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

/// What shares one budget of cookies: the registrable domain, or the host where there is none.
fn site_of(host: &str, is_name: bool) -> &str {
    if is_name { psl::domain_str(host).unwrap_or(host) } else { host }
}

/// A `Set-Cookie` field as it stands, before anything is known about where it came from.
struct SetCookie<'a> {
    name: &'a str,
    value: &'a [u8],
    domain: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    secure: bool,
    expires: Option<SystemTime>,
    max_age: Option<Duration>,
}

impl<'a> SetCookie<'a> {
    /// RFC 6265bis §5.6.
    fn parse(field: &'a [u8]) -> Result<Self, &'static str> {
        if field.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err("control character");
        }
        let mut pieces = field.split(|&byte| byte == b';');
        let (name, value) = pieces.next().and_then(|pair| split_pair(pair)).ok_or("no name")?;
        if name.is_empty() {
            return Err("no name");
        }
        if name.len() + value.len() > MAX_PAIR_BYTES {
            return Err("too large");
        }
        // Names are compared and listed as text; no server is known to use others.
        let name = std::str::from_utf8(name).map_err(|_| "name is not utf-8")?;
        let mut set = Self { name, value, domain: None, path: None, secure: false, expires: None, max_age: None };
        for piece in pieces {
            let (attribute, value) = split_pair(piece).unwrap_or_else(|| (piece.trim_ascii(), b""));
            if value.len() > MAX_ATTRIBUTE_BYTES {
                continue;
            }
            // Of an attribute that comes twice the last one counts (§5.7), but not one without a meaning.
            let is = |name: &str| attribute.eq_ignore_ascii_case(name.as_bytes());
            if is("expires") {
                set.expires = parse_date(value).or(set.expires);
            } else if is("max-age") {
                set.max_age = parse_max_age(value).or(set.max_age);
            } else if is("domain") {
                let domain = value.strip_prefix(b".").unwrap_or(value);
                set.domain = (!domain.is_empty()).then_some(domain);
            } else if is("path") {
                set.path = value.starts_with(b"/").then_some(value);
            } else if is("secure") {
                set.secure = true;
            }
        }
        Ok(set)
    }

    /// RFC 6265bis §5.7, as far as it needs no other cookie: the cookie, and the site it belongs to.
    fn accept(&self, place: &Place<'_>, now: SystemTime) -> Result<(Cookie, String), &'static str> {
        let domain = match self.domain {
            None => None,
            Some(domain) => {
                let domain = canonical_domain(domain).ok_or("malformed domain")?;
                if !place.domain_matches(&domain) {
                    return Err("domain mismatch");
                }
                if domain == place.host && (!place.is_name || is_public_suffix(&domain)) {
                    // The owner of a public suffix may have cookies, but for that host alone.
                    None
                } else if is_public_suffix(&domain) {
                    return Err("public suffix");
                } else {
                    Some(domain)
                }
            }
        };
        if self.secure && !place.secure {
            return Err("secure cookie over a clear connection");
        }
        let path = match self.path {
            Some(path) => std::str::from_utf8(path).map_err(|_| "path is not utf-8")?,
            None => place.default_path(),
        };
        if path.len() > MAX_ATTRIBUTE_BYTES {
            return Err("path too long");
        }
        let host_only = domain.is_none();
        if has_prefix(self.name, "__Secure-") && !self.secure {
            return Err("__Secure- without Secure");
        }
        // §5.7 wants `Path=/` written out.
        if has_prefix(self.name, "__Host-") && !(self.secure && host_only && self.path == Some(b"/")) {
            return Err("__Host- without Secure and Path=/, or with Domain");
        }
        // `Max-Age` wins (RFC 6265 §4.1.2.2).
        let expires = match self.max_age {
            Some(Duration::ZERO) => Some(SystemTime::UNIX_EPOCH),
            Some(age) => now.checked_add(age.min(MAX_AGE)),
            None => self.expires.map(|at| now.checked_add(MAX_AGE).map_or(at, |latest| at.min(latest))),
        };
        let cookie = Cookie {
            name: self.name.to_owned(),
            value: Bytes::copy_from_slice(self.value),
            domain: domain.unwrap_or_else(|| place.host.clone().into_owned()),
            host_only,
            path: path.to_owned(),
            secure: self.secure,
            expires,
            created: 0,
            used: 0,
        };
        Ok((cookie, site_of(&place.host, place.is_name).to_owned()))
    }
}

/// Both sides of the first `=`, without space around them.
fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == b'=')?;
    Some((text[..at].trim_ascii(), text[at + 1..].trim_ascii()))
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// The value of `Domain` as [`Host`] writes it. A dot at its end is not taken away: it would name another host.
fn canonical_domain(domain: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(byte);
    let domain = std::str::from_utf8(domain).ok().filter(|text| text.as_bytes().iter().all(plain))?;
    if domain.ends_with('.') {
        return None;
    }
    Some(Host::parse(&domain.to_ascii_lowercase()).ok()?.to_string())
}

/// RFC 6265 §5.2.2: seconds; zero and less mean "now".
fn parse_max_age(value: &[u8]) -> Option<Duration> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More digits than fit mean longer than any cookie lives.
    let seconds =
        digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(if negative { Duration::ZERO } else { Duration::from_secs(seconds) })
}

/// RFC 6265 §5.1.1: finds a time, a day, a month and a year in any order, in whatever servers write. A time before 1970
/// is returned as its beginning.
fn parse_date(value: &[u8]) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |byte: &u8| matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e);
    for token in value.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = parse_time(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some((found, _)) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = parse_month(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some((found, _)) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hours, minutes, seconds), day, month) = (time?, day?, month?);
    let year = match year? {
        year @ 0..=69 => year + 2000,
        year @ 70..=99 => year + 1900,
        year => year,
    };
    let valid =
        year >= 1601 && (1..=days_in_month(year, month)).contains(&day) && hours < 24 && minutes < 60 && seconds < 60;
    let seconds = i64::from((hours * 60 + minutes) * 60 + seconds);
    let since_epoch = days_since_epoch(year, month, day) * 86_400 + seconds;
    let since_epoch = Duration::from_secs(since_epoch.try_into().unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).filter(|_| valid)
}

/// The number at the start of a token, of `least` to `most` digits and no more, and what follows it.
fn number(token: &[u8], least: usize, most: usize) -> Option<(u32, &[u8])> {
    let count = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = token.split_at(count);
    (least..=most)
        .contains(&count)
        .then(|| (digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), rest))
}

/// The numbers of `hh:mm:ss`, whatever they are.
fn parse_time(token: &[u8]) -> Option<(u32, u32, u32)> {
    let (hours, rest) = number(token, 1, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(b":")?, 1, 2)?;
    let (seconds, _) = number(rest.strip_prefix(b":")?, 1, 2)?;
    Some((hours, minutes, seconds))
}

/// 1 for January.
fn parse_month(token: &[u8]) -> Option<u32> {
    const MONTHS: &[u8] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let start = token.get(..3)?;
    (1..).zip(MONTHS.chunks(3)).find(|(_, name)| name.eq_ignore_ascii_case(start)).map(|(month, _)| month)
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. Years are taken to begin in March, so that the leap day is the last.
fn days_since_epoch(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days_before_month = (153 * month + 2) / 5;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + days_before_month + day;
    // Day 1 of that count is 1 March of the year 0, 719468 days before the epoch.
    i64::from(days) - 1 - 719_468
}

/// A cookie that is kept.
struct Cookie {
    name: String,
    value: Bytes,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    /// `None`: with the session.
    expires: Option<SystemTime>,
    /// The use of the jar in which it was made, and in which it was last sent or set: an order that no step of the
    /// system's clock can disturb.
    created: u64,
    used: u64,
}

impl Cookie {
    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// RFC 6265 §5.4, step 1.
    fn matches(&self, place: &Place<'_>) -> bool {
        (place.secure || !self.secure)
            && (if self.host_only { place.host == self.domain } else { place.domain_matches(&self.domain) })
            && path_matches(place.path, &self.path)
    }

    /// Whether this is the cookie that the other one replaces (RFC 6265bis §5.7).
    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.path == other.path
            && self.host_only == other.host_only
            && self.domain == other.domain
    }

    /// Whether the other one, from a clear connection, could be taken for this one (RFC 6265bis §5.7).
    fn is_shadowed_by(&self, other: &Self) -> bool {
        self.secure
            && self.name == other.name
            && (self.domain == other.domain
                || is_below(&self.domain, &other.domain)
                || is_below(&other.domain, &self.domain))
            && path_matches(&other.path, &self.path)
    }

    fn save(&self) -> SavedCookie {
        let since_epoch = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        SavedCookie {
            domain: self.domain.clone(),
            host_only: self.host_only,
            path: self.path.clone(),
            name: self.name.clone(),
            value: match std::str::from_utf8(&self.value) {
                Ok(text) => SavedValue::Text(text.to_owned()),
                Err(_) => SavedValue::Bytes(self.value.to_vec()),
            },
            secure: self.secure,
            expires: self.expires.map(|at| since_epoch(at).as_secs()),
        }
    }

    /// The cookie, and the site it belongs to. `None` if it could not have been set by a server.
    fn load(saved: SavedCookie) -> Option<(Self, String)> {
        let value = match saved.value {
            SavedValue::Text(text) => text.into_bytes(),
            SavedValue::Bytes(bytes) => bytes,
        };
        let host = Host::parse(&saved.domain).ok()?;
        let is_name = host.ip().is_none();
        let plain =
            |bytes: &[u8]| bytes.iter().all(|&byte| byte != b';' && (!byte.is_ascii_control() || byte == b'\t'));
        let valid = host.to_string() == saved.domain
            && (saved.host_only || (is_name && !is_public_suffix(&saved.domain)))
            && !saved.name.is_empty()
            && !saved.name.contains('=')
            && saved.name.len() + value.len() <= MAX_PAIR_BYTES
            && saved.path.starts_with('/')
            && saved.path.len() <= MAX_ATTRIBUTE_BYTES
            && plain(saved.name.as_bytes())
            && plain(&value)
            && plain(saved.path.as_bytes())
            && (saved.secure || !(has_prefix(&saved.name, "__Secure-") || has_prefix(&saved.name, "__Host-")))
            && (!has_prefix(&saved.name, "__Host-") || (saved.host_only && saved.path == "/"));
        let expires = match saved.expires {
            None => None,
            Some(seconds) => Some(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?),
        };
        valid.then(|| {
            let site = site_of(&saved.domain, is_name).to_owned();
            let cookie = Self {
                name: saved.name,
                value: value.into(),
                domain: saved.domain,
                host_only: saved.host_only,
                path: saved.path,
                secure: saved.secure,
                expires,
                created: 0,
                used: 0,
            };
            (cookie, site)
        })
    }
}

/// What the lock guards.
struct Inner {
    /// By registrable domain: all cookies that can match a host, and all that share a budget.
    sites: HashMap<String, Vec<Cookie>>,
    per_site: usize,
    total: usize,
    /// Counts the uses of the jar.
    uses: u64,
}

impl Inner {
    fn len(&self) -> usize {
        self.sites.values().map(Vec::len).sum()
    }

    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn header(&mut self, place: &Place<'_>, now: SystemTime) -> Vec<u8> {
        let site = site_of(&place.host, place.is_name);
        let used = self.next_use();
        let Some(cookies) = self.sites.get_mut(site) else {
            return Vec::new();
        };
        cookies.retain(|cookie| !cookie.is_expired(now));
        let mut matching: Vec<_> = cookies.iter_mut().filter(|cookie| cookie.matches(place)).collect();
        matching.sort_unstable_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created));
        let bytes = matching.iter().map(|cookie| cookie.name.len() + "=; ".len() + cookie.value.len()).sum();
        let mut header = Vec::with_capacity(bytes);
        for cookie in matching {
            cookie.used = used;
            if !header.is_empty() {
                header.extend_from_slice(b"; ");
            }
            header.extend_from_slice(cookie.name.as_bytes());
            header.push(b'=');
            header.extend_from_slice(&cookie.value);
        }
        if cookies.is_empty() {
            self.sites.remove(site);
        }
        header
    }

    fn keep(&mut self, cookie: Cookie, site: String, place: &Place<'_>, now: SystemTime) -> Result<(), &'static str> {
        if let Some(cookies) = self.sites.get_mut(&site) {
            cookies.retain(|cookie| !cookie.is_expired(now));
            if !place.secure && cookies.iter().any(|old| old.is_shadowed_by(&cookie)) {
                return Err("would hide a secure cookie");
            }
            if cookie.is_expired(now) {
                cookies.retain(|old| !old.is_same(&cookie));
            }
        }
        if !cookie.is_expired(now) {
            self.insert(cookie, site);
        }
        self.shrink(now);
        Ok(())
    }

    fn insert(&mut self, mut cookie: Cookie, site: String) {
        let uses = self.next_use();
        (cookie.created, cookie.used) = (uses, uses);
        let per_site = self.per_site;
        let cookies = self.sites.entry(site).or_default();
        match cookies.iter_mut().find(|old| old.is_same(&cookie)) {
            Some(old) => {
                // RFC 6265 §5.3, step 11.3: a cookie keeps its place in the order.
                cookie.created = old.created;
                *old = cookie;
            }
            None => cookies.push(cookie),
        }
        if cookies.len() > per_site
            && let Some(at) = position_of_least(cookies, |cookie| (cookie.secure, cookie.used))
        {
            cookies.swap_remove(at);
        }
    }

    /// Keeps the bound on all cookies together: expired ones go first, then those used least recently (RFC 6265 §5.3).
    /// Sites without cookies are forgotten.
    fn shrink(&mut self, now: SystemTime) {
        let mut excess = self.len().saturating_sub(self.total);
        if excess > 0 {
            for cookies in self.sites.values_mut() {
                cookies.retain(|cookie| !cookie.is_expired(now));
            }
            excess = self.len().saturating_sub(self.total);
        }
        for _ in 0..excess {
            // Several cookies may have been used at once, but no two were made at once.
            let oldest = self.sites.values().flatten().map(|cookie| (cookie.used, cookie.created)).min();
            for cookies in self.sites.values_mut() {
                cookies.retain(|cookie| Some((cookie.used, cookie.created)) != oldest);
            }
        }
        self.sites.retain(|_, cookies| !cookies.is_empty());
    }
}

fn position_of_least<K: Ord>(cookies: &[Cookie], key: impl Fn(&Cookie) -> K) -> Option<usize> {
    cookies.iter().enumerate().min_by_key(|(_, cookie)| key(cookie)).map(|(at, _)| at)
}

/// The form in which cookies are stored.
#[derive(Serialize, Deserialize)]
struct Saved {
    cookies: Vec<SavedCookie>,
}

#[derive(Serialize, Deserialize)]
struct SavedCookie {
    domain: String,
    host_only: bool,
    path: String,
    name: String,
    value: SavedValue,
    secure: bool,
    /// Seconds since 1970.
    expires: Option<u64>,
}

/// Values are bytes, and nearly always text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SavedValue {
    Text(String),
    Bytes(Vec<u8>),
}

#[cfg(test)]
mod tests;
