//! `cargo xtask docs`: the reference as readers will see it, warnings as errors.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::run;

/// Builds the docs of the workspace's libraries.
pub(crate) fn docs() -> Result<Outcome> {
    let mut command = run::cargo(&["doc", "--workspace", "--lib", "--no-deps", "--all-features"])?;
    command.env("RUSTDOCFLAGS", "-D warnings");
    run::run(command)?;
    Ok(Outcome::Passed)
}
