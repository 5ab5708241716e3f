//! `cargo xtask features`: the published crates under combinations of their features.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::{run, tools};

/// The crates whose features change code, each with how many features are combined at most.
///
/// The facade's features only pass on to the others, so that each alone is enough there.
/// `netcomm-bench` is left out: its peers would be compiled again for each combination.
const CRATES: &[(&str, &str)] = &[
    ("netcomm-dial", "2"),
    ("netcomm-http", "2"),
    ("netcomm-ws", "2"),
    ("netcomm-sse", "2"),
    ("netcomm-monitor", "2"),
    ("netcomm", "1"),
];

/// Lints each crate alone with its defaults and under each combination.
///
/// Clippy, not check: dead code under one combination is what this is here to find, and only
/// clippy can be told to fail on warnings without compiling all dependencies anew. No development
/// dependencies take part, since only libraries and programs are built.
pub(crate) fn features() -> Result<Outcome> {
    let hack = match tools::get(&tools::HACK) {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Skipped(error.to_string())),
    };
    let mut failed = Vec::new();
    for (name, depth) in CRATES {
        let defaults = run::cargo(&["clippy", "--package", name, "--", "-D", "warnings"])?;
        let mut combined = run::program(&hack)?;
        combined.args(["hack", "clippy", "--package", name, "--feature-powerset"]);
        combined.args(["--depth", depth, "--exclude-features", "default"]);
        combined.args(["--", "-D", "warnings"]);
        if let Err(error) = run::run(defaults).and_then(|()| run::run(combined)) {
            println!("{error}");
            failed.push(*name);
        }
    }
    if failed.is_empty() { Ok(Outcome::Passed) } else { Ok(Outcome::Failed(failed.join(", "))) }
}
