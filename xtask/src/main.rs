//! The workspace's own checks: `cargo xtask <command>`. Dispatch only; each command has its room.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod bench;
mod ci;
mod clippy;
mod conformance;
mod deny;
mod docs;
mod error;
mod features;
mod fmt;
mod fuzz;
mod outcome;
mod place;
mod run;
mod setup;
mod test;
mod tidy;
mod tools;
mod totals;

use std::process::ExitCode;

use error::Result;
use outcome::Outcome;

const USAGE: &str = "\
usage: cargo xtask <command>

  ci                      everything below that CI runs, in its order, and a table at the end
  fmt                     rustfmt, checking only
  clippy                  clippy over all targets and features, warnings as errors
  test [args..]           tests, then doc tests; args go to `cargo test`
  docs                    rustdoc, warnings as errors
  features                the published crates under combinations of their features
  deny                    licences, duplicate versions and sources of the dependencies
  tidy                    the house rules that no compiler checks
  conformance [suite] [args..]  conformance suites: one, or all of them
  setup                   install the programs that the tests run against
  tools                   install the cargo tools that the steps above use
  bench [name] [args..]   side-by-side benchmarks
  fuzz [target] [--seconds N]   fuzz targets, each for N seconds (30)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    let outcome = match command {
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(Outcome::Passed)
        }
        // These two close with a line of totals, after which nothing may be printed.
        "ci" => return ci::ci(),
        "test" => return test::test(rest),
        "fmt" => fmt::fmt(),
        "clippy" => clippy::clippy(),
        "docs" => docs::docs(),
        "features" => features::features(),
        "deny" => deny::deny(),
        "tidy" => tidy::tidy(),
        "conformance" => conformance::conformance(rest),
        "setup" => setup::setup(),
        "tools" => tools::tools(),
        "bench" => bench::bench(rest),
        "fuzz" => fuzz::fuzz(rest),
        other => error::fail(format!("no command `{other}`\n\n{USAGE}")),
    };
    Ok(outcome?.close())
}
