//! The data of the event that is being read.

use bytes::Bytes;
use netcomm_core::Text;

use super::chunk::Chunk;
use super::eol;
use super::gathered::Gathered;
use super::text;

/// So much is copied rather than to keep a chunk for it that is used up.
const UNKEPT_BYTES: usize = 1024;
/// So much is looked through for its end, and then stored while it is near.
const BLOCK_BYTES: usize = eol::NEAR_BYTES;

/// Lines of data: a place in the chunk as long as there is one line in one chunk, else gathered.
#[derive(Default)]
pub(super) struct Data {
    held: Held,
    /// Lines so far; what was lent last where there is none.
    gathered: Gathered,
    /// One line, of a chunk that is used up; or what was lent last.
    kept: Bytes,
    /// What is gathered may be dropped unseen.
    is_raw: bool,
}

#[derive(Clone, Copy, Default)]
enum Held {
    /// No line yet.
    #[default]
    None,
    /// In the chunk that is being read.
    Here(usize, usize),
    Kept,
    Gathered,
}

impl Data {
    /// Whether what is gathered from now on may be dropped unseen.
    pub(super) fn set_raw(&mut self, is_raw: bool) {
        self.is_raw = is_raw;
    }

    /// Whether there was no line.
    #[inline]
    pub(super) fn is_none(&self) -> bool {
        matches!(self.held, Held::None)
    }

    /// How many bytes a new line may have.
    #[inline]
    pub(super) fn room(&self, limit: usize) -> Option<usize> {
        if self.is_none() { Some(limit) } else { limit.checked_sub(self.len() + 1) }
    }

    /// How many bytes there are so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self.held {
            Held::None => 0,
            Held::Here(start, end) => end - start,
            Held::Kept => self.kept.len(),
            Held::Gathered => self.gathered.len(),
        }
    }

    /// How many bytes the line that is open may still have.
    pub(super) fn left(&self, limit: usize) -> usize {
        limit.saturating_sub(self.gathered.len())
    }

    /// A line whose value is a part of the chunk that is being read.
    #[inline]
    pub(super) fn line(&mut self, chunk: &[u8], start: usize, end: usize) {
        if self.is_none() {
            self.held = Held::Here(start, end);
        } else {
            self.open_line(chunk, end - start);
            self.part(&chunk[start..end]);
        }
    }

    /// A line that comes in parts, of which this many bytes are in sight.
    #[inline(never)]
    pub(super) fn open_line(&mut self, chunk: &[u8], in_sight: usize) {
        match std::mem::replace(&mut self.held, Held::Gathered) {
            Held::None => return self.begin(in_sight),
            Held::Here(start, end) => {
                self.begin(end - start + 1 + in_sight);
                self.part(&chunk[start..end]);
            }
            Held::Kept => {
                self.begin(self.kept.len() + 1 + in_sight);
                self.gathered.push(&std::mem::take(&mut self.kept));
            }
            Held::Gathered => {}
        }
        self.gathered.push_line_end();
    }

    /// Begins to gather.
    fn begin(&mut self, known: usize) {
        self.gathered.begin(known, self.is_raw);
    }

    /// A part of the line that was opened.
    #[inline]
    pub(super) fn part(&mut self, part: &[u8]) {
        self.gathered.push(part);
    }

    /// The line that was opened goes on, up to an end or to that of these bytes; how far that is.
    #[inline(never)]
    pub(super) fn middle(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let block = &bytes[at..bytes.len().min(at + BLOCK_BYTES)];
            let end = eol::find(block);
            let part = &block[..end.unwrap_or(block.len())];
            self.part(part);
            at += part.len();
            if end.is_some() || at == bytes.len() {
                return at;
            }
        }
    }

    /// Whether a line of which so many bytes are in sight, and no end yet, is likely to be cut: the last that was gathered
    /// was longer.
    pub(super) fn is_likely_cut(&self, in_sight: usize) -> bool {
        self.is_none() && in_sight < self.gathered.hint()
    }

    /// The same line, gathered while it is looked through: how far its end is, if it is there after all. The line is for
    /// [`line`](Self::line) then.
    pub(super) fn far_line(&mut self, near: &[u8], far: &[u8]) -> Option<usize> {
        self.open_line(&[], near.len() + far.len());
        self.part(near);
        let at = self.middle(far);
        if at == far.len() {
            return None;
        }
        self.clear();
        self.gathered.forget_hint();
        Some(near.len() + at)
    }

    /// The chunk is used up.
    pub(super) fn leave(&mut self, chunk: &Chunk) {
        let Held::Here(start, end) = self.held else { return };
        if end - start > UNKEPT_BYTES {
            self.held = Held::Kept;
            self.kept = chunk.slice(start, end);
        } else {
            self.held = Held::Gathered;
            self.begin(end - start);
            self.part(&chunk[start..end]);
        }
    }

    /// Nothing of what was lent is needed any more.
    pub(super) fn rest(&mut self) {
        if !self.kept.is_empty() && !matches!(self.held, Held::Kept) {
            self.kept = Bytes::new();
        }
        if !matches!(self.held, Held::Gathered) {
            self.gathered.rest();
        }
    }

    /// All of it, as text.
    #[inline]
    pub(super) fn take(&mut self, chunk: &mut Chunk) -> Text {
        if let Held::Here(start, end) = self.held {
            self.held = Held::None;
            return chunk.text(start, end);
        }
        self.take_other()
    }

    #[inline(never)]
    fn take_other(&mut self) -> Text {
        if let Held::Kept = std::mem::take(&mut self.held) {
            let kept = std::mem::take(&mut self.kept);
            return text::part(&kept, 0, kept.len());
        }
        self.gathered.take()
    }

    /// All of it, as text which lies where it came to be, else in `repaired`, until the next line of data comes.
    #[inline]
    pub(super) fn lend<'a>(&'a mut self, chunk: &'a mut Chunk, repaired: &'a mut String) -> &'a str {
        if let Held::Here(start, end) = self.held {
            self.held = Held::None;
            return chunk.lend(start, end, repaired);
        }
        self.lend_other(repaired)
    }

    #[inline(never)]
    fn lend_other<'a>(&'a mut self, repaired: &'a mut String) -> &'a str {
        if let Held::Kept = std::mem::take(&mut self.held) {
            return text::lend(&self.kept, repaired);
        }
        self.gathered.lend(repaired)
    }

    /// Nobody wants it.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.held = Held::None;
    }

    /// Bytes that are allocated.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.gathered.capacity() + self.kept.len()
    }
}
