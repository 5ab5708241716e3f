//! Bytes of an event stream in, what they say out (WHATWG HTML §9.2.5 and §9.2.6). Pure.
//!
//! No byte is looked at twice for its line end, and none of data is copied that lies in one chunk and in one line.

mod chunk;
mod cut;
mod data;
mod eol;
mod error;
mod field;
mod gathered;
mod item;
mod item_ref;
mod last_id;
mod open;
#[cfg(test)]
mod tests;
mod text;
mod types;

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use netcomm_core::Text;

use crate::event::Event;
use crate::limits::{Limits, Oversize};
use chunk::Chunk;
use cut::Cut;
use error::Large;
pub use error::ParseError;
use field::Field;
pub use item::Item;
pub use item_ref::{EventRef, ItemRef};
pub(crate) use open::Found;
use open::Open;
pub use types::Filter;
pub(crate) use types::Kind;

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// So many waiting chunks need no memory that would not stay anyhow.
const SPARE_CHUNKS: usize = 32;

/// Reads event streams, one after the other.
///
/// Chunks go in by [`feed`](Self::feed) as they come, items come out of [`next_item`](Self::next_item); where a chunk ends
/// makes no difference. Whatever a server may write is read as browsers read it: malformed UTF-8 becomes U+FFFD, and lines
/// that say nothing are passed over. [`Limits`] alone make errors.
///
/// Memory: the chunks that wait, the data of the block that is being read, and, up to `line_bytes` each, its type, its id and
/// one line that is not whole. A parser that is asked for more than it was fed keeps no chunk but for large data of a block
/// that is not over.
///
/// # Examples
///
/// ```
/// use netcomm_sse::{Item, Parser};
///
/// let mut parser = Parser::new();
/// parser.feed("id: 7\nda");
/// assert!(parser.next_item().is_none());
/// parser.feed("ta: hello\n\n");
/// let Some(Ok(Item::Event(event))) = parser.next_item() else { panic!("an event") };
/// assert_eq!((&*event.event_type, &*event.data, &*event.id), ("message", "hello", "7"));
/// ```
#[derive(Default)]
pub struct Parser {
    /// What is being read, and up to where.
    chunk: Chunk,
    at: usize,
    waiting: VecDeque<Bytes>,
    /// How much of a byte order mark was seen; all of it also where there is none.
    bom: usize,
    /// The last byte was a CR: a LF that follows belongs to it.
    skip_lf: bool,
    has_failed: bool,
    cut: Cut,
    open: Open,
}

