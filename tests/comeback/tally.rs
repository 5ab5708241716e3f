//! What a run came to.

use std::time::Duration;

use crate::crowd::Setting;

/// Arrivals are counted in steps of this length.
pub(crate) const STEP: Duration = Duration::from_millis(100);

/// Who came when, since the server died.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// In each step.
    pub(crate) came_in: Vec<u32>,
    /// Of each client that was let in, when.
    pub(crate) returned: Vec<Duration>,
}

impl Tally {
    pub(crate) const HEADER: &'static str = "\
| clients | tries each | most in 100 ms while gone | most in 100 ms after | half are back | 99 % are back | all are back |
|---|---|---|---|---|---|---|";

    pub(crate) fn new(setting: &Setting) -> Self {
        Self { came_in: vec![0; steps(setting.outage + setting.after)], returned: Vec::new() }
    }

    /// One came, that long after the server died.
    pub(crate) fn came(&mut self, after: Duration, is_let_in: bool) {
        if let Some(count) = self.came_in.get_mut(steps(after)) {
            *count += 1;
        }
        if is_let_in {
            self.returned.push(after);
        }
    }

    /// The most that came in one step after the server had returned.
    pub(crate) fn peak(&self, setting: &Setting) -> u32 {
        self.came_in.iter().skip(steps(setting.outage)).copied().max().unwrap_or(0)
    }

    pub(crate) fn row(&self, name: &str, setting: &Setting) -> String {
        let came: u64 = self.came_in.iter().map(|count| u64::from(*count)).sum();
        let each = came as f64 / f64::from(setting.clients.max(1));
        let before = self.came_in.iter().take(steps(setting.outage)).copied().max().unwrap_or(0);
        let mut returned = self.returned.clone();
        returned.sort_unstable();
        let back = |share: f64| {
            let which = (f64::from(setting.clients) * share).ceil() as usize;
            returned.get(which.saturating_sub(1)).map_or_else(
                || format!("not within {} s", setting.after.as_secs()),
                |at| format!("after {:.1} s", at.saturating_sub(setting.outage).as_secs_f64()),
            )
        };
        format!(
            "| {name} | {each:.1} | {before} | {} | {} | {} | {} |",
            self.peak(setting),
            back(0.5),
            back(0.99),
            back(1.0)
        )
    }
}

/// How many whole steps that is.
pub(crate) fn steps(time: Duration) -> usize {
    usize::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX)
}
