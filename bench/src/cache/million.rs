//! A million small responses in memory: what each takes beyond its own bytes.

use super::job::{Filled, Task};
use super::peers::{MEMORY, names};
use super::run::Run;
use crate::error::Result;
use crate::report;

pub(super) const CASE: &str = "million";

/// Fills each memory in a process of its own.
pub(super) fn measure(run: &Run<'_>) -> Result<()> {
    if !run.flags.wants(CASE) {
        return Ok(());
    }
    let entries = if run.flags.is_quick { 20_000 } else { 1_000_000 };
    let filled: Vec<Filled> =
        MEMORY.iter().map(|peer| run.counted(peer, Task::Fill { entries })).collect::<Result<_>>()?;
    let names = names(MEMORY);
    let tell = |unit, value: &dyn Fn(&Filled) -> f64| {
        let values: Vec<f64> = filled.iter().map(value).collect();
        run.report.case(CASE, unit, &names, &report::plain(&values))
    };
    if let Some(grown) = filled.iter().map(|filled| filled.resident_kib).collect::<Option<Vec<_>>>() {
        let grown: Vec<f64> = grown.iter().map(|kib| *kib as f64 / 1024.0).collect();
        run.report.case(CASE, "MiB resident", &names, &report::plain(&grown))?;
    } else {
        run.report.skipped(CASE, "this system does not tell resident memory")?;
    }
    let each = |bytes: u64| bytes as f64 / entries as f64;
    tell("heap bytes/entry", &|filled| each(filled.heap_bytes))?;
    tell("of them overhead", &|filled| each(filled.heap_bytes) - each(filled.payload_bytes))?;
    for (name, filled) in names.iter().zip(&filled) {
        if let Some(stated) = filled.stated_bytes {
            run.report.case(CASE, "bytes/entry as stated", &[name], &report::alone(each(stated)))?;
        }
        if filled.forgotten > 0 {
            let value = report::alone(filled.forgotten as f64);
            run.report.case(CASE, "of 1000 forgotten", &[name], &value)?;
        }
    }
    Ok(())
}
