//! The table of origins.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Block, Row, Table};

use super::paint::{Paint, bytes};
use crate::monitor::detail::millis;
use crate::monitor::model::{Model, Pane};
use crate::monitor::origins::By;
use crate::output::escaped;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    if area.height == 0 {
        return;
    }
    // Narrow ones do without the columns that say least.
    let columns = if area.width >= 70 { 7 } else { 4 };
    let by = match model.by {
        By::Calls => "calls",
        By::Errors => "errors",
        By::P90 => "p90",
        By::Bytes => "bytes",
        By::Name => "name",
    };
    let title = if model.focus == Pane::Origins { format!("[origins] by {by}") } else { format!("origins by {by}") };
    let rows = model.origins.iter().map(|origin| {
        let time = |time: Option<_>| time.map(millis).unwrap_or_default();
        let name = if origin.is_broken { format!("{} (left alone)", origin.name) } else { origin.name.clone() };
        let cells = [
            escaped(&name),
            origin.calls.to_string(),
            origin.errors.to_string(),
            time(origin.p90),
            time(origin.p50),
            bytes(origin.bytes),
            origin.open.to_string(),
        ];
        let style = if origin.errors > 0 { paint.fair() } else { ratatui::style::Style::new() };
        Row::new(cells.into_iter().take(columns)).style(style)
    });
    let widths = [Constraint::Fill(1)].into_iter().chain([6, 6, 9, 9, 10, 5].map(Constraint::Length)).take(columns);
    let names = ["origin", "calls", "errors", "p90", "p50", "bytes", "open"];
    let table = Table::new(rows, widths)
        .header(Row::new(names.into_iter().take(columns)).style(paint.strong()))
        .block(Block::new().borders(ratatui::widgets::Borders::TOP).title(title));
    frame.render_widget(table, area);
}
