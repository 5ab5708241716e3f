//! `cargo xtask bench storm`: a crowd of clients and an origin that freezes for a while. How much of what is asked for is
//! answered, and how long it takes until all is well again, by how the clients try again.
//!
//! The clients are netcomm-http's, whole; the origin is a queue with a fixed capacity behind
//! [`HttpTransport`](netcomm_core::HttpTransport), and time is paused, so that four minutes take seconds and a seed tells
//! the same each time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod crowd;
mod origin;
mod plot;
mod strategy;
mod tally;

use std::process::ExitCode;

use crate::crowd::Setting;
use crate::strategy::STRATEGIES;
use crate::tally::Tally;

const USAGE: &str = "\
usage: bench storm [--seed N] [--svg FILE]

  --seed N     another run of chance (1)
  --svg FILE   where the plot is written (target/storm.svg)
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut seed, mut svg) = (1, "target/storm.svg".to_owned());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value\n\n{USAGE}"));
        match arg.as_str() {
            "--seed" => seed = value()?.parse()?,
            "--svg" => svg = value()?,
            _ => return Err(format!("no flag {arg}\n\n{USAGE}").into()),
        }
    }
    let setting = Setting { seed, ..Setting::default() };
    println!("{setting}\n");
    println!("{}", Tally::HEADER);
    let mut tallies = Vec::new();
    for strategy in STRATEGIES {
        let tally = crowd::run(&setting, strategy)?;
        println!("{}", tally.row(strategy.name, &setting));
        tallies.push((strategy.name, tally));
    }
    std::fs::write(&svg, plot::svg(&setting, &tallies))?;
    println!("\nplot: {svg}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What the full run shows, in small: the defaults come back, plain repetition does not.
    #[test]
    fn a_crowd_with_a_budget_recovers_and_one_without_does_not() {
        let setting = Setting { clients: 100, per_second: 70.0, capacity: 100.0, queue: 400, ..Setting::default() };
        let tally = |name| {
            let strategy = STRATEGIES.iter().find(|strategy| strategy.name == name).expect("a strategy");
            crowd::run(&setting, strategy).expect("a run")
        };
        let (plain, ours) = (tally("exponential"), tally("netcomm"));
        let ours_recovered = ours.recovered_after(&setting).expect("all is well again");
        assert!(ours_recovered < Duration::from_secs(30), "{ours_recovered:?}");
        assert!(plain.recovered_after(&setting).is_none_or(|plain| plain > 2 * ours_recovered));
        assert!(ours.sends * 10 < ours.calls * 14, "{} sends for {} calls", ours.sends, ours.calls);
    }

    #[test]
    fn a_seed_tells_the_same_again() {
        let setting = Setting { clients: 20, per_second: 14.0, capacity: 20.0, queue: 80, ..Setting::default() };
        let counts = |seed| {
            let tally = crowd::run(&Setting { seed, ..setting.clone() }, &STRATEGIES[3]).expect("a run");
            (tally.calls, tally.sends, tally.answered)
        };
        assert_eq!(counts(5), counts(5));
        assert_ne!(counts(5), counts(6));
    }
}
