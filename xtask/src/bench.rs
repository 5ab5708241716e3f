//! `cargo xtask bench`: side-by-side benchmarks, optimised.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::run;

/// Hands all arguments to `netcomm-bench`, which lists its benchmarks when it gets none.
pub(crate) fn bench(args: &[String]) -> Result<Outcome> {
    // It starts its twin without counters, which `cargo run` alone would not build.
    run::run(run::cargo(&["build", "--release", "--package", "netcomm-bench", "--bins"])?)?;
    let mut command = run::cargo(&["run", "--release", "--package", "netcomm-bench", "--"])?;
    command.args(args);
    run::run(command)?;
    Ok(Outcome::Passed)
}
