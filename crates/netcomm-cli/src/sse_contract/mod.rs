//! `netcomm sse-contract-service`: event sources that a harness steers over HTTP, so that contract tests of others can be run
//! against the client. Hidden from help, on loopback only.
//!
//! `wire.rs` is the protocol (pure), `service.rs` the sources it has made, `source.rs` one of them, `serve.rs` the server.

mod serve;
mod service;
mod source;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use netcomm::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::SseContractService;
use crate::{exit, output};
use service::Service;

/// Serves until it is told to quit.
pub(crate) async fn run(args: &SseContractService) -> ExitCode {
    match listen(args.port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(&exit::describe(&error));
            exit::code(&error)
        }
    }
}

async fn listen(port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let io = |error| Error::new(ErrorKind::Io, "listen").with_detail(address.to_string()).with_source(error);
    let listener = TcpListener::bind(address).await.map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    let (quit, mut quitting) = watch::channel(false);
    let served_until = quitting.clone();
    let service = Arc::new(Service::new(address, quit)?);
    // The first line, for scripts to wait for.
    output::print(&format!("http://{address}\n"))?;

    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = quitting.wait_for(|quits| *quits) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(io)?;
                connections.spawn(serve::serve(stream, Arc::clone(&service), served_until.clone()));
            }
        }
    }
    // Whoever asked it to quit gets the answer.
    while connections.join_next().await.is_some() {}
    Ok(())
}
