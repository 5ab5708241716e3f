//! `cargo xtask bench comeback`: a crowd of WebSocket clients and a server that dies and returns. When they all come back,
//! by how they try again.
//!
//! The clients are netcomm-ws's, whole; connections are pipes in memory, and time is paused, so that a minute takes seconds
//! and a seed tells the same each time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the person who runs it")]

mod crowd;
mod door;
mod plot;
mod strategy;
mod tally;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::crowd::Setting;
use crate::strategy::STRATEGIES;
use crate::tally::Tally;

const USAGE: &str = "\
usage: bench comeback [--seed N] [--clients N] [--outage SECONDS] [--svg FILE]

  --seed N           another run of chance (1)
  --clients N        how many there are (10000)
  --outage SECONDS   how long the server is gone (32)
  --svg FILE         where the plot is written (target/comeback.svg)
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
    let (mut setting, mut svg) = (Setting::default(), "target/comeback.svg".to_owned());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value\n\n{USAGE}"));
        match arg.as_str() {
            "--seed" => setting.seed = value()?.parse()?,
            "--clients" => setting.clients = value()?.parse()?,
            "--outage" => setting.outage = Duration::from_secs_f64(value()?.parse()?),
            "--svg" => svg = value()?,
            _ => return Err(format!("no flag {arg}\n\n{USAGE}").into()),
        }
    }
    println!("{setting}\n");
    println!("{}", Tally::HEADER);
    let mut tallies = Vec::new();
    for strategy in STRATEGIES {
        let tally = crowd::run(&setting, strategy)?;
        println!("{}", tally.row(strategy.name, &setting));
        tallies.push((strategy.name, tally));
    }
    std::fs::write(&svg, plot::svg(&setting, &tallies))?;
    println!("\nplot: {}", Path::new(&svg).canonicalize()?.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(name: &str) -> (Setting, Tally) {
        let setting = Setting { clients: 300, outage: Duration::from_secs(10), ..Setting::default() };
        let strategy = STRATEGIES.iter().find(|strategy| strategy.name == name).expect("a strategy");
        let tally = crowd::run(&setting, strategy).expect("a run");
        (setting, tally)
    }

    /// What the full run shows, in small.
    #[test]
    fn a_crowd_with_jitter_comes_back_spread_and_one_without_all_at_once() {
        let (setting, ours) = tally("netcomm");
        let (_, plain) = tally("exponential");
        assert_eq!((ours.returned.len(), plain.returned.len()), (300, 300), "all of them come back");
        assert!(ours.peak(&setting) < 30, "{}", ours.peak(&setting));
        assert_eq!(plain.peak(&setting), 300);
    }

    #[test]
    fn a_plot_has_a_line_for_each_way() {
        let (setting, ours) = tally("netcomm");
        let svg = plot::svg(&setting, &[("netcomm", ours.clone()), ("another", ours)]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
