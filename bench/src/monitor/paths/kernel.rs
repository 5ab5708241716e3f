//! A plain socket that hears the kernel: when it said something, which is where the others' time begins.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::error::Result;

/// The moments at which the kernel's datagrams about links, addresses and routes are received.
pub(super) fn hear() -> Result<Receiver<Instant>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    let (told, heard) = channel();
    thread::spawn(move || {
        let mut buffer = Vec::with_capacity(65_536);
        loop {
            buffer.clear();
            // What it could not keep came after something that it kept.
            let received = socket.recv(&mut buffer, 0);
            if received.is_ok() && told.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    Ok(heard)
}

/// `RTNLGRP_`: `LINK`, `IPV4_IFADDR`, `IPV4_ROUTE`, `IPV6_IFADDR`, `IPV6_ROUTE`.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];
