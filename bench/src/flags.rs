//! The flags that all components share.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result, fail};

/// How much is measured, and how it is told.
#[derive(Debug)]
pub(crate) struct Flags {
    /// Rounds of each case measured by the clock.
    pub(crate) rounds: usize,
    /// A peer's turn in one round.
    pub(crate) turn: Duration,
    /// Less of everything: shows that it runs, the figures are worth little.
    pub(crate) is_quick: bool,
    /// One JSON object per line.
    pub(crate) is_json: bool,
    /// Where profiles are kept, if they are.
    pub(crate) profiles: Option<PathBuf>,
    only: Vec<String>,
}

impl Flags {
    /// Reads the flags; `cases` are the words that `--only` takes.
    pub(crate) fn parse(args: &[String], cases: &[&str]) -> Result<Self> {
        let (mut rounds, mut turn) = (None, None);
        let mut flags =
            Self { rounds: 0, turn: Duration::ZERO, is_quick: false, is_json: false, profiles: None, only: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| Error::from(format!("{arg} wants a value")));
            match arg.as_str() {
                "--rounds" => rounds = Some(positive(arg, value()?)?),
                "--round-ms" => turn = Some(positive(arg, value()?)?),
                "--quick" => flags.is_quick = true,
                "--json" => flags.is_json = true,
                "--profiles" => flags.profiles = Some(value()?.into()),
                "--only" => {
                    let case = value()?;
                    if !cases.contains(&case.as_str()) {
                        return fail(format!("no case `{case}`; there are {}", cases.join(", ")));
                    }
                    flags.only.push(case.clone());
                }
                other => return fail(format!("no flag `{other}`")),
            }
        }
        let (default_rounds, default_ms) = if flags.is_quick { (3, 50) } else { (21, 200) };
        flags.rounds = rounds.unwrap_or(default_rounds);
        flags.turn = Duration::from_millis(turn.unwrap_or(default_ms) as u64);
        Ok(flags)
    }

    /// Whether that case is to be measured.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == case)
    }
}

fn positive(flag: &str, value: &str) -> Result<usize> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => fail(format!("{flag} wants a whole number above 0, not `{value}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Flags> {
        let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Flags::parse(&args, &["sequential", "memory"])
    }

    #[test]
    fn what_is_said_wins_over_the_defaults() {
        let flags = parse("--quick --round-ms 70 --only memory --json").unwrap();
        assert_eq!((flags.rounds, flags.turn.as_millis()), (3, 70));
        assert!(flags.is_quick && flags.is_json);
        assert!(flags.wants("memory") && !flags.wants("sequential"));
        let flags = parse("").unwrap();
        assert_eq!((flags.rounds, flags.turn.as_millis()), (21, 200));
        assert!(flags.wants("memory") && flags.wants("sequential"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["--rounds", "--rounds 0", "--rounds x", "--only other", "quick"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
