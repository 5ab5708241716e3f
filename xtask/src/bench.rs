//! `cargo xtask bench`: side-by-side benchmarks, optimised.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::{run, setup};

/// What is simulated.
const PLAYS: &[&str] = &["comeback", "storm"];

/// Hands all arguments to `netcomm-bench`, which lists its benchmarks when it gets none.
pub(crate) fn bench(args: &[String]) -> Result<Outcome> {
    // They play on paused time, which only tests may have: the clock of the others would be slower for it.
    if let Some((play, args)) = args.split_first().filter(|(component, _)| PLAYS.contains(&component.as_str())) {
        let mut command = run::cargo(&["run", "--release", "--package", "netcomm-tests", "--example", play, "--"])?;
        command.args(args);
        run::run(command)?;
        return Ok(Outcome::Passed);
    }
    if args.first().is_some_and(|component| component == "cache") {
        // Without it the benchmark leaves that peer out and says so.
        if let Err(error) = setup::ensure("undici") {
            println!("no undici: {error}");
        }
    }
    // It starts its twin without counters, which `cargo run` alone would not build.
    run::run(run::cargo(&["build", "--release", "--package", "netcomm-bench", "--bins"])?)?;
    let mut command = run::cargo(&["run", "--release", "--package", "netcomm-bench", "--"])?;
    command.args(args);
    run::run(command)?;
    Ok(Outcome::Passed)
}
