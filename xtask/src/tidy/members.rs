//! Each member of the workspace says in the root manifest what it is.

use super::Finding;
use super::tree::Tree;

const ROOT: &str = "Cargo.toml";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let text = tree.text(ROOT).unwrap_or_default();
    silent(text)
        .into_iter()
        .map(|(line, member)| Finding::at(ROOT, line, format!("{member} wants a comment on its line")))
        .collect()
}

/// Members without a comment. Read as text, since a parsed manifest has lost its comments.
fn silent(manifest: &str) -> Vec<(usize, &str)> {
    let lines = manifest.lines().map(str::trim).zip(1..);
    let mut is_in_list = false;
    let mut silent = Vec::new();
    for (line, number) in lines {
        let (entry, comment) = line.split_once('#').unwrap_or((line, ""));
        is_in_list |= entry.starts_with("members");
        if is_in_list && entry.contains('"') && comment.trim().is_empty() {
            silent.push((number, entry));
        }
        if is_in_list && entry.contains(']') {
            break;
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_a_comment() {
        let manifest = "[workspace]\nmembers = [\n    \"a\", # what a is\n    \"b\",\n    \"c\", #\n]\n\
            exclude = [\"fuzz\"]\n";
        let findings = check(&Tree::of(&[("Cargo.toml", manifest)]));
        let lines: Vec<_> = findings.iter().filter_map(|finding| finding.line).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn a_list_on_one_line_has_no_room_for_comments() {
        assert_eq!(silent("members = [\"a\", \"b\"]\nexclude = [\"c\"]").len(), 1);
    }
}
