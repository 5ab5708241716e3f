//! What has been read of a shared body and is still owed to somebody. Pure: nothing here waits or wakes.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use netcomm_core::{Error, ErrorKind};

/// What readers of one body may be apart, in bytes: what the fastest has read is kept for the slowest up to here, and
/// one frame beyond.
pub(super) const WINDOW_BYTES: usize = 1024 * 1024;

/// Whoever comes while more than this is kept begins an exchange of its own: it would soon fall behind.
const LATE_BYTES: usize = WINDOW_BYTES / 2;

/// What keeping a frame costs beside its bytes, so that a body of tiny frames has a bound too.
const PIECE_BYTES: usize = 64;

/// A frame that can be handed out several times.
#[derive(Clone)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    /// `None` for a frame of a kind that did not exist when this was written.
    pub(super) fn new(frame: Frame<Bytes>) -> Option<Self> {
        match frame.into_data() {
            Ok(data) => Some(Self::Data(data)),
            Err(frame) => frame.into_trailers().ok().map(Self::Trailers),
        }
    }

    pub(super) fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }

    fn cost(&self) -> usize {
        self.len() + PIECE_BYTES
    }
}

struct Kept {
    piece: Piece,
    /// How many readers have yet to read it. Never falls from a piece to the next: who needs one needs all after it.
    owed: usize,
}

/// How far a reader has come.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    next: u64,
    bytes: u64,
}

/// What a reader finds at its place.
pub(super) enum Found {
    Piece(Piece),
    /// It has read all there is so far.
    Tip,
    End(Result<(), Error>),
    /// What it had yet to read was dropped.
    Fallen,
}

/// The pieces of a body from the slowest reader's place to the fastest's.
///
/// Readers are known by number only; each keeps its own [`Place`]. One whose next piece is gone has fallen off and is
/// counted no more.
pub(super) struct Window {
    kept: VecDeque<Kept>,
    /// The number of the first piece kept.
    first: u64,
    cost: usize,
    readers: usize,
    /// The bytes that the source has given so far.
    bytes: u64,
    /// What the source says is still to come.
    rest: SizeHint,
    end: Option<Result<(), Error>>,
}

impl Window {
    /// A window with one reader at the beginning.
    pub(super) fn new() -> Self {
        Self { kept: VecDeque::new(), first: 0, cost: 0, readers: 1, bytes: 0, rest: SizeHint::default(), end: None }
    }

    /// Whether a reader that comes now gets all of the body, and a fair part of the window.
    pub(super) fn admits(&self) -> bool {
        self.end.is_none() && self.first == 0 && self.cost <= LATE_BYTES
    }

    /// A reader comes, and begins at the beginning.
    pub(super) fn enter(&mut self) {
        self.readers += 1;
        self.kept.iter_mut().for_each(|kept| kept.owed += 1);
    }

    /// A reader goes. What only it held is handed out, to be dropped where that may take its time.
    pub(super) fn leave(&mut self, place: Place, dropped: &mut Vec<Piece>) {
        let Some(skip) = self.offset(place) else { return };
        self.readers -= 1;
        self.kept.iter_mut().skip(skip).for_each(|kept| kept.owed -= 1);
        self.drop_unowed(dropped);
    }

    /// How many readers have neither left nor fallen off.
    pub(super) fn readers(&self) -> usize {
        self.readers
    }

    /// Whether readers are so far apart that the next piece costs the slowest of them its place.
    pub(super) fn is_full(&self) -> bool {
        self.cost >= WINDOW_BYTES
    }

    /// What the source says of the rest.
    pub(super) fn expect(&mut self, rest: SizeHint) {
        self.rest = rest;
    }

    /// The next piece of the source. In a full window it takes the place of what the slowest have yet to read.
    pub(super) fn push(&mut self, piece: Piece, dropped: &mut Vec<Piece>) {
        while self.is_full() {
            let Some(front) = self.pop() else { break };
            // Whoever lives and needs the first piece stands exactly there.
            self.readers -= front.owed;
            self.kept.iter_mut().for_each(|kept| kept.owed -= front.owed);
            dropped.push(front.piece);
            self.drop_unowed(dropped);
        }
        self.bytes += piece.len() as u64;
        self.cost += piece.cost();
        self.kept.push_back(Kept { piece, owed: self.readers });
    }

    /// The source has come to its end.
    pub(super) fn end(&mut self, how: Result<(), Error>) {
        self.rest = if how.is_ok() { SizeHint::with_exact(0) } else { SizeHint::default() };
        self.end = Some(how);
    }

    /// What is next for a reader, which moves on by it.
    pub(super) fn read(&mut self, place: &mut Place) -> Found {
        let Some(offset) = self.offset(*place) else { return Found::Fallen };
        let Some(kept) = self.kept.get_mut(offset) else {
            return self.end.clone().map_or(Found::Tip, Found::End);
        };
        kept.owed -= 1;
        let piece = if kept.owed == 0 { self.pop().map(|kept| kept.piece) } else { None };
        // Nobody else needs it only if nobody stands before it: then it was the first.
        let piece = piece.unwrap_or_else(|| self.kept[offset].piece.clone());
        place.next += 1;
        place.bytes += piece.len() as u64;
        Found::Piece(piece)
    }

