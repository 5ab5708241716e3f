//! The state of a flight: who waits, who polls, what has come. Runs under the flight's lock and calls nobody.
//!
//! No wake-up is lost because of one rule, which holds whenever the lock is free: if the exchange has something to tell
//! (`signalled`) and nobody is polling it, nobody is waiting. Whoever finds it so polls; whoever waits was there before
//! the signal, and the signal wakes all.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::response::Parts;
use http_body::{Body as HttpBody, SizeHint};
use netcomm_core::{Body, Error, Result};

use super::Exchange;
use super::window::{Found, Piece, Place, Window, fell_behind};

/// How often a reader lets the others of its executor go first before it costs one of them its place. Many, because one
/// turn is not one for everybody: executors look into some of their queues only now and then.
pub(super) const TURNS: u32 = 128;

/// What is polled: the exchange until its head has come, then the body.
pub(super) enum Source<T> {
    Exchange(Exchange<T>),
    Body(Body),
}

/// A body with more to come.
pub(super) struct Rest {
    body: Body,
    hint: SizeHint,
}

/// What one poll of the source has brought.
pub(super) enum Progress<T> {
    None(Source<T>),
    /// The head; no rest if the whole body came with it.
    Head(Arc<Head<T>>, Option<Rest>),
    Failed(Error),
    Piece(Piece, Option<Rest>),
    End(Result<()>),
}

impl<T> Source<T> {
    /// Polls once. Under no lock.
    pub(super) fn poll(self, cx: &mut Context<'_>) -> Progress<T> {
        match self {
            Self::Exchange(mut exchange) => match exchange.as_mut().poll(cx) {
                Poll::Pending => Progress::None(Self::Exchange(exchange)),
                Poll::Ready(Err(error)) => Progress::Failed(error),
                Poll::Ready(Ok((response, facts))) => {
                    let (parts, body) = response.into_parts();
                    let bytes = body.as_bytes().cloned();
                    let rest = bytes.is_none().then(|| Rest { hint: body.size_hint(), body });
                    Progress::Head(Arc::new(Head { parts, facts, bytes }), rest)
                }
            },
            Self::Body(mut body) => loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Pending => break Progress::None(Self::Body(body)),
                    Poll::Ready(None) => break Progress::End(Ok(())),
                    Poll::Ready(Some(Err(error))) => break Progress::End(Err(error)),
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Some(piece) = Piece::new(frame) {
                            // Who knows the end by the length does not ask again: so the flight must not wait for that.
                            let more = !body.is_end_stream();
                            break Progress::Piece(piece, more.then(|| Rest { hint: body.size_hint(), body }));
                        }
                    }
                }
            },
        }
    }
}

/// What all callers get: the head, and the body if it came with it.
#[derive(Clone)]
pub(super) struct Head<T> {
    pub(super) parts: Parts,
    pub(super) facts: T,
    pub(super) bytes: Option<Bytes>,
}

/// What a caller does next.
pub(super) enum Step<D, T> {
    Done(D),
    /// Polls the source in everybody's name, and then applies what that has brought.
    Turn(Source<T>),
    /// Its waker is kept.
    Wait,
    /// Wakes itself and lets the others of its executor go first.
    StandBack,
}

/// What is to be done when the lock has been released.
pub(super) struct After<K, T> {
    /// The flight can no longer be joined: it is taken off the list.
    pub(super) closed: Option<K>,
    pub(super) wake: Vec<Waker>,
    /// Only to be dropped.
    waker: Option<Waker>,
    pieces: Vec<Piece>,
    source: Option<Source<T>>,
}

impl<K, T> Default for After<K, T> {
    fn default() -> Self {
        Self { closed: None, wake: Vec::new(), waker: None, pieces: Vec::new(), source: None }
    }
}

enum Stage<T> {
    /// The head has not come.
    Flying,
    Landed(Arc<Head<T>>),
    Failed(Error),
    /// Everybody has the head.
    Told,
}

pub(super) struct State<K, T> {
    /// Under which others find the flight, as long as they may join it.
    key: Option<K>,
    stage: Stage<T>,
    /// Those who have yet to be told the head.
    waiting: usize,
    seats: Seats,
    pub(super) window: Window,
    /// `None` while it is polled, and when it has ended.
    source: Option<Source<T>>,
    polled: bool,
    /// Whether the source is worth a poll: it has called since the last one, or was not polled yet.
    signalled: bool,
}

impl<K, T> State<K, T> {
    /// A flight and the seat of the caller that begins it.
    pub(super) fn new(key: K, exchange: Exchange<T>) -> (Self, usize) {
        let mut seats = Seats::default();
        let index = seats.take();
        let state = Self {
            key: Some(key),
            stage: Stage::Flying,
            waiting: 1,
            seats,
            window: Window::new(),
            source: Some(Source::Exchange(exchange)),
            polled: false,
            signalled: true,
        };
        (state, index)
    }

    pub(super) fn enter(&mut self) -> Option<usize> {
        self.key.as_ref()?;
        self.waiting += 1;
        self.window.enter();
        Some(self.seats.take())
    }

