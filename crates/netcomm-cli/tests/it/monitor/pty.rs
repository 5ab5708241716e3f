//! A terminal without a window: a process inside of it, the screen that it would show, and keys.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// No picture of these tests takes so long unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A terminal, and the process inside of it.
pub(crate) struct Pty {
    child: Child,
    master: File,
    /// Kept open, so that its settings can be read after the process has gone.
    slave: File,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Pty {
    /// Starts a process as the one that such a terminal belongs to.
    pub(crate) fn start<S: AsRef<str>>(
        program: &str,
        words: impl IntoIterator<Item = S>,
        variables: &[(&str, &str)],
        size: (u16, u16),
    ) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("a terminal of one's own");
        unlockpt(&master).expect("a terminal that opens");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
        let slave = File::options().read(true).write(true).open(name).expect("the other end");
        tcsetwinsize(&slave, winsize(size)).expect("a size");
        // `setsid --ctty` gives it the terminal and is replaced by it: same process, same number.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(words.into_iter().map(|word| word.as_ref().to_owned()));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NO_COLOR"] {
            command.env_remove(name).env_remove(name.to_ascii_lowercase());
        }
        command.env("TERM", "xterm-256color").envs(variables.iter().copied());
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().expect("another handle")));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid");
        let master = File::from(master);
        let (sender, output) = channel();
        let mut reader = master.try_clone().expect("another handle");
        // It ends with the terminal.
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master, slave, output, screen: vt100::Parser::new(cells(size.1), cells(size.0), 0) }
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("somebody reads");
    }

    pub(crate) fn resize(&mut self, size: (u16, u16)) {
        tcsetwinsize(&self.slave, winsize(size)).expect("a size");
        self.screen.screen_mut().set_size(cells(size.1), cells(size.0));
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.expect("it runs"), signal).expect("it runs");
    }

    /// What is seen now.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until this is seen, and gives all that is.
    pub(crate) fn until(&mut self, piece: &str) -> String {
        self.until_it(piece, |screen| screen.contents().contains(piece))
    }

    /// Waits until all of these are seen: pictures come in pieces.
    pub(crate) fn until_all(&mut self, pieces: &[&str]) -> String {
        self.until_it(&pieces.join(" and "), |screen| {
            let text = screen.contents();
            pieces.iter().all(|piece| text.contains(piece))
        })
    }

    /// Waits until that holds.
    pub(crate) fn until_it(&mut self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) -> String {
        let limit = Instant::now() + LIMIT;
        while !holds(self.screen.screen()) {
            match self.output.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => panic!("{error}: {what:?} is not in\n{}", self.text()),
            }
        }
        self.text()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Waits for its end; the terminal has to be as it was.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let limit = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a process") {
                break status;
            }
            match self.output.recv_timeout(Duration::from_millis(20)) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout) => assert!(Instant::now() < limit, "no end:\n{}", self.text()),
                Err(RecvTimeoutError::Disconnected) => {}
            }
        };
        // What it wrote last is in the terminal by now.
        self.press_through();
        let modes = tcgetattr(&self.slave).expect("settings").local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "still raw: {modes:?}");
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "still another screen:\n{}", screen.contents());
        assert!(!screen.hide_cursor(), "no cursor");
        (status, screen.contents())
    }

    /// Reads what was written before a mark of our own.
    fn press_through(&mut self) {
        const MARK: &str = "-- end --";
        self.slave.write_all(MARK.as_bytes()).expect("a terminal");
        self.until(MARK);
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen")
}

fn winsize((width, height): (u16, u16)) -> Winsize {
    Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }
}