    /// How much a reader still has before it.
    pub(super) fn size_hint(&self, place: Place) -> SizeHint {
        let mut hint = SizeHint::default();
        if self.offset(place).is_some() {
            let ahead = self.bytes - place.bytes;
            if let Some(upper) = self.rest.upper() {
                hint.set_upper(upper.saturating_add(ahead));
            }
            hint.set_lower(self.rest.lower().saturating_add(ahead));
        }
        hint
    }

    /// Whether a reader surely has nothing before it.
    pub(super) fn is_over(&self, place: Place) -> bool {
        self.offset(place) == Some(self.kept.len()) && matches!(self.end, Some(Ok(())))
    }

    /// Where in what is kept a reader stands; `None` if it has fallen off.
    fn offset(&self, place: Place) -> Option<usize> {
        place.next.checked_sub(self.first).and_then(|offset| usize::try_from(offset).ok())
    }

    fn pop(&mut self) -> Option<Kept> {
        let front = self.kept.pop_front()?;
        self.first += 1;
        self.cost -= front.piece.cost();
        Some(front)
    }

    fn drop_unowed(&mut self, dropped: &mut Vec<Piece>) {
        while self.kept.front().is_some_and(|front| front.owed == 0) {
            dropped.extend(self.pop().map(|kept| kept.piece));
        }
    }
}

/// What a reader is told that has fallen off.
pub(super) fn fell_behind() -> Error {
    Error::new(ErrorKind::Incomplete, "read body").with_detail(format!(
        "fell behind the other readers of this shared answer by more than {WINDOW_BYTES} bytes; deduplication can be \
         switched off per request"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(bytes: usize) -> Piece {
        Piece::Data(Bytes::from(vec![7; bytes]))
    }

    fn read(window: &mut Window, place: &mut Place) -> Option<usize> {
        match window.read(place) {
            Found::Piece(piece) => Some(piece.len()),
            Found::Tip | Found::End(_) | Found::Fallen => None,
        }
    }

    #[test]
    fn one_reader_keeps_nothing() {
        let (mut window, mut place) = (Window::new(), Place::default());
        assert!(window.admits());
        for bytes in [1, 2 * WINDOW_BYTES, 3] {
            window.push(data(bytes), &mut Vec::new());
            assert_eq!(read(&mut window, &mut place), Some(bytes));
            assert_eq!((window.cost, window.kept.len()), (0, 0));
            assert!(!window.admits());
        }
        assert!(matches!(window.read(&mut place), Found::Tip));
    }

    #[test]
    fn the_slowest_fall_off_and_the_next_slowest_stay() {
        let (mut window, mut dropped) = (Window::new(), Vec::new());
        let [mut fast, mut slow, mut slowest] = [Place::default(); 3];
        window.enter();
        window.enter();
        let frame = WINDOW_BYTES / 2;
        for pushed in 0..2 {
            window.push(data(frame), &mut dropped);
            assert_eq!(read(&mut window, &mut fast), Some(frame));
            if pushed == 0 {
                assert_eq!(read(&mut window, &mut slow), Some(frame));
            }
        }
        assert!(window.is_full() && dropped.is_empty() && !window.admits());
        window.push(data(1), &mut dropped);
        assert_eq!((dropped.len(), window.readers()), (1, 2));
        assert!(matches!(window.read(&mut slowest), Found::Fallen));
        window.leave(slowest, &mut dropped);
        assert_eq!(window.readers(), 2, "who has fallen is counted once");
        assert_eq!([read(&mut window, &mut slow), read(&mut window, &mut slow)], [Some(frame), Some(1)]);
        window.leave(slow, &mut dropped);
        assert_eq!(read(&mut window, &mut fast), Some(1));
        assert_eq!((window.cost, window.readers()), (0, 1));
    }

    #[test]
    fn tiny_frames_have_a_bound_too() {
        let (mut window, mut fast) = (Window::new(), Place::default());
        window.enter();
        for _ in 0..WINDOW_BYTES {
            window.push(data(0), &mut Vec::new());
            read(&mut window, &mut fast);
        }
        assert_eq!((window.readers(), window.kept.len()), (1, 0));
    }

    #[test]
    fn hints_count_what_is_kept_and_what_comes() {
        let (mut window, mut fast) = (Window::new(), Place::default());
        let slow = Place::default();
        window.enter();
        window.expect(SizeHint::with_exact(10));
        assert_eq!(window.size_hint(fast).exact(), Some(10));
        window.push(data(4), &mut Vec::new());
        window.expect(SizeHint::with_exact(6));
        read(&mut window, &mut fast);
        assert_eq!([fast, slow].map(|place| window.size_hint(place).exact()), [Some(6), Some(10)]);
        window.end(Ok(()));
        assert_eq!([fast, slow].map(|place| window.size_hint(place).exact()), [Some(0), Some(4)]);
        assert_eq!([fast, slow].map(|place| window.is_over(place)), [true, false]);
    }

    #[test]
    fn who_leaves_frees_what_only_it_held() {
        let (mut window, mut fast, mut dropped) = (Window::new(), Place::default(), Vec::new());
        window.enter();
        for _ in 0..3 {
            window.push(data(5), &mut dropped);
            read(&mut window, &mut fast);
        }
        assert_eq!((window.kept.len(), dropped.len()), (3, 0));
        window.leave(Place::default(), &mut dropped);
        assert_eq!((window.kept.len(), dropped.len(), window.cost), (0, 3, 0));
    }
}
