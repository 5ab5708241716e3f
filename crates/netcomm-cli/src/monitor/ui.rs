//! `netcomm monitor` on a terminal: what happens goes into the model, what the model wishes is done, and the rest is drawing.

use std::collections::HashSet;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use netcomm::Result;
use netcomm::core::CallId;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::model::{Action, Model, Over};
use super::row::{Row, seconds};
use super::setup::Watching;
use super::standing::{Probed, Standing};
use super::terminal::{Input, Screen};
use super::{detail, write_har};
use crate::signal::Signals;

/// From one picture to the next, where nobody types.
const FRAME: Duration = Duration::from_millis(100);
/// Pictures from one sample of the quality to the next: a second.
const FRAMES_PER_SAMPLE: u32 = 10;

/// Draws until somebody wants it to end.
///
/// # Errors
///
/// Kind `Io` if the terminal is none, or has gone.
pub(super) async fn run(
    har: Option<&Path>,
    watching: &mut Watching,
    proxy: Option<String>,
    signals: &mut Signals,
) -> Result<ExitCode> {
    let mut screen = Screen::open()?;
    let mut ui = Ui {
        model: Model::new(watching.env.clock().now(), proxy),
        changed: HashSet::new(),
        missed: 0,
        looked_at: None,
        probing: None,
        har,
    };
    let mut states = watching.monitor.states();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut frame = 0_u32;
    loop {
        tokio::select! {
            biased;
            signal = signals.wait() => return Ok(super::code(signal)),
            input = screen.input() => match input {
                Some(Input::Key(key)) => {
                    let action = ui.model.press(key);
                    if action == Action::Quit {
                        return Ok(ExitCode::SUCCESS);
                    }
                    ui.act(action, watching);
                    screen.draw(&ui.model)?;
                }
                Some(Input::Resized) => screen.draw(&ui.model)?,
                // Nobody sits there any more.
                None => return Ok(ExitCode::SUCCESS),
            },
            Some(Ok(state)) = states.next() => ui.model.stand(Standing::of(&state)),
            told = probed(&mut ui.probing) => {
                ui.probing = None;
                ui.model.notice(told);
            }
            _ = frames.tick() => {
                ui.refresh(watching, frame.is_multiple_of(FRAMES_PER_SAMPLE));
                screen.draw(&ui.model)?;
                frame = frame.wrapping_add(1);
            }
            Some(seen) = watching.happens.next() => {
                ui.changed.insert(seen.call);
            }
        }
    }
}

/// What a probe found, once it is over.
async fn probed(probing: &mut Option<JoinHandle<String>>) -> String {
    match probing {
        Some(probing) => probing.await.unwrap_or_default(),
        None => pending().await,
    }
}

struct Ui<'a> {
    model: Model,
    /// Exchanges of which more is known than is shown.
    changed: HashSet<CallId>,
    missed: u64,
    /// The exchange of which all is shown.
    looked_at: Option<CallId>,
    probing: Option<JoinHandle<String>>,
    har: Option<&'a Path>,
}

impl Ui<'_> {
    /// Brings the model up to date.
    fn refresh(&mut self, watching: &Watching, is_sample: bool) {
        let Watching { monitor, recorder, stats, env, .. } = watching;
        self.model.tick(env.clock().now());
        let missed = watching.happens.dropped();
        if missed > self.missed {
            // What was not heard of is looked for.
            self.missed = missed;
            recorder.entries().iter().for_each(|entry| self.model.show(Row::of(entry)));
        }
        let looked_at = self.looked_at.filter(|_| matches!(self.model.over, Over::Detail { .. }));
        let mut changed: Vec<_> = self.changed.drain().collect();
        // Calls of one thread have rising numbers.
        changed.sort_unstable();
        for entry in changed.into_iter().filter_map(|call| recorder.entry(call)) {
            self.model.show(Row::of(&entry));
            if looked_at == Some(entry.call) {
                self.model.open(detail::lines(&entry));
            }
        }
        if is_sample {
            self.model.sample(monitor.quality(), &monitor.forecast());
        }
        self.model.count(&stats.snapshot());
    }

    fn act(&mut self, action: Action, watching: &Watching) {
        match action {
            Action::Nothing | Action::Quit => {}
            Action::Probe => {
                let monitor = watching.monitor.clone();
                self.model.notice("probing");
                self.probing.get_or_insert_with(|| {
                    tokio::spawn(async move {
                        let report = monitor.probe().await;
                        report
                            .map_or_else(|| "no --probe, or no way to send one".to_owned(), |it| Probed::of(&it).text())
                    })
                });
            }
            Action::Clear => watching.recorder.clear(),
            Action::WriteHar => {
                let name = || format!("netcomm-{:.0}.har", seconds(watching.env.clock().wall()));
                let file = self.har.map_or_else(|| PathBuf::from(name()), Path::to_owned);
                self.model.notice(match write_har(&watching.recorder, &file) {
                    Ok(()) => format!("written to {}", file.display()),
                    Err(error) => error.to_string(),
                });
            }
            Action::Look => {
                let call = self.model.list.selected().map(|row| row.call);
                match call.and_then(|call| watching.recorder.entry(call)) {
                    Some(entry) => {
                        self.looked_at = call;
                        self.model.open(detail::lines(&entry));
                    }
                    None => self.model.notice("it is not kept any more"),
                }
            }
        }
    }
}
