//! The last event id, and the one that a blank line will make it.

use netcomm_core::Text;

use super::chunk::Chunk;
use super::text::{self, SPARE_BYTES};

/// The last event id, in memory of its own: a stream that is silent keeps no chunk.
#[derive(Default)]
pub(super) struct LastId {
    id: String,
    /// What events without an id of their own share, once one of them came.
    shared: Option<Text>,
    pending: Pending,
    /// Read in parts, or from a chunk that is used up.
    parked: String,
}

#[derive(Clone, Copy, Debug, Default)]
enum Pending {
    #[default]
    None,
    /// In the chunk that is being read.
    Here(usize, usize),
    Parked,
}

impl LastId {
    pub(super) fn as_str(&self) -> &str {
        &self.id
    }

    pub(super) fn set(&mut self, id: Text) {
        self.change(&id);
        self.shared = (!id.is_empty()).then_some(id);
    }

    fn change(&mut self, id: &str) {
        self.shared = None;
        self.id.clear();
        if self.id.capacity() > SPARE_BYTES {
            self.id.shrink_to(SPARE_BYTES.max(id.len()));
        }
        self.id.push_str(id);
    }

    /// An `id` field in the chunk that is being read. One with a NUL means nothing.
    #[inline]
    pub(super) fn line(&mut self, chunk: &[u8], start: usize, end: usize) {
        if chunk[start..end].iter().all(|&byte| byte != 0) {
            self.pending = Pending::Here(start, end);
        }
    }

    /// An `id` field that came in parts.
    pub(super) fn parts(&mut self, value: &[u8]) {
        if !value.contains(&0) {
            self.park(value);
        }
    }

    fn park(&mut self, value: &[u8]) {
        self.parked.clear();
        text::push(value, &mut self.parked);
        self.pending = Pending::Parked;
    }

    /// The chunk is used up.
    pub(super) fn leave(&mut self, chunk: &[u8]) {
        if let Pending::Here(start, end) = self.pending {
            self.park(&chunk[start..end]);
        }
    }

    pub(super) fn clear_pending(&mut self) {
        self.pending = Pending::None;
    }

    /// Memory goes that is not needed now.
    pub(super) fn rest(&mut self) {
        if !matches!(self.pending, Pending::Parked) {
            self.parked.clear();
            self.parked.shrink_to(SPARE_BYTES);
        }
    }

    /// How long the id of the event is that ends here.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self.pending {
            Pending::None => self.id.len(),
            Pending::Here(start, end) => end - start,
            Pending::Parked => self.parked.len(),
        }
    }

    /// The blank line: the id of the event that ends here.
    #[inline]
    pub(super) fn commit(&mut self, chunk: &mut Chunk) -> Text {
        let id = match self.pending {
            Pending::None if self.id.is_empty() => return Text::default(),
            Pending::None => return self.shared(),
            Pending::Here(start, end) => chunk.text(start, end),
            Pending::Parked => Text::from(self.parked.as_str()),
        };
        self.pending = Pending::None;
        self.change(&id);
        id
    }

    /// The same without a copy for the event.
    #[inline]
    pub(super) fn commit_lent(&mut self, chunk: &mut Chunk, repaired: &mut String) {
        if !matches!(self.pending, Pending::None) {
            self.commit_new(chunk, repaired);
        }
    }

    fn commit_new(&mut self, chunk: &mut Chunk, repaired: &mut String) {
        let parked = std::mem::take(&mut self.parked);
        let id = match std::mem::take(&mut self.pending) {
            Pending::Here(start, end) => chunk.lend(start, end, repaired),
            Pending::Parked | Pending::None => &parked,
        };
        self.change(id);
        self.parked = parked;
    }

    /// The same where nobody wants the event: whether it has changed.
    pub(super) fn commit_unseen(&mut self, chunk: &[u8]) -> bool {
        let parked = std::mem::take(&mut self.parked);
        let id = match std::mem::take(&mut self.pending) {
            Pending::None => None,
            Pending::Here(start, end) => Some(String::from_utf8_lossy(&chunk[start..end])),
            Pending::Parked => Some(parked.as_str().into()),
        };
        let new = id.filter(|id| self.id != **id);
        let is_new = new.is_some();
        if let Some(id) = new {
            self.change(&id);
        }
        self.parked = parked;
        is_new
    }

    pub(super) fn shared(&mut self) -> Text {
        if self.id.is_empty() {
            return Text::default();
        }
        self.shared.get_or_insert_with(|| Text::from(self.id.as_str())).clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_long_id_leaves_nothing_behind() {
        let mut last = LastId::default();
        let chunk = &mut Chunk::new(vec![b'x'; 100_000].into(), true);
        last.line(chunk, 0, chunk.len());
        assert_eq!(last.commit(chunk).len(), chunk.len());
        assert_eq!(last.as_str().len(), chunk.len());
        last.line(chunk, 0, 1);
        last.commit(chunk);
        assert!(last.id.capacity() <= SPARE_BYTES);
    }

    #[test]
    fn events_without_an_id_share_one() {
        let mut last = LastId::default();
        let chunk = &mut Chunk::new(Bytes::from_static(b"12"), true);
        assert_eq!(last.commit(chunk), "");
        last.line(chunk, 0, 2);
        assert_eq!(last.commit(chunk), "12");
        let shared = last.commit(chunk);
        assert_eq!(shared, "12");
        assert_eq!(last.commit(chunk).as_ptr(), shared.as_ptr());
    }
}
