//! `netcomm-bench sse`: what an event costs, in a parser and in a whole client, and what an idle stream keeps.

mod corpus;
mod load;
mod parse;
mod stream;

use std::time::Duration;

use crate::error::{Result, fail};
use crate::flags::Flags;
use crate::report::Report;

/// The component's name on the command line and in each line.
pub(crate) const NAME: &str = "sse";

// First words of what the program says to itself when it starts once more.
const SERVE: &str = "serve";
const PARSE_TURN: &str = "parse-turn";
const PARSE_PASSES: &str = "parse-passes";
const STREAM_TURN: &str = "stream-turn";
const IDLE: &str = "idle-streams";

/// Measures all cases, or plays the part that another process of this program asks for.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words {
        [SERVE] => stream::serve(),
        [PARSE_TURN, peer, load, millis] => parse::turn(peer, load.parse()?, Duration::from_millis(millis.parse()?)),
        [PARSE_PASSES, peer, load, count] => parse::passes(peer, load.parse()?, count.parse()?),
        [STREAM_TURN, peer, address, kind, bytes] => {
            stream::turn(peer, address.parse()?, kind.parse()?, bytes.parse()?)
        }
        [IDLE, peer, address, count] => stream::hold(peer, address.parse()?, count.parse()?),
        [SERVE | PARSE_TURN | PARSE_PASSES | STREAM_TURN | IDLE, ..] => fail("the program did not understand itself"),
        _ => measure(&Flags::parse(args, CASES)?),
    }
}

const CASES: &[&str] = &[parse::CLOCK, parse::INSTRUCTIONS, stream::STREAM, stream::IDLE];

fn measure(flags: &Flags) -> Result<()> {
    let report = Report::new(NAME, flags.is_json);
    parse::measure(flags, &report)?;
    if flags.wants(stream::STREAM) || flags.wants(stream::IDLE) {
        stream::measure(flags, &report)?;
    }
    Ok(())
}
