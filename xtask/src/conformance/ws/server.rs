//! One process of the suite's server, with the cases that it offers.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::error::{Error, Result, fail};
use crate::{place, run};

/// What makes the suite's program listen on the loopback interface alone.
const LAUNCHER: &str = "tests/conformance/ws/loopback.py";
/// What the server wants in its settings and does not use: the launcher chooses a free port.
const UNUSED_PORT: u16 = 9001;
const SETTINGS: &str = "settings.json";
const LOG: &str = "server.log";
/// Below its folder, as all that it writes.
const REPORTS: &str = "reports";

/// The suite's server, running. Ended when it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    /// Where it writes its reports.
    pub(super) reports: PathBuf,
}

impl Server {
    /// Starts it in that folder, whose reports of an earlier run go.
    pub(super) fn start(python: &Path, folder: &Path, globs: &[String]) -> Result<Self> {
        let reports = folder.join(REPORTS);
        if reports.exists() {
            fs::remove_dir_all(&reports)
                .map_err(|e| Error::new(format!("cannot remove {}: {e}", reports.display())))?;
        }
        fs::create_dir_all(folder).map_err(|e| Error::new(format!("cannot make {}: {e}", folder.display())))?;
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).map_err(|e| Error::new(format!("cannot write {}: {e}", file.display())))
        };
        write(SETTINGS, settings(globs))?;
        let log = folder.join(LOG);
        let log = File::create(&log).map_err(|e| Error::new(format!("cannot write {}: {e}", log.display())))?;
        let mut command = run::program(python)?;
        command.arg(place::root()?.join(LAUNCHER)).args(["--mode", "fuzzingserver", "--spec", SETTINGS]);
        // Without its pages for browsers.
        command.args(["--webport", "0"]);
        command.current_dir(folder).stdout(Stdio::piped()).stderr(log);
        Self::wait(command, reports)
    }

    fn wait(mut command: Command, reports: PathBuf) -> Result<Self> {
        println!("$ {}", run::line(&command));
        let mut child = command.spawn().map_err(|e| run::not_started(&command, &e))?;
        let mut said =
            child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let port = said.find_map(|line| line.strip_prefix("port ").map(str::to_owned));
        let mut server = Self { child, url: String::new(), reports };
        let Some(port) = port else {
            return fail(format!("the suite's server ended before it listened; see {LOG} in its folder"));
        };
        server.url = format!("ws://127.0.0.1:{port}");
        // It says what it does; a pipe that nobody reads would stop it.
        drop(thread::spawn(move || said.for_each(drop)));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server's settings. Globs hold nothing that JSON would want escaped.
fn settings(globs: &[String]) -> String {
    let cases = globs.iter().map(|glob| format!("\"{glob}\"")).collect::<Vec<_>>().join(", ");
    format!(
        "{{\"url\": \"ws://127.0.0.1:{UNUSED_PORT}\", \"outdir\": \"{REPORTS}\", \"cases\": [{cases}], \
         \"exclude-cases\": [], \"exclude-agent-cases\": {{}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_the_cases() {
        let settings = settings(&["1.*".to_owned(), "12.1.1".to_owned()]);
        assert!(settings.contains("\"cases\": [\"1.*\", \"12.1.1\"], \"exclude-cases\""), "{settings}");
        assert!(settings.contains("\"exclude-agent-cases\": {}}\n"), "{settings}");
    }
}
