//! How the command ends: exit codes by kind of error, and what is said about an error.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use netcomm::{Error, ErrorKind};

/// A promise of the tour was broken, `monitor --once` found no network that is online, or an error of a kind that the table does
/// not know.
pub(crate) const FAILED: u8 = 1;
/// Ctrl-C, as shells count it: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// SIGTERM, counted in the same way.
pub(crate) const TERMINATED: u8 = 143;
/// Whoever read the output has gone, as shells count it: 128 + SIGPIPE.
const UNREAD: u8 = 141;

/// The exit code and the name in machine output of each kind.
const KINDS: &[(ErrorKind, u8, &str)] = &[
    (ErrorKind::Invalid, 2, "invalid"),
    (ErrorKind::Denied, 3, "denied"),
    (ErrorKind::Dns, 4, "dns"),
    (ErrorKind::Connect, 5, "connect"),
    (ErrorKind::Proxy, 6, "proxy"),
    (ErrorKind::Tls, 7, "tls"),
    (ErrorKind::Timeout, 8, "timeout"),
    (ErrorKind::Closed, 9, "closed"),
    (ErrorKind::Incomplete, 9, "incomplete"),
    (ErrorKind::Protocol, 10, "protocol"),
    (ErrorKind::TooLarge, 11, "too_large"),
    (ErrorKind::Decode, 12, "decode"),
    (ErrorKind::Redirect, 13, "redirect"),
    (ErrorKind::Auth, 14, "auth"),
    (ErrorKind::Busy, 15, "busy"),
    (ErrorKind::Canceled, 16, "canceled"),
    (ErrorKind::Unsupported, 17, "unsupported"),
    (ErrorKind::Io, 18, "io"),
    (ErrorKind::User, 19, "user"),
    (ErrorKind::Offline, 20, "offline"),
    (ErrorKind::Unavailable, 21, "unavailable"),
    (ErrorKind::Status, 22, "status"),
];

/// The name of a kind in machine output.
pub(crate) fn name(kind: ErrorKind) -> &'static str {
    row(kind).map_or("other", |&(_, _, name)| name)
}

/// The exit code for an error.
pub(crate) fn code(error: &Error) -> ExitCode {
    let by_kind = row(error.kind()).map_or(FAILED, |&(_, code, _)| code);
    ExitCode::from(if is_unread(error) { UNREAD } else { by_kind })
}

/// The error in one line, and a line for each cause beneath. Nothing if there is nobody left to read it.
pub(crate) fn describe(error: &Error) -> String {
    if is_unread(error) {
        return String::new();
    }
    let mut text = format!("netcomm: {error}\n");
    for cause in causes(error) {
        writeln!(text, "  caused by: {cause}").expect("a string takes all text");
    }
    text
}

/// What lies beneath an error, nearest first.
pub(crate) fn causes(error: &Error) -> Vec<String> {
    let beneath = std::iter::successors(error.source(), |&cause| cause.source());
    beneath.map(ToString::to_string).collect()
}

/// The codes as a text for `--help`.
pub(crate) fn help() -> String {
    let mut text = format!(
        "Exit codes:\n  {:>3}  success\n  {FAILED:>3}  a promise of the tour was broken; monitor --once: not online\n",
        0
    );
    for rows in KINDS.chunk_by(|(_, a, _), (_, b, _)| a == b) {
        let kinds: Vec<_> = rows.iter().map(|(kind, ..)| kind.as_str()).collect();
        writeln!(text, "  {:>3}  {}", rows[0].1, kinds.join(", ")).expect("a string takes all text");
    }
    write!(
        text,
        "  {INTERRUPTED:>3}  Ctrl-C\n  {UNREAD:>3}  nobody reads the output\n  {TERMINATED:>3}  SIGTERM (monitor)"
    )
    .expect("a string takes all text");
    text
}

fn row(kind: ErrorKind) -> Option<&'static (ErrorKind, u8, &'static str)> {
    KINDS.iter().find(|(own, ..)| *own == kind)
}

fn is_unread(error: &Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_and_documented() {
        for (at, (kind, code, name)) in KINDS.iter().enumerate() {
            assert!(*code > FAILED && *code < 64, "{name}");
            let shared = KINDS[..at].iter().filter(|(_, earlier, _)| earlier == code);
            assert!(shared.count() == 0 || *kind == ErrorKind::Incomplete, "{name}");
            let documented = format!("| {code} | `{name}` |");
            assert!(include_str!("../README.md").contains(&documented), "README: {documented}");
        }
        assert!(help().contains("    8  timed out\n    9  connection closed, body incomplete\n"), "{}", help());
    }

    #[test]
    fn an_error_is_one_line_and_one_for_each_cause() {
        let inner = Error::new(ErrorKind::Dns, "resolve").with_source(io::Error::other("no such name"));
        let error = Error::new(ErrorKind::Connect, "dial").with_source(inner);
        let expected = "netcomm: dial: could not connect\n  caused by: resolve: name not resolved\n  \
                        caused by: no such name\n";
        assert_eq!(describe(&error), expected);
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(describe(&Error::new(ErrorKind::Io, "write").with_source(gone)), "");
    }
}
