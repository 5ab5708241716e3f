//! A shaped link does to bytes what its test says, in memory on paused time and over sockets.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use netcomm_core::{Dial, Host, Io, Target};
use netcomm_tests::{LinkProfile, ScriptedDialer, ShapedDialer, ShapedLink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn target() -> Target {
    Target::tcp(Host::parse("example.com").expect("a host"), 80)
}

/// A link to a server that says all it hears again.
fn echo(profile: LinkProfile) -> ShapedDialer {
    let far = ScriptedDialer::new();
    far.serve_all(|stream| async move {
        let (mut from, mut to) = tokio::io::split(stream);
        drop(tokio::io::copy(&mut from, &mut to).await);
        drop(to.shutdown().await);
    });
    ShapedDialer::new(far, profile, 1)
}

async fn dial(dialer: &ShapedDialer) -> Io {
    dialer.dial(&target()).await.expect("a connection")
}

/// What comes back, and whether it ended well.
async fn said_again(io: &mut Io, text: &str) -> String {
    io.write_all(text.as_bytes()).await.expect("a write");
    io.shutdown().await.expect("an end");
    let mut seen = String::new();
    io.read_to_string(&mut seen).await.expect("a read");
    seen
}

#[tokio::test(start_paused = true)]
async fn dialling_takes_a_round_trip_and_bytes_take_one_too() {
    let dialer = echo(LinkProfile::NONE.with_rtt(ms(100)).with_kbps(8, 16));
    let start = Instant::now();
    let mut io = dial(&dialer).await;
    assert_eq!(start.elapsed(), ms(100));
    // 100 bytes take 50 ms up and 100 ms down.
    assert_eq!(said_again(&mut io, &"x".repeat(100)).await.len(), 100);
    let took = start.elapsed();
    assert!((ms(350)..ms(450)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_share_the_rate() {
    let dialer = echo(LinkProfile::NONE.with_kbps(0, 80));
    let (mut one, mut other) = (dial(&dialer).await, dial(&dialer).await);
    let (start, text) = (Instant::now(), "x".repeat(5000));
    tokio::join!(said_again(&mut one, &text), said_again(&mut other, &text));
    let took = start.elapsed();
    assert!((ms(1000)..ms(1050)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_says_nothing_and_gives_all_back() {
    let dialer = echo(LinkProfile::FOUR_G);
    let mut io = dial(&dialer).await;
    dialer.control().set_black_hole(true);
    io.write_all(b"hello").await.expect("a write");
    let mut seen = [0; 5];
    assert!(timeout(ms(3_600_000), io.read_exact(&mut seen)).await.is_err(), "nothing for an hour");
    assert!(dialer.dial(&target().with_timeout(ms(500))).await.expect_err("no connection").is_timeout());
    dialer.control().set_black_hole(false);
    io.read_exact(&mut seen).await.expect("a read");
    assert_eq!(&seen, b"hello");
}

#[tokio::test(start_paused = true)]
async fn what_a_test_does_to_what_comes() {
    let dialer = echo(LinkProfile::WIFI);
    let control = dialer.control();
    control.set_end_after(Some(3));
    assert_eq!(said_again(&mut dial(&dialer).await, "hello").await, "hel");
    control.set_end_after(None);
    control.set_corrupt_at(Some(1));
    let mut io = dial(&dialer).await;
    io.write_all(b"hello").await.expect("a write");
    let mut seen = [0; 5];
    io.read_exact(&mut seen).await.expect("a read");
    assert_eq!(seen, [b'h', !b'e', b'l', b'l', b'o']);
    control.set_corrupt_at(None);
    control.set_drip(Some((1, ms(1000))));
    let start = Instant::now();
    assert_eq!(said_again(&mut dial(&dialer).await, "hello").await, "hello");
    assert!(start.elapsed() >= ms(5000), "{:?}", start.elapsed());
    control.set_refusing(true);
    assert!(dialer.dial(&target()).await.expect_err("no connection").is_connect());
    control.cut();
    assert_eq!(io.read(&mut seen).await.expect("an end in memory"), 0);
}

#[tokio::test]
async fn the_same_over_sockets() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let server = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            }));
        }
    });
    let link = ShapedLink::to(server, LinkProfile::NONE, 1).await.expect("a link");
    let connect = || TcpStream::connect(link.address());
    let mut seen = [0; 5];
    let mut kept = connect().await.expect("a connection");
    kept.write_all(b"hello").await.expect("a write");
    kept.read_exact(&mut seen).await.expect("a read");
    assert_eq!(&seen, b"hello");
    link.control().set_reset_after(Some(2));
    let mut cut = connect().await.expect("a connection");
    cut.write_all(b"hello").await.expect("a write");
    let mut some = Vec::new();
    assert_eq!(cut.read_to_end(&mut some).await.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    link.control().cut();
    assert_eq!(kept.read(&mut seen).await.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    serving.abort();
}
