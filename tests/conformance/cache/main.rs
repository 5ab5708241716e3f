//! Holds the client's cache to the cases of the suite `cache-tests`, as its own runner does: the same requests in the
//! same order, the same checks, the same verdicts. `cargo xtask conformance cache` brings the cases and the origin.
//!
//! An example and no program of the package, since it needs `netcomm-http`: the fixtures beside it do without, so that
//! every crate can take them for its tests.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod args;
mod case;
mod check;
mod client;
mod date;
mod known;
mod latin;
mod profile;
mod report;
mod run;
mod seen;
mod verdict;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use std::sync::Arc;

use case::Case;
use report::Judgement;
use run::Run;
use verdict::Scores;

/// The figures were told, but there is nothing to judge: the client has no cache.
const NOT_JUDGED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match Args::read(std::env::args().skip(1)) {
        Ok(args) => conformance(&args).await.unwrap_or_else(|error| {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }),
        Err(mistake) => {
            eprintln!("{mistake}");
            ExitCode::FAILURE
        }
    }
}

async fn conformance(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let cases = case::read(&std::fs::read_to_string(&args.suite)?)?;
    let wanted = |case: &&Arc<Case>| args.only.is_empty() || args.only.contains(&case.id);
    let (mut runs, mut is_empty) = (Vec::new(), true);
    for profile in args.profiles.iter().copied() {
        let chosen: Vec<_> = cases.iter().filter(|case| profile.has(case)).filter(wanted).cloned().collect();
        is_empty &= Vec::is_empty(&chosen);
        runs.push(Run::start(profile, &client::client(profile)?, &args.origin, chosen, args.at_once));
    }
    if is_empty {
        return Err(format!("no such case: {}", args.only.join(", ")).into());
    }
    let (mut scores, mut is_good) = (Vec::new(), true);
    for run in runs {
        let played = run.finish().await?;
        if !args.only.is_empty() {
            print!("{}", report::dump(&played));
            is_good &= played.outcomes.values().all(|outcome| outcome.failure.is_none());
            continue;
        }
        let verdicts = verdict::verdicts(&played);
        let judgement = Judgement::of(&played, &verdicts, known::KNOWN, args.is_pinned);
        print!("{judgement}");
        is_good &= judgement.is_good();
        scores.push((played.profile, Scores::of(&played, &verdicts)));
    }
    if args.only.is_empty() {
        print!("{}", report::raw(&scores));
        println!("{}", report::line(&scores));
    }
    Ok(match is_good {
        _ if !client::HAS_CACHE => ExitCode::from(NOT_JUDGED),
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
