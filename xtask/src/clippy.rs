//! `cargo xtask clippy`: lints over all targets and features, warnings as errors.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::run;

/// Lints the workspace.
pub(crate) fn clippy() -> Result<Outcome> {
    run::run(run::cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?)?;
    Ok(Outcome::Passed)
}
