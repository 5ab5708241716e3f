//! What the kernel of Linux knows of one TCP connection: round trips, retransmissions, the rate at which it delivers. No probe is
//! sent for it.

mod figures;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use netcomm_core::{Error, ErrorKind, Result};
use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as KernelAddr};

pub use figures::TcpFigures;
use figures::{Answer, answer};

/// Asks the kernel about TCP connections of this machine, by their addresses. No privilege is needed.
///
/// A question is answered before its system call is back, in some microseconds: nothing waits. It holds a socket and 8 KiB.
pub struct TcpProbe {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl TcpProbe {
    /// Opens the socket by which it asks, in the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the system gives none.
    pub fn open() -> Result<Self> {
        let opened = || {
            let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
            socket.set_non_blocking(true)?;
            socket.bind_auto()?;
            Ok(socket)
        };
        let socket = opened().map_err(|error| failed("no socket to the kernel", error))?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// What is known of the connection between these two addresses; `None` if there is no such connection any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the kernel does not answer, or answers that it will not tell.
    pub fn ask(&mut self, local: SocketAddr, peer: SocketAddr) -> Result<Option<TcpFigures>> {
        // Not zero, which is nobody's question.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        let question = question(local, peer, self.sequence);
        let sent = self.socket.send_to(&question, &KernelAddr::new(0, 0), 0);
        sent.map_err(|error| failed("the kernel cannot be asked", error))?;
        // Answers to questions that failed half-way may lie before ours.
        for _ in 0..MAX_STALE {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0).map_err(|error| failed("the kernel does not answer", error))?;
            match answer(&self.buffer, self.sequence, peer.port()) {
                Answer::Figures(figures) => return Ok(Some(figures)),
                Answer::Gone => return Ok(None),
                Answer::Refused(code) => {
                    return Err(failed("the kernel does not tell", io::Error::from_raw_os_error(code)));
                }
                Answer::Stale => {}
            }
        }
        Err(Error::new(ErrorKind::Io, "ask about a connection").with_detail("the kernel answers other questions"))
    }
}

impl fmt::Debug for TcpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpProbe").finish_non_exhaustive()
    }
}

fn question(local: SocketAddr, peer: SocketAddr, sequence: u32) -> Vec<u8> {
    let request = InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: peer.port(),
            source_address: local.ip(),
            destination_address: peer.ip(),
            interface_id: match local {
                // Link-local addresses are so of one link alone.
                SocketAddr::V6(local) => local.scope_id(),
                SocketAddr::V4(_) => 0,
            },
            cookie: NO_COOKIE,
        },
    };
    let mut message = NetlinkMessage::from(SockDiagMessage::InetRequest(request));
    message.header.flags = NLM_F_REQUEST;
    message.header.sequence_number = sequence;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn failed(detail: &'static str, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "ask about a connection").with_detail(detail).with_source(error)
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Any connection of these addresses, without its number.
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// Far more than the answer about one connection.
const ANSWER_BYTES: usize = 8192;
const MAX_STALE: u32 = 16;
