//! Parts of stored bodies (RFC 9110 §14, RFC 9111 §3.3–3.4).

use std::ops::Range;

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};

use crate::cache::entry::{EntryParts, Segment};

/// What the `Range` of a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The whole: no `Range`, or one that is malformed or in a unit unknown here (RFC 9110 §14.2: ignored).
    Whole,
    /// One part.
    One(Part),
    /// Several parts: left to the origin.
    Several,
}

/// One range of bytes (RFC 9110 §14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// From the first byte to the last one, if one is named.
    From(u64, Option<u64>),
    /// The last bytes, so many.
    Last(u64),
}

/// Reads the `Range` of a request.
pub(crate) fn asked(headers: &HeaderMap) -> Asked {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Asked::Whole };
    let Some((unit, set)) = text.split_once('=') else { return Asked::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::Whole;
    }
    if set.contains(',') {
        return Asked::Several;
    }
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let part = set.trim().split_once('-').and_then(|(first, last)| match (first.trim(), last.trim()) {
        ("", last) => Some(Part::Last(number(last)?)),
        (first, "") => Some(Part::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Part::From(first, Some(last)))
        }
    });
    part.map_or(Asked::Whole, Asked::One)
}

impl Part {
    /// The bytes that it is of a body of that length; `None` if it is none of them (416).
    pub(crate) fn of(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.map_or(length, |last| last.saturating_add(1).min(length)),
            Self::Last(bytes) => length.saturating_sub(bytes)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// A `Content-Range` of bytes: the part, and the length of the whole if it is known (RFC 9110 §14.4).
pub(crate) fn content_range(headers: &HeaderMap) -> Option<(Range<u64>, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (unit, rest) = text.split_once(' ')?;
    let (range, length) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let text = text.trim();
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (first, last) = (number(first)?, number(last)?);
    let length = match length.trim() {
        "*" => None,
        length => Some(number(length)?),
    };
    let sound =
        unit.eq_ignore_ascii_case("bytes") && first <= last && last < u64::MAX && length.is_none_or(|l| last < l);
    sound.then(|| (first..last + 1, length))
}

/// The `Content-Range` of a part.
pub(crate) fn of_part(part: &Range<u64>, length: Option<u64>) -> HeaderValue {
    let (first, last) = (part.start, part.end.saturating_sub(1));
    let text = match length {
        Some(length) => format!("bytes {first}-{last}/{length}"),
        None => format!("bytes {first}-{last}/*"),
    };
    HeaderValue::try_from(text).expect("digits and punctuation make a header value")
}

/// The `Content-Range` of a 416 answer.
pub(crate) fn unsatisfied(length: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{length}")).expect("digits and punctuation make a header value")
}

/// The segments that make up a range, if all of it is there.
pub(crate) fn cover(segments: &[Segment], range: &Range<u64>) -> Option<Vec<Segment>> {
    let mut covering = Vec::new();
    let mut at = range.start;
    for segment in segments {
        if at >= range.end {
            break;
        }
        let held = segment.range();
        if held.end <= at {
            continue;
        }
        if held.start > at {
            return None;
        }
        let end = held.end.min(range.end);
        let offset = segment.part.start;
        let part = offset + (at - held.start)..offset + (end - held.start);
        covering.push(Segment { start: at, part, blob: segment.blob.clone() });
        at = end;
    }
    (at >= range.end).then_some(covering)
}

/// The part of an entry that a request wants, and the length of the whole. `Err` for a part that lies outside.
pub(crate) fn select(parts: &EntryParts, part: Part) -> Option<Result<Range<u64>, u64>> {
    match (parts.length, part) {
        (Some(length), part) => Some(part.of(length).ok_or(length)),
        (None, Part::From(first, Some(last))) => Some(Ok(first..last.saturating_add(1))),
        (None, Part::From(_, None) | Part::Last(_)) => None,
    }
}

/// The first gap in what is there of a body of that length, if there is no other: what has to be fetched to complete
/// it.
pub(crate) fn only_gap(segments: &[Segment], length: u64) -> Option<Range<u64>> {
    let mut gap = None;
    let mut at = 0;
    for held in segments.iter().map(Segment::range).chain(std::iter::once(length..length)) {
        if held.start > at && gap.replace(at..held.start).is_some() {
            return None;
        }
        at = at.max(held.end);
    }
    gap
}

/// Adds a segment to those that are there; of bytes that both hold the older ones stay.
pub(crate) fn insert(segments: &[Segment], new: &Segment) -> Vec<Segment> {
    let range = new.range();
    let mut all = segments.to_vec();
    let mut at = range.start;
    for held in segments.iter().map(Segment::range).chain(std::iter::once(range.end..range.end)) {
        let gap = at..held.start.min(range.end);
        if gap.start < gap.end
            && let Some(piece) = cover(std::slice::from_ref(new), &gap)
        {
            all.extend(piece);
        }
        at = at.max(held.end);
    }
    all.sort_by_key(|segment| segment.start);
    all
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cache::blob::Blob;

    #[test]
    fn ranges_of_requests() {
        let of = |text: &str| asked(&HeaderMap::from_iter([(RANGE, text.parse().expect(text))]));
        for (text, expected) in [
            ("bytes=0-1", Asked::One(Part::From(0, Some(1)))),
            ("Bytes = 5-", Asked::One(Part::From(5, None))),
            ("bytes=-5", Asked::One(Part::Last(5))),
            ("bytes=0-1,3-4", Asked::Several),
            ("bytes=5-1", Asked::Whole),
            ("bytes=+1-5", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes=99999999999999999999-", Asked::Whole),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(asked(&HeaderMap::new()), Asked::Whole);
    }

    #[test]
    fn ranges_of_a_length() {
        for (part, expected) in [
            (Part::From(0, Some(1)), Some(0..2)),
            (Part::From(3, Some(99)), Some(3..10)),
            (Part::From(3, Some(u64::MAX)), Some(3..10)),
            (Part::From(9, None), Some(9..10)),
            (Part::From(10, None), None),
            (Part::Last(3), Some(7..10)),
            (Part::Last(99), Some(0..10)),
            (Part::Last(0), None),
        ] {
            assert_eq!(part.of(10), expected, "{part:?}");
        }
    }

    #[test]
    fn content_ranges() {
        let of = |text: &str| content_range(&HeaderMap::from_iter([(CONTENT_RANGE, text.parse().expect(text))]));
        assert_eq!(of("bytes 4-8/10"), Some((4..9, Some(10))));
        assert_eq!(of("bytes 4-8/*"), Some((4..9, None)));
        for text in [
            "bytes 4-8",
            "bytes 8-4/10",
            "bytes 4-10/10",
            "bytes */10",
            "lines 1-2/3",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(of_part(&(4..9), Some(10)), "bytes 4-8/10");
        assert_eq!(unsatisfied(10), "bytes */10");
    }

    fn segment(start: u64, text: &'static str) -> Segment {
        Segment::whole(start, Blob::memory(Bytes::from_static(text.as_bytes())))
    }

    fn text(segments: &[Segment]) -> String {
        let bytes = segments.iter().flat_map(|segment| {
            segment.blob.as_bytes().expect("in memory")[segment.part.start as usize..segment.part.end as usize].to_vec()
        });
        String::from_utf8(bytes.collect()).expect("text")
    }

    #[test]
    fn segments_cover_ranges() {
        let two = [segment(2, "cde"), segment(5, "fgh")];
        assert_eq!(cover(&two, &(2..8)).as_deref().map(text).as_deref(), Some("cdefgh"));
        assert_eq!(cover(&two, &(4..6)).as_deref().map(text).as_deref(), Some("ef"));
        assert_eq!(cover(&two, &(5..6)).as_deref().map(text).as_deref(), Some("f"));
        assert!(cover(&two, &(1..3)).is_none());
        assert!(cover(&two, &(7..9)).is_none());
        assert!(cover(&[segment(0, "a"), segment(2, "c")], &(0..3)).is_none());
    }

    #[test]
    fn segments_are_combined() {
        for (held, new, expected, whole) in [
            (vec![], segment(2, "cd"), "cd", None),
            (vec![segment(0, "ab")], segment(2, "cd"), "abcd", Some("abcd")),
            (vec![segment(2, "CD")], segment(0, "abcdef"), "abCDef", Some("abCDef")),
            (vec![segment(0, "ABC")], segment(1, "bcde"), "ABCde", Some("ABCde")),
            (vec![segment(0, "AB"), segment(4, "EF")], segment(1, "bcde"), "ABcdEF", Some("ABcdEF")),
            (vec![segment(0, "ABCD")], segment(1, "bc"), "ABCD", Some("ABCD")),
            (vec![segment(4, "ef")], segment(0, "ab"), "abef", None),
        ] {
            let combined = insert(&held, &new);
            assert_eq!(text(&combined), expected, "{held:?} {new:?}");
            let length = combined.last().expect("a segment").range().end;
            assert_eq!(cover(&combined, &(0..length)).as_deref().map(text).as_deref(), whole, "{held:?} {new:?}");
        }
    }

    #[test]
    fn gaps() {
        assert_eq!(only_gap(&[segment(0, "abcde")], 10), Some(5..10));
        assert_eq!(only_gap(&[segment(5, "abcde")], 10), Some(0..5));
        assert_eq!(only_gap(&[segment(0, "ab"), segment(5, "abcde")], 10), Some(2..5));
        assert_eq!(only_gap(&[segment(2, "ab")], 10), None);
        assert_eq!(only_gap(&[segment(0, "ab")], 2), None);
        assert_eq!(only_gap(&[], 2), Some(0..2));
    }
}
