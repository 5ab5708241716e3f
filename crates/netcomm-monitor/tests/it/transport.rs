//! What the kernel knows of connections, asked about some of this test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use netcomm_monitor::TcpProbe;

fn pair(address: &str) -> Option<(TcpListener, TcpStream, TcpStream)> {
    let listener = TcpListener::bind(address).ok()?;
    let here = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (there, _) = listener.accept().expect("a connection");
    Some((listener, here, there))
}

fn ends(stream: &TcpStream) -> (SocketAddr, SocketAddr) {
    (stream.local_addr().expect("an address"), stream.peer_addr().expect("an address"))
}

#[test]
fn figures_of_a_connection() {
    let mut probe = TcpProbe::open().expect("a probe");
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Some((_listener, mut here, mut there)) = pair(address) else {
            continue;
        };
        let (local, peer) = ends(&here);
        let before = probe.ask(local, peer).expect("an answer").expect("a connection");
        let mut buffer = [0; 4096];
        for _ in 0..20 {
            here.write_all(&buffer).expect("sent");
            there.read_exact(&mut buffer).expect("received");
            there.write_all(b"ok").expect("sent");
            here.read_exact(&mut buffer[..2]).expect("received");
        }
        let after = probe.ask(local, peer).expect("an answer").expect("a connection");
        assert!(after.sent_segments >= before.sent_segments + 20, "{before:?} {after:?}");
        assert!(after.rtt.is_some() && after.min_rtt <= after.rtt, "{after:?}");
        assert!(after.delivered_per_second.is_some(), "{after:?}");
        let other_end = probe.ask(peer, local).expect("an answer").expect("a connection");
        assert_ne!(other_end, after);
    }
}

#[test]
fn a_connection_that_is_not_there() {
    let (_listener, here, there) = pair("127.0.0.1:0").expect("a connection");
    let (local, peer) = ends(&here);
    let mut probe = TcpProbe::open().expect("a probe");
    let stranger = SocketAddr::new(peer.ip(), 1);
    assert_eq!(probe.ask(local, stranger).expect("an answer"), None);
    assert_eq!(probe.ask(peer, stranger).expect("an answer"), None, "the one that listens there is none");
    assert!(probe.ask(local, peer).expect("an answer").is_some(), "and the next question is answered");
    drop((here, there));
    // The kernel may still be exchanging their last words.
    while probe.ask(local, peer).expect("an answer").is_some() {
        std::thread::yield_now();
    }
}
