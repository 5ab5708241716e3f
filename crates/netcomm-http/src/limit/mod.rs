//! How often and how many at a time: rates, concurrency, and a server's wish to be left alone.
//!
//! A [`Gate`] is one place at which calls are counted: that of an origin, or that of a layer of a scope. Who comes too
//! early waits in line, first come first served, and only where there is hope: who cannot have its turn before its
//! deadline is refused at once.
//!
//! | room | decides or does |
//! |---|---|
//! | `concurrency.rs` | what users set |
//! | `rate.rs` | when the next may go: GCRA, by `governor`, which no other room names |
//! | `adaptive.rs` | how many at a time, where that is found out by trying |
//! | `line.rs` | who is next |
//! | `books.rs` | who passes now: the three together, pure |
//! | `refusal.rs` | why somebody does not, in words |
//! | `gate.rs` | the lock, the wake-ups and the timers around it |
//! | `gates.rs` | all the gates that a call passes |

mod adaptive;
mod books;
mod concurrency;
mod gate;
mod gates;
mod line;
mod rate;
mod refusal;
#[cfg(test)]
mod tests;

pub use concurrency::{Adaptive, Concurrency};
pub(crate) use gate::Gate;
pub(crate) use gates::{Gates, Permits};

/// How an attempt went, as far as the load of its server is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was answered and the server bears the load.
    Fine,
    /// The server has too much to do: it said so, or did not answer in time.
    Overloaded,
    /// Nothing is known: it was called off, or failed for other reasons.
    #[default]
    Neither,
}
