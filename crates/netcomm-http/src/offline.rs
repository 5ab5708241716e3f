//! What becomes of a call while there is no network.

use std::time::Duration;

use crate::origin::Origin;

/// What becomes of a call while there is no network: when [`Connectivity`](netcomm_core::Connectivity) says
/// [`Offline`](netcomm_core::Reach::Offline). Calls to this machine itself (loopback addresses, `localhost`, Unix-domain
/// sockets) do not need one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offline {
    /// It fails at once with [`ErrorKind::Offline`](netcomm_core::ErrorKind::Offline), unless the cache has a response
    /// whose age its rules allow. The default.
    #[default]
    Fail,
    /// It waits for the network, at most that long and never beyond its deadline.
    WaitUpTo(Duration),
    /// It is answered from the cache, however old the response, as by
    /// [`ForceCache`](crate::cache::CacheMode::ForceCache); it fails if nothing is stored.
    #[cfg(feature = "cache")]
    ServeStale,
    /// A call that changes something is put into the client's [outbox](crate::outbox), on disk, and delivered later; the
    /// response is a 202 that was made here, with a [receipt](crate::Response::queued). The same becomes of a call that
    /// fails in a way that may pass (no connection, no answer, 408, 425, 429, 500, 502, 503, 504), and of one with earlier
    /// ones of its order in the outbox. It is sent with an `Idempotency-Key` from the first time on. Calls that change
    /// nothing fail as by [`Fail`](Self::Fail), as do all where the client has no outbox.
    #[cfg(feature = "outbox")]
    Outbox,
}

/// Whether the origin is this machine itself.
pub(crate) fn is_local(origin: &Origin) -> bool {
    let host = origin.host();
    // RFC 6761 §6.3.
    host == "localhost"
        || host.ends_with(".localhost")
        || origin.parsed_host().is_ok_and(|host| host.ip().is_some_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_in_every_spelling() {
        for (uri, expected) in [
            ("http://localhost/", true),
            ("http://app.localhost:3000/", true),
            ("http://127.0.0.1/", true),
            ("http://127.8.9.1:8080/", true),
            ("https://[::1]/", true),
            ("http://notlocalhost/", false),
            ("http://192.168.0.1/", false),
            ("http://a.example/", false),
            ("http://localhost.example/", false),
        ] {
            let origin = Origin::of(&uri.parse().expect("a URI")).expect("an origin");
            assert_eq!(is_local(&origin), expected, "{uri}");
        }
    }
}
