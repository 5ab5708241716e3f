//! The server's door: it counts who comes, and is shut while the server is gone.

use std::sync::{Arc, Mutex, PoisonError};

use netcomm_core::{Dial, Error, ErrorKind, Io, Result, Target};
use netcomm_tests::ScriptedDialer;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::tally::Tally;

/// A dialer that leads to it; cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    /// What is behind it.
    pub(crate) server: ScriptedDialer,
    pub(crate) is_open: watch::Receiver<bool>,
    /// When the server died; none before that.
    pub(crate) died: Arc<Mutex<Option<Instant>>>,
    pub(crate) tally: Arc<Mutex<Tally>>,
}

impl Dial for Door {
    async fn dial(&self, target: &Target) -> Result<Io> {
        let is_open = *self.is_open.borrow();
        if let Some(died) = *self.died.lock().unwrap_or_else(PoisonError::into_inner) {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.came(Instant::now() - died, is_open);
        }
        if is_open { self.server.dial(target).await } else { Err(Error::new(ErrorKind::Connect, "dial")) }
    }
}
