//! What is sent: binary messages of one size, so many before the first is waited for.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A round sends `window` messages of so many bytes, flushes, and receives as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) bytes: usize,
    pub(super) window: usize,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// One small message there and back, then the next.
pub(super) const PING_PONG: Load = Load { bytes: 64, window: 1 };
/// Small messages in a row.
pub(super) const SMALL: Load = Load { bytes: 64, window: 256 };
/// Middling ones, as many as instructions are counted of.
pub(super) const MIDDLING: Load = Load { bytes: 16 * KIB, window: 64 };
/// The same for the clock.
pub(super) const MIDDLING_LONG: Load = Load { bytes: 16 * KIB, window: 256 };
/// Large ones, as many as instructions are counted of.
pub(super) const LARGE: Load = Load { bytes: MIB, window: 4 };
/// The same for the clock.
pub(super) const LARGE_LONG: Load = Load { bytes: MIB, window: 16 };

/// As `64-b-by-256`.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.bytes {
            bytes if bytes % MIB == 0 => (bytes / MIB, "mib"),
            bytes if bytes % KIB == 0 => (bytes / KIB, "kib"),
            bytes => (bytes, "b"),
        };
        write!(f, "{count}-{unit}-by-{}", self.window)
    }
}

impl FromStr for Load {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [PING_PONG, SMALL, MIDDLING, MIDDLING_LONG, LARGE, LARGE_LONG];
        let found = all.into_iter().find(|load| load.to_string() == text);
        found.ok_or_else(|| format!("no load `{text}`").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_have_names() {
        for (load, name) in [(PING_PONG, "64-b-by-1"), (MIDDLING, "16-kib-by-64"), (LARGE_LONG, "1-mib-by-16")] {
            assert_eq!(load.to_string(), name);
            assert_eq!(name.parse::<Load>().unwrap(), load);
        }
        assert!("64-b".parse::<Load>().is_err());
    }
}
