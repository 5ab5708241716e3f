//! How it ended, and with which exit code.

use std::process::ExitCode;

use netcomm::ws::Closed;
use netcomm::{Error, ErrorKind, Result};

use super::feed::Fed;
use super::setup::is_farewell;
use super::stop::{Stop, Why};
use crate::exit;

/// What is known at the end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// How the last connection ended, where there was one.
    pub(super) closed: Option<Closed>,
    /// What made the connection give up.
    pub(super) cause: Option<Error>,
    /// What went wrong on this side: stdin, stdout, options.
    pub(super) fault: Option<Error>,
    /// Whether Ctrl-C ended it.
    pub(super) interrupted: bool,
    /// Messages that came.
    pub(super) messages: u64,
    /// Messages that were read and surely not sent.
    pub(super) not_written: u64,
    /// Messages that may have been sent.
    pub(super) unknown: u64,
}

impl Ending {
    /// The end before there was anything.
    pub(super) fn failed(error: Error) -> Self {
        Self { fault: Some(error), ..Self::default() }
    }

    /// Notes an error of this side; the first one counts, and stops everything.
    pub(super) fn note(&mut self, outcome: Result<()>, stop: &Stop) {
        if let Err(error) = outcome {
            self.fault.get_or_insert(error);
            stop.set(Why::Enough);
        }
    }

    /// Takes what came of stdin.
    pub(super) fn take(&mut self, fed: Fed, stop: &Stop) {
        (self.not_written, self.unknown) = (fed.not_written, fed.unknown);
        self.note(fed.error.map_or(Ok(()), Err), stop);
    }

    /// What went wrong, all in all.
    pub(super) fn error(&self) -> Option<Error> {
        let farewell = self.closed.as_ref().is_some_and(is_farewell);
        let lost = || self.lost().map(|lost| Error::new(ErrorKind::Incomplete, "send").with_detail(lost));
        self.fault.clone().or_else(|| self.cause.clone().filter(|_| !farewell)).or_else(lost)
    }

    /// Which of the messages that were read did not go, in words.
    pub(super) fn lost(&self) -> Option<String> {
        let of = |count| if count == 1 { "1 message".to_owned() } else { format!("{count} messages") };
        match (self.not_written, self.unknown) {
            (0, 0) => None,
            (surely, 0) => Some(format!("{} from stdin not written", of(surely))),
            (0, maybe) => Some(format!("{} from stdin perhaps not written", of(maybe))),
            (surely, maybe) => Some(format!("{} from stdin not written, {maybe} perhaps not", of(surely))),
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        match self.error() {
            _ if self.interrupted => ExitCode::from(exit::INTERRUPTED),
            Some(error) => exit::code(&error),
            None => ExitCode::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_messages_are_an_error_of_their_own_unless_there_is_another() {
        let mut ending = Ending { not_written: 2, unknown: 1, ..Ending::default() };
        let error = ending.error().expect("an error");
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        assert_eq!(error.detail(), Some("2 messages from stdin not written, 1 perhaps not"));
        assert_eq!(format!("{:?}", ending.code()), format!("{:?}", ExitCode::from(9)));
        ending.cause = Some(Error::new(ErrorKind::Connect, "dial"));
        assert_eq!(ending.error().map(|error| error.kind()), Some(ErrorKind::Connect));
        ending.note(Err(Error::new(ErrorKind::Io, "write")), &Stop::new());
        assert_eq!(ending.error().map(|error| error.kind()), Some(ErrorKind::Io));
        assert_eq!(
            Ending { unknown: 1, ..Ending::default() }.lost().as_deref(),
            Some("1 message from stdin perhaps not written")
        );
        assert!(Ending::default().error().is_none());
    }
}
