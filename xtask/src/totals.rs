//! What test runs add up to: counts from the lines cargo prints, and from the tests' own notes.

use std::collections::BTreeSet;
use std::fmt;

/// Sums over all test binaries.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// How many binaries reported a result. None, after a failed run, means: it did not build.
    pub(crate) results: u64,
}

impl Totals {
    /// Reads one line of output; only `test result:` lines count.
    pub(crate) fn read_line(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else {
            return;
        };
        self.results += 1;
        self.passed += number_before(counts, " passed");
        self.failed += number_before(counts, " failed");
        self.skipped += number_before(counts, " ignored");
    }

    /// Takes the notes of tests that ended early, one `name: reason` a line; gives them back in
    /// order. The harness counted each of those tests as passed.
    pub(crate) fn take_skipped<'a>(&mut self, notes: &'a str) -> BTreeSet<&'a str> {
        let lines: BTreeSet<&str> = notes.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        // A test that misses two things writes two lines but is one test.
        let tests: BTreeSet<&str> =
            lines.iter().map(|line| line.split_once(": ").map_or(*line, |(test, _)| test)).collect();
        let count = tests.len() as u64;
        self.passed = self.passed.saturating_sub(count);
        self.skipped += count;
        lines
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.results += other.results;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    text.find(word)
        .and_then(|end| text[..end].rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
test a ... ok
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.10s
";

    fn read(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.read_line(line));
        totals
    }

    #[test]
    fn results_add_up() {
        let mut totals = read(OUTPUT);
        assert_eq!(totals.to_string(), "15 passed, 2 failed, 1 skipped");
        assert_eq!(totals.results, 2);
        totals.add(&read(OUTPUT));
        assert_eq!(totals.to_string(), "30 passed, 4 failed, 2 skipped");
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let mut totals = read(OUTPUT);
        let notes = "http::a: no nginx\nhttp::a: no tinyproxy\n\ndial::b: no microsocks\n";
        assert_eq!(totals.take_skipped(notes).len(), 3);
        assert_eq!(totals.to_string(), "13 passed, 2 failed, 3 skipped");
    }

    #[test]
    fn nothing_built_is_no_result() {
        assert_eq!(read("error: could not compile `netcomm-core`\n").results, 0);
    }
}
