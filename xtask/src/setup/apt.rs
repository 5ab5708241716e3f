//! Peers from the system's packages. Programs only: no service is started by installing one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result, fail};
use crate::{place, run};

/// What package scripts ask before they start a service; exit code 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Package lists are fetched at most once, and only if something is missing.
#[derive(Debug, Default)]
pub(super) struct Apt {
    ready: Option<Result<(), String>>,
}

impl Apt {
    /// Installs the first of `packages` that exists, unless `program` is there already.
    pub(super) fn ensure(&mut self, program: &str, packages: &[&str]) -> Result<()> {
        if place::find_program(program).is_some() {
            return Ok(());
        }
        self.ready.get_or_insert_with(|| prepare().map_err(|e| e.to_string())).clone().map_err(Error::new)?;
        let Some(package) = packages.iter().find(|package| is_offered(package)) else {
            return fail(format!("this system offers none of {}", packages.join(", ")));
        };
        let no_services = NoServices::declare(Path::new(POLICY))?;
        let mut install = apt_get()?;
        install.args(["install", "--yes", "--no-install-recommends", package]);
        run::told_output(install)?;
        drop(no_services);
        stay_down(program);
        match place::find_program(program) {
            Some(_) => Ok(()),
            None => fail(format!("package {package} brought no program {program}")),
        }
    }
}

fn prepare() -> Result<()> {
    if place::find_program("apt-get").is_none() {
        return fail("no apt-get here");
    }
    let mut id = run::program("id")?;
    id.arg("-u");
    if run::output(id)?.trim() != "0" {
        return fail("only root may install packages");
    }
    let mut update = apt_get()?;
    update.arg("update");
    run::told_output(update).map(drop)
}

fn apt_get() -> Result<Command> {
    let mut command = run::program("apt-get")?;
    command.args(["--quiet", "--quiet", "-o", "DPkg::Lock::Timeout=120"]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn is_offered(package: &str) -> bool {
    let policy = run::program("apt-cache").and_then(|mut command| {
        command.args(["policy", package]);
        run::output(command)
    });
    policy.is_ok_and(|text| has_candidate(&text))
}

fn has_candidate(policy: &str) -> bool {
    policy.lines().filter_map(|line| line.trim().strip_prefix("Candidate:")).any(|version| version.trim() != "(none)")
}

/// Installing may have asked for the service when the machine starts next; takes that back. Where
/// there is no such service, or nothing that starts services, nothing needs taking back.
fn stay_down(service: &str) {
    if let Ok(mut disable) = run::program("systemctl") {
        disable.args(["disable", "--quiet", service]);
        drop(run::output(disable));
    }
}

/// While it lives, installing a package starts no service. A rule that was there already stays.
#[derive(Debug)]
struct NoServices<'a> {
    policy: &'a Path,
    is_ours: bool,
}

impl<'a> NoServices<'a> {
    fn declare(policy: &'a Path) -> Result<Self> {
        let cannot = |e: io::Error| Error::new(format!("cannot write {}: {e}", policy.display()));
        let mut file = match File::create_new(policy) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Self { policy, is_ours: false });
            }
            Err(e) => return Err(cannot(e)),
        };
        let ours = Self { policy, is_ours: true };
        file.write_all(b"#!/bin/sh\nexit 101\n").map_err(cannot)?;
        let mut chmod = run::program("chmod")?;
        chmod.arg("755").arg(policy);
        run::output(chmod)?;
        Ok(ours)
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = fs::remove_file(self.policy)
        {
            println!("{} is left behind: {error}", self.policy.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_candidate_is_not_offered() {
        assert!(has_candidate("nginx:\n  Installed: (none)\n  Candidate: 1.22.1-9\n"));
        assert!(!has_candidate("nginx:\n  Installed: (none)\n  Candidate: (none)\n"));
        assert!(!has_candidate(""));
    }

    #[test]
    #[cfg(unix)]
    fn services_are_forbidden_only_meanwhile() {
        let policy = std::env::temp_dir().join(format!("policy-{}", std::process::id()));
        let ours = NoServices::declare(&policy).unwrap();
        assert_eq!(Command::new(&policy).status().unwrap().code(), Some(101));
        drop(NoServices::declare(&policy).unwrap());
        assert!(policy.exists(), "what another wrote stays");
        drop(ours);
        assert!(!policy.exists());
    }
}
