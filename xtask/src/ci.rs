//! `cargo xtask ci`: every step in its order, then a table of how each ended.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::outcome::Outcome;
use crate::test::{self, Cases, Report};
use crate::totals::Totals;
use crate::{clippy, conformance, deny, docs, features, fmt, tidy};

/// What later steps need to know of earlier ones.
#[derive(Debug, Default)]
struct Progress {
    totals: Totals,
    /// The tests did not build; what compiles the same code again would only repeat the errors.
    broken: bool,
}

impl Progress {
    fn note(&mut self, report: Report) -> Outcome {
        self.broken |= report.is_broken();
        self.totals.add(&report.totals);
        report.outcome
    }
}

struct Step {
    name: &'static str,
    /// Whether it compiles the workspace.
    compiles: bool,
    run: fn(&mut Progress) -> Result<Outcome>,
}

/// The order is cheap before dear, and what shares artifacts side by side: clippy, docs and
/// features share the checked dependencies, tests and doc tests the compiled ones.
static STEPS: &[Step] = &[
    Step { name: "fmt", compiles: false, run: |_| fmt::fmt() },
    Step { name: "clippy", compiles: true, run: |_| clippy::clippy() },
    Step { name: "test", compiles: true, run: |so_far| Ok(so_far.note(test::unit_tests(&[], Cases::Same)?)) },
    Step { name: "doc tests", compiles: true, run: |so_far| Ok(so_far.note(test::doc_tests()?)) },
    Step { name: "docs", compiles: true, run: |_| docs::docs() },
    Step { name: "features", compiles: true, run: |_| features::features() },
    Step { name: "deny", compiles: false, run: |_| deny::deny() },
    Step { name: "tidy", compiles: false, run: |_| tidy::tidy() },
    Step { name: "conformance", compiles: true, run: |_| conformance::in_ci() },
];

/// A step that ran, or was left out.
struct Done {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Runs all steps, those after a failed one too. The tests' totals are the last line printed.
pub(crate) fn ci() -> Result<ExitCode> {
    let (done, totals) = run_all(STEPS);
    print!("\n{}", table(&done));
    println!("{totals}");
    let failed = done.iter().any(|step| step.outcome.is_failed());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run_all(steps: &[Step]) -> (Vec<Done>, Totals) {
    let mut so_far = Progress::default();
    let mut done = Vec::new();
    for step in steps {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let outcome = if step.compiles && so_far.broken {
            Outcome::Skipped("the workspace does not build".to_owned())
        } else {
            (step.run)(&mut so_far).unwrap_or_else(|error| Outcome::Failed(error.to_string()))
        };
        println!("{outcome}");
        done.push(Done { name: step.name, outcome, took: start.elapsed() });
    }
    (done, so_far.totals)
}

fn table(done: &[Done]) -> String {
    let mut table = format!("{:<12} {:>8}  {}\n", "step", "seconds", "result");
    for Done { name, outcome, took } in done {
        let _ = writeln!(table, "{name:<12} {:>8.1}  {outcome}", took.as_secs_f64());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::fail;

    #[test]
    fn a_failed_step_stops_none_after_it() {
        let (done, _) = run_all(&[
            Step { name: "bad", compiles: true, run: |_| fail("no luck") },
            Step { name: "good", compiles: true, run: |_| Ok(Outcome::Passed) },
        ]);
        assert_eq!(done[0].outcome, Outcome::Failed("no luck".to_owned()));
        assert_eq!(done[1].outcome, Outcome::Passed);
    }

    #[test]
    fn what_does_not_build_is_not_built_again() {
        let broken = |so_far: &mut Progress| {
            let outcome = Outcome::Failed("the tests do not build".to_owned());
            Ok(so_far.note(Report { outcome, totals: Totals::default() }))
        };
        let (done, _) = run_all(&[
            Step { name: "test", compiles: true, run: broken },
            Step { name: "docs", compiles: true, run: |_| Ok(Outcome::Passed) },
            Step { name: "tidy", compiles: false, run: |_| Ok(Outcome::Passed) },
        ]);
        assert!(matches!(done[1].outcome, Outcome::Skipped(_)));
        assert_eq!(done[2].outcome, Outcome::Passed);
    }

    #[test]
    fn the_table_names_what_was_skipped() {
        let outcome = Outcome::Skipped("no database".to_owned());
        let done = [Done { name: "deny", outcome, took: Duration::from_millis(1500) }];
        let table = table(&done);
        assert!(table.ends_with("deny              1.5  skipped: no database\n"), "{table}");
    }
}