    /// What a caller that waits for the head does next.
    pub(super) fn head(
        &mut self,
        index: usize,
        waker: &Waker,
        after: &mut After<K, T>,
    ) -> Step<Result<Arc<Head<T>>>, T> {
        let head = match &self.stage {
            Stage::Flying | Stage::Told => return self.turn(index, waker, after),
            Stage::Landed(head) => Ok(Arc::clone(head)),
            Stage::Failed(error) => Err(error.clone()),
        };
        self.waiting -= 1;
        if self.waiting == 0 && self.key.is_none() {
            // The last one need not copy it.
            self.stage = Stage::Told;
        }
        Step::Done(head)
    }

    /// What a reader does next.
    pub(super) fn read(
        &mut self,
        place: &mut Place,
        stood_back: &mut u32,
        index: usize,
        waker: &Waker,
        after: &mut After<K, T>,
    ) -> Step<Option<Result<Piece>>, T> {
        match self.window.read(place) {
            Found::Piece(piece) => {
                *stood_back = 0;
                self.close(after);
                Step::Done(Some(Ok(piece)))
            }
            Found::End(Ok(())) => Step::Done(None),
            Found::End(Err(error)) => Step::Done(Some(Err(error))),
            Found::Fallen => Step::Done(Some(Err(fell_behind()))),
            Found::Tip if *stood_back < TURNS && self.signalled && self.source.is_some() && self.window.is_full() => {
                *stood_back += 1;
                Step::StandBack
            }
            Found::Tip => self.turn(index, waker, after),
        }
    }

    fn turn<D>(&mut self, index: usize, waker: &Waker, after: &mut After<K, T>) -> Step<D, T> {
        if self.signalled
            && let Some(source) = self.source.take()
        {
            self.signalled = false;
            self.polled = true;
            return Step::Turn(source);
        }
        after.waker = self.seats.wait(index, waker);
        Step::Wait
    }

    /// Takes in what a poll has brought. Pending: the caller is woken when there is more.
    pub(super) fn apply(
        &mut self,
        progress: Progress<T>,
        index: usize,
        waker: &Waker,
        after: &mut After<K, T>,
    ) -> Poll<()> {
        self.polled = false;
        match progress {
            Progress::None(source) => {
                self.source = Some(source);
                after.waker = self.seats.wait(index, waker);
                if self.signalled {
                    self.seats.wake(&mut after.wake);
                }
                return Poll::Pending;
            }
            Progress::Head(head, rest) => {
                self.stage = Stage::Landed(head);
                self.go_on(rest);
            }
            Progress::Failed(error) => {
                self.stage = Stage::Failed(error);
                self.go_on(None);
            }
            Progress::Piece(piece, rest) => {
                self.window.push(piece, &mut after.pieces);
                self.go_on(rest);
            }
            Progress::End(how) => self.window.end(how),
        }
        self.close(after);
        self.seats.wake(&mut after.wake);
        Poll::Ready(())
    }

    fn go_on(&mut self, rest: Option<Rest>) {
        match rest {
            Some(Rest { body, hint }) => {
                self.window.expect(hint);
                self.source = Some(Source::Body(body));
                self.signalled = true;
            }
            None => self.window.end(Ok(())),
        }
    }

    /// Ends the flight for all, while its source is out.
    pub(super) fn fail(&mut self, error: &Error, after: &mut After<K, T>) {
        self.polled = false;
        if matches!(self.stage, Stage::Flying) {
            self.stage = Stage::Failed(error.clone());
        }
        self.window.end(Err(error.clone()));
        self.close(after);
        self.seats.wake(&mut after.wake);
    }

    /// The source has something to tell. Whoever polls it just now passes that on when it has done so.
    pub(super) fn signal(&mut self, after: &mut After<K, T>) {
        self.signalled = true;
        if !self.polled {
            self.seats.wake(&mut after.wake);
        }
    }

    pub(super) fn leave(&mut self, index: usize, has_head: bool, place: Place, after: &mut After<K, T>) {
        after.waker = self.seats.release(index);
        if !has_head {
            self.waiting -= 1;
        }
        self.window.leave(place, &mut after.pieces);
        if self.window.readers() == 0 {
            after.source = self.source.take();
            after.closed = self.key.take();
        }
        self.close(after);
    }

    /// Lets nobody join any more, if newcomers would not get everything.
    fn close(&mut self, after: &mut After<K, T>) {
        if !self.window.admits()
            && let Some(key) = self.key.take()
        {
            after.closed = Some(key);
        }
    }
}

/// The wakers of those who wait, by seat.
#[derive(Default)]
struct Seats {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Seats {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            self.wakers.len() - 1
        })
    }

    fn release(&mut self, index: usize) -> Option<Waker> {
        self.free.push(index);
        self.wakers[index].take()
    }

    /// Keeps a waker; the one that was there before is handed out to be dropped.
    fn wait(&mut self, index: usize, waker: &Waker) -> Option<Waker> {
        let kept = &mut self.wakers[index];
        match kept {
            Some(same) if same.will_wake(waker) => None,
            _ => kept.replace(waker.clone()),
        }
    }

    fn wake(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.wakers.iter_mut().filter_map(Option::take));
    }
}
