//! What an error says about another connection, unless the user knows better. Pure.

use std::error::Error as _;
use std::time::Instant;

use netcomm_core::{Error, Verdict};

use crate::close::{Closed, Closer};
use crate::violation::Violation;

/// What `error` says, by who closed with which code, by status, by kind, in that order.
pub(crate) fn judge(error: &Error, now: Instant) -> Verdict {
    let source = error.source();
    if let Some(closed) = source.and_then(|source| source.downcast_ref::<Closed>()) {
        after_close(closed)
    } else if source.is_some_and(|source| source.is::<Violation>()) {
        Verdict::Fatal
    } else {
        Verdict::of(error, now)
    }
}

fn after_close(closed: &Closed) -> Verdict {
    match (closed.by, closed.code.get()) {
        // Whoever closes does not want it back; a rule that the peer broke will be broken again.
        (Closer::Us, _) => Verdict::Fatal,
        // 1000: many servers say so when they rotate connections. 1005: those who do not care to say.
        (_, 1000 | 1001 | 1005 | 1006 | 1011..=1014) => Verdict::Retry,
        // Registered and private codes: what they mean only the user knows.
        (_, 3000..=4999) => Verdict::Retry,
        _ => Verdict::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use netcomm_core::{ErrorKind, Text};

    use super::*;
    use crate::close::CloseCode;

    fn closed(by: Closer, code: u16) -> Error {
        let closed = Closed { by, code: CloseCode::new(code), reason: Text::default(), clean: true };
        Error::new(ErrorKind::Closed, "x").with_source(closed)
    }

    #[test]
    fn close_codes() {
        let now = Instant::now();
        for code in [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            assert_eq!(judge(&closed(Closer::Peer, code), now), Verdict::Retry, "{code}");
            assert_eq!(judge(&closed(Closer::Us, code), now), Verdict::Fatal, "{code} of our own");
        }
        for code in [1002, 1003, 1004, 1007, 1008, 1009, 1010, 1015, 2000, 5000] {
            assert_eq!(judge(&closed(Closer::Peer, code), now), Verdict::Fatal, "{code}");
        }
        let abnormal = Error::new(ErrorKind::Closed, "x").with_source(Closed::abnormal());
        assert_eq!(judge(&abnormal, now), Verdict::Retry);
        assert_eq!(judge(&Violation::Utf8.into_error("receive"), now), Verdict::Fatal);
        let unsure = Error::new(ErrorKind::Closed, "x").with_source(Violation::Masked);
        assert_eq!(judge(&unsure, now), Verdict::Fatal, "whatever kind it is told as");
    }
}
