//! How entries are written down: one record holds all entries of a key. Any bytes can be read back: they are a record of
//! that key, or `None`.
//!
//! A record is a checksum over all that follows, a version, the key, a count and the entries. Numbers are little-endian;
//! texts are preceded by their length. The key in it tells a record that stands in the wrong place.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use crate::cache::blob::Blob;
use crate::cache::entry::{Entry, EntryParts, Segment, Selecting};
use crate::cache::key::Key;
use crate::cache::storing::exact;
use crate::octets::{
    Reader, begin, put_count, put_duration, put_fields, put_option, put_text, put_time, put_u64, seal,
};

/// Of the record; the store's own version covers it too.
const VERSION: u8 = 1;
/// The largest blob in memory that is written into the record itself.
pub(super) const MAX_INLINE_BYTES: usize = 256 * 1024;

/// The record of these entries; those that cannot be written down are left out and their places told.
pub(super) fn encode<'a>(key: &Key, entries: impl ExactSizeIterator<Item = &'a Entry>) -> Vec<u8> {
    let mut out = begin(VERSION);
    put_text(&mut out, key.as_str().as_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for entry in entries {
        put_entry(&mut out, entry.parts());
    }
    seal(out)
}

/// The entries of a record of that key. `blob` gives the blob of an identifier and a length. Texts and bodies share the
/// record's memory. Takes at most some twenty times the record's length.
pub(super) fn decode(key: &Key, record: &Bytes, blob: &mut dyn FnMut(u64, u64) -> Blob) -> Option<Vec<Entry>> {
    let mut rest = Reader::open(record, VERSION)?;
    if rest.text()? != key.as_str().as_bytes() {
        return None;
    }
    entries(&mut rest, blob)
}

/// The key of a record that is sound.
pub(super) fn key(record: &Bytes) -> Option<Key> {
    let mut rest = Reader::open(record, VERSION)?;
    Key::from_text(std::str::from_utf8(&rest.text()?).ok()?)
}

fn entries(rest: &mut Reader, blob: &mut dyn FnMut(u64, u64) -> Blob) -> Option<Vec<Entry>> {
    let count = rest.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Entry::new(entry(rest, blob)?));
    }
    rest.is_empty().then_some(entries)
}

fn put_entry(out: &mut Vec<u8>, parts: &EntryParts) {
    out.extend_from_slice(&parts.status.as_u16().to_le_bytes());
    put_time(out, parts.requested_at);
    put_time(out, parts.received_at);
    put_option(out, parts.ttl, put_duration);
    put_option(out, parts.length, put_u64);
    put_option(out, parts.selecting.identity, put_u64);
    put_count(out, parts.selecting.fields.len());
    for (name, value) in &parts.selecting.fields {
        put_text(out, name.as_str().as_bytes());
        put_option(out, value.as_deref(), put_text);
    }
    put_fields(out, parts.headers.as_map());
    put_count(out, parts.segments.len());
    for segment in &parts.segments {
        put_u64(out, segment.start);
        put_u64(out, segment.part.start);
        put_u64(out, segment.part.end);
        match (segment.blob.as_bytes(), segment.blob.id()) {
            (Some(bytes), _) => {
                out.push(0);
                put_text(out, bytes);
            }
            (None, id) => {
                out.push(1);
                put_u64(out, id.unwrap_or_default());
                put_u64(out, segment.blob.len());
            }
        }
    }
}

fn entry(rest: &mut Reader, blob: &mut dyn FnMut(u64, u64) -> Blob) -> Option<EntryParts> {
    let status = StatusCode::from_u16(rest.u16()?).ok()?;
    let requested_at = rest.time()?;
    let received_at = rest.time()?;
    let ttl = rest.option(Reader::duration)?;
    let length = rest.option(Reader::u64)?;
    let identity = rest.option(Reader::u64)?;
    let mut fields = Vec::new();
    for _ in 0..rest.count()? {
        let name = HeaderName::from_bytes(&rest.text()?).ok()?;
        fields.push((name, rest.option(Reader::text)?));
    }
    fields.shrink_to_fit();
    let headers = rest.fields()?;
    let mut segments = Vec::new();
    for _ in 0..rest.count()? {
        segments.push(segment(rest, blob)?);
    }
    let selecting = Selecting { fields, identity };
    let headers = exact(&headers).into();
    Some(EntryParts { status, headers, selecting, requested_at, received_at, ttl, length, segments: segments.into() })
}

