//! `Cache-Control` (RFC 9111 §5.2) and its targeted kin (RFC 9213), read once.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::cache::field;

/// A number of seconds in a directive. One that cannot be read counts as the least (RFC 9111 §4.2.1).
type Seconds = Option<Duration>;

/// What a response lets caches do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseDirectives {
    pub(crate) no_store: bool,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) immutable: bool,
    pub(crate) no_cache: Named,
    pub(crate) private: Named,
    pub(crate) max_age: Seconds,
    pub(crate) s_maxage: Seconds,
    pub(crate) stale_while_revalidate: Seconds,
    pub(crate) stale_if_error: Seconds,
    /// Whether a targeted field (RFC 9213) spoke in place of `Cache-Control`, and of `Expires`.
    pub(crate) targeted: bool,
}

/// A directive that can be about the whole response, or about some fields of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Named {
    #[default]
    Absent,
    Whole,
    Fields(Vec<HeaderName>),
}

impl Named {
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    pub(crate) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    pub(crate) fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Fields(fields) => fields,
            Self::Absent | Self::Whole => &[],
        }
    }

    /// RFC 9111 §5.2.2.4: the form without fields is the stronger one.
    fn add(&mut self, value: Option<&[u8]>) {
        let names = value.map(|value| {
            let names = field::split(value).filter(|name| !name.is_empty());
            names.map(HeaderName::from_bytes).collect::<Result<Vec<_>, _>>()
        });
        match (names, &mut *self) {
            (Some(Ok(names)), Self::Absent) if !names.is_empty() => *self = Self::Fields(names),
            (Some(Ok(names)), Self::Fields(known)) if !names.is_empty() => known.extend(names),
            _ => *self = Self::Whole,
        }
    }
}

impl ResponseDirectives {
    /// Those of a response. The first of `targets` that it has and that can be read speaks in place of `Cache-Control`
    /// (RFC 9213 §2.2).
    pub(crate) fn of(headers: &HeaderMap, targets: &[HeaderName]) -> Self {
        if let Some(directives) = Self::of_targets(headers, targets) {
            return directives;
        }
        let mut directives = Self::default();
        headers.get_all(&CACHE_CONTROL).iter().for_each(|value| directives.read(value));
        directives
    }

    /// Those of the first of `targets` that can be read.
    pub(crate) fn of_targets(headers: &HeaderMap, targets: &[HeaderName]) -> Option<Self> {
        targets.iter().find_map(|target| Self::targeted(headers, target))
    }

    /// Adds those of a value of `Cache-Control`.
    pub(crate) fn read(&mut self, value: &HeaderValue) {
        for_each_of(value.as_bytes(), |name, value| self.add(name, value));
    }

    fn targeted(headers: &HeaderMap, target: &HeaderName) -> Option<Self> {
        let text = field::joined(headers, target)?;
        let dictionary = Parser::new(&text).parse::<Dictionary>().ok().filter(|dictionary| !dictionary.is_empty())?;
        let mut directives = Self { targeted: true, ..Self::default() };
        for (name, member) in &dictionary {
            let ListEntry::Item(item) = member else { continue };
            let name = name.as_str().as_bytes();
            match &item.bare_item {
                BareItem::Boolean(true) => directives.add(name, None),
                BareItem::Integer(number) => directives.add(name, Some(number.to_string().as_bytes())),
                BareItem::String(text) => directives.add(name, Some(text.as_str().as_bytes())),
                BareItem::Token(text) => directives.add(name, Some(text.as_str().as_bytes())),
                _ => {}
            }
        }
        Some(directives)
    }

    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        // Nearly all write them so, which is seen faster.
        let is = |known: &str| name == known.as_bytes() || name.eq_ignore_ascii_case(known.as_bytes());
        // RFC 9111 §4.2.1: of several values the first, and stale rather than fresh for one that cannot be read.
        let first = |seconds: &mut Seconds| {
            seconds.get_or_insert_with(|| value.and_then(field::seconds).unwrap_or_default());
        };
        if is("max-age") {
            first(&mut self.max_age);
        } else if is("s-maxage") {
            first(&mut self.s_maxage);
        } else if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache.add(value);
        } else if is("private") {
            self.private.add(value);
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if is("must-understand") {
            self.must_understand = true;
        } else if is("immutable") {
            self.immutable = true;
        } else if is("stale-while-revalidate") {
            first(&mut self.stale_while_revalidate);
        } else if is("stale-if-error") {
            first(&mut self.stale_if_error);
        }
    }
}

