//! Peers as child processes: found, started on a free port, waited for, and ended with the test.

#![expect(
    clippy::print_stdout,
    reason = "what a test could not have, and what a peer said, is told to the person who runs it"
)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, process};

use tokio::net::TcpStream;

/// How long a peer may take to listen. Node on a busy machine takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a peer is looked at until it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often another port is tried when the free one was taken meanwhile.
const PORT_TRIES: u32 = 8;

/// The path of a program; where it is missing, the test that asks is noted as skipped and ends.
macro_rules! program_or_skip {
    ($program:literal) => {
        match $crate::peers::process::find($program) {
            Some(path) => path,
            None => {
                let here = std::any::type_name_of_val(&|| ());
                $crate::peers::process::skip(here, concat!("no ", $program, " here"));
                return;
            }
        }
    };
}

/// Notes that a test cannot run here. `closure` is the type name of a closure in it.
pub(super) fn skip(closure: &str, reason: &str) {
    let test = closure.trim_end_matches("::{{closure}}");
    let test = test.split_once("::").map_or(test, |(_binary, test)| test);
    println!("skipped: {reason}");
    if let Some(file) = env::var_os("NETCOMM_SKIPPED_FILE") {
        let mut notes = OpenOptions::new().create(true).append(true).open(file).expect("the file for notes opens");
        // In one piece: tests of other threads and processes write there too.
        notes.write_all(format!("{test}: {reason}\n").as_bytes()).expect("the note is written");
    }
}

/// The program's path, if it is installed; daemons live in folders that a user's `PATH` may lack.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(daemons).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A folder of its own, gone with the value.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Short, since the path of a Unix socket has about 100 bytes.
        let name = format!("p{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder is made");
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and gives its path.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path.join(name);
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("a folder is made");
        fs::write(&file, content).expect("a file is written");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the target folder and does no harm.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// A peer that listens. Ended and reaped when dropped; what it said is printed if the test fails.
pub(super) struct Peer {
    child: Child,
    address: SocketAddr,
    folder: Folder,
}

impl Peer {
    /// Starts a program that must be told its port: `command` is called with a free one, and with another if that
    /// turns out to be taken.
    pub(super) async fn start_on_port(folder: Folder, mut command: impl FnMut(u16, &Folder) -> Command) -> Self {
        let mut folder = folder;
        for _ in 0..PORT_TRIES {
            let port = free_port();
            let command = command(port, &folder);
            let mut peer = Self::spawn(folder, command);
            peer.address.set_port(port);
            if peer.accepts().await {
                return peer;
            }
            folder = peer.into_folder();
        }
        panic!("{PORT_TRIES} ports were taken before the peer could use them");
    }

    /// Starts a program that chooses its port itself and prints it as a number after the word `port`.
    pub(super) async fn start(folder: Folder, command: Command) -> Self {
        let mut peer = Self::spawn(folder, command);
        let began = Instant::now();
        loop {
            let said = peer.said();
            let word = said.split_whitespace().skip_while(|word| *word != "port").nth(1);
            if let Some(port) = word.and_then(|word| word.parse().ok())
                && said.contains('\n')
            {
                peer.address.set_port(port);
                return peer;
            }
            peer.must_run(began);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn spawn(folder: Folder, mut command: Command) -> Self {
        let log = |name: &str| File::create(folder.path.join(name)).expect("a log is made");
        command.stdin(Stdio::null()).stdout(log(STDOUT)).stderr(log(STDERR)).current_dir(&folder.path);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), folder }
    }

    /// Waits until the port takes connections; `false` if it is somebody else's.
    async fn accepts(&mut self) -> bool {
        let began = Instant::now();
        loop {
            if self.said().to_lowercase().contains("in use") {
                return false;
            }
            self.must_run(began);
            if TcpStream::connect(self.address).await.is_ok() {
                return !self.said().to_lowercase().contains("in use");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn must_run(&mut self, since: Instant) {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("the peer ended with {status}");
        }
        assert!(since.elapsed() < START_TIMEOUT, "the peer does not listen after {START_TIMEOUT:?}");
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same with `https`.
    pub(super) fn secure_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What the peer has printed so far.
    pub(super) fn said(&self) -> String {
        let read = |name: &str| fs::read(self.folder.path.join(name)).unwrap_or_default();
        [read(STDOUT), read(STDERR)].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }

    /// Waits until the peer has printed that.
    pub(super) async fn until_said(&mut self, words: &str) {
        let began = Instant::now();
        while !self.said().contains(words) {
            self.must_run(began);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn end(&mut self) {
        // Fails only for a child that has ended already; reaping it is what is left then.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn into_folder(mut self) -> Folder {
        self.end();
        std::mem::replace(&mut self.folder, Folder { path: PathBuf::new() })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            println!("the peer said:\n{}", self.said());
        }
    }
}

const STDOUT: &str = "stdout.txt";
const STDERR: &str = "stderr.txt";

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The test's name is read out of a closure's type: nothing else tells it, whatever thread the test runs on.
#[test]
fn a_skipped_test_is_named_as_the_harness_names_it() {
    let closure = || ();
    let name = std::any::type_name_of_val(&closure).trim_end_matches("::{{closure}}");
    assert!(name.ends_with("::peers::process::a_skipped_test_is_named_as_the_harness_names_it"), "{name}");
}
