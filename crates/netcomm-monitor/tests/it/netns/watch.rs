//! A source of paths beside a plain socket that hears the same kernel.

#![expect(
    clippy::print_stdout,
    reason = "how late a source was is told to the person who runs the test, and never judged"
)]

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use netcomm_monitor::{Interface, LinuxPaths, PathSource, PathState};
use netcomm_tests::ip;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

/// Nothing takes that long; a test that waits for what does not come ends.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Watch {
    ours: Receiver<(Instant, PathState)>,
    kernel: Receiver<(Instant, RouteNetlinkMessage)>,
    last: PathState,
}

impl Watch {
    /// Both hear from now on.
    pub(super) fn start() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("a socket");
        socket.bind_auto().expect("an address");
        for group in [1, 5, 7, 9, 11] {
            socket.add_membership(group).expect("a group");
        }
        let (told, kernel) = channel();
        thread::spawn(move || hear(&socket, &told));
        let (told, ours) = channel();
        thread::spawn(move || follow(&told));
        let (_, last) = ours.recv_timeout(PATIENCE).expect("a first state");
        Self { ours, kernel, last }
    }

    /// The paths as they were told last.
    pub(super) fn last(&self) -> &PathState {
        &self.last
    }

    /// Makes a change, and waits until the kernel and the source have told of it. Prints how much later the source was.
    pub(super) fn change(
        &mut self,
        name: &str,
        lines: &str,
        kernel: impl Fn(&RouteNetlinkMessage) -> bool,
        ours: impl Fn(&PathState) -> bool,
    ) {
        self.settle();
        assert!(!ours(&self.last), "{name}: it is so already: {:#?}", self.last);
        ip(lines);
        let (heard, _) =
            next(&self.kernel, |message| kernel(message)).unwrap_or_else(|| panic!("{name}: the kernel is silent"));
        let found = next(&self.ours, |state| {
            self.last = state.clone();
            ours(state)
        });
        let Some((told, _)) = found else {
            panic!("{name}: nobody told. Last: {:#?}", self.last);
        };
        let late = told.saturating_duration_since(heard);
        println!("{name}: {} us after the kernel's message", late.as_micros());
    }

    /// Waits until the source tells that.
    pub(super) fn until(&mut self, name: &str, ours: impl Fn(&PathState) -> bool) {
        let found = next(&self.ours, |state| {
            self.last = state.clone();
            ours(state)
        });
        assert!(found.is_some(), "{name}: nobody told. Last: {:#?}", self.last);
    }

    /// Waits until all that happened so far was told, and returns what was: the kernel's messages and the states.
    pub(super) fn settle(&mut self) -> (Vec<RouteNetlinkMessage>, Vec<PathState>) {
        // A last change, which comes behind all others.
        let mtu = link(&self.last, "lo").mtu_bytes;
        let mark = if mtu == 20_000 { 20_001 } else { 20_000 };
        ip(&format!("link set lo mtu {mark}"));
        let (mut messages, mut states) = (Vec::new(), Vec::new());
        next(&self.kernel, |message| {
            messages.push(message.clone());
            new_link(message, "lo").is_some_and(|link| link.attributes.contains(&LinkAttribute::Mtu(mark)))
        });
        next(&self.ours, |state| {
            states.push(state.clone());
            link(state, "lo").mtu_bytes == mark
        });
        self.last = states.last().expect("the mark at least").clone();
        (messages, states)
    }

    /// Whether the source comes to know what one knows that has just begun. The kernel tells of some carriers late, and shows
    /// them at once to whoever asks.
    pub(super) fn check(&mut self) {
        self.settle();
        loop {
            let (told, fresh) = channel();
            thread::spawn(move || follow(&told));
            let (_, fresh) = fresh.recv_timeout(PATIENCE).expect("a first state");
            if self.last == fresh {
                return;
            }
            match self.ours.recv_timeout(PATIENCE) {
                Ok((_, state)) => self.last = state,
                Err(_) => assert_eq!(self.last, fresh),
            }
        }
    }
}

fn hear(socket: &Socket, told: &Sender<(Instant, RouteNetlinkMessage)>) {
    let mut buffer = Vec::with_capacity(65_536);
    loop {
        buffer.clear();
        if socket.recv(&mut buffer, 0).is_err() {
            continue;
        }
        let now = Instant::now();
        let mut rest = &buffer[..];
        while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
            let length = usize::try_from(message.header.length).expect("a length");
            if let NetlinkPayload::InnerMessage(message) = message.payload
                && told.send((now, message)).is_err()
            {
                return;
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn follow(told: &Sender<(Instant, PathState)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let mut paths = LinuxPaths::new();
        loop {
            let state = paths.next().await.expect("the kernel tells");
            if told.send((Instant::now(), state)).is_err() {
                return;
            }
        }
    });
}

/// The first that fits; those before it are gone through.
fn next<T>(from: &Receiver<(Instant, T)>, mut fits: impl FnMut(&T) -> bool) -> Option<(Instant, T)> {
    loop {
        let (at, what) = from.recv_timeout(PATIENCE).ok()?;
        if fits(&what) {
            return Some((at, what));
        }
    }
}

pub(super) fn link<'a>(state: &'a PathState, name: &str) -> &'a Interface {
    find(state, name).unwrap_or_else(|| panic!("no {name} in {state:#?}"))
}

pub(super) fn find<'a>(state: &'a PathState, name: &str) -> Option<&'a Interface> {
    state.interfaces.iter().find(|interface| interface.name == name)
}

/// Whether that interface has that address, and can use it.
pub(super) fn has(state: &PathState, name: &str, address: &str) -> bool {
    let address: IpAddr = address.parse().expect("an address");
    find(state, name).is_some_and(|link| link.addresses.iter().any(|had| had.ip == address && had.is_usable))
}

pub(super) fn new_link<'a>(message: &'a RouteNetlinkMessage, name: &str) -> Option<&'a LinkMessage> {
    match message {
        RouteNetlinkMessage::NewLink(link) => is_of(link, name).then_some(link),
        _ => None,
    }
}

pub(super) fn is_of(link: &LinkMessage, name: &str) -> bool {
    link.attributes.contains(&LinkAttribute::IfName(name.to_owned()))
}

/// Whether the link was switched on, and has a carrier.
pub(super) fn flags(link: &LinkMessage) -> (bool, bool) {
    (link.header.flags.contains(LinkFlags::Up), link.header.flags.contains(LinkFlags::LowerUp | LinkFlags::Running))
}

pub(super) fn is_about(message: &AddressMessage, address: &str) -> bool {
    let address: IpAddr = address.parse().expect("an address");
    message.attributes.contains(&AddressAttribute::Address(address))
}
