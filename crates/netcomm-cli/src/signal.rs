//! The wish of whoever runs the command that it ends: Ctrl-C, and SIGTERM where there is such a thing.

use netcomm::Result;
#[cfg(unix)]
use netcomm::{Error, ErrorKind};

/// Which wish it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    #[cfg(unix)]
    Terminate,
}

/// Hears signals from when it is made.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to hear.
    ///
    /// # Errors
    ///
    /// Kind `Io` if the system does not let it.
    #[cfg(unix)]
    pub(crate) fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Error::new(ErrorKind::Io, "wait for signals").with_source(error);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// The next one. Nothing is lost if the future is dropped.
    #[cfg(unix)]
    pub(crate) async fn wait(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(crate) async fn wait(&mut self) -> Signal {
        interrupt().await;
        Signal::Interrupt
    }
}

/// Waits for Ctrl-C, which never comes where the system does not let it be heard.
pub(crate) async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
