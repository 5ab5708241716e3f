//! The rtnetlink socket: subscribed to all groups that matter, asked for lists, read a datagram at a time.

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_packet_route::{address::AddressMessage, route::RouteMessage, rule::RuleMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use tokio::runtime::Handle;

use super::fact::List;

pub(super) struct Socket {
    socket: TokioSocket,
    port: u32,
    buffer: Vec<u8>,
}

pub(super) enum Received {
    /// So many bytes are in the buffer.
    Datagram(usize),
    /// The kernel could not keep what was not taken in time.
    Lost,
    /// Not from the kernel.
    Foreign,
}

impl Socket {
    /// Subscribes. Within a runtime only, which is to wait for it.
    pub(super) fn open() -> io::Result<Self> {
        Handle::try_current().map_err(io::Error::other)?;
        let mut waits = TokioSocket::new(NETLINK_ROUTE)?;
        let socket = waits.socket_mut();
        // As much room for word that was not taken yet as the system allows.
        drop(socket.set_rx_buf_sz(KEPT_BYTES));
        let port = socket.bind_auto()?.port_number();
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        for group in YOUNG_GROUPS {
            // Kernels that have no such objects have no such group.
            drop(socket.add_membership(group));
        }
        Ok(Self { socket: waits, port, buffer: Vec::with_capacity(DATAGRAM_BYTES) })
    }

    /// The number by which the kernel knows us.
    pub(super) const fn port(&self) -> u32 {
        self.port
    }

    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// Asks for a list. The kernel answers before this is back, so that it does not wait.
    pub(super) fn ask(&self, list: List, sequence: u32) -> io::Result<()> {
        let mut message = NetlinkMessage::from(question(list));
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        message.header.sequence_number = sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.socket_ref().send_to(&bytes, &SocketAddr::new(0, 0), 0).map(drop)
    }

    /// The next datagram. Nothing is lost if the future is dropped.
    pub(super) async fn receive(&mut self) -> io::Result<Received> {
        loop {
            self.buffer.clear();
            return match self.socket.recv_from(&mut self.buffer).await {
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => Ok(Received::Lost),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
                Ok(from) if from.port_number() != 0 => Ok(Received::Foreign),
                // Full to the brim: something was cut off.
                Ok(_) if self.buffer.len() >= DATAGRAM_BYTES => Ok(Received::Lost),
                Ok(_) => Ok(Received::Datagram(self.buffer.len())),
            };
        }
    }
}

fn question(list: List) -> RouteNetlinkMessage {
    let routes = |family| {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        RouteNetlinkMessage::GetRoute(message)
    };
    let rules = |family| {
        let mut message = RuleMessage::default();
        message.header.family = family;
        RouteNetlinkMessage::GetRule(message)
    };
    match list {
        List::Links => {
            let mut message = LinkMessage::default();
            message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
            RouteNetlinkMessage::GetLink(message)
        }
        List::Addresses => RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        List::RoutesV4 => routes(AddressFamily::Inet),
        List::RoutesV6 => routes(AddressFamily::Inet6),
        List::RulesV4 => rules(AddressFamily::Inet),
        List::RulesV6 => rules(AddressFamily::Inet6),
    }
}

/// `RTNLGRP_`: `LINK`, `IPV4_IFADDR`, `IPV4_ROUTE`, `IPV4_RULE`, `IPV6_IFADDR`, `IPV6_ROUTE`, `IPV6_RULE`.
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];
/// `RTNLGRP_NEXTHOP`, since Linux 5.3.
const YOUNG_GROUPS: [u32; 1] = [32];
/// No datagram is longer: the kernel makes lists' of at most 32 KiB, and one message of word is far shorter.
const DATAGRAM_BYTES: usize = 65_536;
/// What the kernel keeps until it is taken, if the system's limit is not below.
const KEPT_BYTES: i32 = 1 << 20;
const ENOBUFS: i32 = 105;
