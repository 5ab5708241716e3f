//! The two ends of a connection.

/// Which end of a connection this is: it decides who masks (RFC 6455 §5.1) and who closes TCP first (§7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that dialled.
    Client,
    /// The end that was dialled.
    Server,
}
