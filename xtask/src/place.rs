//! Where things lie: the workspace's root and what is built or installed below its target folder.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The workspace's root: the nearest folder upwards that holds this package.
///
/// Looked up when asked, not when compiled, so that a copied target folder cannot point elsewhere.
pub(crate) fn root() -> Result<PathBuf> {
    let here = env::current_dir().map_err(|e| Error::new(format!("no current folder: {e}")))?;
    here.ancestors()
        .find(|dir| dir.join("xtask/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::new("run this inside the workspace"))
}

/// Cargo's target folder.
pub(crate) fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => Ok(root()?.join(dir)),
        None => Ok(root()?.join("target")),
    }
}

/// Cargo tools installed by `cargo xtask tools`.
pub(crate) fn tools() -> Result<PathBuf> {
    Ok(target()?.join("tools"))
}

/// Peers installed by `cargo xtask setup` that are not system packages.
pub(crate) fn peers() -> Result<PathBuf> {
    Ok(target()?.join("peers"))
}

/// The program's path, if it is installed; daemons live in folders that a user's PATH may lack.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}
