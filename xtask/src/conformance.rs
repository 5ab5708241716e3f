//! `cargo xtask conformance`: suites that hold us to a protocol's own test material.

mod cache;

use crate::error::{Result, fail};
use crate::outcome::Outcome;

/// A suite. What it cannot run it names in [`Outcome::Skipped`].
pub(crate) struct Suite {
    name: &'static str,
    /// Whether CI runs it too: it must then be quick, and need nothing but what `setup` may bring.
    in_ci: bool,
    run: fn(&[String]) -> Result<Outcome>,
}

/// All suites; a new one is a row here and a room beside this one.
static SUITES: &[Suite] = &[Suite { name: "cache", in_ci: true, run: cache::cache }];

/// Runs one suite, with what else is asked of it, or all of them.
pub(crate) fn conformance(args: &[String]) -> Result<Outcome> {
    let Some((wanted, rest)) = args.split_first() else {
        return run_all(SUITES);
    };
    match SUITES.iter().find(|suite| suite.name == wanted) {
        Some(suite) => (suite.run)(rest),
        None => fail(unknown(SUITES, wanted)),
    }
}

/// What CI runs.
pub(crate) fn in_ci() -> Result<Outcome> {
    if SUITES.iter().any(|suite| suite.in_ci) {
        run_all(SUITES.iter().filter(|suite| suite.in_ci))
    } else {
        Ok(Outcome::Skipped("no suites registered for CI".to_owned()))
    }
}

fn run_all(suites: impl IntoIterator<Item = &'static Suite>) -> Result<Outcome> {
    let (mut count, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    for suite in suites {
        count += 1;
        let outcome = (suite.run)(&[]).unwrap_or_else(|error| Outcome::Failed(error.to_string()));
        println!("{}: {outcome}", suite.name);
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(_) => failed.push(suite.name),
            Outcome::Skipped(_) => skipped.push(suite.name),
        }
    }
    if count == 0 {
        println!("no suites yet");
    }
    if !failed.is_empty() {
        Ok(Outcome::Failed(failed.join(", ")))
    } else if !skipped.is_empty() {
        Ok(Outcome::Skipped(skipped.join(", ")))
    } else {
        Ok(Outcome::Passed)
    }
}

fn unknown(suites: &[Suite], wanted: &str) -> String {
    let known: Vec<&str> = suites.iter().map(|suite| suite.name).collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    format!("no suite `{wanted}`; known suites: {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    static TWO: &[Suite] = &[
        Suite { name: "good", in_ci: true, run: |_| Ok(Outcome::Passed) },
        Suite { name: "bad", in_ci: false, run: |_| Ok(Outcome::Failed("one case".to_owned())) },
    ];
    static ABSENT: &[Suite] =
        &[Suite { name: "absent", in_ci: true, run: |_| Ok(Outcome::Skipped("no data".to_owned())) }];

    #[test]
    fn the_suites_outcomes_become_one() {
        assert_eq!(run_all(&TWO[..1]).unwrap(), Outcome::Passed);
        assert_eq!(run_all(TWO).unwrap(), Outcome::Failed("bad".to_owned()));
        assert_eq!(run_all(ABSENT).unwrap(), Outcome::Skipped("absent".to_owned()));
    }

    #[test]
    fn an_unknown_suite_is_told_the_known_ones() {
        assert_eq!(unknown(TWO, "ugly"), "no suite `ugly`; known suites: good, bad");
        assert_eq!(unknown(&[], "ugly"), "no suite `ugly`; known suites: none yet");
    }
}
