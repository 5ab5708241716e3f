//! Every way in which a connection ends, and what is said of it afterwards.

use std::io;

use netcomm_core::{Error, ErrorKind, Event, Interest, Phase, Result};
use url::Url;

use super::{Drive, LINGER, State};
use crate::close::{CloseBody, Closed, Closer};
use crate::violation::Violation;

impl Drop for Drive {
    /// Whoever observes hears of the end of a connection that was let go, too.
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        self.doubt();
        let is_said = matches!(self.state, State::Ending { .. });
        self.observe(Interest::CONNECTION, |drive| {
            let closed = match &drive.state {
                State::Ending { closed, .. } => closed.clone(),
                _ => Closed::abnormal(),
            };
            Event::SocketClosed {
                code: closed.code.get(),
                clean: closed.clean,
                error: (!is_said).then_some(ErrorKind::Canceled),
                took: drive.clock.now().saturating_duration_since(drive.opened),
            }
        });
        self.observe_disconnected("dropped");
    }
}

impl Drive {
    /// The peer says goodbye.
    pub(super) fn goodbye(&mut self, theirs: CloseBody) {
        let closed = match &self.state {
            State::Closing { ours, .. } => ours.clone().closed(Closer::Us, true),
            // A write that failed may have hidden it.
            State::Open | State::Ending { closed: Closed { by: Closer::Nobody, .. }, .. } => {
                // RFC 6455 §5.5.1: the code is echoed.
                self.transmitter.close(theirs.without_reason());
                theirs.closed(Closer::Peer, true)
            }
            State::Ending { .. } | State::Ended { .. } => return,
        };
        self.state = State::Ending { deadline: self.clock.now() + LINGER, closed, error: None };
    }

    /// The peer broke a rule. What came before that is good: its reader has it first, and may still answer.
    pub(super) fn found(&mut self, violation: Violation) {
        self.receiver.stop();
        if self.inbox.is_empty() {
            self.fail(violation);
        } else {
            self.fault = Some(violation);
        }
    }

    /// Whether nothing more will come; told when all that came has been taken.
    pub(super) fn is_over(&mut self) -> bool {
        if let Some(violation) = self.fault.take() {
            self.fail(violation);
        }
        self.has_ended()
    }

    /// The peer broke a rule: it is told, and nothing more is read from it (RFC 6455 §7.1.7).
    pub(super) fn fail(&mut self, violation: Violation) {
        if !matches!(self.state, State::Open | State::Closing { .. }) {
            return;
        }
        let body = CloseBody::code_alone(violation.close_code());
        self.transmitter.fail(body.clone());
        let error = violation.into_error("receive").with_url(&self.welcome.url);
        let closed = body.closed(Closer::Us, false);
        self.state = State::Ending { deadline: self.clock.now() + LINGER, closed, error: Some(error) };
    }

    /// The connection beneath has ended.
    pub(super) fn end(&mut self, cause: Option<io::Error>) {
        self.doubt();
        let before = std::mem::replace(&mut self.state, State::Ended { closed: Closed::abnormal(), error: None });
        let (closed, error) = match before {
            State::Open => {
                let error = Error::new(ErrorKind::Closed, "receive").with_url(&self.welcome.url);
                let error = match cause {
                    Some(cause) => error.with_source(cause),
                    None => error.with_detail("without a close frame").with_source(Closed::abnormal()),
                };
                (Closed::abnormal(), Some(error))
            }
            State::Closing { ours, .. } => (ours.closed(Closer::Us, false), None),
            State::Ending { closed, error, .. } | State::Ended { closed, error } => (closed, error),
        };
        self.ended(closed, error);
    }

    pub(super) fn ended(&mut self, closed: Closed, error: Option<Error>) {
        self.let_go();
        self.observe(Interest::CONNECTION, |drive| Event::SocketClosed {
            code: closed.code.get(),
            clean: closed.clean,
            error: error.as_ref().map(Error::kind),
            took: drive.clock.now().saturating_duration_since(drive.opened),
        });
        self.observe_disconnected(if closed.clean { "closed" } else { "broken" });
        self.state = State::Ended { closed, error };
    }

    /// Who heard that the connection was opened hears that it is gone.
    fn observe_disconnected(&self, reason: &'static str) {
        if self.is_server {
            return;
        }
        self.observe(Interest::CONNECTION, |drive| Event::Disconnected { origin: origin(&drive.welcome.url), reason });
    }

    /// The peer gave no sign of life.
    pub(super) fn give_up(&mut self) {
        let error = Error::timeout("receive", Phase::Receive)
            .with_detail("no sign of life from the peer")
            .with_url(&self.welcome.url)
            .with_source(Closed::abnormal());
        self.ended(Closed::abnormal(), Some(error));
    }

    /// Nothing that served the connection is of use any more.
    pub(super) fn let_go(&mut self) {
        (self.io, self.alarm, self.kept) = (None, None, None);
        self.receiver.stop();
        self.transmitter.stop();
    }

    /// RFC 6455 §7.1.4: a goodbye of ours that did not get out makes no clean end.
    pub(super) fn doubt(&mut self) {
        if let State::Ending { closed, .. } = &mut self.state
            && !self.transmitter.is_silent()
        {
            closed.clean = false;
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        if matches!(self.state, State::Open) { Ok(()) } else { self.refuse() }
    }

    #[cold]
    pub(super) fn refuse(&self) -> Result<()> {
        let closed = match &self.state {
            State::Open => return Ok(()),
            State::Ending { error: Some(error), .. } | State::Ended { error: Some(error), .. } => {
                return Err(error.clone());
            }
            State::Closing { ours, .. } => ours.clone().closed(Closer::Us, false),
            State::Ending { closed, .. } | State::Ended { closed, .. } => closed.clone(),
        };
        Err(Error::new(ErrorKind::Closed, "send").with_url(&self.welcome.url).with_source(closed))
    }

    /// What ended the connection, told once.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        match &mut self.state {
            State::Ended { error, .. } => error.take(),
            _ => None,
        }
    }
}

/// `scheme://host:port` of a URL, as the opening of its connection was told.
fn origin(url: &str) -> String {
    let Ok(parsed) = Url::parse(url) else { return url.to_owned() };
    let host = parsed.host_str().unwrap_or_default();
    format!("{}://{host}:{}", parsed.scheme(), parsed.port_or_known_default().unwrap_or_default())
}
