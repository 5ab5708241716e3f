//! `cargo xtask deny`: licences, duplicates and sources of what we depend on, by `deny.toml`.

use std::env;
use std::path::PathBuf;

use crate::error::Result;
use crate::outcome::Outcome;
use crate::{run, tools};

/// Checks the dependency graph; advisories only where a database lies ready, since fetching one
/// would make the result depend on the day and on the network.
pub(crate) fn deny() -> Result<Outcome> {
    let deny = match tools::get(&tools::DENY) {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Skipped(error.to_string())),
    };
    let check = |more: &[&str]| -> Result<()> {
        let mut command = run::program(&deny)?;
        command.args(["deny", "--all-features"]).args(more);
        run::run(command)
    };
    check(&["check", "licenses", "bans", "sources"])?;
    if has_database() {
        check(&["--offline", "check", "advisories"])?;
    } else {
        println!("advisories: skipped: no database here");
    }
    Ok(Outcome::Passed)
}

/// Whether cargo-deny's default folder for advisory databases holds any.
fn has_database() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.and_then(|home| home.join("advisory-dbs").read_dir().ok()).is_some_and(|mut entries| entries.next().is_some())
}
