//! Peers from JavaScript's packages, in a folder below the target folder.

use std::fs;

use crate::error::{Error, Result};
use crate::{place, run};

/// Installs the package in this version, unless it is there.
pub(crate) fn ensure(package: &str, version: &str) -> Result<()> {
    let peers = place::peers()?;
    let manifest = peers.join("node_modules").join(package).join("package.json");
    if fs::read_to_string(manifest).is_ok_and(|text| says_version(&text, version)) {
        return Ok(());
    }
    fs::create_dir_all(&peers).map_err(|e| Error::new(format!("cannot make {}: {e}", peers.display())))?;
    let mut install = run::program("npm")?;
    install.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
    install.arg(&peers).arg(format!("{package}@{version}"));
    run::run(install)
}

/// A package's manifest holds one `version`; its dependencies are named otherwise.
fn says_version(manifest: &str, version: &str) -> bool {
    manifest.lines().any(|line| line.trim().trim_end_matches(',') == format!("\"version\": \"{version}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_version_counts() {
        let manifest = "{\n  \"name\": \"ws\",\n  \"version\": \"8.18.0\",\n}";
        assert!(says_version(manifest, "8.18.0"));
        assert!(!says_version(manifest, "8.18"));
    }
}
