//! `netcomm-bench ws`: what a message costs, in time and in instructions, and what an idle connection keeps.

mod clock;
mod echo;
mod idle;
mod instructions;
mod lane;
mod load;
mod ours;
mod peers;
mod server;

use std::time::Duration;

use crate::child::Server;
use crate::error::{Result, fail};
use crate::flags::Flags;
use crate::report::Report;

/// The component's name on the command line and in each line.
pub(crate) const NAME: &str = "ws";

// First words of what the program says to itself when it starts once more.
const SERVE: &str = "serve";
const ROUNDS: &str = "rounds";
const TURN: &str = "turn";
const IDLE: &str = "idle-connections";

/// Measures all cases, or plays the part that another process of this program asks for.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words {
        [SERVE] => server::serve(),
        [ROUNDS, peer, address, load, count] => {
            let mut lane = peers::one(peer, address.parse()?)?;
            lane.rounds(load.parse()?, count.parse()?)
        }
        [TURN, peer, address, load, millis] => clock::turn(
            &mut *peers::one(peer, address.parse()?)?,
            load.parse()?,
            Duration::from_millis(millis.parse()?),
        ),
        [IDLE, peer, address, count] => idle::hold(peer, address.parse()?, count.parse()?),
        [SERVE | ROUNDS | TURN | IDLE, ..] => fail("the program did not understand itself"),
        _ => measure(&Flags::parse(args, CASES)?),
    }
}

const CASES: &[&str] = &[clock::CASE, instructions::CASE, idle::CASE];

fn measure(flags: &Flags) -> Result<()> {
    let report = Report::new(NAME, flags.is_json);
    let server = Server::start(&[NAME, SERVE])?;
    let address = server.address();
    if flags.wants(clock::CASE) {
        clock::measure(flags, &report, address)?;
    }
    if flags.wants(instructions::CASE) {
        instructions::measure(flags, &report, address)?;
    }
    if flags.wants(idle::CASE) {
        idle::measure(flags, &report, address)?;
    }
    Ok(())
}
