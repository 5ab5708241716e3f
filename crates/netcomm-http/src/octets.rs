//! How values are written down on disk, and read back: numbers are little-endian, texts are preceded by their length, a
//! record begins with a checksum over all that follows and a version. Any bytes can be read: they are what was asked
//! for, or `None`.

use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A header of that many fields is nobody's; the map itself has room for fewer than this.
const MAX_FIELDS: usize = 24_000;

/// A record of nothing, to be added to and then sealed.
pub(crate) fn begin(version: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, version]
}

/// The record, once all was added.
pub(crate) fn seal(mut record: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&record[4..]);
    record[..4].copy_from_slice(&sum.to_le_bytes());
    record
}

pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    // Longer lists than four thousand million do not fit in memory with what they hold.
    out.extend_from_slice(&(count as u32).to_le_bytes());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_count(out, text.len());
    out.extend_from_slice(text);
}

pub(crate) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}

pub(crate) fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    put_u64(out, duration.as_secs());
    out.extend_from_slice(&duration.subsec_nanos().to_le_bytes());
}

pub(crate) fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    let (is_before, distance) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(distance) => (false, distance),
        Err(before) => (true, before.duration()),
    };
    out.push(is_before.into());
    put_duration(out, distance);
}

pub(crate) fn put_fields(out: &mut Vec<u8>, headers: &HeaderMap) {
    put_count(out, headers.len());
    for (name, value) in headers {
        put_text(out, name.as_str().as_bytes());
        put_text(out, value.as_bytes());
        out.push(value.is_sensitive().into());
    }
}

/// What is left to read of a record. Texts share the record's memory.
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    /// The content of a record that is sound and of that version.
    pub(crate) fn open(record: &Bytes, version: u8) -> Option<Self> {
        let mut reader = Self { rest: record.clone() };
        let sum = reader.u32()?;
        (crc32fast::hash(&reader.rest) == sum && reader.u8()? == version).then_some(reader)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.rest.try_get_u8().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.rest.try_get_u16_le().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.rest.try_get_u32_le().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.rest.try_get_u64_le().ok()
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Of things that each take a few bytes at least, so that a false one is known before it is believed.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = self.u32()? as usize;
        (count <= MAX_FIELDS && count * 5 <= self.rest.len()).then_some(count)
    }

    pub(crate) fn text(&mut self) -> Option<Bytes> {
        let length = self.u32()? as usize;
        (length <= self.rest.len()).then(|| self.rest.split_to(length))
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Some(None),
        }
    }

    pub(crate) fn duration(&mut self) -> Option<Duration> {
        let seconds = self.u64()?;
        let nanos = self.u32()?;
        (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
    }

    pub(crate) fn time(&mut self) -> Option<SystemTime> {
        let is_before = self.flag()?;
        let distance = self.duration()?;
        match is_before {
            true => SystemTime::UNIX_EPOCH.checked_sub(distance),
            false => SystemTime::UNIX_EPOCH.checked_add(distance),
        }
    }

    pub(crate) fn fields(&mut self) -> Option<HeaderMap> {
        let count = self.count()?;
        let mut headers = HeaderMap::try_with_capacity(count).ok()?;
        for _ in 0..count {
            let name = HeaderName::from_bytes(&self.text()?).ok()?;
            let mut value = HeaderValue::from_maybe_shared(self.text()?).ok()?;
            value.set_sensitive(self.flag()?);
            headers.try_append(name, value).ok()?;
        }
        Some(headers)
    }
}
