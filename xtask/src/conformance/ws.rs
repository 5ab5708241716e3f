//! The suite `autobahntestsuite`: its server from a package, two processes of it, and our client against both.
//!
//! The client is an example of `netcomm-tests`. A server takes one processor and no more, so there are two of them.

mod server;
mod suite;

use std::process::Command;
use std::thread;

use server::Server;

use crate::error::{Result, fail};
use crate::outcome::Outcome;
use crate::{place, run};

/// How many cases the suite has.
const ALL: usize = 517;

/// What stands for the whole where time is short: all but those of a thousand compressed messages each, and of these one
/// for each kind of content, and one for each way to agree on compression.
const QUICK: &[&str] = &[
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.1.1", "12.1.4", "12.1.11", "12.2.2", "12.3.3",
    "12.4.5", "12.5.6", "13.1.3", "13.2.3", "13.3.3", "13.4.3", "13.5.3", "13.6.3", "13.7.3",
];
const QUICK_COUNT: usize = 315;

const USAGE: &str = "\
usage: cargo xtask conformance ws [--quick] [--cases GLOB[,GLOB]] [--at-once N] [--servers N]

  --quick     what CI runs: all but most of the long cases
  --cases     these alone, such as 7.*,12.1.3
  --at-once   so many cases at a time at each server (2)
  --servers   so many servers (one per processor, at most 4)";

/// Runs it.
pub(super) fn ws(args: &[String]) -> Result<Outcome> {
    let asked = Asked::read(args)?;
    let python = match suite::ensure() {
        Ok(python) => python,
        Err(error) => return Ok(Outcome::Skipped(format!("no {}: {error}", suite::wanted()))),
    };
    let work = place::target()?.join("conformance/ws");
    // Apart from running it, so that code that does not build is no failed case. Optimised: a thousand large messages
    // in each of two hundred cases.
    let example = ["--quiet", "--release", "--package", "netcomm-tests", "--example", "conformance-ws"];
    let mut build = optimised(run::cargo(&["build"])?);
    build.args(example);
    run::run(build)?;
    let servers = (0..asked.servers)
        .map(|number| Server::start(&python, &work.join(number.to_string()), &asked.globs))
        .collect::<Result<Vec<_>>>()?;
    let mut runner = optimised(run::cargo(&["run"])?);
    runner.args(example).arg("--").args(["--at-once", &asked.at_once.to_string()]);
    if let Some(count) = asked.count {
        runner.args(["--count", &count.to_string()]);
    }
    for server in &servers {
        runner.args(["--server", &server.url, "--reports"]).arg(&server.reports);
    }
    println!("$ {}", run::line(&runner));
    let status = runner.status().map_err(|e| run::not_started(&runner, &e))?;
    drop(servers);
    Ok(match status.success() {
        true => Outcome::Passed,
        false => Outcome::Failed(format!("not all cases pass; reports in {}", work.display())),
    })
}

/// Optimised, but not as one: what a release takes minutes to link for saves seconds here.
fn optimised(mut cargo: Command) -> Command {
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    cargo
}

/// The arguments.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    globs: Vec<String>,
    /// How many cases that must be, where it is known.
    count: Option<usize>,
    at_once: usize,
    servers: usize,
}

impl Asked {
    fn read(args: &[String]) -> Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        // Two at a time: a server is never idle while one of them waits for a timer, and none of the long ones, which have
        // eight minutes each, has to share its processor with many.
        let mut asked = Self { globs: vec!["*".to_owned()], count: Some(ALL), at_once: 2, servers: processors.min(4) };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--quick" {
                asked.globs = QUICK.iter().copied().map(str::to_owned).collect();
                asked.count = Some(QUICK_COUNT);
                continue;
            }
            let Some(value) = args.next() else {
                return fail(format!("no argument `{arg}`, or none without a value\n\n{USAGE}"));
            };
            let number = || value.parse().ok().filter(|number| *number > 0);
            match arg.as_str() {
                "--cases" if value.chars().all(|c| c.is_ascii_digit() || ".,*".contains(c)) => {
                    asked.globs = value.split(',').map(str::to_owned).collect();
                    asked.count = None;
                }
                "--at-once" if let Some(number) = number() => asked.at_once = number,
                "--servers" if let Some(number) = number() => asked.servers = number,
                _ => return fail(format!("`{arg} {value}` is no argument\n\n{USAGE}")),
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<Asked> {
        Asked::read(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn only_a_known_choice_is_counted() {
        let whole = read("").unwrap();
        assert_eq!((whole.globs.as_slice(), whole.count), (&["*".to_owned()][..], Some(ALL)));
        let some = read("--cases 7.*,12.1.3 --at-once 2 --servers 1").unwrap();
        assert_eq!(some, Asked { globs: vec!["7.*".into(), "12.1.3".into()], count: None, at_once: 2, servers: 1 });
        assert_eq!(read("--quick").unwrap().count, Some(QUICK_COUNT));
        for wrong in ["--cases", "--cases \"", "--at-once many", "--servers 0", "--url x", "quick"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
