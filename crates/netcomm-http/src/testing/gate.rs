//! A door at which scripts wait until the test opens it.

use std::fmt;

use tokio::sync::watch;

/// Holds scripts back until the test opens it: for tests of what happens *while* an answer is awaited, without any
/// guess at times. Cheap to clone; clones are the same gate.
///
/// # Examples
///
/// ```
/// use netcomm_http::testing::{Gate, Reply, ScriptedServer};
///
/// let gate = Gate::new();
/// let server = ScriptedServer::builder().route("/slow", Reply::status(200).held_by(&gate)).offline();
/// // Send some requests, see that they wait, then:
/// gate.open();
/// # drop(server);
/// ```
#[derive(Clone)]
pub struct Gate {
    open: watch::Sender<bool>,
}

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn new() -> Self {
        Self { open: watch::Sender::new(false) }
    }

    /// Lets everything pass that waits or comes later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Holds back what comes later.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// How many scripts wait here.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.receiver_count()
    }

    /// Waits until the gate is open.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn opened(&self) {
        // Fails only without a sender, and this gate is one.
        drop(self.open.subscribe().wait_for(|open| *open).await);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &self.is_open()).field("waiting", &self.waiting()).finish()
    }
}
