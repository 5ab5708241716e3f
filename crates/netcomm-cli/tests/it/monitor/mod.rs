//! `netcomm monitor` before servers on loopback: its verdict, its lines, its picture, and how it ends.

mod lines;
mod once;
#[cfg(target_os = "linux")]
mod picture;
#[cfg(target_os = "linux")]
mod pty;
