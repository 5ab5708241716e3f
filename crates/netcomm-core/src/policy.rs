//! Limits of time and size, and what may be reached: plain data with units.

use std::time::Duration;

use crate::scope::Scope;

/// How long each wait may last. Every field has a finite default except [`total`](Self::total), which would cut long
/// downloads: the waits inside a call are bounded one by one instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Waiting for a free connection where the pool is at its limit. Default 30 s.
    pub blocked: Duration,
    /// From the wish for a connection to one ready for use: name, TCP, proxy and TLS together. Default 10 s.
    pub connect: Duration,
    /// From the last byte of the request to the end of the response's head; while the request's body is being sent,
    /// from its last progress. Default 30 s.
    pub header: Duration,
    /// The longest silence inside a response body. Default 30 s.
    pub idle_body: Duration,
    /// The least rate of a response body; slower is an error. Default 16 bytes/s over 30 s. `None`: any rate.
    pub min_rate: Option<MinRate>,
    /// From the start of the call to the last byte of the body, redirects and retries included. Default `None`.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            blocked: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            header: Duration::from_secs(30),
            idle_body: Duration::from_secs(30),
            min_rate: Some(MinRate { bytes: 480, window: Duration::from_secs(30) }),
            total: None,
        }
    }
}

/// The least that must arrive in each window of time while a body is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes that must arrive per window, as they come from the wire.
    pub bytes: u64,
    /// The window. Time in which the caller does not ask for data does not count.
    pub window: Duration,
}

/// How large and how many. Passing a limit is an error of kind [`TooLarge`](crate::ErrorKind::TooLarge) that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Header fields in one response head or trailer section. Default 100.
    pub headers: usize,
    /// Bytes of one response head. Default 64 KiB; below 8 KiB is read as 8 KiB.
    pub header_bytes: usize,
    /// Interim (1xx) responses before the final one. Default 16.
    pub interim: usize,
    /// Bytes of a response body, decoded, when it is streamed. Default 64 GiB.
    pub body_bytes: u64,
    /// Bytes of a response body, decoded, when it is collected in memory. Default 64 MiB.
    pub buffered_bytes: usize,
    /// Most bytes that one byte of a coded body may decode to, once more than 1 MiB was decoded. Default 250.
    pub decode_ratio: u64,
    /// Content codings one upon the other. Default 2.
    pub decode_layers: usize,
    /// Redirects followed in one call. Default 10; 0 makes the first redirect an error.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: 100,
            header_bytes: 64 * 1024,
            interim: 16,
            body_bytes: 64 * 1024 * 1024 * 1024,
            buffered_bytes: 64 * 1024 * 1024,
            decode_ratio: 250,
            decode_layers: 2,
            redirects: 10,
        }
    }
}

/// Whether addresses that belong to no public host may be dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrivateAddresses {
    /// Every address may be dialled. The default: most applications talk to machines of their own network too.
    #[default]
    Allow,
    /// Loopback, private, link-local, multicast, documentation and reserved addresses are refused, in every spelling
    /// and also behind a name. For programs that fetch what strangers tell them to.
    Deny,
}

/// What a client may do and how long it may take: the defaults that components read from [`Env`](crate::Env).
/// Overrides go request > client > env > default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Limits of time.
    pub timeouts: Timeouts,
    /// Limits of size and number.
    pub limits: Limits,
    /// The guard against private addresses. Default off.
    pub private_addresses: PrivateAddresses,
    /// Whether a redirect may lead from an encrypted to a clear connection. Default `false`.
    pub allow_downgrade: bool,
    /// What may be reached at all. Default: everything.
    pub scope: Scope,
}

macro_rules! setters {
    ($owner:ident { $($(#[$doc:meta])* $setter:ident: $field:ident = $kind:ty),+ $(,)? }) => {
        impl $owner {
            $($(#[$doc])*
            #[must_use]
            pub fn $setter(&self, $field: $kind) -> Self {
                Self { $field, ..self.clone() }
            })+
        }
    };
}

setters!(Timeouts {
    /// The same with another [`blocked`](Self::blocked).
    with_blocked: blocked = Duration,
    /// The same with another [`connect`](Self::connect).
    with_connect: connect = Duration,
    /// The same with another [`header`](Self::header).
    with_header: header = Duration,
    /// The same with another [`idle_body`](Self::idle_body).
    with_idle_body: idle_body = Duration,
    /// The same with another [`min_rate`](Self::min_rate).
    with_min_rate: min_rate = Option<MinRate>,
    /// The same with another [`total`](Self::total).
    with_total: total = Option<Duration>,
});

setters!(Limits {
    /// The same with another [`headers`](Self::headers).
    with_headers: headers = usize,
    /// The same with another [`header_bytes`](Self::header_bytes).
    with_header_bytes: header_bytes = usize,
    /// The same with another [`interim`](Self::interim).
    with_interim: interim = usize,
    /// The same with another [`body_bytes`](Self::body_bytes).
    with_body_bytes: body_bytes = u64,
    /// The same with another [`buffered_bytes`](Self::buffered_bytes).
    with_buffered_bytes: buffered_bytes = usize,
    /// The same with another [`decode_ratio`](Self::decode_ratio).
    with_decode_ratio: decode_ratio = u64,
    /// The same with another [`decode_layers`](Self::decode_layers).
    with_decode_layers: decode_layers = usize,
    /// The same with another [`redirects`](Self::redirects).
    with_redirects: redirects = usize,
});

setters!(Policy {
    /// The same with other [`timeouts`](Self::timeouts).
    with_timeouts: timeouts = Timeouts,
    /// The same with other [`limits`](Self::limits).
    with_limits: limits = Limits,
    /// The same with the guard on or off.
    with_private_addresses: private_addresses = PrivateAddresses,
    /// The same with redirects from `https` to `http` allowed or not.
    with_allow_downgrade: allow_downgrade = bool,
    /// The same with another [`scope`](Self::scope).
    with_scope: scope = Scope,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_but_the_total_is_finite_by_default() {
        let timeouts = Timeouts::default();
        for wait in [timeouts.blocked, timeouts.connect, timeouts.header, timeouts.idle_body] {
            assert!(wait > Duration::ZERO && wait < Duration::from_secs(60));
        }
        assert!(timeouts.min_rate.is_some_and(|rate| rate.bytes > 0 && rate.window < Duration::from_secs(60)));
    }

    #[test]
    fn setters_change_one_field() {
        let timeouts = Timeouts::default().with_connect(Duration::from_secs(1));
        assert_eq!(timeouts.connect, Duration::from_secs(1));
        assert_eq!(timeouts.header, Timeouts::default().header);
    }
}
