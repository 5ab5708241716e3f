//! The feature table in the root README.md tells what the facade's manifest holds, no more and no
//! less.
//!
//! Between two marks stands a table. Its first column names a feature in backticks, its column
//! `default` says `yes` for the features that are on by default. `default` itself is told in text.

use std::collections::BTreeSet;

use toml::Value;

use super::Finding;
use super::manifest::Manifests;
use super::tree::Tree;

const BEGIN: &str = "<!-- features:begin -->";
const END: &str = "<!-- features:end -->";
const README: &str = "README.md";
const FACADE: &str = "netcomm";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let all = Manifests::of(tree);
    let Some(facade) = all.named(FACADE) else {
        return Vec::new();
    };
    let features = facade.table.get("features").and_then(Value::as_table);
    let default = features.and_then(|f| f.get("default")).and_then(Value::as_array);
    let default: BTreeSet<&str> = default.into_iter().flatten().filter_map(Value::as_str).collect();
    let manifest: BTreeSet<&str> = features.into_iter().flat_map(|f| f.keys()).map(String::as_str).collect();
    let reasons = match rows(tree.text(README).unwrap_or_default()) {
        Ok(rows) => compare(&rows, &manifest, &default),
        Err(reason) => vec![reason],
    };
    reasons.into_iter().map(|reason| Finding::new(README, reason)).collect()
}

/// A feature's name and whether the table calls it a default.
type Row<'a> = (&'a str, bool);

fn rows(readme: &str) -> Result<Vec<Row<'_>>, String> {
    let table = readme.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (table, _) = table.ok_or_else(|| format!("has no table between `{BEGIN}` and `{END}`"))?;
    let mut lines = table.lines().map(str::trim).filter(|line| line.starts_with('|')).map(cells);
    let header = lines.next().unwrap_or_default();
    let default = header
        .iter()
        .position(|name| name.eq_ignore_ascii_case("default"))
        .ok_or("the feature table has no column `default`")?;
    lines
        .skip(1) // the line of dashes
        .map(|row| {
            let cell = |at: usize| row.get(at).copied().unwrap_or_default();
            let name = cell(0).strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            let name = name.ok_or_else(|| format!("`{}` is no feature in backticks", cell(0)))?;
            Ok((name, cell(default) == "yes"))
        })
        .collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn compare(rows: &[Row<'_>], manifest: &BTreeSet<&str>, default: &BTreeSet<&str>) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut told = BTreeSet::from(["default"]);
    for (name, is_default) in rows {
        if !told.insert(name) {
            reasons.push(format!("feature `{name}` has two rows, or tells of `default`"));
        } else if !manifest.contains(name) {
            reasons.push(format!("feature `{name}` is not in {FACADE}'s manifest"));
        } else if *is_default != default.contains(name) {
            let is = if *is_default { "is not" } else { "is" };
            reasons.push(format!("feature `{name}` {is} on by default"));
        }
    }
    reasons.extend(manifest.difference(&told).map(|name| format!("feature `{name}` has no row")));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[package]
name = "netcomm"
[features]
default = ["http"]
http = ["dep:netcomm-http"]
full = ["http"]
"#;
    const TABLE: &str = "# netcomm
<!-- features:begin -->
| feature | turns on     | default |
|---------|--------------|---------|
| `http`  | netcomm-http | yes     |
| `full`  | all of it    |         |
<!-- features:end -->
";

    fn found(readme: &str) -> Vec<String> {
        let tree = Tree::of(&[("README.md", readme), ("crates/netcomm/Cargo.toml", MANIFEST)]);
        check(&tree).into_iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn the_table_is_the_manifest() {
        assert_eq!(found(TABLE), [""; 0]);
        for (part, instead, reason) in [
            ("| `full`  | all of it    |         |\n", "", "`full` has no row"),
            ("`full`", "`fuller`", "`fuller` is not in"),
            ("`full` ", "full   ", "no feature in backticks"),
            ("yes", "   ", "`http` is on by default"),
            ("all of it    |    ", "all of it    | yes", "`full` is not on by default"),
            ("`full`", "`http`", "two rows"),
            ("| default", "|        ", "no column `default`"),
            ("<!-- features:end -->", "", "has no table"),
        ] {
            let found = found(&TABLE.replace(part, instead));
            assert!(found.iter().any(|said| said.contains(reason)), "{reason}: {found:?}");
        }
    }
}
