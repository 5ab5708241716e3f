//! The foot: totals and keys; what is typed, and what was done.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::paint::{Paint, bytes};
use crate::monitor::model::Model;
use crate::output::escaped;

const KEYS: &str = "? keys  q quit";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let room = if area.width >= 60 { KEYS.len() as u16 + 1 } else { 0 };
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(room)]).areas(area);
    frame.render_widget(Paragraph::new(line(model, paint)), left);
    frame.render_widget(Paragraph::new(Span::styled(KEYS, paint.faint())).right_aligned(), right);
}

fn line(model: &Model, paint: Paint) -> Line<'static> {
    if let Some(typing) = &model.typing {
        return Line::from(vec![Span::raw(format!("/{}", escaped(&typing.text))), Span::styled(" ", paint.chosen())]);
    }
    let mut spans = Vec::new();
    if model.paused {
        spans.push(Span::styled("PAUSED ", paint.strong()));
    }
    if let Some(notice) = model.noticed() {
        spans.push(Span::styled(escaped(notice), paint.strong()));
        return Line::from(spans);
    }
    let totals = model.totals;
    let mut text = format!("{} calls, {} errors, {}", totals.calls, totals.errors, bytes(totals.bytes));
    for (count, name) in [
        (totals.active, "under way"),
        (totals.connections, "connections"),
        (totals.retries, "retries"),
        (totals.cache_hits, "from cache"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {name}"));
        }
    }
    spans.push(Span::raw(text));
    Line::from(spans)
}
