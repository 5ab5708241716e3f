//! The terminal: taken over, and given back on every way out.

use std::io::{self, Stdout, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use netcomm::{Error, ErrorKind, Result};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc;

use super::model::{Key, Model};
use super::screen::{self, Paint};

/// Keys that wait, at most: who types faster than is drawn waits.
const WAITING: usize = 64;
/// As a process that panicked ends.
const PANICKED: i32 = 101;

/// Whether the terminal is taken over.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// What comes from whoever sits before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// It has another size.
    Resized,
}

/// The terminal, taken over until this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    inputs: mpsc::Receiver<Input>,
    paint: Paint,
}

impl Screen {
    /// Takes it over. A panic anywhere gives it back, says what it is, and ends the process: nobody should look for it in a
    /// picture.
    ///
    /// # Errors
    ///
    /// Kind `Io` if it is none.
    pub(super) fn open() -> Result<Self> {
        give_back_on_panic();
        IS_TAKEN.store(true, Ordering::SeqCst);
        let terminal = take_over().inspect_err(|_| give_back()).map_err(failed)?;
        let (sender, inputs) = mpsc::channel(WAITING);
        // It ends with the process: nothing else ends a read from a terminal.
        let reading = thread::Builder::new().name("keys".to_owned()).spawn(move || read(&sender));
        drop(reading.inspect_err(|_| give_back()).map_err(failed)?);
        Ok(Self { terminal, inputs, paint: Paint::of_terminal() })
    }

    /// Draws what is shown.
    ///
    /// # Errors
    ///
    /// Kind `Io` if it has gone.
    pub(super) fn draw(&mut self, model: &Model) -> Result<()> {
        let paint = self.paint;
        self.terminal.draw(|frame| screen::draw(frame, model, paint)).map(|_| ()).map_err(failed)
    }

    /// What comes next; `None` once nothing can come any more. Nothing is lost if the future is dropped.
    pub(super) async fn input(&mut self) -> Option<Input> {
        self.inputs.recv().await
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen)?;
    Terminal::new(CrosstermBackend::new(stdout()))
}

fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        // Where one of them fails there is no terminal any more.
        drop(disable_raw_mode());
        drop(execute!(stdout(), LeaveAlternateScreen, Show));
    }
}

fn give_back_on_panic() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let was_taken = IS_TAKEN.load(Ordering::SeqCst);
        give_back();
        others(info);
        if was_taken {
            std::process::exit(PANICKED);
        }
    }));
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "use terminal").with_source(error)
}

fn read(sender: &mpsc::Sender<Input>) {
    while let Ok(event) = event::read() {
        if let Some(input) = input(&event)
            && sender.blocking_send(input).is_err()
        {
            return;
        }
    }
}

fn input(event: &Event) -> Option<Input> {
    let key = match event {
        Event::Resize(..) => return Some(Input::Resized),
        // Some terminals tell of keys that are let go too.
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    Some(Input::Key(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char(_) if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => return None,
        KeyCode::Char(char) => Key::Char(char),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab | KeyCode::BackTab => Key::Tab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Esc => Key::Esc,
        _ => return None,
    }))
}

#[cfg(all(test, target_os = "linux"))]
#[path = "../../tests/it/monitor/pty.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod pty;

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_by_whatever_name() {
        let control = KeyModifiers::CONTROL;
        for (code, modifiers, expected) in [
            (KeyCode::Char('c'), KeyModifiers::NONE, Some(Key::Char('c'))),
            (KeyCode::Char('c'), control, Some(Key::Interrupt)),
            (KeyCode::Char('x'), control, None),
            (KeyCode::Char('G'), KeyModifiers::SHIFT, Some(Key::Char('G'))),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Some(Key::Tab)),
            (KeyCode::F(1), KeyModifiers::NONE, None),
        ] {
            let event = Event::Key(KeyEvent::new(code, modifiers));
            assert_eq!(input(&event), expected.map(Input::Key), "{code:?}");
        }
        let released = KeyEvent::new_with_kind(KeyCode::Enter, KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(input(&Event::Key(released)), None);
        assert_eq!(input(&Event::Resize(1, 1)), Some(Input::Resized));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_panic_on_whatever_thread_gives_the_terminal_back_and_is_said() {
        let own = std::env::current_exe().expect("a path");
        let name = "monitor::terminal::tests::panics_while_the_terminal_is_taken";
        let words = ["--exact", name, "--ignored", "--nocapture"];
        let pty = pty::Pty::start(own.to_str().expect("text"), words, &[("RUST_BACKTRACE", "0")], (80, 24));
        let (status, text) = pty.end();
        assert_eq!(status.code(), Some(PANICKED), "{text}");
        assert!(text.contains("a mistake of ours"), "{text}");
    }

    #[test]
    #[ignore = "played by the test above, on a terminal of its own"]
    fn panics_while_the_terminal_is_taken() {
        let screen = Screen::open().expect("a terminal");
        drop(thread::spawn(|| panic!("a mistake of ours")).join());
        drop(screen);
    }
}
