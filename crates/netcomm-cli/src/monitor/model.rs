//! What is shown, and what keys do to it: pure. Whoever has a terminal hands in what happens, and draws.

mod keys;
mod list;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use netcomm::monitor::{Forecast, Quality, Snapshot};

pub(super) use self::keys::{Action, Key};
pub(super) use self::list::{List, Order};
use super::detail::Line;
use super::lines::errors;
use super::origins::{self, By, Bytes, OriginRow};
use super::row::Row;
use super::standing::Standing;

/// Samples of the quality that are kept, one each second.
const SAMPLES: usize = 600;
/// How long a notice stays.
const NOTICE: Duration = Duration::from_secs(5);

/// All that is shown. Bounded: 1,000 lines, 600 samples, and what one exchange has to tell.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) now: Instant,
    pub(super) standing: Option<Standing>,
    pub(super) quality: Quality,
    /// How likely the network is gone before long: two horizons, and the odds.
    pub(super) outlook: [(Duration, f64); 2],
    pub(super) samples: VecDeque<Sample>,
    pub(super) origins: Vec<OriginRow>,
    pub(super) by: By,
    pub(super) totals: Totals,
    pub(super) list: List,
    pub(super) focus: Pane,
    /// What lies over the rest.
    pub(super) over: Over,
    /// The filter while it is typed, and as it was before.
    pub(super) typing: Option<Typing>,
    pub(super) paused: bool,
    pub(super) proxy: Option<String>,
    notice: Option<(String, Instant)>,
    bytes: Bytes,
}

/// The quality at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) rtt_ms: Option<f64>,
    pub(super) downlink_mbps: Option<f64>,
}

/// Which part keys move in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Traffic,
    Origins,
}

/// What lies over the rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Over {
    Nothing,
    Help,
    /// All of one exchange, from which line on.
    Detail {
        lines: Vec<Line>,
        scroll: usize,
    },
}

/// A filter while it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typing {
    pub(super) text: String,
    before: String,
}

/// All that has happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) calls: u64,
    pub(super) active: u64,
    pub(super) errors: u64,
    pub(super) bytes: u64,
    pub(super) connections: u64,
    pub(super) retries: u64,
    pub(super) cache_hits: u64,
}

impl Model {
    pub(super) fn new(now: Instant, proxy: Option<String>) -> Self {
        Self {
            now,
            standing: None,
            quality: Quality::default(),
            outlook: [(Duration::from_secs(10), 0.0), (Duration::from_secs(60), 0.0)],
            samples: VecDeque::new(),
            origins: Vec::new(),
            by: By::default(),
            totals: Totals::default(),
            list: List::default(),
            focus: Pane::Traffic,
            over: Over::Nothing,
            typing: None,
            paused: false,
            proxy,
            notice: None,
            bytes: Bytes::default(),
        }
    }

