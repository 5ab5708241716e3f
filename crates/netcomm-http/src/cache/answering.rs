//! The head of an answer from store (RFC 9111 §4, RFC 9110 §14–15): pure.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::cache::entry::{Entry, Segment};
use crate::cache::field::number;
use crate::cache::freshness::{Rules, Terms};
use crate::cache::plan::{Answer, Serve};
use crate::cache::range;
use crate::cache::status::{CacheStatus, Name};

/// An answer from store: its head, and the pieces of its body.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Cow<'a, [Segment]>,
}

/// The head of an answer with all that is stored, made once somebody looks at it.
#[derive(Debug)]
pub(crate) struct StoredHead {
    entry: Arc<Entry>,
    age: Duration,
    told: CacheStatus,
    cache: Name,
}

impl StoredHead {
    /// That of an answer for which [`whole_as_stored`] gave a body, by the cache of that name, which tells that of itself.
    pub(crate) fn of(serve: Serve, told: CacheStatus, cache: &Name) -> Self {
        Self { entry: serve.entry, age: serve.age, told, cache: cache.clone() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.entry.status()
    }

    /// A field, if the origin sent one: none that the cache adds.
    pub(crate) fn of_origin(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.entry.headers().get(name)
    }

    /// The whole head.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = self.entry.headers().clone();
        headers.insert(AGE, number(self.age.as_secs()));
        self.told.add_to(&mut headers, self.cache.as_str());
        headers
    }
}

/// The pieces of the body of an answer that is stored as it is given out but for what every cache adds to a head; `None`
/// if more has to be done.
pub(crate) fn whole_as_stored(serve: &Serve) -> Option<&[Segment]> {
    let entry = &serve.entry;
    let withheld = entry.known_terms()?.directives.no_cache.fields();
    (serve.answer == Answer::Whole && withheld.is_empty()).then_some(&entry.parts().segments)
}

/// Makes the answer. `None` if what is asked for is not there.
pub(crate) fn answered<'a>(serve: &'a Serve, is_head: bool, confirmed: bool, rules: &Rules) -> Option<Answered<'a>> {
    let parts = serve.entry.parts();
    let terms = serve.entry.terms(|parts| Terms::of(parts, rules));
    let mut headers = parts.headers.as_map().clone();
    // RFC 9111 §5.2.2.4: fields that may not be used unless the origin has confirmed them.
    if !confirmed {
        for name in terms.directives.no_cache.fields() {
            headers.remove(name);
        }
    }
    headers.insert(AGE, number(serve.age.as_secs()));
    let (status, body) = match &serve.answer {
        Answer::Missing => return None,
        Answer::Whole if is_head => (parts.status, Cow::default()),
        Answer::Whole => (parts.status, Cow::from(&*parts.segments)),
        Answer::Part(part) => {
            headers.insert(CONTENT_RANGE, range::of_part(part, parts.length));
            headers.insert(CONTENT_LENGTH, number(part.end - part.start));
            (StatusCode::PARTIAL_CONTENT, range::cover(&parts.segments, part)?.into())
        }
        Answer::Outside(length) => {
            describe_nothing(&mut headers);
            headers.insert(CONTENT_RANGE, range::unsatisfied(*length));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            (StatusCode::RANGE_NOT_SATISFIABLE, Cow::default())
        }
        Answer::NotModified => {
            describe_nothing(&mut headers);
            (StatusCode::NOT_MODIFIED, Cow::default())
        }
    };
    Some(Answered { status, headers, body })
}

