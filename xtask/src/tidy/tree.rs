//! The repository's text files in memory, so that rules need no file system.

use std::collections::BTreeMap;
use std::fs;

use crate::error::Result;
use crate::{place, run};

/// Path from the root, with slashes, to text.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads what git tracks or would track; what it ignores is no part of the repository.
    pub(super) fn read() -> Result<Self> {
        let root = place::root()?;
        let mut list = run::program("git")?;
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let list = run::output(list)?;
        let paths = list.split('\0').filter(|path| !path.is_empty());
        // Files that are no text, or are deleted but not yet in the index, have no lines to check.
        let read = |path: &str| Some((path.to_owned(), fs::read_to_string(root.join(path)).ok()?));
        Ok(Self(paths.filter_map(read).collect()))
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// All files with their text, by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// All Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }
}
