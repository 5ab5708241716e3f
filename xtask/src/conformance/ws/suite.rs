//! The suite as installed: a Python 2.7 of this machine, an environment of our own for it, and the package in there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::setup::pip;
use crate::{place, run};

const PACKAGE: &str = "autobahntestsuite";
/// Later ones run on Python 2.7 as well.
const VERSION: &str = "0.8.2";

/// What makes environments for Python 2.7, in the last version that does.
const MAKER: (&str, &str) = ("virtualenv", "20.15.1");

/// Written into the environment when all is in it.
const STAMP: &str = "complete";

/// The Python that has the suite. Installed once; what was left half done is begun anew.
pub(super) fn ensure() -> Result<PathBuf> {
    let home = place::peers()?.join(PACKAGE);
    let (python, stamp) = (pip::python(&home), home.join(STAMP));
    if is_complete(&stamp, &python) {
        return Ok(python);
    }
    let old = python_2().ok_or_else(|| Error::new("no Python 2.7 here"))?;
    let (maker, version) = MAKER;
    pip::ensure(maker, version)?;
    if home.exists() {
        fs::remove_dir_all(&home).map_err(|e| Error::new(format!("cannot remove {}: {e}", home.display())))?;
    }
    let mut create = run::program(pip::python(&pip::venv()?))?;
    create.args(["-m", maker, "--quiet", "--python"]).arg(old).arg(&home);
    run::run(create)?;
    let mut install = run::program(&python)?;
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.arg(wanted());
    // Every run of a Python this old begins with the same lament.
    install.env("PYTHONWARNINGS", "ignore");
    run::run(install)?;
    fs::write(&stamp, wanted()).map_err(|e| Error::new(format!("cannot write {}: {e}", stamp.display())))?;
    Ok(python)
}

/// The package as installers name it.
pub(super) fn wanted() -> String {
    format!("{PACKAGE}=={VERSION}")
}

fn is_complete(stamp: &Path, python: &Path) -> bool {
    python.is_file() && fs::read_to_string(stamp).is_ok_and(|text| text == wanted())
}

/// A Python 2.7: on the `PATH`, or among those of a version manager that puts only one of them there.
fn python_2() -> Option<PathBuf> {
    let on_path = ["python2.7", "python2", "python"].into_iter().filter_map(place::find_program);
    let managed = versions_folder().map(|folder| managed(&folder)).unwrap_or_default();
    // Asked, and not believed: a manager's own program of that name may lead nowhere.
    on_path.chain(managed).find(|python| is_2_7(python))
}

fn versions_folder() -> Option<PathBuf> {
    let root = env::var_os("PYENV_ROOT").map(PathBuf::from);
    Some(root.or_else(|| Some(env::home_dir()?.join(".pyenv")))?.join("versions"))
}

/// Those in such a folder, one folder for each version.
fn managed(versions: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(versions).into_iter().flatten().filter_map(Result::ok);
    let old = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("2.7"));
    old.map(|folder| folder.path().join("bin/python2.7")).filter(|python| python.is_file()).collect()
}

fn is_2_7(python: &Path) -> bool {
    let said = run::program(python).and_then(|mut ask| {
        ask.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
        run::output(ask)
    });
    said.is_ok_and(|said| said.trim() == "2.7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_manager_are_found_by_their_folders() {
        let versions = env::temp_dir().join(format!("versions-{}", std::process::id()));
        for (version, program) in [("2.7.18", "python2.7"), ("3.13.0", "python2.7"), ("2.7-empty", "other")] {
            let bin = versions.join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join(program), "").unwrap();
        }
        assert_eq!(managed(&versions), [versions.join("2.7.18/bin/python2.7")]);
        fs::remove_dir_all(&versions).unwrap();
        assert_eq!(managed(&versions), [] as [PathBuf; 0]);
    }

    #[test]
    fn what_is_half_installed_is_not_complete() {
        let home = env::temp_dir().join(format!("suite-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let (stamp, python) = (home.join(STAMP), home.join("python"));
        fs::write(&python, "").unwrap();
        assert!(!is_complete(&stamp, &python));
        fs::write(&stamp, format!("{PACKAGE}==0.7.6")).unwrap();
        assert!(!is_complete(&stamp, &python), "another version");
        fs::write(&stamp, wanted()).unwrap();
        assert!(is_complete(&stamp, &python));
        fs::remove_file(&python).unwrap();
        assert!(!is_complete(&stamp, &python));
        fs::remove_dir_all(&home).unwrap();
    }
}
