//! What a cache adds to a request that it has no answer for, and whose answer it stores.

use super::job::Task;
use super::peers::{PAIRS, names};
use super::run::Run;
use crate::error::Result;
use crate::report::{self, Target};

pub(super) const CASE: &str = "miss";

/// Measures each client without its cache and with it.
pub(super) fn measure(run: &Run<'_>) -> Result<()> {
    if !run.flags.wants(CASE) {
        return Ok(());
    }
    let task = |count, prepared| Task::Misses { count, prepared };
    let target = ("netcomm", Target::RatioAtMost(1.2));
    for pair in PAIRS {
        let Some(slopes) = run.slopes(CASE, pair, task)? else {
            return Ok(());
        };
        let unit = "instructions/request";
        run.report.case_with_targets(CASE, unit, &names(pair), &report::plain(&slopes), &[target])?;
    }
    Ok(())
}
