//! Why nothing more is read from stdin, and who says so.

use std::sync::Arc;

use netcomm::ws::{CloseCode, Connection};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::exit;

/// Why it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Enough messages came.
    Enough,
    /// Ctrl-C.
    Interrupted,
    /// The connection is closed for good.
    Over,
}

/// Told once; what is told first counts, but that Ctrl-C goes before all others.
#[derive(Clone)]
pub(super) struct Stop {
    why: Arc<watch::Sender<Option<Why>>>,
}

impl Stop {
    pub(super) fn new() -> Self {
        Self { why: Arc::new(watch::Sender::new(None)) }
    }

    pub(super) fn set(&self, why: Why) {
        self.why.send_if_modified(|own| {
            let is_new = own.is_none() || (why == Why::Interrupted && *own != Some(why));
            if is_new {
                *own = Some(why);
            }
            is_new
        });
    }

    pub(super) fn why(&self) -> Option<Why> {
        *self.why.borrow()
    }

    /// Waits until it stops.
    pub(super) async fn wait(&self) {
        // The sender lives as long as this does.
        drop(self.why.subscribe().wait_for(Option::is_some).await.map(|_| ()));
    }

    /// The first Ctrl-C says goodbye; the second one ends the process, even where stdout takes nothing.
    pub(super) fn heed_signals(&self, connection: Connection) -> JoinHandle<()> {
        let stop = self.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            stop.set(Why::Interrupted);
            drop(tokio::spawn(async move { drop(connection.close(CloseCode::GOING_AWAY, "").await) }));
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(exit::INTERRUPTED.into());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_counts_but_for_an_interrupt() {
        let stop = Stop::new();
        assert_eq!(stop.why(), None);
        stop.set(Why::Enough);
        stop.set(Why::Over);
        stop.clone().wait().await;
        assert_eq!(stop.why(), Some(Why::Enough));
        stop.set(Why::Interrupted);
        stop.set(Why::Enough);
        assert_eq!(stop.why(), Some(Why::Interrupted));
    }
}
