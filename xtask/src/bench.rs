//! `cargo xtask bench`: side-by-side benchmarks, optimised.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::run;

/// Hands all arguments to `netcomm-bench`, which lists its benchmarks when it gets none.
pub(crate) fn bench(args: &[String]) -> Result<Outcome> {
    let mut command = run::cargo(&["run", "--release", "--package", "netcomm-bench", "--"])?;
    command.args(args);
    run::run(command)?;
    Ok(Outcome::Passed)
}
