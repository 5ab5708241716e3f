//! Each member inherits what the root decides; each published crate can stand alone in a shop
//! window.

use toml::Value;

use super::Finding;
use super::manifest::{Kind, Manifest, Manifests};
use super::tree::Tree;

const INHERITED: &[&str] = &["edition", "rust-version", "license"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Manifests { root, members, broken } = Manifests::of(tree);
    let mut findings = broken;
    for manifest in &members {
        let mut reasons = inheritance(manifest);
        match manifest.crate_folder() {
            Some(folder) => reasons.extend(shop_window(manifest, folder, tree)),
            None if manifest.package("publish").and_then(Value::as_bool) != Some(false) => {
                reasons.push("wants `publish = false`".to_owned());
            }
            None => {}
        }
        for dependency in manifest.dependencies(&root) {
            // A path without version keeps a development dependency out of what is published.
            let is_path_for_tests = dependency.kind == Kind::Dev && dependency.has_path;
            if !dependency.is_inherited && !is_path_for_tests {
                reasons.push(format!("`{}` wants `workspace = true`", dependency.package));
            }
        }
        findings.extend(reasons.into_iter().map(|reason| Finding::new(&manifest.path, reason)));
    }
    findings
}

fn inheritance(manifest: &Manifest) -> Vec<String> {
    let says_so =
        |value: Option<&Value>| value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true);
    let mut reasons: Vec<String> = INHERITED
        .iter()
        .filter(|key| !says_so(manifest.package(key)))
        .map(|key| format!("wants `{key}.workspace = true`"))
        .collect();
    if !says_so(manifest.table.get("lints")) {
        reasons.push("wants `lints.workspace = true`".to_owned());
    }
    reasons
}

fn shop_window(manifest: &Manifest, folder: &str, tree: &Tree) -> Vec<String> {
    let mut reasons = Vec::new();
    if tree.text(&format!("{folder}/README.md")).is_none() {
        reasons.push("has no README.md beside it".to_owned());
    }
    let description = manifest.package("description").and_then(Value::as_str);
    if description.is_none_or(|text| text.trim().is_empty()) {
        reasons.push("wants a description".to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[package]
name = "a"
description = "does a"
edition.workspace = true
rust-version.workspace = true
license.workspace = true
[dependencies]
http.workspace = true
[dev-dependencies]
netcomm-tests = { path = "../../tests" }
[lints]
workspace = true
"#;

    fn found(path: &str, text: &str, more: &[(&str, &str)]) -> Vec<String> {
        let mut files = vec![(path, text)];
        files.extend(more);
        check(&Tree::of(&files)).into_iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn a_published_crate() {
        let path = "crates/a/Cargo.toml";
        let readme = [("crates/a/README.md", "# a")];
        assert_eq!(found(path, GOOD, &readme), [""; 0]);
        assert_eq!(found(path, GOOD, &[]), ["has no README.md beside it"]);
        for (part, instead, reason) in [
            ("edition.workspace = true", "edition = \"2021\"", "edition"),
            ("rust-version.workspace = true", "", "rust-version"),
            ("license.workspace = true", "", "license"),
            ("[lints]\nworkspace = true", "", "lints"),
            ("description = \"does a\"", "description = \" \"", "description"),
            ("http.workspace = true", "http = \"1\"", "`http` wants"),
            ("{ path = \"../../tests\" }", "\"1\"", "`netcomm-tests` wants"),
            ("[dev-dependencies]", "[build-dependencies]", "`netcomm-tests` wants"),
        ] {
            let found = found(path, &GOOD.replace(part, instead), &readme);
            assert_eq!(found.len(), 1, "{part}: {found:?}");
            assert!(found[0].contains(reason), "{found:?}");
        }
    }

    #[test]
    fn a_package_of_our_own_is_not_published() {
        assert_eq!(found("bench/Cargo.toml", GOOD, &[]), ["wants `publish = false`"]);
        let private = GOOD.replace("[dependencies]", "publish = false\n[dependencies]");
        assert_eq!(found("bench/Cargo.toml", &private, &[]), [""; 0]);
    }

    #[test]
    fn what_is_no_toml_is_said() {
        assert_eq!(found("crates/a/Cargo.toml", "[package", &[]).len(), 1);
    }
}
