//! netcomm side by side with what a user would take instead.
//!
//! A library because there are two programs of it: `netcomm-bench`, whose allocator counts, and `netcomm-bench-plain`,
//! whose allocator is the system's, for what is measured by the clock on several threads.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod cache;
mod child;
mod cli;
mod counting;
mod cpu;
mod error;
mod files;
mod flags;
mod http;
mod monitor;
mod report;
mod rounds;
mod serving;
mod sse;
mod valgrind;
mod ws;

pub use cli::run;
