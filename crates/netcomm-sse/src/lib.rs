#![doc = include_str!("../README.md")]

mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod parser;

pub use event::{Event, MESSAGE};
pub use limits::{Limits, Oversize};
pub use parser::{Filter, Item, ParseError, Parser};
