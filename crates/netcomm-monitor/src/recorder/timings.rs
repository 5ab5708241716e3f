//! How long each part of an attempt took, as far as observations tell: pure.

use std::time::Duration;

use super::entry::EntryAttempt;

/// How long each part of an attempt took; `None` where that is not known, or there was no such part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryTimings {
    /// The wait for a connection, beside the steps of making it.
    pub blocked: Option<Duration>,
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Making the connection, speaking with a proxy included; without TLS.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// Sending the request. Known only where heads are recorded.
    pub send: Option<Duration>,
    /// From then to the head of the response.
    pub wait: Option<Duration>,
    /// From there to the end of the body, as its caller read it.
    pub receive: Option<Duration>,
}

impl EntryTimings {
    /// All parts that are known, together.
    #[must_use]
    pub fn total(&self) -> Duration {
        let Self { blocked, dns, connect, tls, send, wait, receive } = *self;
        [blocked, dns, connect, tls, send, wait, receive].into_iter().flatten().sum()
    }
}

impl EntryAttempt {
    /// How long each part took.
    #[must_use]
    pub fn timings(&self) -> EntryTimings {
        let steps = self.connection.map(|connection| connection.steps).unwrap_or_default();
        let connect = [steps.connect, steps.proxy].into_iter().flatten().reduce(|a, b| a + b);
        let asked = self.request.as_ref().map(|head| head.at);
        // Where it was not heard that the request went, it went when there was a connection.
        let begun = asked.or_else(|| self.connection.map(|connection| connection.at)).unwrap_or(self.started);
        let sent = self.body_at.unwrap_or(begun).max(begun);
        EntryTimings {
            blocked: self.connection.map(|connection| connection.blocked),
            dns: steps.dns,
            connect,
            tls: steps.tls,
            send: asked.map(|asked| sent.saturating_duration_since(asked)),
            wait: match asked {
                None if self.waited.is_some() => self.waited,
                _ => self.ended.map(|ended| ended.saturating_duration_since(sent)),
            },
            receive: self.receive,
        }
    }
}
