//! `netcomm-bench http`: what a call costs, in time, instructions and memory.

mod allocations;
mod instructions;
mod lane;
mod memory;
mod ours;
mod peers;
mod server;
mod wall;
mod zeros;

use crate::child::Server;
use crate::error::{Result, fail};
use crate::flags::Flags;
use crate::report::Report;

/// The component's name on the command line and in each line.
pub(crate) const NAME: &str = "http";

// First words of what the program says to itself when it starts once more.
const SERVE: &str = "serve";
const REQUESTS: &str = "requests";
const TRANSFER: &str = "transfer";

/// Measures all cases, or plays the part that another process of this program asks for.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words {
        [SERVE] => server::serve(),
        [REQUESTS, peer, address, count, in_flight] => {
            let lane = peers::one(peer, address.parse()?)?;
            lane.requests(count.parse()?, in_flight.parse()?)
        }
        [TRANSFER, peer, address, direction, bytes] => {
            memory::transfer(&*peers::one(peer, address.parse()?)?, direction.parse()?, bytes.parse()?)
        }
        [SERVE | REQUESTS | TRANSFER, ..] => fail("the program did not understand itself"),
        _ => measure(&Flags::parse(args, CASES)?),
    }
}

const CASES: &[&str] = &[
    wall::SEQUENTIAL,
    wall::CONCURRENT,
    instructions::SEQUENTIAL,
    instructions::CONCURRENT,
    allocations::CASE,
    memory::CASE,
];

fn measure(flags: &Flags) -> Result<()> {
    let report = Report::new(NAME, flags.is_json);
    let server = Server::start(&[NAME, SERVE])?;
    let address = server.address();
    wall::measure(flags, &report, address)?;
    instructions::measure(flags, &report, address)?;
    if flags.wants(allocations::CASE) {
        allocations::measure(flags, &report, address)?;
    }
    if flags.wants(memory::CASE) {
        memory::measure(flags, &report, address)?;
    }
    Ok(())
}
