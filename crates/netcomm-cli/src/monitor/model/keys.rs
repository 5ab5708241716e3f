//! What keys do: pure.

use super::{Model, Over, Pane, Typing};

/// A key, whatever the terminal calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Tab,
    Backspace,
    Esc,
    /// Ctrl-C.
    Interrupt,
}

/// What somebody else has to do for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Action {
    Nothing,
    Quit,
    Probe,
    /// Forget what was recorded.
    Clear,
    WriteHar,
    /// Look up all of the exchange that is selected.
    Look,
}

/// Lines that a page has, whatever the height of the screen.
const PAGE: usize = 10;

impl Model {
    /// Does what a key says.
    pub(in super::super) fn press(&mut self, key: Key) -> Action {
        if key == Key::Interrupt {
            return Action::Quit;
        }
        if let Some(typing) = self.typing.take() {
            self.typing = self.type_on(typing, key);
            return Action::Nothing;
        }
        match (&mut self.over, key) {
            (Over::Nothing, _) => self.press_open(key),
            (_, Key::Esc | Key::Char('q' | '?') | Key::Enter) => {
                self.over = Over::Nothing;
                Action::Nothing
            }
            (Over::Detail { lines, scroll }, key) => {
                let last = lines.len().saturating_sub(1);
                *scroll = moved(key, *scroll, last).unwrap_or(*scroll);
                Action::Nothing
            }
            (Over::Help, _) => Action::Nothing,
        }
    }

    fn press_open(&mut self, key: Key) -> Action {
        match key {
            Key::Esc | Key::Char('q') => return Action::Quit,
            Key::Char('p') => return Action::Probe,
            Key::Char('h') => return Action::WriteHar,
            Key::Enter if self.list.selected().is_some() => return Action::Look,
            Key::Char('c') => {
                self.list.clear();
                return Action::Clear;
            }
            Key::Char('?') => self.over = Over::Help,
            Key::Char(' ') => {
                self.paused = !self.paused;
                self.list.hold(self.paused);
            }
            Key::Char('/') => {
                let before = self.list.filter_text().to_owned();
                self.typing = Some(Typing { text: before.clone(), before });
            }
            Key::Char('s') => match self.focus {
                Pane::Traffic => self.list.sort(),
                Pane::Origins => {
                    self.by = self.by.next();
                    self.origins.sort_by(|a, b| self.by.order(a, b));
                }
            },
            Key::Tab => {
                self.focus = match self.focus {
                    Pane::Traffic => Pane::Origins,
                    Pane::Origins => Pane::Traffic,
                };
            }
            key => {
                let last = self.list.shown().count().saturating_sub(1);
                if let Some(at) = moved(key, self.list.at().unwrap_or(0), last) {
                    self.list.select(at);
                }
            }
        }
        Action::Nothing
    }

    fn type_on(&mut self, mut typing: Typing, key: Key) -> Option<Typing> {
        match key {
            Key::Char(char) => typing.text.push(char),
            Key::Backspace => {
                typing.text.pop();
            }
            Key::Esc => {
                self.list.filter(&typing.before);
                return None;
            }
            Key::Enter => return None,
            _ => {}
        }
        self.list.filter(&typing.text);
        Some(typing)
    }
}

/// Where a key leads in a list.
fn moved(key: Key, at: usize, last: usize) -> Option<usize> {
    Some(match key {
        Key::Up | Key::Char('k') => at.saturating_sub(1),
        Key::Down | Key::Char('j') => (at + 1).min(last),
        Key::PageUp => at.saturating_sub(PAGE),
        Key::PageDown => (at + PAGE).min(last),
        Key::Home | Key::Char('g') => 0,
        Key::End | Key::Char('G') => last,
        _ => return None,
    })
}
