//! `cargo xtask fmt`: is everything formatted? Changes nothing.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::run;

/// Checks the workspace's formatting.
pub(crate) fn fmt() -> Result<Outcome> {
    run::run(run::cargo(&["fmt", "--all", "--check"])?)?;
    Ok(Outcome::Passed)
}
