//! The command `netcomm`: HTTP calls, WebSockets and event streams from the shell, a proxy for other programs, and a tour of what the client survives.

mod args;
mod cache;
mod client;
mod exit;
mod fetch;
mod json;
mod monitor;
mod output;
mod partial;
mod progress;
mod proxy;
mod request;
mod secret;
mod signal;
mod sse;
mod sse_contract;
mod tour;
mod trying;
mod watch;
mod waterfall;
mod ws;

use std::process::ExitCode;

use http::Method;
use netcomm::{Error, ErrorKind};

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::read();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::new(ErrorKind::Io, "start").with_source(error);
            output::tell(&exit::describe(&error));
            return exit::code(&error);
        }
    };
    // The proxy lets its clients come to an end first, a WebSocket says goodbye, an event stream keeps its last id, a
    // monitor leaves the terminal as it was.
    let ends_itself = matches!(cli.command, Command::Proxy(_) | Command::Ws(_) | Command::Sse(_) | Command::Monitor(_));
    let code = runtime.block_on(async {
        tokio::select! {
            // Heard before anything is sent.
            biased;
            () = signal::interrupt(), if !ends_itself => ExitCode::from(exit::INTERRUPTED),
            code = dispatch(cli.command) => code,
        }
    });
    // A thread that still waits for stdin must not hold the process.
    runtime.shutdown_background();
    code
}

async fn dispatch(command: Command) -> ExitCode {
    let (method, fetch) = match command {
        Command::Get(fetch) => (Method::GET, *fetch),
        Command::Head(fetch) => (Method::HEAD, *fetch),
        Command::Post(fetch) => (Method::POST, *fetch),
        Command::Put(fetch) => (Method::PUT, *fetch),
        Command::Patch(fetch) => (Method::PATCH, *fetch),
        Command::Delete(fetch) => (Method::DELETE, *fetch),
        Command::Request(any) => match Method::from_bytes(any.method.as_bytes()) {
            Ok(method) => (method, any.fetch),
            Err(error) => {
                let error = Error::new(ErrorKind::Invalid, "read method").with_source(error);
                output::tell(&exit::describe(&error));
                return exit::code(&error);
            }
        },
        Command::Ws(ws) => return ws::run(&ws).await,
        Command::Sse(sse) => return sse::run(&sse).await,
        Command::Cache(command) => return cache::run(&command).await,
        Command::Monitor(monitor) => return monitor::run(&monitor).await,
        Command::Proxy(proxy) => return proxy::run(&proxy).await,
        Command::Tour(tour) => return tour::run(&tour).await,
        Command::SseContractService(service) => return sse_contract::run(&service).await,
    };
    fetch::run(method, &fetch).await
}