fn segment(rest: &mut Reader, blob: &mut dyn FnMut(u64, u64) -> Blob) -> Option<Segment> {
    let start = rest.u64()?;
    let part: Range<u64> = rest.u64()?..rest.u64()?;
    let blob = match rest.u8()? {
        0 => Blob::memory(rest.text()?),
        1 => {
            let id = rest.u64()?;
            blob(id, rest.u64()?)
        }
        _ => return None,
    };
    let is_sound = part.start <= part.end && part.end <= blob.len();
    (is_sound && start.checked_add(part.end).is_some()).then_some(Segment { start, part, blob })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::cache::few::Few;

    fn key_of(path: &str) -> Key {
        Key::new("p", &format!("http://a.example/{path}").parse::<http::Uri>().expect("a URI"))
    }

    fn sample() -> Entry {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.append("x-twice", HeaderValue::from_static("one"));
        headers.append("x-twice", HeaderValue::from_bytes(b"tw\xf6").expect("a value"));
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        headers.append("set-cookie", secret);
        Entry::new(EntryParts {
            status: StatusCode::OK,
            headers: headers.into(),
            selecting: Selecting {
                fields: vec![
                    (HeaderName::from_static("accept"), Some(Bytes::from_static(b"text/*"))),
                    (HeaderName::from_static("accept-language"), None),
                ],
                identity: Some(7),
            },
            requested_at: SystemTime::UNIX_EPOCH - Duration::new(3, 5),
            received_at: SystemTime::UNIX_EPOCH + Duration::new(1_767_225_600, 999_999_999),
            ttl: Some(Duration::MAX),
            length: Some(u64::MAX),
            segments: Few::one(Segment { start: 5, part: 1..3, blob: Blob::memory(Bytes::from_static(b"body")) }),
        })
    }

    fn no_blob(_: u64, _: u64) -> Blob {
        panic!("there is none")
    }

    #[test]
    fn what_is_written_is_read() {
        let entries = [sample(), sample()];
        let record = Bytes::from(encode(&key_of("a"), entries.iter()));
        assert_eq!(key(&record), Some(key_of("a")));
        assert!(decode(&key_of("b"), &record, &mut no_blob).is_none(), "of another key");
        let read = decode(&key_of("a"), &record, &mut no_blob).expect("sound");
        assert_eq!(read.len(), 2);
        for read in &read {
            let (read, given) = (read.parts(), sample());
            let given = given.parts();
            assert_eq!((read.status, read.ttl, read.length), (given.status, given.ttl, given.length));
            assert_eq!(read.headers.as_map(), given.headers.as_map());
            let headers = read.headers.as_map();
            assert!(headers["set-cookie"].is_sensitive() && !headers["content-type"].is_sensitive());
            assert_eq!(read.selecting, given.selecting);
            assert_eq!((read.requested_at, read.received_at), (given.requested_at, given.received_at));
            assert_eq!((read.segments[0].start, read.segments[0].part.clone()), (5, 1..3));
            assert_eq!(read.segments[0].blob.as_bytes().expect("in memory"), &b"body"[..]);
        }
        assert!(decode(&key_of("a"), &encode(&key_of("a"), [].iter()).into(), &mut no_blob).expect("sound").is_empty());
    }

    #[test]
    fn nothing_else_is_read() {
        let record = encode(&key_of("a"), [sample()].iter());
        for length in 0..record.len() {
            assert!(decode(&key_of("a"), &record[..length].to_vec().into(), &mut no_blob).is_none(), "{length}");
        }
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key_of("a"), &damaged.into(), &mut no_blob).is_none(), "bit {bit}");
        }
        let longer = [&record[..], b"x"].concat();
        assert!(decode(&key_of("a"), &longer.into(), &mut no_blob).is_none());
    }

    /// The record with another content and a checksum that is right.
    fn resum(mut record: Vec<u8>) -> Bytes {
        let sum = crc32fast::hash(&record[4..]);
        record[..4].copy_from_slice(&sum.to_le_bytes());
        record.into()
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(content in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(key(&content.clone().into()));
            assert!(decode(&key_of("a"), &content.clone().into(), &mut no_blob).is_none());
            // Behind a sound beginning.
            let empty = encode(&key_of("a"), [].iter());
            let record = resum([&empty[..empty.len() - 4], &[1, 0, 0, 0], &content].concat());
            let blob = |_, length| Blob::memory(Bytes::from(vec![0; length as usize % 64]));
            drop(decode(&key_of("a"), &record, &mut { blob }));
        }

        #[test]
        fn damage_that_the_checksum_covers_is_no_panic(at in 9_usize..400, byte: u8, cut in 0_usize..400) {
            let mut record = encode(&key_of("a"), [sample(), sample()].iter());
            let length = record.len();
            record[at % length] = byte;
            if cut % 2 == 0 {
                record.truncate((length - cut).max(5));
            }
            let blob = |_, length| Blob::memory(Bytes::from(vec![0; length as usize % 64]));
            if let Some(read) = decode(&key_of("a"), &resum(record), &mut { blob }) {
                for entry in read {
                    // Whatever is read can be asked everything.
                    std::hint::black_box((entry.is_complete(), entry.body_bytes(), entry.weight()));
                }
            }
        }
    }
}
