//! A crate's `lib.rs` is its table of contents: docs, attributes, modules and what is re-exported.

use super::Finding;
use super::code::{blank, is_word, line_of};
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_lib = |path: &str| path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    tree.rust()
        .filter(|(path, _)| is_lib(path))
        .flat_map(|(path, text)| {
            logic(&blank(text))
                .into_iter()
                .map(move |(line, what)| Finding::at(path, line, format!("`{what}` belongs in a room of its own")))
        })
        .collect()
}

/// Items that are more than a line of the table of contents: where, and how they begin.
fn logic(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(skipped) = code[at..].find(|c: char| !c.is_whitespace()) {
        at += skipped;
        let rest = &code[at..];
        if rest.starts_with('#') {
            at += attribute(rest);
            continue;
        }
        let item = Item::parse(rest);
        if !item.is_content {
            found.push((line_of(code, at), item.words));
        }
        at += item.len;
    }
    found
}

/// The length of `#[..]` or `#![..]`.
fn attribute(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return at + 1,
            ']' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

struct Item {
    len: usize,
    is_content: bool,
    /// Its first words, to name it by.
    words: String,
}

impl Item {
    fn parse(code: &str) -> Self {
        let head = after_visibility(code);
        let mut words = head.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
        let (first, second) = (words.next().unwrap_or(head), words.next().unwrap_or_default());
        let is_use = first == "use" || (first, second) == ("extern", "crate");
        let semicolon = code.find(';').map_or(code.len(), |at| at + 1);
        let (len, has_body) = if is_use { (semicolon, false) } else { extent(code) };
        let is_content = is_use || (first == "mod" && !has_body);
        Self { len: len.max(1), is_content, words: format!("{first} {second}").trim().to_owned() }
    }
}

fn after_visibility(code: &str) -> &str {
    let Some(rest) = code.strip_prefix("pub").filter(|rest| !rest.starts_with(is_word)) else {
        return code;
    };
    let rest = rest.trim_start();
    match rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
        Some((_, rest)) => rest.trim_start(),
        None => rest,
    }
}

/// How far an item reaches, to its `;` or the end of its braces, and whether it had braces.
fn extent(code: &str) -> (usize, bool) {
    let mut depth = 0_u32;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' if depth <= 1 => return (at + 1, true),
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return (at + 1, false),
            _ => {}
        }
    }
    (code.len(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        logic(&blank(text))
    }

    #[test]
    fn a_table_of_contents_passes() {
        let text = "\
//! Docs with fn and struct.
#![doc = include_str!(\"../README.md\")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call; // impl
/* enum */
#[cfg(feature = \"tower\")]
pub mod service;
pub(crate) mod pool;
extern crate alloc;
use std::fmt;
pub use call::{Call, inner::{self, Next}};
#[doc(inline)]
pub use netcomm_core as core;
";
        assert_eq!(found(text), []);
    }

    #[test]
    fn each_kind_of_logic_is_found_once() {
        for item in [
            "pub async fn get() { if x { y; } }",
            "impl A for B { fn c() {} }",
            "pub struct Unit;",
            "struct Tuple(u8, [u8; 2]);",
            "enum E { A { b: u8 }, C }",
            "macro_rules! m { () => {} }",
            "pub trait T { fn f(&self); }",
            "const N: [u8; 2] = [1, 2];",
            "mod inline { pub use super::a; }",
            "thing!();",
        ] {
            let found = found(&format!("mod a;\n{item}\nmod b;\n"));
            assert_eq!(found.len(), 1, "{item}: {found:?}");
            assert_eq!(found[0].0, 2, "{item}");
        }
    }

    #[test]
    fn only_lib_rs_of_published_crates_is_looked_at() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "fn f() {}"),
            ("crates/a/src/b.rs", "fn f() {}"),
            ("tests/src/lib.rs", "fn f() {}"),
        ]);
        let findings = check(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].file, "crates/a/src/lib.rs");
    }
}
