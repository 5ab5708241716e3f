//! What lies over the rest: all of one exchange, and the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{self, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::paint::Paint;
use crate::monitor::detail::{Line, millis};

const HELP: &[(&str, &str)] = &[
    ("q, Esc, Ctrl-C", "end; Esc closes first what is open"),
    ("↑ ↓ j k, PgUp PgDn, g G", "choose an exchange, move in it"),
    ("Enter", "all of the exchange that is chosen"),
    ("Tab", "between traffic and origins"),
    ("s", "sort what one is in by something else"),
    ("/", "filter: text of the URL, status:5, method:post,"),
    ("", "domain:x, did:retry, status:error; -x is without x"),
    ("p", "probe now"),
    ("space", "halt what is shown, and go on"),
    ("c", "clear what was recorded"),
    ("h", "write what was recorded as HAR"),
    ("?", "these lines"),
];

pub(super) fn help(frame: &mut Frame<'_>, area: Rect, paint: Paint) {
    let lines: Vec<_> = HELP
        .iter()
        .map(|(key, what)| text::Line::from(vec![Span::styled(format!("{key:<25}"), paint.strong()), Span::raw(*what)]))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title("keys")), area);
}

/// The lines of an exchange, from that one on.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, lines: &[Line], scroll: usize, paint: Paint) {
    let room = usize::from(area.height);
    let lines: Vec<_> = lines.iter().skip(scroll).take(room).map(|line| line_of(line, area.width, paint)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title("exchange")), area);
}

fn line_of(line: &Line, width: u16, paint: Paint) -> text::Line<'static> {
    match line {
        Line::Heading(heading) => text::Line::from(Span::styled(heading.clone(), paint.strong())),
        Line::Text(text) => text::Line::from(text.clone()),
        Line::Bar { name, took, from, to } => {
            let words = format!("  {name:<8}{:>9}  ", millis(*took));
            let room = f64::from(width.saturating_sub(21).min(80));
            let (from, to) = ((from * room).floor() as usize, (to * room).ceil() as usize);
            // What is too short for a cell is still seen.
            let bar = format!("{}{}", " ".repeat(from), "█".repeat(to.saturating_sub(from).max(1)));
            text::Line::from(vec![Span::raw(words), Span::styled(bar, paint.plain())])
        }
    }
}
