//! What a run came to.

use std::time::Duration;

use crate::crowd::Setting;

/// How many of the calls of a second must be answered for it to count as well.
const WELL: f64 = 0.95;
/// For how many seconds in a row that must be.
const LASTING: usize = 5;

/// Calls and answers, second by second.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    /// Requests that the origin got.
    pub(crate) sends: u64,
    pub(crate) asked_in: Vec<u32>,
    pub(crate) answered_in: Vec<u32>,
}

impl Tally {
    pub(crate) const HEADER: &'static str = "\
| clients | calls answered | in the minute after | all is well again | requests per call |
|---|---|---|---|---|";

    pub(crate) fn new(setting: &Setting) -> Self {
        let seconds = usize::try_from(setting.length().as_secs()).unwrap_or(0);
        Self { calls: 0, answered: 0, sends: 0, asked_in: vec![0; seconds], answered_in: vec![0; seconds] }
    }

    pub(crate) fn asked(&mut self, second: usize) {
        self.calls += 1;
        if let Some(count) = self.asked_in.get_mut(second) {
            *count += 1;
        }
    }

    pub(crate) fn answered(&mut self, second: usize) {
        self.answered += 1;
        if let Some(count) = self.answered_in.get_mut(second) {
            *count += 1;
        }
    }

    /// How long after the outage as much is answered as is asked for, and stays so for a while.
    pub(crate) fn recovered_after(&self, setting: &Setting) -> Option<Duration> {
        let end = seconds(setting.before + setting.outage);
        let is_well = |second: usize| f64::from(self.answered_in[second]) >= WELL * setting.per_second;
        // A second is noisy where few call: its neighbours are asked too.
        let smooth = |second: usize| {
            let around = second..(second + LASTING).min(self.answered_in.len());
            let count = around.len();
            let answered: u32 = self.answered_in[around].iter().sum();
            count == LASTING && f64::from(answered) >= WELL * setting.per_second * 5.0
        };
        let first = (end..self.answered_in.len()).find(|&second| smooth(second) && is_well(second))?;
        Some(Duration::from_secs((first - end) as u64))
    }

    pub(crate) fn row(&self, name: &str, setting: &Setting) -> String {
        let end = seconds(setting.before + setting.outage);
        let share = |answered: u64, asked: u64| format!("{:.1} %", 100.0 * answered as f64 / asked.max(1) as f64);
        let sum = |counts: &[u32]| counts.iter().skip(end).take(60).map(|count| u64::from(*count)).sum::<u64>();
        let recovered = match self.recovered_after(setting) {
            Some(after) => format!("{} s after the outage", after.as_secs()),
            None => format!("not within {} s", setting.after.as_secs()),
        };
        let minute = share(sum(&self.answered_in), sum(&self.asked_in));
        let per_call = self.sends as f64 / self.calls.max(1) as f64;
        format!("| {name} | {} | {minute} | {recovered} | {per_call:.2} |", share(self.answered, self.calls))
    }
}

pub(crate) fn seconds(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap_or(usize::MAX)
}