/// An answer without content does not describe one (RFC 9110 §15.4.5).
fn describe_nothing(headers: &mut HeaderMap) {
    static OF_CONTENT: [HeaderName; 5] =
        [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, CONTENT_RANGE];
    for name in &OF_CONTENT {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use http::Method;
    use http::header::{ETAG, IF_NONE_MATCH, RANGE};

    use super::*;
    use crate::cache::blob::Blob;
    use crate::cache::entry::{EntryParts, Selecting};
    use crate::cache::plan::answer;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
    }

    fn entry(length: u64, segments: &[(u64, &'static str)], cache_control: &'static str) -> Arc<Entry> {
        let headers = HeaderMap::from_iter([
            (http::header::CACHE_CONTROL, HeaderValue::from_static(cache_control)),
            (ETAG, HeaderValue::from_static("\"a\"")),
            (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
            (HeaderName::from_static("x"), HeaderValue::from_static("1")),
        ]);
        Arc::new(Entry::new(EntryParts {
            status: StatusCode::OK,
            headers: headers.into(),
            selecting: Selecting::default(),
            requested_at: at(0),
            received_at: at(0),
            ttl: None,
            length: Some(length),
            segments: segments
                .iter()
                .map(|(start, text)| Segment::whole(*start, Blob::memory(Bytes::from_static(text.as_bytes()))))
                .collect(),
        }))
    }

    fn ask(entry: &Arc<Entry>, method: &Method, fields: &[(HeaderName, &'static str)]) -> Option<Answered<'static>> {
        let headers = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let answer = answer(entry, method, &headers);
        let age = Duration::from_secs(7);
        let serve = Serve { entry: Arc::clone(entry), answer, age, ttl: 2, excuse: None, refresh: false };
        let Answered { status, headers, body } = answered(&serve, *method == Method::HEAD, false, &Rules::default())?;
        Some(Answered { status, headers, body: body.into_owned().into() })
    }

    fn text(answered: &Answered<'_>) -> String {
        let bytes = answered.body.iter().flat_map(|segment| {
            segment.blob.as_bytes().expect("in memory")[segment.part.start as usize..segment.part.end as usize].to_vec()
        });
        String::from_utf8(bytes.collect()).expect("text")
    }

    #[test]
    fn answers_from_a_complete_entry() {
        let entry = entry(10, &[(0, "0123456789")], "max-age=9, no-cache=\"x\"");
        for (fields, status, content_range, body) in [
            ([].as_slice(), 200, None, "0123456789"),
            (&[(RANGE, "bytes=0-1")], 206, Some("bytes 0-1/10"), "01"),
            (&[(RANGE, "bytes=8-")], 206, Some("bytes 8-9/10"), "89"),
            (&[(RANGE, "bytes=-1")], 206, Some("bytes 9-9/10"), "9"),
            (&[(RANGE, "bytes=10-")], 416, Some("bytes */10"), ""),
            (&[(RANGE, "lines=1-2")], 200, None, "0123456789"),
            (&[(RANGE, "bytes=0-1"), (http::header::IF_RANGE, "\"b\"")], 200, None, "0123456789"),
            (&[(RANGE, "bytes=0-1"), (http::header::IF_RANGE, "\"a\"")], 206, Some("bytes 0-1/10"), "01"),
            (&[(IF_NONE_MATCH, "\"a\"")], 304, None, ""),
            (&[(IF_NONE_MATCH, "\"b\"")], 200, None, "0123456789"),
        ] {
            let answered = ask(&entry, &Method::GET, fields).expect("an answer");
            assert_eq!(answered.status.as_u16(), status, "{fields:?}");
            let range = answered.headers.get(CONTENT_RANGE).map(|value| value.to_str().expect("text"));
            assert_eq!(range, content_range, "{fields:?}");
            assert_eq!(text(&answered), body, "{fields:?}");
            assert_eq!(answered.headers[AGE], "7");
            assert_eq!(answered.headers[ETAG], "\"a\"");
            assert!(!answered.headers.contains_key("x"), "a field named by no-cache");
        }
        let several = [(RANGE, "bytes=0-1,3-4")];
        assert!(ask(&entry, &Method::GET, &several).is_none());
        let head = ask(&entry, &Method::HEAD, &[]).expect("an answer");
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    }

    #[test]
    fn answers_from_a_partial_entry() {
        let entry = entry(10, &[(4, "45678")], "max-age=9");
        assert!(ask(&entry, &Method::GET, &[]).is_none());
        for (range, expected) in [
            ("bytes=4-8", Some("45678")),
            ("bytes=6-8", Some("678")),
            ("bytes=6-9", None),
            ("bytes=6-", None),
            ("bytes=-1", None),
            ("bytes=10-", None),
        ] {
            let answered = ask(&entry, &Method::GET, &[(RANGE, range)]);
            assert_eq!(answered.as_ref().map(text).as_deref(), expected, "{range}");
        }
        assert_eq!(ask(&entry, &Method::HEAD, &[]).expect("an answer").status, StatusCode::OK);
    }
}
