//! `netcomm-bench cache`: what a hit and a miss cost, and what a stored response takes.

mod hit;
mod job;
mod million;
mod miss;
mod ours;
mod peers;
mod run;
mod server;
mod undici;
mod work;

use crate::child::Server;
use crate::error::{Result, fail};
use crate::flags::Flags;
use crate::report::Report;
use run::Run;

/// The component's name on the command line and in each line.
pub(crate) const NAME: &str = "cache";

// First words of what the program says to itself when it starts once more.
const SERVE: &str = "serve";
const WORK: &str = "work";

/// Measures all cases, or plays the part that another process of this program asks for.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words {
        [SERVE] => server::serve(),
        [WORK, peer, job] => peers::let_work(peer, &serde_json::from_str(job)?),
        [SERVE | WORK, ..] => fail("the program did not understand itself"),
        _ => measure(&Flags::parse(args, CASES)?),
    }
}

const CASES: &[&str] = &[
    hit::INSTRUCTIONS,
    hit::ALLOCATIONS,
    hit::ONE_THREAD,
    hit::TWO_THREADS,
    hit::DISK_64_KIB,
    hit::DISK_1_MIB,
    miss::CASE,
    million::CASE,
];

fn measure(flags: &Flags) -> Result<()> {
    let report = Report::new(NAME, flags.is_json);
    let server = Server::start(&[NAME, SERVE])?;
    let run = Run { flags, report: &report, server: server.address() };
    hit::measure(&run)?;
    miss::measure(&run)?;
    million::measure(&run)
}
