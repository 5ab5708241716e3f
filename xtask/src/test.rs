//! `cargo xtask test`: the peers first, then tests, then doc tests, and one line of totals.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::totals::Totals;
use crate::{place, run, setup};

/// Names the file to which a test that cannot run here appends the line `name: reason`. Cargo
/// hides what a passing test prints, so its output would not do.
const SKIPPED_FILE: &str = "NETCOMM_SKIPPED_FILE";

/// Tells tests that they run from here, where all peers ought to be.
const CI: &str = "NETCOMM_CI";

/// Tells tests where the peers lie that are not on the PATH.
const PEERS_DIR: &str = "NETCOMM_PEERS_DIR";

/// Tells property tests with which cases to begin.
const SEED: &str = "PROPTEST_RNG_SEED";

/// Which cases property tests try.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cases {
    /// Others in each run: that is how they find something.
    New,
    /// The same in each run: what passed once passes again.
    Same,
}

/// How one run ended, and what it counted.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    pub(crate) totals: Totals,
}

impl Report {
    /// Whether it failed before any test ran.
    pub(crate) fn is_broken(&self) -> bool {
        self.outcome.is_failed() && self.totals.results == 0
    }
}

/// All tests, or those that `args` choose. The totals are the last line printed.
pub(crate) fn test(args: &[String]) -> Result<ExitCode> {
    let mut report = unit_tests(args, Cases::New)?;
    // With arguments cargo was told what to run, doc tests included.
    if args.is_empty() && !report.is_broken() {
        let docs = doc_tests()?;
        report.totals.add(&docs.totals);
        if docs.outcome.is_failed() {
            report.outcome = docs.outcome;
        }
    }
    let code = report.outcome.close();
    println!("{}", report.totals);
    Ok(code)
}

/// Sets up the peers, then runs libraries', programs' and integration tests.
pub(crate) fn unit_tests(args: &[String], cases: Cases) -> Result<Report> {
    match setup::setup() {
        Ok(Outcome::Passed) => {}
        Ok(incomplete) => println!("peers: {incomplete}"),
        Err(error) => println!("peers: {error}"),
    }
    let mut command = run::cargo(&["test", "--all-features", "--no-fail-fast"])?;
    if !args.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package")) {
        command.arg("--workspace");
    }
    if args.is_empty() {
        // Examples are left to clippy: linking them all here would buy nothing.
        command.args(["--lib", "--bins", "--tests"]);
    }
    if let Cases::Same = cases {
        command.env(SEED, "1");
    }
    command.args(args);
    count(command)
}

/// Runs the doc tests.
pub(crate) fn doc_tests() -> Result<Report> {
    count(run::cargo(&["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"])?)
}

fn count(mut command: Command) -> Result<Report> {
    let notes = place::target()?.join("skipped.txt");
    empty(&notes)?;
    command.env(SKIPPED_FILE, &notes).env(CI, "1").env(PEERS_DIR, place::peers()?);
    println!("$ {}", run::line(&command));
    let mut totals = Totals::default();
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| run::not_started(&command, &e))?;
    if let Some(stdout) = child.stdout.take() {
        // A test may print bytes that are no text; they must not end the reading.
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|e| Error::new(format!("cargo's output broke off: {e}")))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            totals.read_line(&line);
        }
    }
    let status = child.wait().map_err(|e| Error::new(format!("lost cargo: {e}")))?;
    let skipped =
        fs::read_to_string(&notes).map_err(|e| Error::new(format!("cannot read {}: {e}", notes.display())))?;
    for line in totals.take_skipped(&skipped) {
        println!("skipped: {line}");
    }
    let outcome = if status.success() {
        Outcome::Passed
    } else if totals.results == 0 {
        Outcome::Failed("the tests do not build".to_owned())
    } else {
        Outcome::Failed("see above".to_owned())
    };
    Ok(Report { outcome, totals })
}

fn empty(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, ""))
        .map_err(|e| Error::new(format!("cannot write {}: {e}", file.display())))
}
