//! `cargo xtask conformance`: suites that hold us to a protocol's own test material.

mod cache;
mod sse;
mod ws;

use crate::error::{Result, fail};
use crate::outcome::Outcome;

/// A suite. What it cannot run it names in [`Outcome::Skipped`].
pub(crate) struct Suite {
    name: &'static str,
    /// What CI asks of it, if CI runs it too: it must then be quick, and need nothing but what `setup` may bring.
    in_ci: Option<&'static [&'static str]>,
    run: fn(&[String]) -> Result<Outcome>,
}

/// All suites; a new one is a row here and a room beside this one.
static SUITES: &[Suite] = &[
    Suite { name: "cache", in_ci: Some(&[]), run: cache::cache },
    Suite { name: "sse", in_ci: Some(&[]), run: sse::sse },
    Suite { name: "ws", in_ci: Some(&["--quick"]), run: ws::ws },
];

/// What is asked of a suite that runs as a whole.
const NOTHING: &[&str] = &[];

/// Runs one suite, with what else is asked of it, or all of them.
pub(crate) fn conformance(args: &[String]) -> Result<Outcome> {
    let Some((wanted, rest)) = args.split_first() else {
        return run_all(SUITES.iter().map(|suite| (suite, NOTHING)));
    };
    match SUITES.iter().find(|suite| suite.name == wanted) {
        Some(suite) => (suite.run)(rest),
        None => fail(unknown(SUITES, wanted)),
    }
}

/// What CI runs.
pub(crate) fn in_ci() -> Result<Outcome> {
    run_all(for_ci(SUITES))
}

fn for_ci(suites: &'static [Suite]) -> impl Iterator<Item = (&'static Suite, &'static [&'static str])> {
    suites.iter().filter_map(|suite| Some((suite, suite.in_ci?)))
}

fn run_all(suites: impl IntoIterator<Item = (&'static Suite, &'static [&'static str])>) -> Result<Outcome> {
    let (mut failed, mut skipped) = (Vec::new(), Vec::new());
    for (suite, asked) in suites {
        let asked: Vec<String> = asked.iter().copied().map(str::to_owned).collect();
        let outcome = (suite.run)(&asked).unwrap_or_else(|error| Outcome::Failed(error.to_string()));
        println!("{}: {outcome}", suite.name);
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(_) => failed.push(suite.name),
            Outcome::Skipped(_) => skipped.push(suite.name),
        }
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
        Suite { name: "good", in_ci: None, run: |_| Ok(Outcome::Passed) },
        Suite { name: "bad", in_ci: None, run: |_| Ok(Outcome::Failed("one case".to_owned())) },
    ];
    static ABSENT: &[Suite] =
        &[Suite { name: "absent", in_ci: None, run: |_| Ok(Outcome::Skipped("no data".to_owned())) }];
    static LONG: &[Suite] = &[Suite {
        name: "long",
        in_ci: Some(&["--quick"]),
        run: |asked| if asked == ["--quick"] { Ok(Outcome::Passed) } else { fail("too long") },
    }];

    fn run_whole(suites: &'static [Suite]) -> Outcome {
        run_all(suites.iter().map(|suite| (suite, NOTHING))).unwrap()
    }

    #[test]
    fn the_suites_outcomes_become_one() {
        assert_eq!(run_whole(&TWO[..1]), Outcome::Passed);
        assert_eq!(run_whole(TWO), Outcome::Failed("bad".to_owned()));
        assert_eq!(run_whole(ABSENT), Outcome::Skipped("absent".to_owned()));
    }

    #[test]
    fn ci_asks_for_less() {
        assert_eq!(run_all(for_ci(LONG)).unwrap(), Outcome::Passed);
        assert_eq!(run_whole(LONG), Outcome::Failed("long".to_owned()));
        assert_eq!(for_ci(TWO).count(), 0);
    }

    #[test]
    fn an_unknown_suite_is_told_the_known_ones() {
        assert_eq!(unknown(TWO, "ugly"), "no suite `ugly`; known suites: good, bad");
        assert_eq!(unknown(&[], "ugly"), "no suite `ugly`; known suites: none yet");
    }
}
