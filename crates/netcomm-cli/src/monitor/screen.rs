//! The picture of a model: how much of it there is room for, and where. Everything here is a function of what is shown.

mod detail;
mod footer;
mod header;
mod origins;
mod paint;
mod plots;
mod traffic;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

pub(super) use self::paint::Paint;
use super::model::{Model, Over, Pane};

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, paint: Paint) {
    let rooms = Rooms::of(frame.area(), model);
    header::draw(frame, rooms.header, model, paint);
    footer::draw(frame, rooms.footer, model, paint);
    match &model.over {
        Over::Help => detail::help(frame, rooms.rest, paint),
        Over::Detail { lines, scroll } => detail::draw(frame, rooms.rest, lines, *scroll, paint),
        Over::Nothing => {
            plots::draw(frame, rooms.plots, model, paint);
            origins::draw(frame, rooms.origins, model, paint);
            traffic::draw(frame, rooms.traffic, model, paint);
        }
    }
}

/// The parts of the screen; what there is no room for has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rooms {
    header: Rect,
    plots: Rect,
    origins: Rect,
    traffic: Rect,
    footer: Rect,
    /// Plots, origins and traffic together.
    rest: Rect,
}

impl Rooms {
    fn of(area: Rect, model: &Model) -> Self {
        let header = match area.height {
            0..=4 => 1,
            5..=11 => 2,
            _ => 4,
        };
        let bars = [Constraint::Length(header), Constraint::Fill(1), Constraint::Length(1)];
        let [header, rest, footer] = Layout::vertical(bars).areas(area);
        let plots = if rest.height >= 22 && rest.width >= 60 { 9 } else { 0 };
        let origins = match model.focus {
            // Where it is looked at and there is no room for both, it has all of it.
            Pane::Origins if rest.height < 12 => rest.height,
            Pane::Origins => (rest.height - plots) / 2,
            Pane::Traffic if rest.height < 12 => 0,
            Pane::Traffic => u16::try_from(model.origins.len()).map_or(8, |rows| (rows + 2).clamp(3, 8)),
        };
        let parts = [Constraint::Length(plots), Constraint::Length(origins), Constraint::Fill(1)];
        let [plots, origins, traffic] = Layout::vertical(parts).areas(rest);
        Self { header, plots, origins, traffic, footer, rest }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::style::Color;

    use super::*;
    use crate::monitor::detail::Line;
    use crate::monitor::model::tests::{typed, with_three};
    use crate::monitor::model::{Key, Sample};
    use crate::monitor::origins::OriginRow;

    fn full() -> Model {
        let mut model = with_three();
        model.now += Duration::from_secs(75);
        model.quality.score = 87;
        model.quality.rtt = Some(Duration::from_millis(20));
        model.quality.confidence = 0.69;
        for second in 0..60_u32 {
            let rtt_ms = Some(20.0 + f64::from(second % 10));
            model.samples.push_back(Sample {
                at: model.now - Duration::from_secs(60 - u64::from(second)),
                rtt_ms,
                downlink_mbps: Some(50.0),
            });
        }
        model.origins = vec![OriginRow {
            name: "http://a.example:80".to_owned(),
            calls: 7,
            errors: 1,
            p50: Some(Duration::from_millis(12)),
            p90: Some(Duration::from_millis(34)),
            bytes: 2048,
            open: 2,
            is_broken: false,
        }];
        model
    }

    fn picture(model: &Model, width: u16, height: u16, paint: Paint) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(frame, model, paint)).expect("a picture");
        terminal.backend().clone()
    }

    fn seen(model: &Model, width: u16, height: u16) -> String {
        let picture = picture(model, width, height, Paint::new(false));
        let buffer = picture.buffer();
        let cells: Vec<_> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        let lines = cells.chunks(width.into()).map(|line| line.concat().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_large_screen_has_it_all() {
        let text = seen(&full(), 120, 40);
        for piece in [
            " ONLINE ",
            "traffic succeeds, for 1 min 15 s",
            "eth0 (ethernet) via 192.0.2.1, IPv4",
            "87 of 100",
            "69 % sure",
            "rtt 20 ms",
            "round trip, ms",
            "downlink, Mbit/s",
            "-1 min",
            "http://a.example:80",
            "POST",
            "http://b.example/two",
            "503",
            "2.0 KiB",
            "? keys",
        ] {
            assert!(text.contains(piece), "{piece:?} in\n{text}");
        }
    }

    #[test]
    fn a_small_screen_has_what_matters() {
        let text = seen(&full(), 40, 10);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains("ONLINE") && lines[1].contains("87 of 100"), "{text}");
        assert!(text.contains("/three") && text.contains("404"), "{text}");
        assert!(!text.contains("round trip"), "{text}");
        let mut model = full();
        model.press(Key::Tab);
        let text = seen(&model, 40, 10);
        assert!(text.contains("a.example") && !text.contains("/three"), "{text}");
    }

    #[test]
    fn no_size_and_no_state_is_too_much() {
        let mut models = vec![full(), with_three()];
        let mut help = full();
        help.press(Key::Char('?'));
        let mut detail = full();
        let bar = Line::Bar { name: "wait", took: Duration::from_millis(3), from: 0.5, to: 1.0 };
        detail.open(vec![Line::Heading("x".to_owned()), Line::Text("y".repeat(200)), bar]);
        let mut typing = full();
        typing.press(Key::Char('/'));
        typed(&mut typing, "status:5 a long filter that goes on and on and on");
        models.extend([help, detail, typing]);
        for model in &models {
            for (width, height) in [(1, 1), (2, 3), (10, 2), (19, 5), (40, 10), (80, 24), (300, 100)] {
                picture(model, width, height, Paint::new(true));
            }
        }
    }

    #[test]
    fn without_colours_there_are_none_and_the_selection_is_still_seen() {
        for paint in [false, true] {
            let picture = picture(&full(), 120, 40, Paint::new(paint));
            let cells = picture.buffer().content();
            let has_colour = cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert_eq!(has_colour, paint);
            assert!(cells.iter().any(|cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED)));
        }
    }

    #[test]
    fn what_lies_over_the_rest() {
        let mut model = full();
        model.press(Key::Char('?'));
        assert!(seen(&model, 80, 24).contains("probe now"));
        let bar = Line::Bar { name: "wait", took: Duration::from_millis(3), from: 0.5, to: 1.0 };
        model.open(vec![Line::Heading("GET http://a.example/".to_owned()), bar]);
        let text = seen(&model, 80, 24);
        assert!(text.contains("GET http://a.example/") && text.contains("wait") && text.contains('█'), "{text}");
        assert!(!text.contains("/three"), "{text}");
    }

    #[test]
    fn the_foot_says_what_was_asked_of_it() {
        let mut model = full();
        model.press(Key::Char('/'));
        typed(&mut model, "status:5");
        assert!(seen(&model, 80, 24).contains("/status:5"));
        model.press(Key::Enter);
        assert!(seen(&model, 80, 24).contains("1 of 3, filter status:5"), "{}", seen(&model, 80, 24));
        model.notice("written to x.har");
        assert!(seen(&model, 80, 24).contains("written to x.har"));
        model.press(Key::Char(' '));
        assert!(seen(&model, 80, 24).contains("PAUSED"));
    }
}
