//! `cargo xtask tidy`: the house rules that no compiler checks, each a pure function over the
//! text of the repository's files.

mod code;
mod edges;
mod feature_table;
mod heads;
mod lib_rs;
mod manifest;
mod manifests;
mod members;
mod rooms;
mod tree;
mod words;

use std::fmt;

use tree::Tree;

use crate::error::Result;
use crate::outcome::Outcome;

/// A rule broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    file: String,
    line: Option<usize>,
    reason: String,
}

impl Finding {
    fn new(file: &str, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, reason: reason.into() }
    }

    fn at(file: &str, line: usize, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: Some(line), reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

static RULES: &[(&str, Rule)] = &[
    ("edges between crates", edges::check),
    ("lib.rs without logic", lib_rs::check),
    ("manifests", manifests::check),
    ("feature table", feature_table::check),
    ("head docs", heads::check),
    ("words", words::check),
    ("one library, one room", rooms::check),
    ("members", members::check),
];

/// Checks all rules and prints each finding.
pub(crate) fn tidy() -> Result<Outcome> {
    let tree = Tree::read()?;
    let mut count = 0;
    for (name, rule) in RULES {
        for finding in rule(&tree) {
            println!("{finding}   [{name}]");
            count += 1;
        }
    }
    match count {
        0 => Ok(Outcome::Passed),
        1 => Ok(Outcome::Failed("1 finding".to_owned())),
        _ => Ok(Outcome::Failed(format!("{count} findings"))),
    }
}
