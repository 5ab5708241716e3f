//! What a whole client takes, from the socket to the event.

mod clock;
mod idle;
mod lane;
mod ours;
mod peers;
mod server;
mod values;

use std::net::SocketAddr;

use super::corpus::Kind;
use super::{NAME, SERVE};
use crate::child::Server;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::Report;

pub(super) use clock::CASE as STREAM;
pub(super) use idle::CASE as IDLE;

/// Measures both cases, those that are wanted.
pub(super) fn measure(flags: &Flags, report: &Report) -> Result<()> {
    let server = Server::start(&[NAME, SERVE])?;
    if flags.wants(STREAM) {
        clock::measure(flags, report, server.address())?;
    }
    if flags.wants(IDLE) {
        idle::measure(flags, report, server.address())?;
    }
    Ok(())
}

/// Serves until the process that started this one is gone.
pub(super) fn serve() -> Result<()> {
    server::serve()
}

/// The measured process's part by the clock.
pub(super) fn turn(peer: &str, server: SocketAddr, kind: Kind, bytes: usize) -> Result<()> {
    clock::turn(&mut *peers::one(peer, server)?, kind, bytes)
}

/// The measured process's part that holds streams.
pub(super) fn hold(peer: &str, server: SocketAddr, count: usize) -> Result<()> {
    idle::hold(&mut *peers::one(peer, server)?, count)
}
