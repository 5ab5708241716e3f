//! The network in one page: its state, what an application does on it, and how good that makes it look.
//!
//! The server is a loopback port; the path to it is taken away and given back by hand:
//! `cargo run -p netcomm --example monitor --features monitor`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use netcomm::core::AddressFamily;
use netcomm::dial::{Dialer, Proxies};
use netcomm::http::{Client, Offline};
use netcomm::monitor::{DefaultRoute, Fan, Interface, InterfaceKind, ManualPaths, Monitor, PathState, Stats};
use netcomm::{ErrorKind, Result, Tap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    // What all components of an application share: a dialer, somebody who counts, and the monitor.
    let stats = Stats::new();
    let env = netcomm::env()
        .with_dialer(Dialer::builder().proxies(Proxies::none()).build())
        .with_tap(Tap::new(Fan::new().with(stats.clone())));
    let paths = ManualPaths::new(PathState::none());
    let monitor = Monitor::builder(&env).paths(paths.source()).private_hosts(true).start();
    let env = monitor.env(&env);

    let url = start_server().await?;
    let client = Client::builder(&env).offline(Offline::WaitUpTo(Duration::from_secs(60))).build()?;

    // Told of each state from here on.
    let mut states = monitor.states();
    drop(tokio::spawn(async move {
        while let Some(Ok(state)) = states.next().await {
            println!("{:?}: {}", state.reach, state.reason.as_str());
        }
    }));

    let cable = PathState::none()
        .with_interface(Interface::new(2, "eth0", InterfaceKind::Wired))
        .with_default(AddressFamily::V4, Some(DefaultRoute::new(2, None)));
    paths.set(cable);
    for _ in 0..20 {
        client.get(&url).send().await?.bytes().await?;
    }
    let quality = monitor.quality();
    println!("score {} of 100, round trip {:?}", quality.score, quality.http_rtt);
    println!("{}", stats.snapshot().to_prometheus().lines().filter(|line| !line.starts_with('#')).count());
    Ok(())
}

/// Starts a server, and gives its URL.
async fn start_server() -> Result<String> {
    let failed = |error| netcomm::Error::new(ErrorKind::Io, "listen").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("http://{}/", listener.local_addr().map_err(failed)?);
    drop(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(tokio::spawn(async move {
                let mut head = [0; 4096];
                while let Ok(1..) = stream.read(&mut head).await {
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await);
                }
            }));
        }
    }));
    Ok(url)
}
