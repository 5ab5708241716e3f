//! Peers from Python's packages, in a virtual environment below the target folder.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::{place, run};

/// Installs the package in this version, unless it is there.
pub(crate) fn ensure(package: &str, version: &str) -> Result<()> {
    let venv = venv()?;
    let python = python(&venv);
    if python.is_file() {
        let mut ask = run::program(&python)?;
        ask.args(["-c", "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"]);
        ask.arg(package);
        if run::output(ask).is_ok_and(|found| found.trim() == version) {
            return Ok(());
        }
    } else {
        let mut create = run::program("python3")?;
        create.args(["-m", "venv"]).arg(&venv);
        run::run(create)?;
    }
    let mut install = run::program(&python)?;
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.arg(format!("{package}=={version}"));
    run::run(install)
}

/// The environment that holds these packages.
pub(crate) fn venv() -> Result<PathBuf> {
    Ok(place::peers()?.join("venv"))
}

/// The Python of an environment.
pub(crate) fn python(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}
