//! Stories with I/O, on paused time and without sockets.

#[cfg(feature = "live")]
mod live;
