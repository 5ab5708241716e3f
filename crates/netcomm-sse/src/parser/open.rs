//! The block that is being read: what its lines make of it, and what its blank line makes.

use std::time::Duration;

use super::chunk::Chunk;
use super::cut::Cut;
use super::data::Data;
use super::eol;
use super::error::{Large, ParseError};
use super::field::Field;
use super::item_ref::EventRef;
use super::last_id::LastId;
use super::text;
use super::types::{Filter, Kind, Types};
use crate::event::Event;
use crate::limits::Limits;

/// Where in a line it is known that its data has no room: after the name, since a line feed stands before its value.
const NO_ROOM: usize = 4;

/// What is known of the block, and what stays from block to block. Places in it are places in the chunk that is being read;
/// all methods that take a chunk want that one.
pub(super) struct Open {
    pub(super) limits: Limits,
    /// A line of no more bytes is none too many, if it is not a further one of data.
    small_bytes: usize,
    pub(super) comments: bool,
    pub(super) types: Types,
    pub(super) last_id: LastId,
    pub(super) data: Data,
    kind: Kind,
    comment: Comment,
    retry_millis: u64,
    /// Text that was repaired and lent last.
    repaired: String,
    /// Something in it was too large: it makes no event.
    pub(super) is_spoiled: bool,
}

/// Where the last comment lies, until it is told.
#[derive(Clone, Copy, Default)]
enum Comment {
    Here(usize, usize),
    /// It came in parts.
    #[default]
    Cut,
}

/// What is to be told. The rest of it lies in [`Open`], so that this is no more than a word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Event(Kind),
    Comment,
    Retry,
    Id,
    TooLarge(Large),
}

impl Default for Open {
    fn default() -> Self {
        let mut open = Self {
            limits: Limits::default(),
            small_bytes: 0,
            comments: false,
            types: Types::default(),
            last_id: LastId::default(),
            data: Data::default(),
            kind: Kind::default(),
            comment: Comment::default(),
            retry_millis: 0,
            repaired: String::new(),
            is_spoiled: false,
        };
        open.set_limits(Limits::default());
        open
    }
}

impl Open {
    /// A whole line of a chunk, with its value there.
    #[inline]
    pub(super) fn line(&mut self, field: Field, chunk: &[u8], start: usize, end: usize) -> Option<Found> {
        match field {
            Field::Data if !self.is_spoiled => self.data.line(chunk, start, end),
            Field::Event => self.set_kind(&chunk[start..end]),
            Field::Id => self.last_id.line(chunk, start, end),
            Field::Retry => return self.retry(&chunk[start..end]),
            Field::Comment if self.comments => {
                self.comment = Comment::Here(start, end);
                return Some(Found::Comment);
            }
            Field::Data | Field::Comment | Field::Unknown => {}
        }
        None
    }

    /// A line that came in parts; data has arrived already.
    fn parts(&mut self, field: Field, value: &[u8]) -> Option<Found> {
        match field {
            Field::Event => self.set_kind(value),
            Field::Id => self.last_id.parts(value),
            Field::Retry => return self.retry(value),
            Field::Comment if self.comments => {
                self.comment = Comment::Cut;
                return Some(Found::Comment);
            }
            Field::Data | Field::Comment | Field::Unknown => {}
        }
        None
    }

    #[inline]
    fn set_kind(&mut self, name: &[u8]) {
        self.types.forget(self.kind);
        self.kind = self.types.find(name);
    }

