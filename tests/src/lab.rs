//! A network of a test's own: a namespace of Linux, in which a test changes links, addresses and routes as it likes.

#![expect(
    clippy::print_stdout,
    reason = "what a test could not have, and what it saw, is told to the person who runs it"
)]

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::{any, env};

/// Tells a test that it runs inside.
const INSIDE: &str = "NETCOMM_LAB_INSIDE";

/// Runs a story in a network namespace: this test alone, in another process of its binary, as root of a user namespace of its
/// own. What it prints is passed on.
///
/// Where namespaces are not permitted, or `ip` is missing, the test is noted as skipped and passes.
///
/// # Panics
///
/// If the story does, or if it is no closure of the test function itself.
pub fn in_namespace<F: FnOnce()>(story: F) {
    if env::var_os(INSIDE).is_some() {
        story();
        return;
    }
    let name = any::type_name::<F>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_binary, name)| name);
    let Some(mut inside) = namespace() else {
        skip(name, "no network namespace can be made here");
        return;
    };
    let this = env::current_exe().expect("the test's own program");
    inside.arg(this).args([name, "--exact", "--nocapture", "--test-threads=1"]);
    let output = inside.env(INSIDE, "1").stdin(Stdio::null()).output().expect("unshare starts");
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{told}");
    assert!(output.status.success() && told.contains("1 passed"), "{name} failed inside:\n{told}{errors}");
}

/// A command that runs the program which is its first argument in a network namespace of its own, in which [`ip`] may change
/// things. `None` where that is not permitted, or `ip` is missing.
#[must_use]
pub fn namespace() -> Option<Command> {
    let ways: [&[&str]; 2] = [&["--map-root-user", "--net"], &["--net"]];
    let command = |way: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(way).arg("--");
        command
    };
    let works = |way: &&[&str]| {
        let mut change = command(way);
        change.args(["ip", "link", "add", "name", "lab0", "type", "veth", "peer", "name", "lab1"]);
        change.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        change.status().is_ok_and(|status| status.success())
    };
    ways.into_iter().find(works).map(command)
}

/// Runs `ip`, once per line.
///
/// # Panics
///
/// If it fails.
pub fn ip(lines: &str) {
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("ip starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(format!("{lines}\n").as_bytes()).expect("ip reads");
    drop(input);
    let output = child.wait_with_output().expect("ip ends");
    assert!(output.status.success(), "ip failed: {}\n{lines}", String::from_utf8_lossy(&output.stderr));
}

/// For [`ip`], in a namespace of its own: a cable `p0`-`p1` and a cable `q0`-`q1`, all plugged in, with an address at `p0` and one at `q0`. Without link-local
/// addresses, of which the kernel tells in its own time.
pub const CABLES: &str = "\
link set lo up
link add name p0 type veth peer name p1
link add name q0 type veth peer name q1
link set p0 addrgenmode none
link set p1 addrgenmode none
link set q0 addrgenmode none
link set q1 addrgenmode none
link set p0 up
link set p1 up
link set q0 up
link set q1 up
addr add 10.0.0.1/24 dev p0
addr add 10.0.1.1/24 dev q0";

/// Notes that a test cannot run here, in the file that `NETCOMM_SKIPPED_FILE` names.
fn skip(test: &str, reason: &str) {
    println!("skipped: {reason}");
    if let Some(file) = env::var_os("NETCOMM_SKIPPED_FILE") {
        let mut notes = OpenOptions::new().create(true).append(true).open(file).expect("the file for notes opens");
        // In one piece: tests of other threads and processes write there too.
        notes.write_all(format!("{test}: {reason}\n").as_bytes()).expect("the note is written");
    }
}
