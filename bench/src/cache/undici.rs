//! undici's cache in node: another language's, for orientation.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child;
use crate::error::Result;

/// Run with the address to ask for and the length of a turn in milliseconds.
const SCRIPT: &str = include_str!("undici.js");

/// Where undici lies.
#[derive(Debug, Clone)]
pub(super) struct Undici {
    folder: PathBuf,
}

impl Undici {
    pub(super) const NAME: &'static str = "undici";

    /// Where `cargo xtask bench` puts it, beside what cargo builds; or why it cannot be used.
    pub(super) fn find() -> std::result::Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let folder = program.ancestors().nth(2).map(|target| target.join("peers"));
        let Some(folder) = folder.filter(|folder| folder.join("node_modules/undici").is_dir()) else {
            return Err("undici is not there; `cargo xtask bench` installs it".to_owned());
        };
        let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        match node {
            Ok(status) if status.success() => Ok(Self { folder }),
            _ => Err("node is not there".to_owned()),
        }
    }

    /// Hits per second in one turn, in a process of its own.
    pub(super) fn turn(&self, server: SocketAddr, path: &str, turn: Duration) -> Result<f64> {
        let mut node = Command::new("node");
        // What is handed over as a text looks for packages where it is run.
        node.current_dir(&self.folder).args(["-e", SCRIPT, "--"]);
        node.arg(format!("http://{server}{path}")).arg(turn.as_millis().to_string());
        child::answer_of(node)
    }
}