    /// Digits and nothing else; more than fit are as many as fit.
    #[inline(never)]
    fn retry(&mut self, value: &[u8]) -> Option<Found> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        self.retry_millis = value.iter().fold(0, add);
        Some(Found::Retry)
    }

    /// Data of types that are not wanted is dropped unseen.
    pub(super) fn set_filter(&mut self, filter: Option<Filter>) {
        self.data.set_raw(filter.is_some());
        self.types.set_filter(filter);
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.small_bytes = limits.line_bytes.min(limits.event_bytes);
    }

    /// Whether a whole line has to be looked at more closely: it may be too large.
    #[inline]
    pub(super) fn may_be_excess(&self, field: Field, line_bytes: usize) -> bool {
        line_bytes > self.small_bytes || field == Field::Data && !self.data.is_none()
    }

    /// What of a whole line is too large. Its value begins at `value_at`.
    #[inline(never)]
    pub(super) fn excess(&self, field: Field, line_bytes: usize, value_at: usize) -> Option<Large> {
        let first = match self.data.room(self.limits.event_bytes) {
            _ if field != Field::Data => None,
            None => Some(NO_ROOM),
            Some(room) => (line_bytes - value_at > room).then_some(value_at + room),
        };
        self.which(line_bytes, first)
    }

    /// Which limit is passed first on the wire: that one is told, however the stream is cut. `event` is the place in the
    /// line of the first byte that is too many for the event.
    fn which(&self, line_bytes: usize, event: Option<usize>) -> Option<Large> {
        let line = (line_bytes > self.limits.line_bytes).then_some(self.limits.line_bytes);
        match (line, event.filter(|_| !self.is_spoiled)) {
            (Some(line), Some(event)) if event < line => Some(Large::Event),
            (Some(_), _) => Some(Large::Line),
            (None, event) => event.map(|_| Large::Event),
        }
    }

    /// The middle of a line of data: all up to the end of the line or the chunk; how much that was. Nothing where it may be
    /// too much.
    #[inline]
    pub(super) fn middle(&mut self, cut: &mut Cut, chunk: &[u8]) -> usize {
        if !cut.is_in_data()
            || self.is_spoiled
            || chunk.len() > self.limits.line_bytes.saturating_sub(cut.seen)
            || chunk.len() > self.data.left(self.limits.event_bytes)
        {
            return 0;
        }
        let at = self.data.middle(chunk);
        cut.seen += at;
        at
    }

    /// The end of a line where it is not near. A line that has none is cut then, if it is gathered already.
    #[inline(never)]
    pub(super) fn far_end(&mut self, cut: &mut Cut, field: Field, line: &[u8], value_at: usize) -> Option<usize> {
        let (near, far) = line[value_at..].split_at_checked(eol::NEAR_BYTES)?;
        let may_be_gathered = field == Field::Data && !self.is_spoiled && line.len() <= self.small_bytes;
        if !may_be_gathered || !self.data.is_likely_cut(line.len() - value_at) {
            return eol::find(far).map(|at| near.len() + at);
        }
        let end = self.data.far_line(near, far);
        if end.is_none() {
            cut.begin_data(line.len());
        }
        end
    }

    /// More of a line that is cut.
    #[inline(never)]
    pub(super) fn push(&mut self, cut: &mut Cut, chunk: &[u8], part: &[u8]) -> Option<Found> {
        let line_bytes = cut.seen + part.len();
        let (mut rest, mut first) = (part, None);
        if cut.is_name() {
            let found = cut.name(part);
            rest = found.map_or(&[], |(_, value_at)| &part[value_at..]);
            if let Some((Field::Data, _)) = found
                && !self.open_data(chunk, rest.len())
            {
                first = Some(NO_ROOM);
            }
        }
        match cut.value_in(rest) {
            Some((Field::Data, value)) if !self.is_spoiled && first.is_none() => {
                let room = self.data.left(self.limits.event_bytes);
                if value.len() > room {
                    first = Some(line_bytes - value.len() + room);
                } else {
                    self.data.part(value);
                }
            }
            Some((Field::Data | Field::Unknown, _)) | None => {}
            Some((Field::Comment, _)) if !self.comments => {}
            Some((_, value)) if line_bytes <= self.limits.line_bytes => cut.value.extend_from_slice(value),
            Some(_) => {}
        }
        cut.seen = line_bytes;
        let what = self.which(line_bytes, first)?;
        if what == Large::Line {
            cut.ignore();
        }
        self.spoil(what)
    }

    /// The end of a line that was cut.
    pub(super) fn finish(&mut self, cut: &mut Cut, chunk: &[u8]) -> Option<Found> {
        match cut.end() {
            (Field::Data, true) if !self.open_data(chunk, 0) => self.spoil(Large::Event),
            (field, _) => self.parts(field, &cut.value),
        }
    }

    /// A line of data begins that is cut, if one more line has room.
    fn open_data(&mut self, chunk: &[u8], in_sight: usize) -> bool {
        let has_room = self.is_spoiled || self.data.room(self.limits.event_bytes).is_some();
        if has_room && !self.is_spoiled {
            self.data.open_line(chunk, in_sight);
        }
        has_room
    }

    /// Something was too large. The first time in a block it is told.
    #[cold]
    pub(super) fn spoil(&mut self, what: Large) -> Option<Found> {
        self.data.clear();
        let is_first = !std::mem::replace(&mut self.is_spoiled, true);
        is_first.then_some(Found::TooLarge(what))
    }

    /// The blank line.
    #[inline]
    pub(super) fn dispatch(&mut self, chunk: &[u8]) -> Option<Found> {
        let kind = std::mem::take(&mut self.kind);
        if !self.data.is_none() && self.types.is_wanted(kind) {
            return Some(Found::Event(kind));
        }
        self.dispatch_no_event(kind, chunk)
    }

    #[inline(never)]
    fn dispatch_no_event(&mut self, kind: Kind, chunk: &[u8]) -> Option<Found> {
        self.types.forget(kind);
        self.is_spoiled = false;
        let is_new = self.last_id.commit_unseen(chunk);
        if self.data.is_none() {
            return is_new.then_some(Found::Id);
        }
        self.data.clear();
        None
    }

    /// How long type, id and data of the event that was found are, as they came.
    #[inline]
    pub(super) fn lengths(&self, kind: Kind) -> (usize, usize, usize) {
        (self.types.name(kind).len(), self.last_id.len(), self.data.len())
    }

    /// The event that was found. Made in its place: to hand its many words on from call to call would cost more than to
    /// read them.
    #[inline]
    pub(super) fn event(&mut self, kind: Kind, chunk: &mut Chunk) -> Event {
        Event { event_type: self.types.take_name(kind), data: self.data.take(chunk), id: self.last_id.commit(chunk) }
    }

    /// The same where it lies.
    #[inline]
    pub(super) fn lend<'a>(&'a mut self, kind: Kind, chunk: &'a mut Chunk) -> EventRef<'a> {
        self.last_id.commit_lent(chunk, &mut self.repaired);
        EventRef {
            event_type: self.types.name(kind),
            data: self.data.lend(chunk, &mut self.repaired),
            id: self.last_id.as_str(),
        }
    }

    /// The comment that was found.
    pub(super) fn comment<'a>(&'a mut self, chunk: &'a Chunk, cut: &'a Cut) -> &'a str {
        let bytes = match self.comment {
            Comment::Here(start, end) => &chunk[start..end],
            Comment::Cut => &cut.value,
        };
        text::lend(bytes, &mut self.repaired)
    }

    /// The time that was found.
    pub(super) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_millis)
    }

    /// What was too large.
    pub(super) fn error(&self, what: Large) -> ParseError {
        ParseError::new(
            what,
            match what {
                Large::Line => self.limits.line_bytes,
                Large::Event => self.limits.event_bytes,
            },
        )
    }

    /// The chunk is used up: what lies in it and is still needed comes away.
    pub(super) fn leave(&mut self, chunk: &Chunk) {
        self.data.leave(chunk);
        self.last_id.leave(chunk);
    }

    /// Nothing is there to be read: memory goes that is not needed now.
    pub(super) fn rest(&mut self) {
        self.data.rest();
        self.last_id.rest();
        self.types.rest(self.kind);
        self.repaired = String::new();
    }

    /// Bytes that are allocated, but for names and the last event id, which have bounds of their own.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.data.allocated() + self.repaired.capacity()
    }

    /// The stream is over.
    pub(super) fn drop_block(&mut self) {
        self.types.forget(std::mem::take(&mut self.kind));
        self.data.clear();
        self.last_id.clear_pending();
        self.is_spoiled = false;
        self.rest();
    }
}
