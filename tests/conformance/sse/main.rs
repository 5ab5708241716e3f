//! Holds the client of event streams to what the standard and others ask of one: the parser to cases of parsing, a source
//! to a contract and to what browsers are held to.
//!
//! `cargo xtask conformance sse` runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod args;
mod client;
mod contract;
mod parse;
mod play;
mod score;
mod script;
mod server;
mod told;
mod wpt;

use std::process::ExitCode;

use args::Args;
use parse::Case;
use score::Score;

/// The cases that are ours.
const CASES: &str = include_str!("cases.json");

fn main() -> ExitCode {
    let scores = match Args::read(std::env::args().skip(1)).and_then(|args| conformance(&args)) {
        Ok(scores) => scores,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::FAILURE;
        }
    };
    for failure in scores.iter().flat_map(Score::failures) {
        println!("{failure}");
    }
    // One part after the other, in the last line.
    let parts: Vec<String> = scores.iter().map(Score::to_string).collect();
    println!("sse {}", parts.join(" "));
    if scores.iter().all(Score::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A score for each part.
fn conformance(args: &Args) -> Result<Vec<Score>, String> {
    let mut cases = Case::read_all(CASES).map_err(|error| format!("cases.json: {error}"))?;
    for file in &args.cases {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        cases.extend(Case::read_all(&text).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    Ok(vec![parse::score(&cases), contract::score(), wpt::score()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_our_cases_pass() {
        let scores = conformance(&Args::default()).unwrap();
        let failures: Vec<_> = scores.iter().flat_map(Score::failures).collect();
        assert!(failures.is_empty(), "{failures:#?}");
        assert!(scores.iter().all(Score::is_good));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let args = Args { cases: vec!["no/such/file".into()] };
        assert!(conformance(&args).unwrap_err().starts_with("no/such/file: "));
    }
}
