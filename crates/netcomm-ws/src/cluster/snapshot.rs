//! A cluster at one moment.

use std::time::Instant;

use crate::connection::Snapshot;
use crate::message::Text;

/// A cluster at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterSnapshot {
    /// Its members, in the order in which they were added.
    pub members: Vec<MemberSnapshot>,
    /// How many of them are ready.
    pub ready: usize,
    /// How many of them are closed for good.
    pub closed: usize,
    /// Messages that wait with all of them.
    pub queued: usize,
    /// Messages sent by all of them and not acknowledged, where acknowledgements are in use.
    pub unacknowledged: usize,
}

/// One member at that moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberSnapshot {
    /// Its name.
    pub name: Text,
    /// Its priority.
    pub priority: u32,
    /// Until when it is not preferred, since it was lost.
    pub cooling_until: Option<Instant>,
    /// The topics that it keeps.
    pub topics: Vec<Text>,
    /// Its connection.
    pub connection: Snapshot,
}

impl ClusterSnapshot {
    pub(super) fn new(members: Vec<MemberSnapshot>) -> Self {
        let connections = || members.iter().map(|member| &member.connection);
        Self {
            ready: connections().filter(|connection| connection.state.is_ready()).count(),
            closed: connections().filter(|connection| connection.state.is_closed()).count(),
            queued: connections().map(|connection| connection.queued).sum(),
            unacknowledged: connections().map(|connection| connection.unacknowledged).sum(),
            members,
        }
    }
}
