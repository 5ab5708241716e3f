//! `netcomm-bench <component> [flags]`: netcomm side by side with what a user would take instead.
//! Dispatch only; each component has its room.

use std::process::ExitCode;

use crate::error::{self, Result, fail};
use crate::{cache, http, monitor, sse, ws};

const USAGE: &str = "\
usage: netcomm-bench <component> [flags]

components:
  cache             netcomm-http's cache against http-cache on reqwest, and undici's
  http              against hyper-util's legacy client, reqwest, and reqwest with retries
  monitor           what it costs to watch; word of changed paths against netwatch's and if-watch's
  sse               netcomm-sse against eventsource-client, eventsource-stream, sse-stream and sse-core
  ws                netcomm-ws against tokio-tungstenite, tokio-websockets and fastwebsockets

flags:
  --rounds N        rounds of each case measured by the clock (21)
  --round-ms M      length of a peer's turn in a round, in milliseconds (200)
  --quick           fewer and shorter rounds, smaller bodies: does it run at all
  --only CASE       this case alone; may be given more than once
  --json            one JSON object per line instead of the table
  --profiles DIR    keep callgrind's files there, for callgrind_annotate
";

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error::with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    match args.split_first() {
        None => {
            print!("{USAGE}");
            Ok(())
        }
        Some((component, rest)) => match component.as_str() {
            "help" | "--help" | "-h" => {
                print!("{USAGE}");
                Ok(())
            }
            cache::NAME => cache::run(rest),
            http::NAME => http::run(rest),
            monitor::NAME => monitor::run(rest),
            sse::NAME => sse::run(rest),
            ws::NAME => ws::run(rest),
            other => fail(format!("no component `{other}`\n\n{USAGE}")),
        },
    }
}
