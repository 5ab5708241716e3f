//! `cargo xtask fuzz`: the targets of `fuzz/`, a package outside the workspace.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::error::{Error, Result, fail};
use crate::outcome::Outcome;
use crate::{place, run, tools};

const DEFAULT_SECONDS: u32 = 30;

/// Fuzzes one target, or each in turn.
pub(crate) fn fuzz(args: &[String]) -> Result<Outcome> {
    let wish = Wish::parse(args)?;
    if let Some(reason) = what_is_missing()? {
        return Ok(Outcome::Skipped(reason));
    }
    let tool = match tools::get(&tools::FUZZ) {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Skipped(error.to_string())),
    };
    let cargo_fuzz = |subcommand: &str| -> Result<Command> {
        let mut command = run::program(&tool)?;
        command.args(["fuzz", subcommand, "--fuzz-dir", "fuzz"]);
        // The sanitizers need a nightly compiler. `CARGO` would lead back to the one that runs us.
        command.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO");
        Ok(command)
    };
    let listed = run::output(cargo_fuzz("list")?)?;
    let targets = match wish.target {
        Some(target) if listed.lines().any(|line| line == target) => vec![target],
        Some(target) => {
            return fail(format!("no fuzz target `{target}`; known targets:\n{listed}"));
        }
        None => listed.lines().map(str::to_owned).collect(),
    };
    println!("targets: {}", targets.join(", "));
    let mut failed = Vec::new();
    for target in targets {
        let mut command = cargo_fuzz("run")?;
        command.arg(&target).args(corpora(&target)?).args(["--", &format!("-max_total_time={}", wish.seconds)]);
        if let Err(error) = run::run(command) {
            println!("{target}: {error}");
            failed.push(target);
        }
    }
    if failed.is_empty() { Ok(Outcome::Passed) } else { Ok(Outcome::Failed(failed.join(", "))) }
}

/// Where a target's inputs lie: what fuzzing found, which is kept out of the repository, then the seeds.
fn corpora(target: &str) -> Result<Vec<PathBuf>> {
    let fuzz = place::root()?.join("fuzz");
    let (found, seeds) = (fuzz.join("corpus").join(target), fuzz.join("seeds").join(target));
    // The folders must be there once they are named.
    fs::create_dir_all(&found).map_err(|e| Error::new(format!("cannot make {}: {e}", found.display())))?;
    Ok(if seeds.is_dir() { vec![found, seeds] } else { vec![found] })
}

fn what_is_missing() -> Result<Option<String>> {
    if !place::root()?.join("fuzz/Cargo.toml").is_file() {
        return Ok(Some("no fuzz/ here".to_owned()));
    }
    let mut nightly = run::program("rustup")?;
    nightly.args(["run", "nightly", "rustc", "--version"]);
    Ok(run::output(nightly).err().map(|error| format!("no nightly compiler: {error}")))
}

#[derive(Debug, PartialEq, Eq)]
struct Wish {
    target: Option<String>,
    seconds: u32,
}

impl Wish {
    fn parse(args: &[String]) -> Result<Self> {
        let mut wish = Self { target: None, seconds: DEFAULT_SECONDS };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => {
                    wish.seconds = args
                        .next()
                        .and_then(|number| number.parse().ok())
                        .ok_or_else(|| Error::new("--seconds wants a whole number"))?;
                }
                flag if flag.starts_with('-') => return fail(format!("no flag `{flag}`")),
                target if wish.target.is_none() => wish.target = Some(target.to_owned()),
                more => return fail(format!("one target at a time, not `{more}` too")),
            }
        }
        Ok(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wish> {
        Wish::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags() {
        assert_eq!(parse("").unwrap(), Wish { target: None, seconds: 30 });
        let wish = parse("frame --seconds 5").unwrap();
        assert_eq!(wish, Wish { target: Some("frame".to_owned()), seconds: 5 });
        for wrong in ["--seconds", "--seconds x", "a b", "--jobs 2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
