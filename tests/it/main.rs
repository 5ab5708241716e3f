//! Promises that the whole house keeps, a module per story.

mod bad_input;
mod clock;
mod fixtures;
mod hits;
mod links;
mod network;
#[cfg(unix)]
mod peers;
mod replay;
mod scripted_server;
mod secrets;
mod send_sync;
mod tap_off;