impl Parser {
    /// One that stands at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.open.set_limits(limits);
        self
    }

    /// The same with or without [`Item::Comment`]. Default: without.
    #[must_use]
    pub fn with_comments(mut self, comments: bool) -> Self {
        self.open.comments = comments;
        self
    }

    /// The same with a last event id that is known from before.
    #[must_use]
    pub fn with_last_event_id(mut self, id: impl Into<Text>) -> Self {
        self.set_last_event_id(id);
        self
    }

    /// Sets the last event id from here on.
    pub fn set_last_event_id(&mut self, id: impl Into<Text>) {
        self.open.last_id.set(id.into());
    }

    /// Whether something was too large for it, so that it says no more until [`end`](Self::end).
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Which types are wanted from now on; `None`, the default: all. Events of others are dropped before
    /// anything looks whether their data is text; data of several lines or chunks has been put together by then. Their ids
    /// count all the same, and so do the limits.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        if filter.is_some() {
            self.chunk.look_at_parts();
        }
        self.open.set_filter(filter);
    }

    /// Adds what comes next, without a copy but of the middle of a line of data, behind what was not taken yet. After an error
    /// that ends the stream it is dropped.
    pub fn feed(&mut self, chunk: impl Into<Bytes>) {
        let chunk = chunk.into();
        if self.has_failed || chunk.is_empty() {
            return;
        }
        if !self.chunk.is_empty() {
            self.waiting.push_back(chunk);
            return;
        }
        // As where each chunk is read before the next comes. The middle of a line says nothing, so it need not be kept.
        let at = self.open.middle(&mut self.cut, &chunk);
        if at < chunk.len() {
            self.read(chunk, at);
        }
    }

    /// The next item, or `None` if it needs more bytes.
    ///
    /// # Errors
    ///
    /// A limit was passed. Whether something comes after that is said by [`Limits::oversize`].
    // What is large is made where it is wanted: to hand an event on from call to call costs as much as to find its lines.
    #[inline]
    pub fn next_item(&mut self) -> Option<Result<Item, ParseError>> {
        let found = self.find()?;
        Some(self.item(found))
    }

    /// What was found.
    #[inline]
    pub(crate) fn item(&mut self, found: Found) -> Result<Item, ParseError> {
        match found {
            Found::Event(kind) => Ok(Item::Event(self.event(kind))),
            found => self.tell(found),
        }
    }

    /// How long type, id and data of the event that was found are, as they came.
    #[inline]
    pub(crate) fn lengths(&self, kind: Kind) -> (usize, usize, usize) {
        self.open.lengths(kind)
    }

    /// The event that was found.
    #[inline]
    pub(crate) fn event(&mut self, kind: Kind) -> Event {
        self.open.event(kind, &mut self.chunk)
    }

    /// The same, lent.
    #[inline]
    pub(crate) fn event_ref(&mut self, kind: Kind) -> EventRef<'_> {
        self.open.lend(kind, &mut self.chunk)
    }

    /// The same as [`next_item`](Self::next_item), lent: it lies in the chunk if that holds all of it, else in memory of
    /// the parser that serves again. Both ways may be mixed.
    ///
    /// # Errors
    ///
    /// As of [`next_item`](Self::next_item).
    ///
    /// # Examples
    ///
    /// ```
    /// use netcomm_sse::{ItemRef, Parser};
    ///
    /// let mut parser = Parser::new();
    /// parser.feed("event: add\ndata: 1\n\nevent: add\ndata: 20\n\n");
    /// let mut sum = 0;
    /// while let Some(Ok(item)) = parser.next_ref() {
    ///     if let ItemRef::Event(event) = item
    ///         && event.event_type == "add"
    ///     {
    ///         sum += event.data.parse::<u32>().unwrap_or(0);
    ///     }
    /// }
    /// assert_eq!(sum, 21);
    /// ```
    #[inline]
    pub fn next_ref(&mut self) -> Option<Result<ItemRef<'_>, ParseError>> {
        match self.find()? {
            Found::Event(kind) => Some(Ok(ItemRef::Event(self.event_ref(kind)))),
            found => Some(self.lend(found)),
        }
    }

    /// What is no event.
    fn tell(&mut self, found: Found) -> Result<Item, ParseError> {
        if let Found::Id = found {
            return Ok(Item::Id(self.open.last_id.shared()));
        }
        self.lend(found).map(ItemRef::to_item)
    }

    fn lend(&mut self, found: Found) -> Result<ItemRef<'_>, ParseError> {
        match found {
            Found::Event(kind) => Ok(ItemRef::Event(self.event_ref(kind))),
            Found::Comment => Ok(ItemRef::Comment(self.open.comment(&self.chunk, &self.cut))),
            Found::Retry => Ok(ItemRef::Retry(self.open.retry_after())),
            Found::Id => Ok(ItemRef::Id(self.open.last_id.as_str())),
            Found::TooLarge(what) => Err(self.fail(what)),
        }
    }

    /// The next thing to be told. Whoever asks has to take it before anything else is asked of the parser.
    #[inline]
    pub(crate) fn find(&mut self) -> Option<Found> {
        // Without a chunk nothing waits, and all is at rest.
        if self.chunk.is_empty() { None } else { self.find_in_chunks() }
    }

    #[inline(never)]
    fn find_in_chunks(&mut self) -> Option<Found> {
        loop {
            if self.at == self.chunk.len() && !self.next_chunk() {
                return None;
            }
            let found = if self.is_plain() { self.lines() } else { self.rest_of_line() };
            if found.is_some() {
                return found;
            }
        }
    }

    /// The stream is over; what comes next is another. What is incomplete is dropped, and so is what was fed and not taken.
    /// The last event id stays.
    pub fn end(&mut self) {
        self.drop_chunks();
        self.bom = 0;
        self.skip_lf = false;
        self.has_failed = false;
        self.cut = Cut::default();
        self.open.drop_block();
    }

    /// The last event id, as of the last blank line; empty if there was none. It is what a new request says in its
    /// `Last-Event-ID` field.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.open.last_id.as_str()
    }

    /// Whether a line begins here.
    #[inline]
    fn is_plain(&self) -> bool {
        self.bom == BOM.len() && !self.skip_lf && !self.cut.is_some()
    }

    /// Begins to read a chunk, from there on.
    fn read(&mut self, chunk: Bytes, at: usize) {
        self.at = at;
        self.chunk = Chunk::new(chunk, !self.open.types.is_filtered());
    }

    #[inline(never)]
    fn next_chunk(&mut self) -> bool {
        self.open.leave(&self.chunk);
        if let Some(chunk) = self.waiting.pop_front() {
            self.read(chunk, 0);
            return true;
        }
        self.at = 0;
        self.chunk = Chunk::default();
        self.waiting.shrink_to(SPARE_CHUNKS);
        self.open.rest();
        self.cut.rest();
        false
    }

    /// Whole lines of the chunk, up to the first that says something at once. What remains without an end begins a line
    /// that is cut.
    #[inline]
    fn lines(&mut self) -> Option<Found> {
        let Self { chunk, at: place, skip_lf, cut, open, .. } = self;
        let chunk: &[u8] = chunk;
        let mut at = *place;
        let found = loop {
            let rest = &chunk[at..];
            let start = at;
            if let Some(b'\n') = rest.first() {
                at += 1;
                if let Some(found) = open.dispatch(chunk) {
                    break Some(found);
                }
                continue;
            }
            let (mut field, mut value) = Field::at_start(rest);
            let near = eol::find_near(&rest[value..]);
            let Some(end) = near.or_else(|| open.far_end(cut, field, rest, value)).map(|end| value + end) else {
                at = chunk.len();
                if rest.is_empty() || cut.is_some() {
                    break None;
                }
                cut.begin();
                break open.push(cut, chunk, rest);
            };
            at += end + 1;
            if rest[end] == b'\r' {
                match rest.get(end + 1) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => *skip_lf = true,
                }
            }
            if field == Field::Unknown {
                // One without a colon is a name alone.
                field = Field::of(&rest[..end]);
                value = end;
            }
            let found = if end == 0 {
                open.dispatch(chunk)
            } else if open.may_be_excess(field, end)
                && let Some(what) = open.excess(field, end, value)
            {
                open.spoil(what)
            } else {
                open.line(field, chunk, start + value, start + end)
            };
            if found.is_some() {
                break found;
            }
        };
        *place = at;
        found
    }

    /// What stands before the beginning of a line in a new chunk.
    #[inline(never)]
    fn rest_of_line(&mut self) -> Option<Found> {
        let next = self.chunk[self.at];
        if self.bom < BOM.len() {
            return self.byte_order_mark(next);
        }
        if std::mem::take(&mut self.skip_lf) && next == b'\n' {
            self.at += 1;
            return None;
        }
        let Self { chunk, at, skip_lf, cut, open, .. } = self;
        if !cut.is_some() {
            return None;
        }
        if !matches!(next, b'\n' | b'\r') {
            *at += open.middle(cut, &chunk[*at..]);
        }
        let rest = &chunk[*at..];
        let end = eol::find(rest);
        let part = &rest[..end.unwrap_or(rest.len())];
        *at += part.len();
        if !part.is_empty()
            && let Some(found) = open.push(cut, chunk, part)
        {
            return Some(found);
        }
        let end = rest.get(end?)?;
        *at += 1;
        *skip_lf = *end == b'\r';
        open.finish(cut, chunk)
    }

    fn byte_order_mark(&mut self, next: u8) -> Option<Found> {
        if BOM[self.bom] == next {
            self.bom += 1;
            self.at += 1;
            return None;
        }
        let seen = std::mem::replace(&mut self.bom, BOM.len());
        if seen == 0 {
            return None;
        }
        // It was none: its bytes begin the first line.
        self.cut.begin();
        self.open.push(&mut self.cut, &self.chunk, &BOM[..seen])
    }

    #[cold]
    fn fail(&mut self, what: Large) -> ParseError {
        if self.open.limits.oversize == Oversize::Fail {
            self.drop_chunks();
            self.cut = Cut::default();
            self.open.drop_block();
            self.has_failed = true;
        }
        self.open.error(what)
    }

    fn drop_chunks(&mut self) {
        self.chunk = Chunk::default();
        self.at = 0;
        self.waiting = VecDeque::new();
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser")
            .field("limits", &self.open.limits)
            .field("comments", &self.open.comments)
            .field("types", &self.open.types)
            .field("last_event_id", &self.last_event_id())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
