//! The clients and the dialer against servers and proxies that nobody here wrote: nginx, Python's `http.server`,
//! Node, `websockets`, `ws`, microsocks and tinyproxy, each started by the test that wants it.
//!
//! A test whose peer is not installed ends early and says so in the file that `NETCOMM_SKIPPED_FILE` names.

#[macro_use]
mod process;

mod microsocks;
mod nginx;
mod nginx_http2;
mod node;
mod python;
mod tinyproxy;
mod websocket;

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use netcomm_core::{Body, Env, Timeouts};
use netcomm_dial::{Certificates, Dialer, DialerBuilder, Proxies, SystemClock, Tls};
use netcomm_http::{Client, ClientBuilder};
use netcomm_tests::TestCa;

/// A client that goes straight to its target, whatever the environment says of proxies, and never waits for long.
fn client() -> ClientBuilder {
    client_over(Dialer::builder().proxies(Proxies::none()))
}

/// The same, trusting that authority alone.
fn client_trusting(ca: &TestCa) -> ClientBuilder {
    client_over(Dialer::builder().proxies(Proxies::none()).tls(trusting(ca)))
}

/// The same behind that proxy, trusting that authority alone.
fn client_behind(proxies: Proxies, ca: &TestCa) -> ClientBuilder {
    client_over(Dialer::builder().proxies(proxies).tls(trusting(ca)))
}

fn client_over(dialer: DialerBuilder) -> ClientBuilder {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts::default().with_blocked(5 * second).with_header(5 * second).with_idle_body(5 * second);
    Client::builder(&Env::new(dialer.build(), SystemClock)).timeouts(timeouts)
}

fn trusting(ca: &TestCa) -> Tls {
    Tls::new().with_roots(Certificates::from_pem(ca.pem()).expect("a root"))
}

/// Bytes in no simple pattern, so that a piece in the wrong place is seen.
fn noise(bytes: usize) -> Bytes {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}

/// A body of unknown length that comes in pieces of at most that size.
fn in_pieces(content: &Bytes, piece_bytes: usize) -> Body {
    // The small end of a pipe, filled by a task of its own.
    let (near, mut far) = tokio::io::duplex(piece_bytes);
    let mut content = Cursor::new(content.clone());
    drop(tokio::spawn(async move { tokio::io::copy_buf(&mut content, &mut far).await }));
    Body::from_reader(near, None)
}
