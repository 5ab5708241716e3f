//! `netcomm monitor`: what the network is like, and what happens on it, while it happens.
//!
//! `setup.rs` makes one environment with a monitor, a recorder and a counter on it; `ask.rs` and the proxy of the command make
//! traffic in there. What is shown are values without a network (`standing.rs`, `row.rs`, `origins.rs`, `detail.rs`): told in lines
//! (`lines.rs`, `follow.rs`, `once.rs`), or gathered in a model that keys change (`model.rs`, `filter.rs`), of which `screen.rs`
//! is the picture. `ui.rs` brings them together with the terminal (`terminal.rs`). Only these two and `follow.rs` wait.

mod ask;
mod detail;
mod filter;
mod follow;
mod lines;
mod model;
mod once;
mod origins;
mod row;
mod screen;
mod setup;
mod standing;
mod terminal;
mod ui;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use netcomm::monitor::Recorder;
use netcomm::{Env, Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::args::{Cli, Command};
use crate::signal::{Signal, Signals};
use crate::{args, exit, output, proxy};

/// Watches, until it is told to end.
pub(crate) async fn run(args: &args::Monitor) -> ExitCode {
    match watch(args).await {
        Ok(code) => code,
        Err(error) => {
            output::tell(&exit::describe(&error));
            exit::code(&error)
        }
    }
}

async fn watch(args: &args::Monitor) -> Result<ExitCode> {
    // Before anything is begun, so that no signal finds the process unprepared.
    let mut signals = Signals::new()?;
    let mut watching = setup::start(args).await?;
    if args.once {
        return tokio::select! {
            code = once::run(args, &watching) => code,
            signal = signals.wait() => Ok(code(signal)),
        };
    }
    let proxy = match args.proxy {
        None => None,
        Some(address) => Some(serve(&watching.env, &address.to_string()).await?),
    };
    let asking = ask::start(&watching.env, &args.urls, args.every)?;
    let url = proxy.as_ref().map(|proxy| proxy.url.clone());
    let outcome = match args.json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        true => follow::run(args.json, &mut watching, url.as_deref(), &mut signals).await,
        false => ui::run(args.har.as_deref(), &mut watching, url, &mut signals).await,
    };
    drop(asking);
    if let Some(file) = &args.har {
        write_har(&watching.recorder, file)?;
    }
    outcome
}

/// How it ends after a signal.
fn code(signal: Signal) -> ExitCode {
    ExitCode::from(match signal {
        Signal::Interrupt => exit::INTERRUPTED,
        #[cfg(unix)]
        Signal::Terminate => exit::TERMINATED,
    })
}

/// The command's proxy, as long as this is kept.
struct Proxy {
    url: String,
    task: JoinHandle<Result<()>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves as a proxy in that environment.
async fn serve(env: &Env, address: &str) -> Result<Proxy> {
    // As if it had been said on a command line, so that all that it does not say is as there.
    let failed = |error: &dyn ToString| Error::new(ErrorKind::Invalid, "start proxy").with_detail(error.to_string());
    let cli = Cli::try_parse_from(["netcomm", "proxy", "--listen", address]).map_err(|error| failed(&error))?;
    let Command::Proxy(args) = cli.command else { return Err(failed(&"no proxy")) };
    let (announce, announced) = oneshot::channel();
    let env = env.clone();
    let mut task = tokio::spawn(async move {
        proxy::serve(&args, Some(&env), |address| {
            // Nobody waits for it any more if the command has ended.
            let _ = announce.send(address);
            Ok(())
        })
        .await
    });
    tokio::select! {
        Ok(address) = announced => Ok(Proxy { url: format!("http://{address}"), task }),
        ended = &mut task => match ended {
            Ok(Err(error)) => Err(error),
            _ => Err(failed(&"it ended")),
        },
    }
}

/// Writes what was recorded.
///
/// # Errors
///
/// Kind `Io`.
fn write_har(recorder: &Recorder, file: &Path) -> Result<()> {
    std::fs::write(file, recorder.to_har()).map_err(|error| {
        Error::new(ErrorKind::Io, "write file").with_detail(file.display().to_string()).with_source(error)
    })
}
