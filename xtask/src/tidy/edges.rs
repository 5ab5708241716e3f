//! Which crate may name which, by the tables in `allowed`.

mod allowed;

use allowed::{ALL, FACADE, GROUND, RESERVED, ROWS, Row, Terms};
use toml::{Table, Value};

use super::Finding;
use super::manifest::{Dependency, Kind, Manifest, Manifests, features_of};
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let all = Manifests::of(tree);
    let house: Vec<&str> = all.members.iter().map(Manifest::name).collect();
    let mut findings = in_root(&all.root);
    for manifest in &all.members {
        let Some(row) = ROWS.iter().find(|row| row.name == manifest.name()) else {
            let reason = format!("crate `{}` has no row in tidy's edges", manifest.name());
            findings.push(Finding::new(&manifest.path, reason));
            continue;
        };
        for dependency in manifest.dependencies(&all.root) {
            let reasons = [
                if house.contains(&dependency.package.as_str()) {
                    within(row, &dependency)
                } else {
                    foreign(row, &dependency)
                },
                reserved(row, &dependency),
            ];
            let reasons = reasons.into_iter().flatten();
            findings.extend(reasons.map(|reason| Finding::new(&manifest.path, reason)));
        }
    }
    findings
}

fn within(row: &Row, dependency: &Dependency) -> Option<String> {
    let name = dependency.package.as_str();
    let always = row.always == ALL || row.always.contains(&name);
    if always || (row.optional.contains(&name) && dependency.is_optional) {
        return None;
    }
    // Tests may stand on anything but the roof.
    if dependency.kind == Kind::Dev && name != FACADE {
        return None;
    }
    if row.optional.contains(&name) {
        return Some(format!("{} may name {name} only as an optional dependency", row.name));
    }
    Some(format!("{} may not name {name}", row.name))
}

fn foreign(row: &Row, dependency: &Dependency) -> Option<String> {
    if row.name != "netcomm-core" || dependency.kind == Kind::Dev {
        return None;
    }
    let name = dependency.package.as_str();
    let terms = GROUND.iter().find(|(allowed, _)| *allowed == name).map(|(_, terms)| *terms);
    match terms {
        None => Some(format!("netcomm-core may not import {name}")),
        Some(Terms::Bare) if dependency.has_default_features || !dependency.features.is_empty() => {
            Some(format!("netcomm-core imports {name} without any feature, defaults included"))
        }
        Some(Terms::Optional) if !dependency.is_optional => {
            Some(format!("netcomm-core imports {name} only as an optional dependency"))
        }
        Some(_) => None,
    }
}

fn reserved(row: &Row, dependency: &Dependency) -> Option<String> {
    let (library, feature, owner) = RESERVED.iter().find(|(library, _, _)| *library == dependency.package)?;
    if row.name == *owner {
        return None;
    }
    match feature {
        None => Some(format!("{library} belongs to {owner} alone")),
        Some(feature) if dependency.features.iter().any(|f| f == feature) => {
            Some(format!("feature {feature} of {library} belongs to {owner} alone"))
        }
        Some(_) => None,
    }
}

/// A reserved feature asked for in the root would reach every member that inherits the entry.
fn in_root(root: &Table) -> Vec<Finding> {
    let shared = root.get("workspace").and_then(|w| w.get("dependencies")?.as_table());
    let asks = |library: &str, feature: &str| {
        shared
            .and_then(|s: &Table| s.get(library))
            .is_some_and(|entry: &Value| features_of(entry).iter().any(|asked| asked == feature))
    };
    RESERVED
        .iter()
        .filter_map(|(library, feature, owner)| Some((library, (*feature)?, owner)))
        .filter(|(library, feature, _)| asks(library, feature))
        .map(|(library, feature, owner)| {
            let reason = format!("feature {feature} of {library} belongs to {owner} alone");
            Finding::new("Cargo.toml", reason)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Findings for one member beside empty ones, so that names of the house are known.
    fn found(name: &str, dependencies: &str) -> Vec<String> {
        let root = "[workspace.dependencies]\n\
            tokio = { version = \"1\", default-features = false }\n\
            http = \"1\"\nserde = \"1\"\nwire = { package = \"reqwest\", version = \"0.13\" }\n";
        let mut files = vec![("Cargo.toml".to_owned(), root.to_owned())];
        for row in ROWS {
            let body = if row.name == name { dependencies } else { "" };
            let text = format!("[package]\nname = \"{}\"\n{body}", row.name);
            files.push((format!("crates/{}/Cargo.toml", row.name), text));
        }
        let files: Vec<_> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        check(&Tree::of(&files)).into_iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn allowed_edges_pass() {
        for (name, dependencies) in [
            ("netcomm-core", "[dependencies]\ntokio.workspace = true\nhttp.workspace = true"),
            ("netcomm-core", "[dependencies]\nserde = { workspace = true, optional = true }"),
            ("netcomm-core", "[dev-dependencies]\nnetcomm-tests = { path = \"../../tests\" }"),
            ("netcomm-dial", "[dependencies]\nnetcomm-core.workspace = true\nrustls = \"0.23\""),
            ("netcomm-http", "[dependencies]\nnetcomm-dial = { workspace = true, optional = true }"),
            ("netcomm", "[dependencies]\nnetcomm-http = { workspace = true, optional = true }"),
            ("netcomm-cli", "[dependencies]\nnetcomm.workspace = true\nclap = \"4\""),
            ("netcomm-bench", "[dependencies]\nwire.workspace = true\nnetcomm.workspace = true"),
        ] {
            assert_eq!(found(name, dependencies), [""; 0], "{name}: {dependencies}");
        }
    }

    #[test]
    fn forbidden_edges_are_found() {
        for (name, dependencies, reason) in [
            ("netcomm-core", "[dependencies]\nnetcomm-dial.workspace = true", "may not name"),
            ("netcomm-core", "[dependencies]\nring = \"0.17\"", "may not import ring"),
            ("netcomm-core", "[dependencies]\nserde.workspace = true", "only as an optional"),
            (
                "netcomm-core",
                "[dependencies]\ntokio = { workspace = true, features = [\"net\"] }",
                "without any feature",
            ),
            ("netcomm-core", "[dependencies]\ntokio = \"1\"", "without any feature"),
            ("netcomm-core", "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"", "import libc"),
            ("netcomm-dial", "[dependencies]\nnetcomm-http.workspace = true", "may not name"),
            ("netcomm-http", "[dependencies]\nnetcomm-dial.workspace = true", "optional"),
            ("netcomm-http", "[dev-dependencies]\nnetcomm.workspace = true", "may not name netcomm"),
            ("netcomm-http", "[dev-dependencies]\nwire.workspace = true", "netcomm-bench alone"),
            (
                "netcomm-http",
                "[dependencies]\nhyper-util = { version = \"0.1\", features = [\"client-legacy\"] }",
                "client-legacy",
            ),
            ("netcomm-http", "[dependencies]\nclap = \"4\"", "netcomm-cli alone"),
        ] {
            let found = found(name, dependencies);
            assert_eq!(found.len(), 1, "{name}: {dependencies}: {found:?}");
            assert!(found[0].contains(reason), "{found:?}");
        }
    }

    #[test]
    fn a_crate_without_a_row_and_a_reserved_feature_in_the_root() {
        let root = "[workspace.dependencies]\nhyper-util = { version = \"0.1\", features = [\"client-legacy\"] }";
        let stray = "[package]\nname = \"netcomm-stray\"";
        let tree = Tree::of(&[("Cargo.toml", root), ("crates/stray/Cargo.toml", stray)]);
        assert_eq!(check(&tree).len(), 2);
    }
}
