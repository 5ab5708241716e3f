//! `netcomm proxy`: the client, for programs in any language, by a change of address.
//!
//! `guard.rs` reads strictly what a client sends (`head.rs`, `chunks.rs`: pure), `serve.rs` lets the server engine take it
//! from there, `forward.rs` is one request from its head to its answer; `hop.rs` and `target.rs` hold the rules.

mod chunks;
mod client;
mod forward;
mod guard;
mod head;
mod hop;
mod ledger;
mod outgoing;
mod refusal;
mod serve;
mod target;

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use netcomm::{Env, Error, ErrorKind, Result};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::args::Proxy;
use crate::signal::Signals;
use crate::{exit, output};
use forward::Forward;
use target::Aim;

/// How long the listener rests when the system has no connection to give.
const REST: Duration = Duration::from_millis(50);

/// Serves until it is told to end.
pub(crate) async fn run(args: &Proxy) -> ExitCode {
    match serve(args, None, |address| announce(address, args.json)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(&exit::describe(&error));
            exit::code(&error)
        }
    }
}

/// Serves until it is told to end by a signal; in an environment of others, what concerns the network is theirs. Where it
/// listens is handed to `announce`, before anybody is served.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` if it cannot listen or what is announced cannot be written.
///
/// # Cancel safety
///
/// Connections are cut off if the future is dropped.
pub(crate) async fn serve(
    args: &Proxy,
    env: Option<&Env>,
    announce: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    let invalid = |detail: &'static str| Error::new(ErrorKind::Invalid, "start proxy").with_detail(detail);
    if !args.listen.ip().is_loopback() && !args.expose {
        return Err(invalid(
            "the address to listen on is not loopback; --expose lets everybody who reaches it use the proxy",
        ));
    }
    if !args.name.as_deref().is_none_or(is_name) {
        return Err(invalid("--name takes letters, digits, '-', '.' and '_'"));
    }
    let aim = Aim::parse(args.to.as_deref())?;
    let name = args.name.clone().unwrap_or_else(|| format!("netcomm-{:08x}", RandomState::new().hash_one(()) >> 32));
    let (client, kept) = client::build(args, &name, env).await?;
    let (tells_client, verbose) = (args.forwarded, args.verbose);
    let served = listen(args, Forward { client, aim, name, tells_client, verbose }, announce).await;
    if let Some(kept) = kept {
        kept.close().await;
    }
    served
}

/// Takes connections until it is told to end, and then waits for those that are under way.
async fn listen(args: &Proxy, forward: Forward, announce: impl FnOnce(SocketAddr) -> Result<()>) -> Result<()> {
    let forward = Arc::new(forward);
    let io = |error| Error::new(ErrorKind::Io, "listen").with_detail(args.listen.to_string()).with_source(error);
    let listener = TcpListener::bind(args.listen).await.map_err(io)?;
    // Before anybody knows the address, so that nobody can be too early with the signal.
    let mut stop = Signals::new()?;
    announce(listener.local_addr().map_err(io)?)?;

    let (stopping, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(args.bounds.max_connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            _ = stop.wait() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (place, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    // Answers go out in pieces as they come; none should wait for the next.
                    drop(stream.set_nodelay(true));
                    let (forward, stopped) = (Arc::clone(&forward), stopped.clone());
                    connections.spawn(async move {
                        serve::serve(stream, peer, forward, stopped).await;
                        drop(place);
                    });
                }
                // No descriptors left, or a client that left: neither ends the proxy.
                Err(_) => sleep(REST).await,
            },
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let end = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        _ = timeout(args.bounds.grace, end) => {}
        // Whoever says it twice means now.
        _ = stop.wait() => {}
    }
    Ok(())
}

/// Tells on stdout where the proxy listens: the first line, for scripts to wait for.
fn announce(address: SocketAddr, json: bool) -> Result<()> {
    let url = format!("http://{address}");
    match json {
        true => output::print(&format!("{}\n", json!({ "address": address.to_string(), "url": url }))),
        false => output::print(&format!("{url}\n")),
    }
}

/// Whether a text can stand for this proxy in `Via` and `Proxy-Status`.
fn is_name(text: &str) -> bool {
    let is_own = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic()) && text.bytes().all(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "netcomm-1f.x_Y"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "a b", "a,b", "a\"", "-a", "\u{e4}"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
