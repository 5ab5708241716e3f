//! From a handshake to a connection.

use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{Clock, Env, Result};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Socket;
use super::drive::{Drive, Setup, Welcome};
use crate::accept::{AcceptOptions, accept};
use crate::compression::{Coding, Compression};
use crate::connect::{Connect, Opened};
use crate::heartbeat::{Heartbeat, Pulse};
use crate::limits::Limits;
use crate::mask::Keys;
use crate::receive::Receiver;
use crate::role::Role;
use crate::transmit::Transmitter;

/// How a connection behaves once it is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) limits: Limits,
    pub(crate) compression: Compression,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) close_timeout: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            compression: Compression::default(),
            heartbeat: Heartbeat::OFF,
            close_timeout: Duration::from_secs(10),
        }
    }
}

impl Connect {
    /// Opens the connection.
    ///
    /// # Errors
    ///
    /// Those of the dialer; `Denied`, `Canceled` and `Busy` of the scope; `Status` with [`Refused`](crate::Refused) as source for an
    /// answer other than yes; `Redirect`; `Protocol` and `TooLarge` for an answer that is none; `Closed`; `Timeout` with its
    /// phase; `Invalid` for what was set wrong, before anything is dialled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(&self) -> Result<Socket> {
        let compression = self.manner.compression;
        let opened = self.open(|headers| compression.check_answer(headers)).await?;
        Ok(Socket::opened(opened, Role::Client, self.manner, self.env(), self.scope_name()))
    }
}

impl Socket {
    /// Takes a connection as its server: reads the handshake, answers it. For tests, and for servers that are nothing
    /// else.
    ///
    /// # Errors
    ///
    /// `Protocol` for a request that is none, and `Denied` for one that was not let in: both have been told so. `TooLarge`,
    /// `Closed`, and `Timeout` with its phase.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn accept(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        options: &AcceptOptions,
    ) -> Result<Self> {
        let compression = options.manner.compression;
        let opened = accept(io, options, |headers| compression.answer(headers)).await?;
        Ok(Self::opened(opened, Role::Server, options.manner, options.env(), None))
    }

    fn opened(opened: Opened<Coding>, role: Role, manner: Manner, env: &Env, scope: Option<Arc<str>>) -> Self {
        let Opened { io, rest, headers, subprotocol, extensions: coding, uri, call, places, .. } = opened;
        let clock: Arc<dyn Clock> = Arc::clone(env.clock());
        let compressed = coding.deflater.is_some();
        let setup = Setup {
            role,
            receiver: Receiver::new(role, manner.limits, coding.inflater),
            transmitter: Transmitter::new(role, &manner.limits, Keys::new(), coding.deflater),
            limits: manner.limits,
            pulse: Pulse::new(manner.heartbeat, env.random(), clock.now()),
            clock,
            tap: env.tap().clone(),
            close_timeout: manner.close_timeout,
            welcome: Welcome {
                url: netcomm_core::redact_url(&uri.to_string()),
                subprotocol,
                headers,
                info: io.info().clone(),
                compressed,
                call,
                scope,
                _places: places,
            },
            io,
        };
        Self::new(Drive::new(setup, &rest))
    }
}
