//! Running other programs: what is run is printed first, a failure is an [`Error`] with its name.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::place;

/// Set by `cargo run` for this program alone. Handed on they would make build scripts that watch
/// them (ring's does) run again, and with them everything above.
const OURS_ALONE: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];

/// A program to be run in the workspace's root.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(name);
    command.current_dir(place::root()?).stdin(Stdio::null());
    for (key, _) in env::vars_os() {
        let key = key.to_string_lossy();
        if OURS_ALONE.iter().any(|prefix| key.starts_with(prefix)) {
            command.env_remove(&*key);
        }
    }
    if env::var_os("CI").is_some() {
        // A run from an empty target folder never gets back what incremental builds cost.
        command.env("CARGO_INCREMENTAL", "0");
    }
    Ok(command)
}

/// The cargo that runs this program.
pub(crate) fn cargo(args: &[&str]) -> Result<Command> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = program(cargo)?;
    command.args(args);
    Ok(command)
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let name = command.get_program();
    let name = Path::new(name).file_name().unwrap_or(name).to_string_lossy();
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

/// Runs it, its output going straight through.
pub(crate) fn run(mut command: Command) -> Result<()> {
    println!("$ {}", line(&command));
    let status = command.status().map_err(|e| not_started(&command, &e))?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("`{}` ended with {status}", line(&command)))) }
}

/// Runs it silently and gives what it printed, or what it complained of.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command.output().map_err(|e| not_started(&command, &e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(Error::new(format!("`{}` ended with {}: {last}", line(&command), output.status)))
}

/// Like [`output`], but says first what is run, since it may take a while.
pub(crate) fn told_output(command: Command) -> Result<String> {
    println!("$ {}", line(&command));
    output(command)
}

/// The program could not be started at all.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Error {
    Error::new(format!("`{}` could not be started: {error}", line(command)))
}
