//! The list of what goes over the network.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Block, Borders, Row, Table, TableState};

use super::paint::{Paint, bytes};
use crate::monitor::detail::millis;
use crate::monitor::model::{Model, Order, Pane};
use crate::monitor::row;
use crate::output::escaped;

/// A width from which there is room for all columns.
const WIDE: u16 = 90;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    if area.height == 0 {
        return;
    }
    let is_wide = area.width >= WIDE;
    let shown: Vec<_> = model.list.shown().collect();
    let rows = shown.iter().map(|row| {
        let style = match row.is_bad() {
            true => paint.bad(),
            false if row.took.is_none() => paint.plain(),
            false => Style::new(),
        };
        let url = escaped(&row.url);
        let cells = match is_wide {
            true => {
                vec![clock(row.at), row.method.clone(), url, row.outcome(), took(row), bytes(row.bytes), did(row)]
            }
            false => vec![
                row.method.clone(),
                tail(&url, usize::from(area.width).saturating_sub(23)),
                row.outcome(),
                took(row),
            ],
        };
        Row::new(cells).style(style)
    });
    let widths = match is_wide {
        true => vec![
            Constraint::Length(8),
            Constraint::Length(7),
            Constraint::Fill(3),
            Constraint::Length(10),
            Constraint::Length(9),
            Constraint::Length(10),
            Constraint::Fill(1),
        ],
        false => {
            vec![Constraint::Length(4), Constraint::Fill(1), Constraint::Length(8), Constraint::Length(8)]
        }
    };
    let table = Table::new(rows, widths)
        .row_highlight_style(paint.chosen())
        .block(Block::new().borders(Borders::TOP).title(title(model, shown.len())));
    let mut state = TableState::new().with_selected(model.list.at());
    frame.render_stateful_widget(table, area, &mut state);
}

fn title(model: &Model, shown: usize) -> String {
    let order = match model.list.order() {
        Order::Newest => "",
        Order::Slowest => ", slowest first",
        Order::Largest => ", largest first",
    };
    let name = if model.focus == Pane::Traffic { "[traffic]" } else { "traffic" };
    match model.list.is_filtered() {
        true => {
            let filter = escaped(model.list.filter_text());
            format!("{name} {shown} of {}, filter {filter}{order}", model.list.len())
        }
        false => format!("{name} {shown}{order}"),
    }
}

fn took(row: &row::Row) -> String {
    row.took.map_or_else(|| "…".to_owned(), millis)
}

/// What netcomm did, and what went over it.
fn did(row: &row::Row) -> String {
    let mut did = row.did.clone();
    if let Some((sent, received)) = row.messages {
        did.push(format!("{sent} sent, {received} received"));
    }
    if let Some(events) = row.events {
        did.push(format!("{events} events"));
    }
    escaped(&did.join(", "))
}

/// The end of the URL, which tells most where there is little room.
fn tail(url: &str, room: usize) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match rest.chars().count() {
        length if length > room => {
            let end: String = rest.chars().skip(length.saturating_sub(room.saturating_sub(1))).collect();
            format!("…{end}")
        }
        _ => rest.to_owned(),
    }
}

/// The time of day, in UTC.
fn clock(at: f64) -> String {
    let seconds = Duration::try_from_secs_f64(at).unwrap_or_default().as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_url_is_seen() {
        for (room, expected) in [(99, "a.example/grün"), (14, "a.example/grün"), (6, "…/grün"), (1, "…"), (0, "…")]
        {
            assert_eq!(tail("http://a.example/grün", room), expected, "{room}");
        }
    }

    #[test]
    fn the_time_of_day() {
        assert_eq!((clock(1_700_000_000.9).as_str(), clock(0.0).as_str()), ("22:13:20", "00:00:00"));
    }
}
