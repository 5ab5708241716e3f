//! The data of the event that is being read.

use bytes::Bytes;
use netcomm_core::Text;

use super::chunk::Chunk;
use super::text::{self, SPARE_BYTES};

/// So much is copied rather than to keep a chunk for it that is used up.
const UNKEPT_BYTES: usize = 1024;
/// So much of what was gathered is copied rather than given away: to see whether bytes are text is several times as fast as
/// to see it of bytes that become a `Text` in place, and the next event needs the memory.
const COPIED_BYTES: usize = 64 * 1024;

/// Lines of data: a place in the chunk as long as there is one line in one chunk, else gathered in one buffer. As they came
/// from the wire: whether they are text is seen when they are taken, so that what nobody takes costs no look.
#[derive(Default)]
pub(super) struct Data {
    held: Held,
    /// Lines so far; what was lent last where there is none.
    gathered: Vec<u8>,
    /// One line, of a chunk that is used up; or what was lent last.
    kept: Bytes,
    /// How long the last gathered data was: the next is often as long.
    hint: usize,
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
                self.gathered.extend_from_slice(&std::mem::take(&mut self.kept));
            }
            Held::Gathered => {}
        }
        self.gathered.push(b'\n');
    }

    /// Begins to gather.
    fn begin(&mut self, known: usize) {
        self.gathered.clear();
        self.gathered.reserve(known.max(self.hint));
    }

    /// A part of the line that was opened.
    #[inline]
    pub(super) fn part(&mut self, part: &[u8]) {
        self.gathered.extend_from_slice(part);
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
            self.gathered.clear();
            // Given back, not shrunk: allocators learn from what is freed that the next may be as large.
            if self.gathered.capacity() > SPARE_BYTES {
                self.gathered = Vec::new();
            }
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
        self.hint = self.gathered.len();
        if self.gathered.len() <= COPIED_BYTES {
            return text::copy(&self.gathered);
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        // Whoever keeps the event shall not keep what a guess was too large.
        if gathered.capacity() / 2 > gathered.len() {
            gathered.shrink_to_fit();
        }
        let gathered = gathered.into();
        text::part(&gathered, 0, gathered.len())
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
        self.hint = self.gathered.len();
        text::lend(&self.gathered, repaired)
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
