//! The data of the event that is being read.

use bytes::Bytes;
use netcomm_core::Text;

use super::chunk::Chunk;
use super::gather::Gather;
use super::text;

/// So much is copied rather than to keep a chunk for it that is used up.
const COPIED_BYTES: usize = 1024;

/// Lines of data: a place in the chunk as long as there is one line in one chunk, else gathered in one buffer.
#[derive(Default)]
pub(super) struct Data {
    held: Held,
    gathered: Gather,
    /// How long the last gathered data was: the next is often as long.
    hint: usize,
}

#[derive(Default)]
enum Held {
    /// No line yet.
    #[default]
    None,
    /// In the chunk that is being read.
    Here(usize, usize),
    /// In one that is used up.
    Kept(Bytes),
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
        let held = match &self.held {
            Held::None => return Some(limit),
            Held::Here(start, end) => end - start,
            Held::Kept(bytes) => bytes.len(),
            Held::Gathered => self.gathered.len(),
        };
        limit.checked_sub(held + 1)
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
            self.gathered.push(&chunk[start..end]);
        }
    }

    /// A line that comes in parts, of which this many bytes are in sight.
    pub(super) fn open_line(&mut self, chunk: &[u8], in_sight: usize) {
        match std::mem::replace(&mut self.held, Held::Gathered) {
            Held::None => {
                self.reserve(in_sight);
                return;
            }
            Held::Here(start, end) => self.gather(&chunk[start..end], in_sight),
            Held::Kept(bytes) => self.gather(&bytes, in_sight),
            Held::Gathered => {}
        }
        self.gathered.push(b"\n");
    }

    fn gather(&mut self, first: &[u8], in_sight: usize) {
        self.reserve(first.len() + 1 + in_sight);
        self.gathered.push(first);
    }

    fn reserve(&mut self, known: usize) {
        self.gathered.reserve(known.max(self.hint));
    }

    /// A part of the line that was opened.
    pub(super) fn part(&mut self, part: &[u8]) {
        self.gathered.push(part);
    }

    /// The chunk is used up.
    pub(super) fn leave(&mut self, chunk: &Chunk) {
        if let Held::Here(start, end) = self.held {
            if end - start > COPIED_BYTES {
                self.held = Held::Kept(chunk.slice(start, end));
            } else {
                self.gathered.push(&chunk[start..end]);
                self.held = Held::Gathered;
            }
        }
    }

    /// All of it.
    #[inline]
    pub(super) fn take(&mut self, chunk: &mut Chunk) -> Text {
        if let Held::Here(start, end) = self.held {
            self.held = Held::None;
            return chunk.text(start, end);
        }
        self.take_other()
    }

    fn take_other(&mut self) -> Text {
        if let Held::Kept(bytes) = std::mem::take(&mut self.held) {
            return text::part(&bytes, 0, bytes.len());
        }
        self.hint = self.gathered.len();
        self.gathered.take()
    }

    /// Nobody wants it. The memory goes where it is more than may stay.
    pub(super) fn clear(&mut self) {
        self.held = Held::None;
        self.gathered.clear();
    }

    /// Bytes that are allocated.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let kept = if let Held::Kept(bytes) = &self.held { bytes.len() } else { 0 };
        self.gathered.allocated() + kept
    }
}
