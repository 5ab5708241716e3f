//! One place at which calls are counted: the lock, the wake-ups and the timers around its books.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use netcomm_core::{Clock, Error, Rate, Result};

use super::Verdict;
use super::books::{Books, Pass, Turn, Wakes};
use super::concurrency::Concurrency;
use super::line::Ticket;
use super::refusal::{Refusal, Terms, Times, refused};
use crate::alarm::Alarm;

/// The limits of one origin, or of one layer of a scope.
///
/// Without limits of its own it still knows whether the server wants to be left alone. Whoever changes something calls
/// those whose turn it is then: a call that waits and is not polled keeps nobody but itself from passing.
pub(crate) struct Gate {
    books: Mutex<Books>,
    clock: Arc<dyn Clock>,
    terms: Terms,
}

impl Gate {
    /// The gate of an origin.
    pub(crate) fn new(rate: Option<Rate>, concurrency: Option<Concurrency>, clock: &Arc<dyn Clock>) -> Arc<Self> {
        Self::with_terms(Terms { scope: None, rate, concurrency }, clock)
    }

    /// The gate of a layer of a scope, which it names in its errors.
    pub(super) fn of_scope(
        name: &Arc<str>,
        rate: Option<Rate>,
        concurrency: Option<Concurrency>,
        clock: &Arc<dyn Clock>,
    ) -> Arc<Self> {
        Self::with_terms(Terms { scope: Some(Arc::clone(name)), rate, concurrency }, clock)
    }

    fn with_terms(terms: Terms, clock: &Arc<dyn Clock>) -> Arc<Self> {
        let books = Mutex::new(Books::new(terms.rate, terms.concurrency, clock.now()));
        Arc::new(Self { books, clock: Arc::clone(clock), terms })
    }

    /// Passes if that is possible without waiting: one short lock, no allocation.
    pub(crate) fn try_pass(self: &Arc<Self>, now: Instant) -> Option<Permit> {
        let pass = self.lock().try_pass(now)?;
        Some(self.permit(pass))
    }

    /// Passes when it is its turn, first come first served.
    ///
    /// # Errors
    ///
    /// [`Busy`](netcomm_core::ErrorKind::Busy), at once, if its turn would come only after `until`, as far as that is
    /// known, or if too many wait already; later if the server asks for more time meanwhile.
    /// [`Timeout`](netcomm_core::ErrorKind::Timeout) at `until`. Both in phase `Blocked`, and saying which limit it is.
    ///
    /// # Cancel safety
    ///
    /// Whoever drops the future leaves the line, and the next moves up. Only a share of the rate that was its own already
    /// is lost.
    pub(crate) async fn pass(self: &Arc<Self>, until: Instant) -> Result<Permit> {
        let came = self.clock.now();
        let mut wakes = Wakes::default();
        let turn = self.lock().join(came, until, &mut wakes);
        wakes.run();
        let (ticket, backstop) = match turn {
            Turn::Passed(pass) => return Ok(self.permit(pass)),
            Turn::Refused(refusal) => return Err(self.refused(refusal, came, came, until)),
            Turn::Waits(place) => place,
        };
        let alarm = Alarm::new(Arc::clone(&self.clock));
        let mut waiting = Waiting { gate: Arc::clone(self), ticket: Some(ticket), came, until, backstop, alarm };
        poll_fn(|cx| waiting.poll(cx)).await
    }

    /// What speaks against waiting here until then, before anything is spent elsewhere.
    ///
    /// # Errors
    ///
    /// As [`pass`](Self::pass).
    pub(super) fn check(&self, now: Instant, until: Instant) -> Result<()> {
        let refusal = self.lock().hopeless(now, until);
        refusal.map_or(Ok(()), |refusal| Err(self.refused(refusal, now, now, until)))
    }

    /// The server wants to be left alone until then: nobody passes before, and those who cannot wait that long hear of it
    /// at once. What was said before still counts if it is later.
    pub(crate) fn hold_until(&self, at: Instant) {
        let mut wakes = Wakes::default();
        self.lock().hold_until(at, &mut wakes);
        wakes.run();
    }

    /// Until when the server wants to be left alone, if it does.
    #[cfg(test)]
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.lock().held_until(now)
    }

    /// Lets pass who may.
    fn pump(&self) {
        let now = self.clock.now();
        let mut wakes = Wakes::default();
        self.lock().pump(now, &mut wakes);
        wakes.run();
    }

    fn permit(self: &Arc<Self>, pass: Pass) -> Permit {
        Permit { gate: Arc::clone(self), pass, verdict: Verdict::Neither }
    }

    fn refused(&self, refusal: Refusal, came: Instant, now: Instant, until: Instant) -> Error {
        let next = self.lock().forecast(now);
        refused(&self.terms, refusal, Times { came, now, until, next })
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn with_books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.lock())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// One who waits in line.
struct Waiting {
    gate: Arc<Gate>,
    /// `None` once it has passed or was refused.
    ticket: Option<Ticket>,
    came: Instant,
    until: Instant,
    /// When its turn was to be, as it looked when it came. The first in line winds its alarm for the exact moment; should
    /// that one not be polled, the others still look after themselves.
    backstop: Instant,
    alarm: Alarm,
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit>> {
        let Some(ticket) = self.ticket else { return Poll::Pending };
        loop {
            let now = self.alarm.now();
            let mut wakes = Wakes::default();
            let backstop = if self.backstop > now { self.backstop } else { self.until };
            let turn = self.gate.lock().look(ticket, now, (self.until, backstop), cx.waker(), &mut wakes);
            wakes.run();
            match turn {
                Turn::Waits(again) => {
                    if self.alarm.poll(again, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                Turn::Passed(pass) => {
                    self.ticket = None;
                    return Poll::Ready(Ok(self.gate.permit(pass)));
                }
                Turn::Refused(refusal) => {
                    self.ticket = None;
                    return Poll::Ready(Err(self.gate.refused(refusal, self.came, now, self.until)));
                }
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let now = self.alarm.now();
            let mut wakes = Wakes::default();
            self.gate.lock().leave(ticket, now, &mut wakes);
            wakes.run();
        }
    }
}

/// A place among those under way, from the sending of a request to the end of the response's body. Dropping it says
/// nothing about how it went.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    pass: Pass,
    verdict: Verdict,
}

impl Permit {
    /// Says how it went. The place stays taken until it is dropped.
    pub(crate) fn judge(&mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Where no places are counted there is nothing to give back.
        if self.gate.terms.concurrency.is_none() {
            return;
        }
        if self.gate.lock().release(self.pass, self.verdict) {
            self.gate.pump();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("gate", &self.gate.terms).finish_non_exhaustive()
    }
}
