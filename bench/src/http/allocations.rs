//! How often a request asks the allocator, and for how much, once its connection stands.

use std::net::SocketAddr;

use super::peers;
use crate::counting;
use crate::error::Result;
use crate::flags::Flags;
use crate::report::{self, Report};

pub(super) const CASE: &str = "allocations";

const WARM_UP: usize = 200;

/// Counts for each peer.
pub(super) fn measure(flags: &Flags, report: &Report, server: SocketAddr) -> Result<()> {
    let requests: usize = if flags.is_quick { 100 } else { 1000 };
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for lane in peers::all(server)? {
        lane.requests(WARM_UP, 1)?;
        let (result, asked) = counting::count(|| lane.requests(requests, 1));
        result?;
        times.push(asked.times as f64 / requests as f64);
        bytes.push(asked.bytes as f64 / requests as f64);
    }
    let names = peers::names();
    let figures = report::plain(&times);
    report.case(CASE, "allocations/request", &names, &figures)?;
    let figures = report::plain(&bytes);
    report.case(CASE, "bytes/request", &names, &figures)
}
