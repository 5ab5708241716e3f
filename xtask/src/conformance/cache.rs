//! The suite `cache-tests`: its cases and its origin come from a package, its client is ours.
//!
//! The origin is the package's own program, the runner an example of `netcomm-tests`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::error::{Error, Result, fail};
use crate::outcome::Outcome;
use crate::setup::npm;
use crate::{place, run};

const PACKAGE: &str = "http-cache-tests";
const VERSION: &str = "0.4.5";

/// Scripts that stand beside the runner.
const SCRIPTS: &str = "tests/conformance/cache";
/// Where the origin's program stands: in the package, and in newer folders of its authors.
const SERVERS: [&str; 2] = ["server/server.mjs", "test-engine/server/server.mjs"];
/// What the runner ends with where it has nothing to judge.
const NOT_JUDGED: i32 = 2;

const USAGE: &str = "\
usage: cargo xtask conformance cache [--suite PATH] [--only ID[,ID]] [--profile private|shared] [--at-once N]

  --suite   other cases than the package's: an export as a file, or a folder of the suite with its own origin
  --only    runs these cases and shows all that was sent and seen";

/// Runs it; `args` go to the runner, but for `--suite`.
pub(super) fn cache(args: &[String]) -> Result<Outcome> {
    let asked = Asked::read(args)?;
    for program in ["node", "npm"] {
        if place::find_program(program).is_none() {
            return Ok(Outcome::Skipped(format!("no {program} here")));
        }
    }
    if let Err(error) = npm::ensure(PACKAGE, VERSION) {
        return Ok(Outcome::Skipped(format!("no {PACKAGE} {VERSION}: {error}")));
    }
    let package = place::peers()?.join("node_modules").join(PACKAGE);
    let work = place::target()?.join("conformance/cache");
    fs::create_dir_all(&work).map_err(|e| Error::new(format!("cannot make {}: {e}", work.display())))?;
    let (folder, suite) = match asked.suite {
        None => (package.clone(), export(&package, &work)?),
        Some(folder) if folder.is_dir() => (folder.clone(), export(&folder, &work)?),
        Some(file) => (package, file),
    };
    // Apart from running it, so that code that does not build is no failed case.
    run::run(run::cargo(&["build", "--quiet", "--package", "netcomm-tests", "--example", "conformance-cache"])?)?;
    let origin = Origin::start(&folder, &work)?;
    let mut runner =
        run::cargo(&["run", "--quiet", "--package", "netcomm-tests", "--example", "conformance-cache", "--"])?;
    runner.args(["--origin", &origin.url, "--suite"]).arg(&suite).args(&asked.rest);
    println!("$ {}", run::line(&runner));
    let status = runner.status().map_err(|e| run::not_started(&runner, &e))?;
    drop(origin);
    Ok(match status.code() {
        Some(0) => Outcome::Passed,
        Some(NOT_JUDGED) => Outcome::Skipped("the client has no cache to judge".to_owned()),
        _ => Outcome::Failed("cases that ought to pass do not, or a listed one does".to_owned()),
    })
}

/// The arguments, as far as they concern this side.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    suite: Option<PathBuf>,
    rest: Vec<String>,
}

impl Asked {
    fn read(args: &[String]) -> Result<Self> {
        let mut asked = Self { suite: None, rest: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(value) = args.next() else {
                return fail(format!("{arg} wants a value\n\n{USAGE}"));
            };
            match arg.as_str() {
                "--suite" => {
                    asked.suite = Some(PathBuf::from(value));
                    // The runner's list of known failures is for the package's cases.
                    asked.rest.push("--other".to_owned());
                }
                "--only" | "--profile" | "--at-once" => asked.rest.extend([arg.clone(), value.clone()]),
                _ => return fail(format!("no argument `{arg}`\n\n{USAGE}")),
            }
        }
        Ok(asked)
    }
}

/// Writes the cases that lie in a folder to a file.
fn export(folder: &Path, work: &Path) -> Result<PathBuf> {
    let mut node = run::program("node")?;
    node.arg(format!("{SCRIPTS}/export.mjs")).arg(folder);
    let cases = run::output(node)?;
    let file = work.join("cases.json");
    fs::write(&file, cases).map_err(|e| Error::new(format!("cannot write {}: {e}", file.display())))?;
    Ok(file)
}

/// The suite's origin, running. Ended when it is dropped.
struct Origin {
    child: Child,
    url: String,
}

impl Origin {
    /// Starts it on a free port of the loopback interface.
    fn start(folder: &Path, work: &Path) -> Result<Self> {
        let server = SERVERS.iter().map(|server| folder.join(server)).find(|server| server.is_file());
        let Some(server) = server else {
            return fail(format!("no origin in {}", folder.display()));
        };
        let log = work.join("origin.log");
        let log = File::create(&log).map_err(|e| Error::new(format!("cannot write {}: {e}", log.display())))?;
        let mut node = run::program("node")?;
        node.arg("--require").arg(place::root()?.join(SCRIPTS).join("loopback.cjs")).arg(&server);
        // What it gets from npm when it is started as its authors do.
        node.env("npm_config_protocol", "http").env("npm_config_port", "0");
        node.env("npm_config_pidfile", work.join("origin.pid"));
        node.current_dir(folder).stdout(Stdio::piped()).stderr(log);
        Self::wait(node)
    }

    fn wait(mut node: Command) -> Result<Self> {
        println!("$ {}", run::line(&node));
        let mut child = node.spawn().map_err(|e| run::not_started(&node, &e))?;
        let mut said =
            child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let url = said.find_map(|line| line.strip_prefix("origin: ").map(str::to_owned));
        let Some(url) = url else {
            drop(Self { child, url: String::new() });
            return fail("the origin ended before it listened; see conformance/cache/origin.log in the target folder");
        };
        // It warns of this and that; a pipe that nobody reads would stop it.
        drop(thread::spawn(move || said.for_each(drop)));
        Ok(Self { child, url })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<Asked> {
        Asked::read(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn other_cases_are_named_as_such_to_the_runner() {
        let asked = read("--only a,b --suite cases.json --profile shared").unwrap();
        assert_eq!(asked.suite.as_deref(), Some(Path::new("cases.json")));
        assert_eq!(asked.rest, ["--only", "a,b", "--other", "--profile", "shared"]);
        assert_eq!(read("").unwrap(), Asked { suite: None, rest: Vec::new() });
        assert!(read("--only").is_err());
        assert!(read("--origin x").is_err());
    }
}
