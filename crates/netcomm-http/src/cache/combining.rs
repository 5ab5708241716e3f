//! What a new response makes of those stored under its key (RFC 9111 §3.2–3.4, §4.3): pure.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AGE;

use crate::cache::entry::{Entry, EntryParts, Segment, Selecting};
use crate::cache::few::Few;
use crate::cache::store::Variants;
use crate::cache::{range, selecting, storing, validation};

/// The most responses kept under one key: those of requests that select differently.
const MOST_VARIANTS: usize = 32;

/// The entries with the new one first: it takes the place of those that the same request selects, and is put together
/// with them if they are parts of one representation. What answers a later request than the new one stays.
pub(crate) fn with(variants: &[Arc<Entry>], new: Arc<Entry>) -> Variants {
    if variants.is_empty() {
        return Few::one(new);
    }
    let (ticket, new) = (new.ticket(), new.into_parts());
    let old = variants.iter().find(|old| old.parts().selecting == new.selecting);
    let new = match old {
        Some(old) => match combined(old.parts(), new) {
            Ok(both) => both,
            Err(_) if old.ticket() > ticket => return variants.into(),
            Err(alone) => alone,
        },
        None => new,
    };
    let ticket = old.map_or(ticket, |old| old.ticket().max(ticket));
    let selecting = new.selecting.clone();
    let mut all = vec![Entry::answering(new, ticket)];
    all.extend(variants.iter().filter(|old| old.parts().selecting != selecting).cloned());
    all.truncate(MOST_VARIANTS);
    all.into()
}

/// The entries without those that a request of that kind selects.
pub(crate) fn without(variants: &[Arc<Entry>], gone: &Entry) -> Vec<Arc<Entry>> {
    variants.iter().filter(|old| old.parts().selecting != gone.parts().selecting).cloned().collect()
}

/// The entries that are left if those go that a request matches and that answer no later one than that with the ticket.
pub(crate) fn without_answers(
    variants: &[Arc<Entry>],
    request: &HeaderMap,
    identity: Option<u64>,
    ticket: u64,
) -> Vec<Arc<Entry>> {
    let goes = |old: &Arc<Entry>| old.ticket() <= ticket && selecting::matches(old.parts(), request, identity);
    variants.iter().filter(|old| !goes(old)).cloned().collect()
}

/// The entries that are left if those go that were selected so and that answer no later request than that with the
/// ticket.
pub(crate) fn without_selected(variants: &[Arc<Entry>], selecting: &Selecting, ticket: u64) -> Vec<Arc<Entry>> {
    let goes = |old: &Arc<Entry>| old.ticket() <= ticket && old.parts().selecting == *selecting;
    variants.iter().filter(|old| !goes(old)).cloned().collect()
}

/// A response put together with what is stored, if it is a part and a strong validator tells that both are of one
/// representation (RFC 9111 §3.4); else, as an error, the new one alone.
#[expect(clippy::result_large_err, reason = "it is moved on at once")]
fn combined(old: &EntryParts, mut new: EntryParts) -> Result<EntryParts, EntryParts> {
    let is_part = new.length.is_none_or(|length| range::cover(&new.segments, &(0..length)).is_none());
    if is_part
        && is_same(old.headers.as_map(), new.headers.as_map())
        && old.length == new.length
        && old.length.is_some()
    {
        let old_segments: Vec<_> = old.segments.iter().map(Segment::apart).collect();
        new.segments = new.segments.iter().fold(old_segments, |all, segment| range::insert(&all, segment)).into();
        // A field of the new head takes the place of the stored one, the others stay.
        let mut headers = old.headers.as_map().clone();
        headers.remove(AGE);
        crate::headers::replace(&mut headers, std::mem::take(&mut new.headers).into_map());
        new.headers = storing::exact(&headers).into();
        return Ok(new);
    }
    Err(new)
}

