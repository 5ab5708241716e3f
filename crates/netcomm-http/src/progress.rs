//! How far a body has come.

use std::fmt;
use std::sync::Arc;

/// How far an up- or download has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes so far, as they go over the wire: before decoding.
    pub bytes: u64,
    /// All bytes, if that is known.
    pub total: Option<u64>,
}

/// Called with each piece of a body, on the task that moves it: must be quick.
#[derive(Clone)]
pub(crate) struct OnProgress(pub(crate) Arc<dyn Fn(Progress) + Send + Sync>);

impl OnProgress {
    pub(crate) fn report(&self, bytes: u64, total: Option<u64>) {
        (self.0)(Progress { bytes, total });
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnProgress")
    }
}
