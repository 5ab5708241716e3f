//! A head and a small body in one piece of memory: what is stored takes one allocation for both, with what counts their
//! holders. Each of the two keeps the other; both are small.

use bytes::Bytes;

/// The longest piece.
pub(super) const MOST_BYTES: usize = 32 * STEP - BESIDE;
/// Sizes of pieces: so many steps of so many bytes, from which goes what an allocation takes beside its bytes.
const STEP: usize = 32;
const BESIDE: usize = 24;

/// A piece in the making. It lies on the stack as long as it is small, so that nobody has to measure it beforehand.
pub(super) struct Draft {
    small: [u8; MOST_BYTES],
    len: usize,
    /// All of it, once it was more than that.
    large: Vec<u8>,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self { small: [0; MOST_BYTES], len: 0, large: Vec::new() }
    }

    /// Puts three texts behind what is there.
    #[inline]
    pub(super) fn push<const N: usize>(&mut self, first: &[u8; N], second: &[u8], third: &[u8]) {
        let bytes = N + second.len() + third.len();
        // Nothing is as long as a length can be, so that this does not wrap.
        if let Some(room) = self.small.get_mut(self.len..self.len + bytes)
            && let Some((to_first, room)) = room.split_first_chunk_mut::<N>()
            && self.large.is_empty()
        {
            let (to_second, to_third) = room.split_at_mut(second.len());
            *to_first = *first;
            to_second.copy_from_slice(second);
            to_third.copy_from_slice(third);
            self.len += bytes;
        } else {
            self.push_large([first, second, third]);
        }
    }

    #[cold]
    fn push_large(&mut self, texts: [&[u8]; 3]) {
        if self.large.is_empty() {
            self.large.extend_from_slice(&self.small[..self.len]);
        }
        texts.iter().for_each(|text| self.large.extend_from_slice(text));
    }

    /// What was pushed, and behind it in the same piece a copy of `body`, if there is one and both are small together.
    pub(super) fn finish(&mut self, body: Option<&[u8]>) -> (Bytes, Option<Bytes>) {
        if !self.large.is_empty() {
            return (std::mem::take(&mut self.large).into_boxed_slice().into(), None);
        }
        let head = self.len;
        let room = body.and_then(|body| self.small.get_mut(head..head.saturating_add(body.len())).zip(Some(body)));
        let Some((room, body)) = room else { return (sized(&self.small, head).slice(..head), None) };
        room.copy_from_slice(body);
        let end = head + body.len();
        let mut piece = sized(&self.small, end);
        piece.truncate(end);
        let body = piece.split_off(head);
        (piece, Some(body))
    }
}

/// A piece of the first bytes: at least so many, and less than a step more.
fn sized(bytes: &[u8; MOST_BYTES], length: usize) -> Bytes {
    macro_rules! of_steps {
        ($($steps:literal)*) => {
            match (length + BESIDE).div_ceil(STEP) {
                $($steps => of_size::<{ $steps * STEP - BESIDE }>(bytes),)*
                _ => of_size::<MOST_BYTES>(bytes),
            }
        };
    }
    of_steps!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
}

/// The array lies beside the count of its holders, where a vector would lie apart.
fn of_size<const N: usize>(bytes: &[u8; MOST_BYTES]) -> Bytes {
    bytes.first_chunk::<N>().map_or_else(Bytes::new, |first| Bytes::from_owner(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(head: usize, body: Option<&[u8]>) -> (Bytes, Option<Bytes>) {
        let mut draft = Draft::new();
        let text = vec![b'h'; head];
        let (first, last) = text.split_at(head / 2);
        draft.push(&[], first, &[]);
        draft.push(&[], &[], last);
        draft.finish(body)
    }

    #[test]
    fn both_lie_in_one_piece_as_long_as_that_is_small() {
        for (head, body) in
            [(0, 0), (1, 0), (7, 1), (8, 1), (130, 200), (39, 1), (40, 1), (500, 500), (999, 1), (1000, 0)]
        {
            let text = vec![b'b'; body];
            let (first, second) = of(head, Some(&text));
            assert_eq!(first, vec![b'h'; head]);
            assert_eq!(second.as_deref(), Some(&*text));
            let ends = first.as_ptr_range().end;
            assert!(body == 0 || second.is_some_and(|second| second.as_ptr() == ends), "{head} and {body}");
        }
        for (head, body) in [(1000, 1), (1, 1000), (1001, 0), (70_000, 1), (2002, 0)] {
            assert_eq!(of(head, Some(&vec![b'b'; body])), (vec![b'h'; head].into(), None));
        }
        for head in [0, 3, 1000, 1001] {
            assert_eq!(of(head, None), (vec![b'h'; head].into(), None));
        }
    }
}
