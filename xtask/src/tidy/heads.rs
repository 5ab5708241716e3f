//! Every Rust file begins by saying what it is.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(_, text)| !has_head(text))
        .map(|(path, _)| Finding::at(path, 1, "begins without a `//!` head doc"))
        .collect()
}

/// A crate's head may be its README.md.
fn has_head(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("//!") || text.starts_with("#![doc = include_str!(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_head() {
        let tree = Tree::of(&[
            ("a.rs", "//! What it is.\nfn f() {}"),
            ("b.rs", "#![doc = include_str!(\"../README.md\")]\nmod a;"),
            ("c.rs", "use std::fmt;\n//! Too late."),
            ("d.rs", "// No doc."),
            ("e.md", "no Rust"),
        ]);
        let files: Vec<String> = check(&tree).into_iter().map(|finding| finding.file).collect();
        assert_eq!(files, ["c.rs", "d.rs"]);
    }
}
