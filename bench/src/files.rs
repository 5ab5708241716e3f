//! How many files this process may have open.

use crate::error::Result;

/// As many as the system lets it have: a connection is a file.
#[cfg(unix)]
pub(crate) fn raise_the_limit() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Here the system has no such limit.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(crate) fn raise_the_limit() -> Result<()> {
    Ok(())
}
