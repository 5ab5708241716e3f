//! How calls are written down: the call itself, which never changes, what became of its attempts, and what is kept of one
//! that ended. Any bytes can be read back: they are a record of that number, or `None`.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::kept::{End, EndedCall, Failure, KeptId};
use crate::octets::{Reader, begin, put_count, put_fields, put_option, put_text, put_time, put_u64, seal};

/// Of each record; the file's own version covers them too.
const VERSION: u8 = 1;
/// Of a failure's message.
pub(super) const MAX_MESSAGE_BYTES: usize = 256;

/// All that is sent again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) partition: Arc<str>,
    pub(super) order: Arc<str>,
    pub(super) kept_at: SystemTime,
    pub(super) expires_at: SystemTime,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What became of the attempts so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    pub(super) attempts: u32,
    pub(super) conflicts: u32,
    /// Not before, since the server asked for it.
    pub(super) until: Option<SystemTime>,
    pub(super) failure: Option<Failure>,
}

/// The record of a call that has no number yet: as long as it will be.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    let mut out = begin(VERSION);
    put_u64(&mut out, 0);
    put_text(&mut out, record.partition.as_bytes());
    put_text(&mut out, record.order.as_bytes());
    put_time(&mut out, record.kept_at);
    put_time(&mut out, record.expires_at);
    put_text(&mut out, record.method.as_str().as_bytes());
    put_text(&mut out, record.uri.to_string().as_bytes());
    put_fields(&mut out, &record.headers);
    put_text(&mut out, &record.body);
    out
}

/// The record, now that its number is known.
pub(super) fn numbered(mut record: Vec<u8>, id: KeptId) -> Vec<u8> {
    let at = begin(VERSION).len();
    record[at..at + size_of::<u64>()].copy_from_slice(&id.0.to_le_bytes());
    seal(record)
}

/// The call of that number. Its texts share the record's memory.
pub(super) fn decode(id: KeptId, bytes: &Bytes) -> Option<Record> {
    let mut rest = Reader::open(bytes, VERSION)?;
    if rest.u64()? != id.0 {
        return None;
    }
    let record = Record {
        partition: name(&mut rest)?,
        order: name(&mut rest)?,
        kept_at: rest.time()?,
        expires_at: rest.time()?,
        method: Method::from_bytes(&rest.text()?).ok()?,
        uri: Uri::from_maybe_shared(rest.text()?).ok()?,
        headers: rest.fields()?,
        body: rest.text()?,
    };
    (rest.is_empty() && record.uri.scheme().is_some() && record.uri.authority().is_some()).then_some(record)
}

pub(super) fn encode_progress(id: KeptId, progress: &Progress) -> Vec<u8> {
    let mut out = begin(VERSION);
    put_u64(&mut out, id.0);
    put_count(&mut out, progress.attempts as usize);
    put_count(&mut out, progress.conflicts as usize);
    put_option(&mut out, progress.until, put_time);
    put_option(&mut out, progress.failure.as_ref(), |out, failure| {
        put_time(out, failure.at);
        put_status(out, failure.status);
        put_text(out, failure.message.as_bytes());
    });
    seal(out)
}

pub(super) fn decode_progress(id: KeptId, bytes: &Bytes) -> Option<Progress> {
    let mut rest = Reader::open(bytes, VERSION)?;
    if rest.u64()? != id.0 {
        return None;
    }
    let progress = Progress {
        attempts: rest.u32()?,
        conflicts: rest.u32()?,
        until: rest.option(Reader::time)?,
        failure: rest.option(|rest| Some(Failure { at: rest.time()?, status: status(rest)?, message: name(rest)? }))?,
    };
    rest.is_empty().then_some(progress)
}

/// With the partition that it belonged to.
pub(super) fn encode_ended(partition: &str, ended: &EndedCall) -> Vec<u8> {
    let mut out = begin(VERSION);
    put_u64(&mut out, ended.id.0);
    put_text(&mut out, partition.as_bytes());
    put_text(&mut out, ended.method.as_str().as_bytes());
    put_text(&mut out, ended.url.as_bytes());
    put_text(&mut out, ended.order_key.as_bytes());
    put_text(&mut out, ended.idempotency_key.as_bytes());
    put_time(&mut out, ended.kept_at);
    put_time(&mut out, ended.ended_at);
    put_count(&mut out, ended.attempts as usize);
    match ended.end {
        End::Refused(status) => {
            out.push(0);
            put_status(&mut out, status);
        }
        End::Expired => out.push(1),
    }
    seal(out)
}

