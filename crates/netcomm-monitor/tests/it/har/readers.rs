//! What readers that nobody here wrote make of an export: node's `har-validator`, which holds it against the schemas of HAR 1.2,
//! and Python's `haralyzer`.
//!
//! A test whose reader is not installed (`cargo xtask setup`) ends early and says so in the file that `NETCOMM_SKIPPED_FILE`
//! names.

#![expect(clippy::print_stdout, reason = "what a test could not have is told to the person who runs it")]

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::world;

const VALIDATE: &str = "
const har = JSON.parse(require('fs').readFileSync(process.argv[1]));
require('har-validator').har(har).then(
    (har) => console.log(har.log.entries.map((one) => `${one.request.method} ${one.request.url} ${one.response.status}`).join('\\n')),
    (error) => { console.error(JSON.stringify(error.errors)); process.exit(1); },
);
";

const ANALYZE: &str = "
import json, sys
from haralyzer import HarParser
for entry in HarParser(json.load(open(sys.argv[1]))).har_data['entries']:
    assert entry['startedDateTime'] and entry['time'] >= 0
    print(entry['request']['method'], entry['request']['url'], entry['response']['status'])
from haralyzer import HarEntry
for entry in HarParser(json.load(open(sys.argv[1]))).har_data['entries']:
    one = entry if isinstance(entry, HarEntry) else HarEntry(entry)
    assert one.startTime and one.request.method and one.response.status is not None and one.url
";

#[tokio::test(start_paused = true)]
async fn it_is_valid_to_the_validator_of_node() {
    let folder = peers().join("node_modules");
    if !folder.join("har-validator").is_dir() {
        return skip(std::any::type_name_of_val(&|| ()), "no node with package har-validator here");
    }
    let mut node = Command::new("node");
    node.args(["-e", VALIDATE]).env("NODE_PATH", folder);
    read_by("node", node).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_read_by_haralyzer_of_python() {
    let python = peers().join("venv/bin/python");
    let installed = Command::new(&python).args(["-c", "import haralyzer"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return skip(std::any::type_name_of_val(&|| ()), "no package haralyzer here");
    }
    let mut analyze = Command::new(python);
    analyze.args(["-c", ANALYZE]);
    read_by("python", analyze).await;
}

/// Lets a reader list what it found.
async fn read_by(name: &str, mut reader: Command) {
    let har = world().await.recorder.to_har();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.har", std::process::id()));
    std::fs::write(&file, &har).expect("the file is written");
    let output = reader.arg(&file).output().expect("the reader starts");
    drop(std::fs::remove_file(&file));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let read = String::from_utf8(output.stdout).expect("text");
    let read: Vec<_> = read.lines().collect();
    assert_eq!(read.len(), 9, "{read:?}");
    assert_eq!((read[0], read[8]), ("GET http://a.example/go 302", "GET ws://c.example/live 101"));
}

/// Where `cargo xtask setup` puts packages.
fn peers() -> PathBuf {
    env::var_os("NETCOMM_PEERS_DIR")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers"), PathBuf::from)
}

/// Notes that a test cannot run here. `closure` is the type name of a closure in it.
fn skip(closure: &str, reason: &str) {
    let test = closure.trim_end_matches("::{{closure}}");
    let test = test.split_once("::").map_or(test, |(_binary, test)| test);
    println!("skipped: {reason}");
    if let Some(file) = env::var_os("NETCOMM_SKIPPED_FILE") {
        let mut notes = OpenOptions::new().create(true).append(true).open(file).expect("the file for notes opens");
        // In one piece: tests of other threads and processes write there too.
        notes.write_all(format!("{test}: {reason}\n").as_bytes()).expect("the note is written");
    }
}
