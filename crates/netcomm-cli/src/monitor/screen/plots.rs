//! The quality over time: round trips and downlink.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

use super::paint::{Paint, since};
use crate::monitor::model::{Model, Sample};

/// The least stretch of time that is shown, in seconds.
const LEAST: f64 = 60.0;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    if area.height == 0 {
        return;
    }
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    plot(frame, left, "round trip, ms", &points(model, |sample| sample.rtt_ms), paint.plain());
    plot(frame, right, "downlink, Mbit/s", &points(model, |sample| sample.downlink_mbps), paint.good());
}

/// Seconds from now, which are negative, and what was then.
fn points(model: &Model, value: fn(&Sample) -> Option<f64>) -> Vec<(f64, f64)> {
    let ago = |sample: &Sample| -model.now.saturating_duration_since(sample.at).as_secs_f64();
    model.samples.iter().filter_map(|sample| Some((ago(sample), value(sample)?))).collect()
}

fn plot(frame: &mut Frame<'_>, area: Rect, title: &'static str, points: &[(f64, f64)], style: Style) {
    let from = points.first().map_or(-LEAST, |(at, _)| at.min(-LEAST));
    let most = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = ceiling(most);
    let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(style).data(points);
    let ago = |seconds: f64| format!("-{}", since(std::time::Duration::from_secs_f64(seconds.abs())));
    let label = |value: f64| if top < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    let chart = Chart::new(vec![line])
        .block(Block::bordered().title(title))
        .x_axis(Axis::default().bounds([from, 0.0]).labels([ago(from), "now".to_owned()]))
        .y_axis(Axis::default().bounds([0.0, top]).labels([label(0.0), label(top / 2.0), label(top)]));
    frame.render_widget(chart, area);
}

/// The end of an axis: 1, 2 or 5 of some power of ten, so that it does not move with each sample.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|end| *end >= most).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, expected) in [(0.0, 1.0), (0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (29.0, 50.0), (501.0, 1000.0)] {
            assert!((ceiling(most) - expected).abs() < 1e-9, "{most}: {}", ceiling(most));
        }
    }
}
