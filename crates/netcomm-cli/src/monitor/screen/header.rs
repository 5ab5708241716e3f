//! The top: how the network stands, and how good it is.

use netcomm::core::Reach;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::paint::{Paint, since};
use crate::monitor::detail::millis;
use crate::monitor::lines::rate;
use crate::monitor::model::Model;
use crate::monitor::standing::{Path, Probed, Standing};
use crate::output::escaped;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let lines = match area.height {
        // Where there is little room, a line each for how it stands and how good it is.
        0..=2 => vec![state(model, paint), quality(model, paint)],
        _ => vec![state(model, paint), path(model, paint), quality(model, paint), outlook(model, paint)],
    };
    frame.render_widget(Paragraph::new(lines), area);
}

fn state(model: &Model, paint: Paint) -> Line<'static> {
    let Some(standing) = &model.standing else {
        return Line::from(Span::styled(" … ", paint.chosen()));
    };
    let style = match standing.reach {
        Reach::Online => paint.good(),
        Reach::Limited | Reach::Captive => paint.fair(),
        _ => paint.bad(),
    };
    let word = format!(" {} ", standing.word().to_uppercase());
    let lasting = since(model.now.saturating_duration_since(standing.since));
    let mut spans = vec![Span::styled(word, style.patch(paint.chosen()).patch(paint.strong()))];
    spans.push(Span::raw(format!(" {}, for {lasting}", standing.reason)));
    if standing.metered {
        spans.push(Span::styled("  metered", paint.fair()));
    }
    Line::from(spans)
}

fn path(model: &Model, paint: Paint) -> Line<'static> {
    let standing = model.standing.as_ref();
    let path = standing.and_then(|standing| standing.path.as_ref()).map(Path::text);
    let mut text = match (path, standing.is_some_and(|standing| standing.has_paths)) {
        (Some(path), _) => path,
        (None, true) => "no way out".to_owned(),
        (None, false) => "nothing tells of paths".to_owned(),
    };
    if let Some(probe) = standing.and_then(|standing: &Standing| standing.probe.as_ref()).map(Probed::text) {
        text = format!("{text}   {probe}");
    }
    if let Some(proxy) = &model.proxy {
        text = format!("{text}   proxy at {proxy}");
    }
    Line::from(Span::styled(escaped(&text), paint.plain()))
}

fn quality(model: &Model, paint: Paint) -> Line<'static> {
    let quality = &model.quality;
    let is_known = quality.samples > 0 || quality.rtt.is_some();
    let mut spans = Vec::new();
    if is_known {
        let style: Style = paint.score(quality.score).patch(paint.strong());
        spans.push(Span::styled(format!("{} of 100", quality.score), style));
    } else {
        spans.push(Span::raw("quality not known yet"));
    }
    let mut add = |text: String| spans.push(Span::raw(format!("  {text}")));
    if let Some(effective) = quality.effective {
        add(effective.to_string());
    }
    if is_known {
        add(format!("{:.0} % sure", quality.confidence * 100.0));
    }
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for (name, value) in [
        ("rtt", quality.rtt.or(quality.http_rtt).map(millis)),
        ("p95", quality.rtt_p95.map(millis)),
        ("jitter", quality.jitter.map(millis)),
        ("down", quality.downlink_kbps.map(rate)),
        ("loss", quality.loss.map(percent)),
        ("failures", quality.failures.map(percent)),
    ] {
        if let Some(value) = value {
            add(format!("{name} {value}"));
        }
    }
    Line::from(spans)
}

fn outlook(model: &Model, paint: Paint) -> Line<'static> {
    let odds = model.outlook.map(|(horizon, odds)| (horizon, odds, format!("{:.0} %", odds * 100.0)));
    let [(near, _, soon), (far, likely, later)] = odds;
    let text = format!("gone within {}: {soon}, within {}: {later}", since(near), since(far));
    Line::from(Span::styled(text, if likely >= 0.3 { paint.fair() } else { paint.faint() }))
}
