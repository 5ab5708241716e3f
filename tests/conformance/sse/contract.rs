//! The contract of a public harness for clients of event streams, restated: each of its 113 cases against a server of our own.
//!
//! Where the harness lets time pass to see that a client notices, or that nothing happens, these cases go by what happens
//! instead: a chunk goes out once the one before was read, a source that is over says so, and a limit of time is held
//! in a time that leaps ahead (`Time::Leaping`), over a connection in memory.

mod basic;
mod bom;
mod comments;
mod http;
mod linefeeds;
mod reconnection;

use crate::play;
use crate::score::Score;
use crate::script::Case;

fn cases() -> Vec<Case> {
    [basic::cases(), bom::cases(), comments::cases(), linefeeds::cases(), http::cases(), reconnection::cases()].concat()
}

/// All cases, judged.
pub(crate) fn score() -> Score {
    play::score("contract", &cases())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn none_is_missing_and_each_has_a_name() {
        let cases = cases();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!((cases.len(), names.len()), (113, 113));
        let counts =
            [("basic/", 23), ("bom/", 11), ("comments/", 4), ("linefeeds/", 55), ("http/", 12), ("reconnection/", 8)];
        for (group, count) in counts {
            assert_eq!(names.iter().filter(|name| name.starts_with(group)).count(), count, "{group}");
        }
    }
}
