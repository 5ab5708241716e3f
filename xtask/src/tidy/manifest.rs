//! Manifests as the rules see them: who a package is and what it depends on.

use toml::{Table, Value};

use super::Finding;
use super::tree::Tree;

/// A member's manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) table: Table,
}

/// All manifests of the workspace. Packages outside it (`fuzz/`) go their own way.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub(super) root: Table,
    pub(super) members: Vec<Manifest>,
    /// Those that are no TOML.
    pub(super) broken: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Dev,
    Build,
}

/// One dependency, with what it inherits from the root filled in.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The package's name, whatever the manifest calls it.
    pub(super) package: String,
    pub(super) kind: Kind,
    pub(super) is_optional: bool,
    pub(super) is_inherited: bool,
    /// Whether the member itself says `path`.
    pub(super) has_path: bool,
    pub(super) has_default_features: bool,
    pub(super) features: Vec<String>,
}

impl Manifests {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut all = Self::default();
        for (path, text) in tree.files() {
            let is_root = path == "Cargo.toml";
            if !is_root && (!path.ends_with("/Cargo.toml") || path.starts_with("fuzz/")) {
                continue;
            }
            match text.parse::<Table>() {
                Ok(table) if is_root => all.root = table,
                Ok(table) => all.members.push(Manifest { path: path.to_owned(), table }),
                Err(error) => all.broken.push(Finding::new(path, error.message())),
            }
        }
        all
    }

    pub(super) fn named(&self, name: &str) -> Option<&Manifest> {
        self.members.iter().find(|manifest| manifest.name() == name)
    }
}

impl Manifest {
    pub(super) fn name(&self) -> &str {
        self.package("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// A field of `[package]`.
    pub(super) fn package(&self, key: &str) -> Option<&Value> {
        self.table.get("package")?.get(key)
    }

    /// The folder of a crate to be published: `crates/<name>`.
    pub(super) fn crate_folder(&self) -> Option<&str> {
        self.path.strip_suffix("/Cargo.toml").filter(|folder| folder.starts_with("crates/"))
    }

    /// Dependencies of all kinds, those for single platforms too.
    pub(super) fn dependencies(&self, root: &Table) -> Vec<Dependency> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let places = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        let mut found = Vec::new();
        for place in std::iter::once(&self.table).chain(places) {
            for (section, kind) in
                [("dependencies", Kind::Normal), ("dev-dependencies", Kind::Dev), ("build-dependencies", Kind::Build)]
            {
                let entries = place.get(section).and_then(Value::as_table);
                let entries = entries.into_iter().flatten();
                found.extend(entries.map(|(key, entry)| dependency(key, entry, kind, root)));
            }
        }
        found
    }
}

fn dependency(key: &str, entry: &Value, kind: Kind, root: &Table) -> Dependency {
    let is_inherited = is_true(entry.get("workspace"));
    let inherited = root.get("workspace").and_then(|w| w.get("dependencies")?.get(key)).filter(|_| is_inherited);
    let package = inherited.and_then(|i| i.get("package")).or_else(|| entry.get("package"));
    let mut features = inherited.map(features_of).unwrap_or_default();
    features.extend(features_of(entry));
    Dependency {
        package: package.and_then(Value::as_str).unwrap_or(key).to_owned(),
        kind,
        is_optional: is_true(entry.get("optional")),
        is_inherited,
        has_path: entry.get("path").is_some(),
        // A member cannot take back defaults that the root lets in, but it can ask for them.
        has_default_features: has_defaults(inherited.unwrap_or(entry))
            || (is_inherited && is_true(entry.get("default-features"))),
        features,
    }
}

/// The features that a dependency's entry asks for.
pub(super) fn features_of(entry: &Value) -> Vec<String> {
    let list = entry.get("features").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn has_defaults(entry: &Value) -> bool {
    entry.get("default-features").and_then(Value::as_bool).unwrap_or(true)
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}
