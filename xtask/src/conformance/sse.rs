//! The suite of event streams: cases of parsing, our own and others in the same form, and what both contract tests and
//! browsers ask of a source. The runner is an example of `netcomm-tests`.

use crate::error::{Result, fail};
use crate::outcome::Outcome;
use crate::run;

const USAGE: &str = "\
usage: cargo xtask conformance sse [--cases FILE]..

  --cases   more cases of parsing, in the form of tests/conformance/sse/cases.json";

/// Runs it; the arguments go to the runner.
pub(super) fn sse(args: &[String]) -> Result<Outcome> {
    check(args)?;
    let example = ["--quiet", "--package", "netcomm-tests", "--example", "conformance-sse"];
    // Apart from running it, so that code that does not build is no failed case.
    let mut build = run::cargo(&["build"])?;
    build.args(example);
    run::run(build)?;
    let mut runner = run::cargo(&["run"])?;
    runner.args(example).arg("--").args(args);
    println!("$ {}", run::line(&runner));
    let status = runner.status().map_err(|e| run::not_started(&runner, &e))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed("not all cases pass".to_owned()) })
}

fn check(args: &[String]) -> Result<()> {
    let is_known = args.chunks(2).all(|pair| pair.len() == 2 && pair[0] == "--cases");
    if is_known { Ok(()) } else { fail(USAGE.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_in_pairs() {
        let check = |args: &str| check(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert!(check("").is_ok() && check("--cases a --cases b").is_ok());
        for wrong in ["--cases", "a", "--quick yes"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
