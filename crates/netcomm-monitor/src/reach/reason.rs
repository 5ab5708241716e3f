//! On what it rests how far the network reaches.

/// On what it rests how far the network reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing tells of paths, and nothing has spoken against the network.
    Presumed,
    /// There is a path, and nothing has spoken against it.
    Path,
    /// The application's traffic succeeds.
    Traffic,
    /// A probe succeeded.
    Probe,
    /// There is a path; a probe is under way to see where it leads.
    Unverified,
    /// It was away for long enough that the application may try.
    Retrying,
    /// Hosts of this network can be reached; nothing has shown that others can.
    PrivateOnly,
    /// Names cannot be resolved, addresses can be reached.
    NoNames,
    /// Only IPv6 leads out, though there is a path for IPv4.
    NoIpv4,
    /// Something answered a probe in the place of whoever was asked.
    Portal,
    /// There is no path.
    NoPath,
    /// Traffic failed at several hosts.
    TrafficFailed,
    /// A probe failed.
    ProbeFailed,
}

impl Reason {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Presumed => "nothing is known",
            Self::Path => "there is a path",
            Self::Traffic => "traffic succeeds",
            Self::Probe => "a probe succeeded",
            Self::Unverified => "a path that was not tried yet",
            Self::Retrying => "to be tried again",
            Self::PrivateOnly => "only this network was reached",
            Self::NoNames => "names are not resolved",
            Self::NoIpv4 => "IPv4 leads nowhere",
            Self::Portal => "a portal answers",
            Self::NoPath => "no path",
            Self::TrafficFailed => "traffic fails",
            Self::ProbeFailed => "a probe failed",
        }
    }
}