fn is_same(old: &HeaderMap, new: &HeaderMap) -> bool {
    let validator = validation::strong_validator(new);
    validator.is_some() && validator == validation::strong_validator(old)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use http::header::ETAG;
    use http::{HeaderName, StatusCode};

    use super::*;
    use crate::cache::blob::Blob;

    fn parts(etag: &str, foo: &'static str, start: u64, text: &'static str) -> EntryParts {
        EntryParts {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(ETAG, etag.parse().expect(etag))]).into(),
            selecting: Selecting {
                fields: vec![(HeaderName::from_static("foo"), Some(Bytes::from_static(foo.as_bytes())))],
                identity: None,
            },
            requested_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH,
            ttl: None,
            length: Some(6),
            segments: Few::one(Segment::whole(start, Blob::memory(Bytes::from_static(text.as_bytes())))),
        }
    }

    fn with(variants: &[Arc<Entry>], new: EntryParts, ticket: u64) -> Variants {
        super::with(variants, Entry::answering(new, ticket))
    }

    fn bytes(variants: &[Arc<Entry>]) -> Vec<u64> {
        variants.iter().map(|entry| entry.body_bytes()).collect()
    }

    #[test]
    fn variants_stand_side_by_side() {
        let one = with(&[], parts("\"a\"", "1", 0, "abcdef"), 0);
        let two = with(&one, parts("\"b\"", "2", 0, "abcdef"), 0);
        assert_eq!(two.len(), 2);
        let again = with(&two, parts("\"c\"", "1", 0, "abcdef"), 0);
        assert_eq!(again.iter().map(|entry| &entry.headers()[ETAG]).collect::<Vec<_>>(), ["\"c\"", "\"b\""]);
        assert_eq!(without(&again, &again[0]).len(), 1);
    }

    #[test]
    fn variants_are_bounded() {
        let mut all = Variants::default();
        for n in 0..100 {
            let mut next = parts("\"a\"", "", 0, "abcdef");
            next.selecting.fields[0].1 = Some(n.to_string().into());
            all = with(&all, next, 0);
        }
        assert_eq!(all.len(), MOST_VARIANTS);
        assert_eq!(all[0].parts().selecting.fields[0].1.as_deref(), Some(&b"99"[..]));
    }

    #[test]
    fn a_part_that_gets_another_head_does_not_keep_its_own() {
        let piece = Bytes::from(b"headabc".to_vec());
        let mut first = parts("\"a\"", "1", 0, "");
        first.segments = Few::one(Segment::whole(0, Blob::memory(piece.slice(4..))));
        let all = with(&with(&[], first, 0), parts("\"a\"", "1", 3, "def"), 0);
        assert_eq!(bytes(&all), [6]);
        assert!(piece.is_unique());
    }

    #[test]
    fn parts_of_one_representation_are_put_together() {
        let first = with(&[], parts("\"a\"", "1", 0, "abc"), 0);
        for (new, expected) in [
            (parts("\"a\"", "1", 3, "def"), vec![6]),
            (parts("\"a\"", "1", 4, "ef"), vec![5]),
            (parts("\"a\"", "1", 0, "abcdef"), vec![6]),
            (parts("\"b\"", "1", 3, "def"), vec![3]),
            (parts("W/\"a\"", "1", 3, "def"), vec![3]),
            (parts("\"a\"", "2", 3, "def"), vec![3, 3]),
            (EntryParts { length: Some(7), ..parts("\"a\"", "1", 3, "def") }, vec![3]),
            (EntryParts { length: None, ..parts("\"a\"", "1", 3, "def") }, vec![3]),
        ] {
            let label = format!("{new:?}");
            let all = with(&first, new, 0);
            assert_eq!(bytes(&all), expected, "{label}");
        }
        assert!(with(&first, parts("\"a\"", "1", 3, "def"), 0)[0].is_complete());
        let weak = with(&[], parts("W/\"a\"", "1", 0, "abc"), 0);
        assert_eq!(bytes(&with(&weak, parts("W/\"a\"", "1", 3, "def"), 0)), [3]);
    }
}
