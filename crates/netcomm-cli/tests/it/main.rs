//! The command as a shell sees it: what it writes where, its exit codes, and what it never shows.

mod exit_codes;
mod files;
mod json;
mod keeping;
#[cfg(unix)]
mod monitor;
mod proxy;
mod requests;
mod responses;
mod secrets;
mod sse;
mod sse_contract;
mod stage;
mod tour;
mod trying;
mod ways;
mod ws;
