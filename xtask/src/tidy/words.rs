//! Words that no file may hold: paths of one machine, hosts of registries, notes of things undone.
//!
//! This file holds them all and is the one exception, beside lock files, which cargo writes.

use super::Finding;
use super::code::is_word;
use super::tree::Tree;

const THIS_FILE: &str = "xtask/src/tidy/words.rs";

/// Folders of one machine; only where a path starts, so that a URL's path may hold them.
const PATHS: &[&str] = &["/root/", "/home/", "/Users/"];

/// Where packages come from is each machine's own setting.
const HOSTS: &[&str] = &[
    "crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "npmjs.com",
    "deb.debian.org",
    "security.debian.org",
    "proxy.golang.org",
];

/// What is undone stands in the list of issues, where it is found again.
const NOTES: &[&str] = &["TODO", "FIXME", "todo!("];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files()
        .filter(|(path, _)| *path != THIS_FILE && !path.ends_with("Cargo.lock"))
        .flat_map(|(path, text)| {
            text.lines().enumerate().filter_map(move |(at, line)| {
                let word = banned(line)?;
                Some(Finding::at(path, at + 1, format!("holds `{word}`")))
            })
        })
        .collect()
}

fn banned(line: &str) -> Option<&'static str> {
    let is_path_start = |before: Option<char>, _: Option<char>| {
        before.is_none_or(|c| !is_word(c) && !matches!(c, '.' | '-' | '}' | ')' | ']' | '*' | '$'))
    };
    let is_whole =
        |before: Option<char>, after: Option<char>| !before.is_some_and(is_word) && !after.is_some_and(is_word);
    let anywhere = |_: Option<char>, _: Option<char>| true;
    PATHS
        .iter()
        .find(|word| occurs(line, word, is_path_start))
        .or_else(|| HOSTS.iter().find(|word| occurs(line, word, anywhere)))
        .or_else(|| {
            NOTES.iter().find(|word| match word.ends_with('(') {
                true => occurs(line, word, anywhere),
                false => occurs(line, word, is_whole),
            })
        })
        .copied()
}

/// Whether `word` stands in the line with neighbours that `fits` accepts.
fn occurs(line: &str, word: &str, fits: impl Fn(Option<char>, Option<char>) -> bool) -> bool {
    line.match_indices(word).any(|(at, _)| fits(line[..at].chars().next_back(), line[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_banned_and_what_only_looks_like_it() {
        for line in [
            "let dir = \"/home/ann/main\";",
            "/root/.cargo",
            "path=/home/me/x",
            "see file:///home/me",
            "from crates.io",
            "https://pypi.org/simple",
            "// TODO: later",
            "FIXME",
            "    todo!()",
        ] {
            assert!(banned(line).is_some(), "{line}");
        }
        for line in [
            "https://example.com/home/index.html",
            "../home/x",
            "{base}/home/x",
            "framework/root",
            "TODOS and METHODO",
            "crates of ours",
        ] {
            assert_eq!(banned(line), None, "{line}");
        }
    }

    #[test]
    fn lock_files_and_this_file_are_let_be() {
        let text = "fine\nfrom crates.io";
        let tree = Tree::of(&[("a.md", text), ("fuzz/Cargo.lock", text), (THIS_FILE, text)]);
        assert_eq!(check(&tree), [Finding::at("a.md", 2, "holds `crates.io`")]);
    }
}
