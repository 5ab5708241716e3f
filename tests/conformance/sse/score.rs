//! How many cases of one part pass. Pure.

use std::fmt;

/// The outcome of one part.
#[derive(Debug)]
pub(crate) struct Score {
    part: &'static str,
    passed: usize,
    failures: Vec<String>,
}

impl Score {
    pub(crate) fn new(part: &'static str) -> Self {
        Self { part, passed: 0, failures: Vec::new() }
    }

    /// Adds a case: it passed, or what was wrong.
    pub(crate) fn add(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(wrong) => self.failures.push(format!("{} {name}: {wrong}", self.part)),
        }
    }

    /// A line for each case that failed.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &str> {
        self.failures.iter().map(String::as_str)
    }

    /// Whether there were cases and none failed.
    pub(crate) fn is_good(&self) -> bool {
        self.passed > 0 && self.failures.is_empty()
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.part, self.passed, self.passed + self.failures.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_named() {
        let mut score = Score::new("parse");
        assert!(!score.is_good(), "nothing ran");
        score.add("a", Ok(()));
        assert!(score.is_good());
        score.add("b", Err("no event".to_owned()));
        assert!(!score.is_good());
        assert_eq!(score.to_string(), "parse 1/2");
        assert_eq!(score.failures().collect::<Vec<_>>(), ["parse b: no event"]);
    }
}