/// What a request asks of caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    pub(crate) no_store: bool,
    /// `no-cache`, or `Pragma: no-cache` without a `Cache-Control` (RFC 9111 §5.4).
    pub(crate) no_cache: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Seconds,
    pub(crate) min_fresh: Seconds,
    pub(crate) max_stale: Option<MaxStale>,
    pub(crate) stale_if_error: Seconds,
}

/// How stale an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxStale {
    Any,
    By(Duration),
}

impl RequestDirectives {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            for_each(headers, &PRAGMA, |name, _| directives.no_cache |= name.eq_ignore_ascii_case(b"no-cache"));
            return directives;
        }
        for_each(headers, &CACHE_CONTROL, |name, value| directives.add(name, value));
        directives
    }

    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let seconds = value.and_then(field::seconds);
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            self.max_age.get_or_insert_with(|| seconds.unwrap_or_default());
        } else if is("min-fresh") {
            self.min_fresh.get_or_insert_with(|| seconds.unwrap_or(Duration::MAX));
        } else if is("max-stale") {
            let by = if value.is_none() { Some(MaxStale::Any) } else { seconds.map(MaxStale::By) };
            self.max_stale = self.max_stale.or(by);
        } else if is("stale-if-error") {
            self.stale_if_error.get_or_insert_with(|| seconds.unwrap_or_default());
        }
    }
}

/// Gives each directive with its value, taken out of its quotes.
fn for_each(headers: &HeaderMap, name: &HeaderName, mut take: impl FnMut(&[u8], Option<&[u8]>)) {
    headers.get_all(name).iter().for_each(|value| for_each_of(value.as_bytes(), &mut take));
}

/// The same of one value.
fn for_each_of(text: &[u8], mut take: impl FnMut(&[u8], Option<&[u8]>)) {
    let mut rest = text;
    while let Some(first) = rest.first() {
        if matches!(first, b' ' | b'\t' | b',') {
            rest = &rest[1..];
            continue;
        }
        // Nearly all are a token, or two with `=` between, and need no second look at any of their bytes.
        let (name, behind) = rest.split_at(token_bytes(rest));
        let (value, behind) = match behind {
            [b'=', behind @ ..] if !name.is_empty() => {
                let (value, behind) = behind.split_at(token_bytes(behind));
                (Some(value), behind)
            }
            behind => (None, behind),
        };
        if matches!(behind, [] | [b',', ..]) {
            take(name, value);
            rest = behind;
            continue;
        }
        let end = field::unquoted_comma(rest).unwrap_or(rest.len());
        let (member, behind) = rest.split_at(end);
        take_one(member.trim_ascii(), &mut take);
        rest = behind;
    }
}

/// A directive by itself, which is not empty.
fn take_one(member: &[u8], take: &mut impl FnMut(&[u8], Option<&[u8]>)) {
    let (name, rest) = member.split_at(token_bytes(member));
    match rest {
        [] => take(name, None),
        // A quoted string that needs no unescaping; one that does is no value of any directive known here.
        [b'=', b'"', value @ .., b'"'] => take(name, Some(value)),
        [b'=', value @ ..] => take(name, Some(value)),
        // `max-age = 1`, `max-age;1`: a value that cannot be read.
        _ => take(name, Some(b"?")),
    }
}

/// How many bytes at the beginning make a token.
fn token_bytes(text: &[u8]) -> usize {
    text.iter().position(|byte| !IS_TOKEN[usize::from(*byte)]).unwrap_or(text.len())
}

