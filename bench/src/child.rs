//! This program once more, in processes of its own: servers, and clients that are measured alone.

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::de::DeserializeOwned;

use crate::error::{Error, Result, fail};

/// A command that runs this program.
pub(crate) fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    Ok(command)
}

/// A command that runs this program on the system's allocator, without the counters.
pub(crate) fn plain_command(args: &[&str]) -> Result<Command> {
    let file = std::env::current_exe()?.with_file_name(format!("netcomm-bench-plain{EXE_SUFFIX}"));
    if !file.is_file() {
        return fail("netcomm-bench-plain is not built; `cargo xtask bench` builds it");
    }
    let mut command = Command::new(file);
    command.args(args);
    Ok(command)
}

/// Runs this program to its end and reads the JSON that it prints.
pub(crate) fn answer<T: DeserializeOwned>(args: &[&str]) -> Result<T> {
    answer_of(command(args)?)
}

/// Runs a command to its end and reads the JSON that it prints.
pub(crate) fn answer_of<T: DeserializeOwned>(mut command: Command) -> Result<T> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        return fail(format!("`{}` ended with {}", args.join(" "), output.status));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A server in a process of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    // The server reads it to its end, which comes when we are gone, however that happens.
    _stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl Server {
    /// Starts one; it says on its first line where it listens.
    pub(crate) fn start(args: &[&str]) -> Result<Self> {
        let mut child = command(args)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        // From here on dropping it ends the process.
        let mut server = Self { child, _stdin: stdin, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let stdout = stdout.ok_or_else(|| Error::from("the server has no output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        server.address = line.trim().parse().map_err(|_| format!("the server said `{}`", line.trim()))?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way there is nobody to tell.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// For servers: waits until whoever started this process is gone, then ends it.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        std::io::stdin().read_to_end(&mut rest).ok();
        std::process::exit(0);
    });
}

/// The most memory that this process had resident so far, in KiB; `None` where the system does not
/// say.
pub(crate) fn peak_resident_kib() -> Option<u64> {
    of_status("VmHWM:")
}

/// The memory that this process has resident now, in KiB; `None` where the system does not say.
pub(crate) fn resident_kib() -> Option<u64> {
    of_status("VmRSS:")
}

fn of_status(line: &str) -> Option<u64> {
    kib_of(&std::fs::read_to_string("/proc/self/status").ok()?, line)
}

fn kib_of(status: &str, line: &str) -> Option<u64> {
    let line = status.lines().find_map(|text| text.strip_prefix(line))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read() {
        let status = "Name:\tx\nVmPeak:\t    9000 kB\nVmHWM:\t    4321 kB\n";
        assert_eq!(kib_of(status, "VmHWM:"), Some(4321));
        assert_eq!(kib_of("Name:\tx\n", "VmHWM:"), None);
    }
}
