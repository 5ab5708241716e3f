//! `cargo xtask setup`: the real programs that tests and benchmarks run against.

mod apt;
pub(crate) mod npm;
pub(crate) mod pip;

use apt::Apt;

use crate::error::{Result, fail};
use crate::outcome::Outcome;

/// A program written by others that we are tried against.
struct Peer {
    name: &'static str,
    /// What cannot be tried without it.
    serves: &'static str,
    source: Source,
}

/// Where a peer comes from.
#[allow(dead_code, reason = "each kind is built where PEERS has rows of it")]
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A system package: the first of those that the system offers.
    Apt { program: &'static str, packages: &'static [&'static str] },
    /// A Python package, in a virtual environment of this workspace's own.
    Pip { package: &'static str, version: &'static str },
    /// A JavaScript package, in a folder of this workspace's own.
    Npm { package: &'static str, version: &'static str },
}

impl Source {
    fn ensure(self, apt: &mut Apt) -> Result<()> {
        match self {
            Self::Apt { program, packages } => apt.ensure(program, packages),
            Self::Pip { package, version } => pip::ensure(package, version),
            Self::Npm { package, version } => npm::ensure(package, version),
        }
    }
}

/// All peers; a new one is a row here.
static PEERS: &[Peer] = &[
    Peer {
        name: "nginx",
        serves: "HTTP/1.1, HTTP/2 and TLS against a common server",
        source: Source::Apt { program: "nginx", packages: &["nginx-light", "nginx"] },
    },
    Peer {
        name: "microsocks",
        serves: "SOCKS5",
        source: Source::Apt { program: "microsocks", packages: &["microsocks"] },
    },
    Peer {
        name: "tinyproxy",
        serves: "HTTP proxies",
        source: Source::Apt {
            program: "tinyproxy",
            // The first of them brings the program without the service.
            packages: &["tinyproxy-bin", "tinyproxy"],
        },
    },
    Peer {
        name: "valgrind",
        serves: "benchmarks by counted instructions",
        source: Source::Apt { program: "valgrind", packages: &["valgrind"] },
    },
    Peer {
        name: "undici",
        serves: "benchmarks of the cache, with node",
        // The last that runs on node 20.
        source: Source::Npm { package: "undici", version: "7.30.2" },
    },
    Peer {
        name: "ws",
        serves: "WebSocket against node's common server",
        source: Source::Npm { package: "ws", version: "8.23.0" },
    },
    Peer {
        name: "websockets",
        serves: "WebSocket against Python's common server",
        source: Source::Pip { package: "websockets", version: "17.4" },
    },
    Peer {
        name: "har-validator",
        serves: "exports against the schemas of HAR 1.2, with node",
        source: Source::Npm { package: "har-validator", version: "5.1.5" },
    },
    Peer {
        name: "haralyzer",
        serves: "exports against a common reader of HAR",
        source: Source::Pip { package: "haralyzer", version: "2.4.0" },
    },
];

/// Installs what is missing and says what could not be had; the rest goes on without it.
pub(crate) fn setup() -> Result<Outcome> {
    let mut apt = Apt::default();
    let mut missing = Vec::new();
    for peer in PEERS {
        if let Err(error) = peer.source.ensure(&mut apt) {
            println!("no {} ({}): {error}", peer.name, peer.serves);
            missing.push(peer.name);
        }
    }
    if missing.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Ok(Outcome::Skipped(format!("not here: {}", missing.join(", "))))
    }
}

/// Installs the peer of that name, unless it is there.
pub(crate) fn ensure(name: &str) -> Result<()> {
    match PEERS.iter().find(|peer| peer.name == name) {
        Some(peer) => peer.source.ensure(&mut Apt::default()),
        None => fail(format!("no peer `{name}`")),
    }
}