/// Whether a byte may be in a token (RFC 9110 §5.6.2).
const IS_TOKEN: [bool; 256] = {
    let mut is_token = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_token[byte] = matches!(
            byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-'
                | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    is_token
};

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect(value))).collect()
    }

    fn response(value: &str) -> ResponseDirectives {
        ResponseDirectives::of(&headers(&[("cache-control", value)]), &[])
    }

    #[test]
    fn directives_of_responses() {
        let age = |seconds| ResponseDirectives { max_age: Some(Duration::from_secs(seconds)), ..Default::default() };
        for (text, expected) in [
            ("max-age=3600", age(3600)),
            ("MaX-aGe=003600, unknown=\"max-age=1\"", age(3600)),
            ("max-age=\"3600\"", age(3600)),
            ("max-age='3600'", age(0)),
            ("max-age=3600.0", age(0)),
            ("max-age=-1", age(0)),
            ("max-age = 3600", age(0)),
            ("max-age", age(0)),
            ("max-age=1, max-age=1800", age(1)),
            ("extension=\"max-age=3600\", max-age=1", age(1)),
            ("", ResponseDirectives::default()),
            ("No-Store", ResponseDirectives { no_store: true, ..Default::default() }),
        ] {
            assert_eq!(response(text), expected, "{text}");
        }
        let two =
            ResponseDirectives::of(&headers(&[("cache-control", "max-age=1"), ("cache-control", "max-age=9")]), &[]);
        assert_eq!(two, age(1));
    }

    #[test]
    fn directives_stand_between_commas() {
        let mut names = Vec::new();
        let text = " , a,b=1 ,c=\"x, y\"\t, d = 1,e=\"f\\\", g\", h=x\"i, j\",=k, l=;m, n= , =\"o\" p, \"q, r\", s=,t";
        for_each_of(text.as_bytes(), |name, value| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            names.push((text(name), value.map(text)));
        });
        let expected = [
            ("a", None),
            ("b", Some("1")),
            ("c", Some("x, y")),
            ("d", Some("?")),
            ("e", Some("f\\\", g")),
            ("h", Some("x\"i, j\"")),
            ("", Some("k")),
            ("l", Some(";m")),
            ("n", Some("")),
            ("", Some("\"o\" p")),
            ("", Some("?")),
            ("s", Some("")),
            ("t", None),
        ];
        assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    }

    #[test]
    fn directives_with_names() {
        let names = |text: &[&str]| Named::Fields(text.iter().map(|name| name.parse().expect(name)).collect());
        for (text, expected) in [
            ("no-cache", Named::Whole),
            ("no-cache=\"a, B\"", names(&["a", "b"])),
            ("no-cache=a", names(&["a"])),
            ("no-cache=\"a\", no-cache=\"b\"", names(&["a", "b"])),
            ("no-cache=\"a\", no-cache", Named::Whole),
            ("no-cache=\"\"", Named::Whole),
            ("no-cache=\"a b\"", Named::Whole),
            ("max-age=1", Named::Absent),
        ] {
            assert_eq!(response(text).no_cache, expected, "{text}");
        }
        assert_eq!(response("private=\"set-cookie\"").private.fields(), ["set-cookie"]);
    }

    #[test]
    fn targeted_fields_speak_in_place_of_cache_control() {
        let cdn = [HeaderName::from_static("cdn-cache-control")];
        let of = |value| {
            ResponseDirectives::of(&headers(&[("cdn-cache-control", value), ("cache-control", "max-age=1")]), &cdn)
        };
        assert_eq!(of("max-age=9, no-cache").max_age, Some(Duration::from_secs(9)));
        assert!(of("max-age=9, no-cache").no_cache.is_whole());
        assert_eq!(of("no-cache=?0").no_cache, Named::Absent);
        assert_eq!(of("private=\"a, b\"").private.fields().len(), 2);
        // RFC 9213 §2.1: an empty or malformed field is as good as none.
        for ignored in ["", "max-age=9, &"] {
            assert_eq!(of(ignored).max_age, Some(Duration::from_secs(1)), "{ignored}");
        }
        assert_eq!(of("max-age=1.5").max_age, None);
        assert_eq!(response("max-age=1").max_age, Some(Duration::from_secs(1)));
    }

    #[test]
    fn directives_of_requests() {
        let of = |fields: &[(&'static str, &str)]| RequestDirectives::of(&headers(fields));
        assert!(of(&[("pragma", "no-cache")]).no_cache);
        assert!(!of(&[("pragma", "no-cache"), ("cache-control", "x")]).no_cache);
        assert_eq!(of(&[("cache-control", "max-stale")]).max_stale, Some(MaxStale::Any));
        let by = |seconds| Some(MaxStale::By(Duration::from_secs(seconds)));
        assert_eq!(of(&[("cache-control", "max-stale=10")]).max_stale, by(10));
        assert_eq!(of(&[("cache-control", "max-stale=x")]).max_stale, None);
        assert_eq!(of(&[("cache-control", "min-fresh=x")]).min_fresh, Some(Duration::MAX));
        assert!(of(&[("cache-control", "only-if-cached, no-store")]).only_if_cached);
    }
}
