//! Instructions counted by valgrind's tool callgrind: the same figure in every run, whatever else
//! the machine does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result, fail};

/// Whether valgrind is there.
pub(crate) fn is_there() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Instructions in user space that a command takes. `file` is what callgrind writes.
pub(crate) fn instructions(own: &Command, file: &Path) -> Result<u64> {
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(own.get_program())
        .args(own.get_args())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        let args: Vec<_> = own.get_args().map(|arg| arg.to_string_lossy()).collect();
        return fail(format!("valgrind on `{}` ended with {status}", args.join(" ")));
    }
    total(&fs::read_to_string(file)?).ok_or_else(|| Error::from(format!("no total in {}", file.display())))
}

fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

/// A folder for profiles, removed at the end unless it is the user's.
#[derive(Debug)]
pub(crate) struct Profiles {
    folder: PathBuf,
    is_kept: bool,
}

impl Profiles {
    /// In `folder`, or else where nobody looks.
    pub(crate) fn new(folder: Option<&Path>) -> Result<Self> {
        let is_kept = folder.is_some();
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => std::env::temp_dir().join(format!("netcomm-bench-{}", std::process::id())),
        };
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, is_kept })
    }

    /// The file of that name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("callgrind.{name}.out"))
    }
}

impl Drop for Profiles {
    fn drop(&mut self) {
        if !self.is_kept {
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let profile = "events: Ir\nsummary: 1\n\ntotals: 28077\n";
        assert_eq!(total(profile), Some(28_077));
        assert_eq!(total("events: Ir\n"), None);
    }
}