    /// Time goes on.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
        self.notice.take_if(|(_, since)| now.saturating_duration_since(*since) > NOTICE);
    }

    pub(super) fn stand(&mut self, standing: Standing) {
        self.standing = Some(standing);
    }

    /// How good the network is now, once a second.
    pub(super) fn sample(&mut self, quality: Quality, forecast: &Forecast) {
        if self.paused {
            return;
        }
        self.quality = quality;
        self.outlook = [forecast.soon, forecast.later].map(|outlook| (outlook.horizon, outlook.probability));
        let rtt = quality.rtt.or(quality.http_rtt);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            at: self.now,
            rtt_ms: rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            downlink_mbps: quality.downlink_kbps.map(|kbps| kbps / 1000.0),
        });
    }

    /// What was counted.
    pub(super) fn count(&mut self, snapshot: &Snapshot) {
        if self.paused {
            return;
        }
        self.totals = Totals {
            calls: snapshot.calls.started,
            active: snapshot.calls.active,
            errors: errors(snapshot),
            bytes: snapshot.calls.received_bytes,
            connections: snapshot.connections.open,
            retries: snapshot.decisions.retries.count,
            cache_hits: snapshot.decisions.cache_hits,
        };
        self.origins = origins::rows(snapshot, &self.bytes, self.by);
    }

    /// An exchange that is new, or of which more is known.
    pub(super) fn show(&mut self, row: Row) {
        let had_ended = self.list.find(row.call).is_some_and(|row| row.took.is_some());
        if let (Some(origin), Some(_), false) = (&row.origin, row.took, had_ended) {
            self.bytes.add(origin, row.bytes);
        }
        self.list.put(row);
    }

    /// All of the exchange that is selected; a view that is open stays where it is.
    pub(super) fn open(&mut self, lines: Vec<Line>) {
        let scroll = if let Over::Detail { scroll, .. } = self.over { scroll.min(lines.len()) } else { 0 };
        self.over = Over::Detail { lines, scroll };
    }

    /// Tells something for a while.
    pub(super) fn notice(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), self.now));
    }

    pub(super) fn noticed(&self) -> Option<&str> {
        self.notice.as_ref().map(|(text, _)| &**text)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::monitor::row::tests::row;
    use crate::monitor::standing;

    /// One with three exchanges.
    pub(in super::super) fn with_three() -> Model {
        let now = Instant::now();
        let mut model = Model::new(now, None);
        model.stand(standing::tests::online(now));
        model.show(row(1, "GET", "http://a.example/one", 200));
        model.show(row(2, "POST", "http://b.example/two", 503));
        model.show(row(3, "GET", "http://a.example/three", 404));
        model
    }

    pub(in super::super) fn typed(model: &mut Model, text: &str) {
        for char in text.chars() {
            model.press(Key::Char(char));
        }
    }

    fn urls(model: &Model) -> Vec<String> {
        model.list.shown().map(|row| row.url.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn the_newest_comes_first_and_the_selection_stays_with_its_exchange() {
        let mut model = with_three();
        assert_eq!(urls(&model), ["three", "two", "one"]);
        model.press(Key::Down);
        assert_eq!(model.list.selected().map(|row| row.call.0), Some(2));
        model.show(row(4, "GET", "http://a.example/four", 200));
        assert_eq!(model.list.selected().map(|row| row.call.0), Some(2));
        model.press(Key::Char('k'));
        model.press(Key::Char('k'));
        model.press(Key::Up);
        assert_eq!(model.list.selected().map(|row| row.call.0), Some(4));
        for (key, expected) in [(Key::End, 1), (Key::Home, 4), (Key::Char('G'), 1), (Key::Char('g'), 4)] {
            model.press(key);
            assert_eq!(model.list.selected().map(|row| row.call.0), Some(expected), "{key:?}");
        }
    }

    #[test]
    fn a_filter_shows_what_passes_while_it_is_typed_and_escape_brings_back_the_one_before() {
        let mut model = with_three();
        model.press(Key::Char('/'));
        typed(&mut model, "status:5q");
        model.press(Key::Backspace);
        assert_eq!(urls(&model), ["two"]);
        model.press(Key::Enter);
        assert_eq!((urls(&model), model.typing.is_some()), (vec!["two".to_owned()], false));
        model.press(Key::Char('/'));
        typed(&mut model, " zz");
        assert_eq!(urls(&model), Vec::<String>::new());
        assert_eq!(model.press(Key::Esc), Action::Nothing);
        assert_eq!(urls(&model), ["two"]);
    }

    #[test]
    fn keys_are_wishes() {
        let mut model = with_three();
        for (key, action) in [
            (Key::Char('p'), Action::Probe),
            (Key::Char('h'), Action::WriteHar),
            (Key::Char('c'), Action::Clear),
            (Key::Enter, Action::Look),
            (Key::Char('q'), Action::Quit),
            (Key::Esc, Action::Quit),
            (Key::Interrupt, Action::Quit),
            (Key::Char('x'), Action::Nothing),
        ] {
            assert_eq!(model.press(key), action, "{key:?}");
            if action == Action::Clear {
                assert!(urls(&model).is_empty());
                model = with_three();
            }
        }
        model.press(Key::Char('/'));
        assert_eq!(model.press(Key::Char('q')), Action::Nothing, "a letter of a filter");
        assert_eq!(model.press(Key::Interrupt), Action::Quit);
    }

    #[test]
    fn what_lies_over_the_rest_is_closed_first() {
        let mut model = with_three();
        model.press(Key::Char('?'));
        assert_eq!(model.over, Over::Help);
        assert_eq!((model.press(Key::Esc), &model.over), (Action::Nothing, &Over::Nothing));
        model.open(vec![Line::Text("x".to_owned()); 3]);
        for (key, expected) in [(Key::Down, 1), (Key::Down, 2), (Key::Down, 2), (Key::Up, 1), (Key::Home, 0)] {
            model.press(key);
            let Over::Detail { scroll, .. } = model.over else { panic!("closed by {key:?}") };
            assert_eq!(scroll, expected);
        }
        model.press(Key::Down);
        model.open(vec![Line::Text("y".to_owned()); 3]);
        assert!(matches!(model.over, Over::Detail { scroll: 1, .. }), "it is looked at again in its place");
        assert_eq!((model.press(Key::Char('q')), &model.over), (Action::Nothing, &Over::Nothing));
    }

    #[test]
    fn while_paused_nothing_moves_and_nothing_is_lost() {
        let mut model = with_three();
        assert_eq!(model.press(Key::Char(' ')), Action::Nothing);
        model.show(row(4, "GET", "http://a.example/four", 200));
        model.show(row(2, "POST", "http://b.example/changed", 200));
        assert_eq!(urls(&model), ["three", "two", "one"]);
        model.press(Key::Char(' '));
        assert_eq!(urls(&model), ["four", "three", "changed", "one"]);
    }

    #[test]
    fn tab_and_s_sort_where_one_is() {
        let mut model = with_three();
        model.press(Key::Char('s'));
        assert_eq!(model.list.order(), Order::Slowest);
        assert_eq!(urls(&model), ["three", "two", "one"]);
        model.press(Key::Tab);
        model.press(Key::Char('s'));
        assert_eq!((model.focus, model.by), (Pane::Origins, By::Errors));
        model.press(Key::Tab);
        assert_eq!(model.focus, Pane::Traffic);
    }

    #[test]
    fn lists_and_samples_are_bounded() {
        let mut model = with_three();
        for number in 0..3000 {
            model.show(row(number, "GET", "http://a.example/", 200));
        }
        assert_eq!(model.list.shown().count(), 1000);
        assert_eq!(model.list.shown().next().map(|row| row.call.0), Some(2999));
    }

    #[test]
    fn a_notice_goes_by_itself() {
        let mut model = with_three();
        model.notice("written");
        model.tick(model.now + NOTICE);
        assert_eq!(model.noticed(), Some("written"));
        model.tick(model.now + Duration::from_millis(1));
        assert_eq!(model.noticed(), None);
    }
}
