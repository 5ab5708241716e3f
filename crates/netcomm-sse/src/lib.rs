#![doc = include_str!("../README.md")]

mod encode;
mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod parser;

pub use encode::Block;
pub use event::{Event, MESSAGE};
pub use limits::{Limits, Oversize};
pub use parser::{Filter, Item, ParseError, Parser};
