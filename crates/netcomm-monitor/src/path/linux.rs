//! Paths on Linux: the kernel tells of links, addresses, routes and rules over an rtnetlink socket, unasked and at once.
//!
//! No privilege is needed. Of routes, those count that lead to everywhere, alone or together with others (two halves of the
//! address space, as tunnels lay them), in the tables that the system's rules ask for ordinary packets: no mark, no source
//! address in particular. Unreachable, blackhole and prohibit routes are no way out and hide those with a greater metric.
//! Routes over a link without a carrier do not count, and the next best one does. Goto rules, rules by user or port, and
//! next-hop objects that the kernel does not spell out with their routes (`nexthop_compat_mode=0`) are passed over.

mod decode;
mod fact;
mod kind;
mod route_message;
mod routes;
mod rule_message;
mod socket;
mod sync;
mod sysfs;
mod table;

use std::borrow::Cow;
use std::{fmt, io};

use netcomm_core::{Error, ErrorKind, Result};

use super::{PathSource, PathState};
use decode::{Message, Says};
use fact::Fact;
use socket::{Received, Socket};
use sync::Sync;

/// Follows the kernel of Linux.
///
/// Each datagram of the kernel that changes something brings a state: there is no delay in here, and of ten changes each is
/// seen. If they come faster than they are taken the kernel drops some; then everything is asked for anew.
///
/// It holds a socket and what the kernel has of links, addresses, and routes to everywhere, at most 65,536, 262,144 and
/// 16,384 of them, and 64 KiB to read into.
pub struct LinuxPaths {
    /// Opened when it is asked first.
    socket: Option<Socket>,
    sync: Sync,
    /// What was brought last.
    told: Option<PathState>,
    /// Whether the table may differ from it.
    is_changed: bool,
}

impl LinuxPaths {
    /// Will follow the kernel, in the network namespace of the thread that asks first. Nothing is opened before.
    ///
    /// [`next`](PathSource::next) fails with [`ErrorKind::Io`] if the system gives no such socket, outside of a tokio runtime
    /// too, and panics in one whose I/O is not enabled.
    #[must_use]
    pub fn new() -> Self {
        Self { socket: None, sync: Sync::new(), told: None, is_changed: false }
    }

    /// What is there to be told, if something is.
    fn fresh(&mut self) -> Option<PathState> {
        if !self.is_changed || !self.sync.is_complete() {
            return None;
        }
        self.is_changed = false;
        let state = self.sync.table().state();
        if self.told.as_ref() == Some(&state) {
            return None;
        }
        self.told = Some(state.clone());
        Some(state)
    }

    fn datagram(&mut self, length: usize) -> Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        for mut message in decode::messages(socket.bytes(length)) {
            look_closer(&mut message, &self.sync);
            self.is_changed |= self.sync.message(&message, socket.port()).map_err(|refused| {
                let error = io::Error::from_raw_os_error(refused.code);
                failed(format!("the kernel does not tell its {}", refused.list.as_str()), error)
            })?;
        }
        Ok(())
    }
}

impl Default for LinuxPaths {
    fn default() -> Self {
        Self::new()
    }
}

impl PathSource for LinuxPaths {
    async fn next(&mut self) -> Result<PathState> {
        loop {
            if let Some(state) = self.fresh() {
                return Ok(state);
            }
            let socket = match &mut self.socket {
                Some(socket) => socket,
                none => none.insert(Socket::open().map_err(|error| failed("no socket to the kernel", error))?),
            };
            if let Some((list, sequence)) = self.sync.question() {
                socket.ask(list, sequence).map_err(|error| failed("the kernel cannot be asked", error))?;
            }
            match socket.receive().await {
                Ok(Received::Datagram(length)) => self.datagram(length)?,
                Ok(Received::Lost) => self.sync.lost(),
                Ok(Received::Foreign) => {}
                Err(error) => return Err(failed("the kernel's word cannot be read", error)),
            }
        }
    }
}

impl fmt::Debug for LinuxPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinuxPaths").field("told", &self.told).finish_non_exhaustive()
    }
}

/// Adds to a link that is not known yet what `/sys` says of its device.
fn look_closer(message: &mut Message, sync: &Sync) {
    if let Says::Fact(Fact::Link(link)) = &mut message.says
        && kind::wants_look(link)
        && let Some(name) = &link.name
    {
        let known = sync.table().link(link.index).and_then(|known| known.device);
        link.device = known.or_else(|| Some(sysfs::look(name, link.index)));
    }
}

fn failed(detail: impl Into<Cow<'static, str>>, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "follow paths").with_detail(detail).with_source(error)
}
