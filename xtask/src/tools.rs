//! `cargo xtask tools`: the cargo tools that other steps use, pinned and installed for this
//! workspace alone.

use std::path::PathBuf;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::{place, run};

/// A cargo tool in the version that the steps were written for.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

pub(crate) static DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
pub(crate) static HACK: Tool = Tool { name: "cargo-hack", version: "0.6.46" };
/// Not among [`ALL`]: only fuzzing needs it.
pub(crate) static FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

static ALL: &[&Tool] = &[&DENY, &HACK];

/// Installs what is missing.
pub(crate) fn tools() -> Result<Outcome> {
    let missing: Vec<String> = ALL.iter().filter_map(|tool| get(tool).err()).map(|error| error.to_string()).collect();
    if missing.is_empty() { Ok(Outcome::Passed) } else { Ok(Outcome::Skipped(missing.join("; "))) }
}

/// The tool's path; installs it first if it is missing or of another version.
///
/// Built without optimisation or debug information: building is what takes the time, each tool
/// then runs for seconds.
pub(crate) fn get(tool: &Tool) -> Result<PathBuf> {
    let path = place::tools()?.join("bin").join(tool.name);
    if is_wanted(tool, &path) {
        return Ok(path);
    }
    let start = Instant::now();
    let mut install = run::cargo(&["install", "--locked", "--debug", "--force", "--root"])?;
    install.arg(place::tools()?).arg(format!("{}@{}", tool.name, tool.version));
    install.env("CARGO_PROFILE_DEV_DEBUG", "0");
    run::run(install).map_err(|e| Error::new(format!("no {}: {e}", tool.name)))?;
    println!("{} {} installed in {} s", tool.name, tool.version, start.elapsed().as_secs());
    Ok(path)
}

fn is_wanted(tool: &Tool, path: &PathBuf) -> bool {
    let asked = run::program(path).and_then(|mut command| {
        // A cargo subcommand started by its own path expects its name first.
        command.args([tool.name.trim_start_matches("cargo-"), "--version"]);
        run::output(command)
    });
    asked.is_ok_and(|said| said.split_whitespace().any(|word| word == tool.version))
}