pub(super) fn decode_ended(bytes: &Bytes) -> Option<(Arc<str>, EndedCall)> {
    let mut rest = Reader::open(bytes, VERSION)?;
    let id = KeptId(rest.u64()?);
    let partition = name(&mut rest)?;
    let ended = EndedCall {
        id,
        method: Method::from_bytes(&rest.text()?).ok()?,
        url: name(&mut rest)?,
        order_key: name(&mut rest)?,
        idempotency_key: name(&mut rest)?,
        kept_at: rest.time()?,
        ended_at: rest.time()?,
        attempts: rest.u32()?,
        end: match rest.u8()? {
            0 => End::Refused(status(&mut rest)?),
            1 => End::Expired,
            _ => return None,
        },
    };
    rest.is_empty().then_some((partition, ended))
}

fn name(rest: &mut Reader) -> Option<Arc<str>> {
    Some(std::str::from_utf8(&rest.text()?).ok()?.into())
}

fn put_status(out: &mut Vec<u8>, status: Option<StatusCode>) {
    out.extend_from_slice(&status.map_or(0, |status| status.as_u16()).to_le_bytes());
}

fn status(rest: &mut Reader) -> Option<Option<StatusCode>> {
    match rest.u16()? {
        0 => Some(None),
        code => StatusCode::from_u16(code).ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const ID: KeptId = KeptId(7);

    fn sample() -> Record {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_static("\"k\""));
        headers.append("x-twice", HeaderValue::from_static("one"));
        headers.append("x-twice", HeaderValue::from_bytes(b"tw\xf6").expect("a value"));
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        headers.append("cookie", secret);
        Record {
            partition: "p".into(),
            order: "http://a.example:80".into(),
            kept_at: SystemTime::UNIX_EPOCH + Duration::new(1_767_225_600, 999_999_999),
            expires_at: SystemTime::UNIX_EPOCH - Duration::new(3, 5),
            method: Method::from_bytes(b"PURGE").expect("a method"),
            uri: "http://a.example/x?y=z".parse().expect("a URI"),
            headers,
            body: Bytes::from_static(b"\0body"),
        }
    }

    fn progress() -> Progress {
        let at = SystemTime::UNIX_EPOCH;
        let failure = Failure { at, status: Some(StatusCode::BAD_GATEWAY), message: "x: timed out".into() };
        Progress { attempts: 3, conflicts: 1, until: Some(at), failure: Some(failure) }
    }

    fn ended(end: End) -> EndedCall {
        EndedCall {
            id: ID,
            method: Method::POST,
            url: "http://a.example/x".into(),
            order_key: "o".into(),
            idempotency_key: "\"k\"".into(),
            kept_at: SystemTime::UNIX_EPOCH,
            ended_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            attempts: u32::MAX,
            end,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let read = decode(ID, &numbered(encode(&sample()), ID).into()).expect("sound");
        assert_eq!(read, sample());
        assert!(read.headers["cookie"].is_sensitive() && !read.headers["x-twice"].is_sensitive());
        for progress in [progress(), Progress { attempts: 0, conflicts: 0, until: None, failure: None }] {
            assert_eq!(decode_progress(ID, &encode_progress(ID, &progress).into()), Some(progress));
        }
        for end in [End::Expired, End::Refused(None), End::Refused(Some(StatusCode::GONE))] {
            assert_eq!(decode_ended(&encode_ended("p", &ended(end)).into()), Some(("p".into(), ended(end))));
        }
    }

    #[test]
    fn nothing_else_is_read() {
        let records = [
            numbered(encode(&sample()), ID),
            encode_progress(ID, &progress()),
            encode_ended("p", &ended(End::Expired)),
        ];
        let is_read = |bytes: Vec<u8>| {
            let bytes = Bytes::from(bytes);
            decode(ID, &bytes).is_some() || decode_progress(ID, &bytes).is_some() || decode_ended(&bytes).is_some()
        };
        assert!(decode(KeptId(8), &records[0].clone().into()).is_none(), "of another number");
        assert!(decode_progress(KeptId(8), &records[1].clone().into()).is_none());
        for record in records {
            for length in 0..record.len() {
                assert!(!is_read(record[..length].to_vec()), "{length}");
            }
            for bit in 0..record.len() * 8 {
                let mut damaged = record.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_read(damaged), "bit {bit}");
            }
            assert!(!is_read([&record[..], b"x"].concat()));
        }
    }

    proptest! {
        #[test]
        fn damage_that_the_checksum_covers_is_no_panic(at in 5_usize..400, byte: u8, cut in 0_usize..400) {
            for mut record in
                [numbered(encode(&sample()), ID), encode_progress(ID, &progress()), encode_ended("p", &ended(End::Expired))]
            {
                let length = record.len();
                record[5 + at % (length - 5)] = byte;
                if cut % 2 == 0 {
                    record.truncate((length - cut.min(length)).max(5));
                }
                let record = Bytes::from(seal(record));
                drop((decode(ID, &record), decode_progress(ID, &record), decode_ended(&record)));
            }
        }
    }
}
