//! Plays the client's part in the cases of the suite `autobahntestsuite`: echoes what its servers send, and reads what
//! they make of it. `cargo xtask conformance ws` brings the servers.
//!
//! The cases are shared out among the servers as each becomes free, since a server takes one processor and some cases
//! take a hundred times as long as others. The verdict is the servers' alone.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod args;
mod client;
mod play;
mod report;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    match Args::read(std::env::args().skip(1)) {
        Ok(args) => conformance(&args).await.unwrap_or_else(|error| {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }),
        Err(mistake) => {
            eprintln!("{mistake}");
            ExitCode::FAILURE
        }
    }
}

async fn conformance(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let urls: Vec<_> = args.servers.iter().map(|server| server.url.clone()).collect();
    let count = play::play(&urls, args.at_once).await?;
    let mut report = Report::default();
    for server in &args.servers {
        // A server to which no case fell has written none.
        if let Ok(index) = std::fs::read_to_string(server.reports.join("index.json")) {
            report.add(&index)?;
        }
    }
    // What was played and not reported is missing, whatever number was asked for.
    let count = args.count.unwrap_or(count);
    print!("{}", report.unexpected(count));
    println!("{report}");
    Ok(if report.is_good(count) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
