//! Compressed messages: permessage-deflate (RFC 7692). What it costs, what is asked for, what was agreed on.

mod deflater;
mod inflater;
mod negotiate;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub(crate) use deflater::Deflater;
pub(crate) use inflater::{Inflated, Inflater};

/// The window where nothing else was agreed on (RFC 7692 §7.1.2): 32 KiB.
const MAX_WINDOW_BITS: u8 = 15;
const MIN_WINDOW_BITS: u8 = 8;

/// How much of either direction's work is copied out at a time: 8 KiB stay in the first cache.
const SCRATCH_BYTES: usize = 8 * 1024;

/// What every message ends with on its way through zlib, and does not on the wire (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Settings of permessage-deflate (RFC 7692): how hard to compress, which messages, and what to ask of the peer.
///
/// # Memory
///
/// A direction costs nothing until its first compressed message. From then on it holds, at most:
///
/// | window bits | sending | receiving |
/// |------------:|--------:|----------:|
/// |     8 and 9 | 256 KiB |    56 KiB |
/// |          10 | 258 KiB |    56 KiB |
/// |          11 | 262 KiB |    56 KiB |
/// |          12 | 270 KiB |    56 KiB |
/// |          13 | 286 KiB |    56 KiB |
/// |          14 | 318 KiB |    56 KiB |
/// |          15 | 382 KiB |    56 KiB |
///
/// A direction without context takeover holds that only while one of its messages is on the way, and pays for it with
/// an allocation per message and with a worse ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// How hard to compress what is sent: 0 (not at all, only framed) to 9 (slow); more counts as 9. Default 4: on JSON it
    /// takes two thirds of the time of zlib's own 6, for 3 % more bytes; 1 takes a quarter of it, for half as many more.
    pub level: u8,
    /// Messages of fewer bytes are sent as they are. 0 compresses all. Default 1024: a smaller one is one packet with or
    /// without compression, and whoever sends only such never pays for the memory.
    ///
    /// A streamed message has no size when it starts: it is compressed whatever comes.
    pub threshold_bytes: usize,
    /// Whether the client starts each message with an empty window. Default false. A client that sets it does so, whatever
    /// the server answers; a server that sets it demands it.
    pub client_no_context_takeover: bool,
    /// Whether the server starts each message with an empty window. Default false. A client that sets it refuses a server
    /// that agrees to compress but not to this.
    pub server_no_context_takeover: bool,
    /// The window of the client, as a power of two from 8 (256 bytes) to 15 (32 KiB); less counts as 8, more as 15. `None`
    /// leaves it to the peer. Default `None`.
    ///
    /// A client never uses a larger one. A server asks for it, and lives with 15 where the client cannot be asked: its
    /// memory is the same.
    pub client_max_window_bits: Option<u8>,
    /// The window of the server, in the same way. Default `None`.
    ///
    /// A client refuses a server that agrees to compress but with a larger one.
    pub server_max_window_bits: Option<u8>,
}

impl Deflate {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            level: 4,
            threshold_bytes: 1024,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
            client_max_window_bits: None,
            server_max_window_bits: None,
        }
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $setter:ident: $field:ident = $kind:ty),+ $(,)?) => {
        impl Deflate {
            $($(#[$doc])*
            #[must_use]
            pub const fn $setter(self, $field: $kind) -> Self {
                Self { $field, ..self }
            })+
        }
    };
}

setters! {
    /// The same with another [`level`](Self::level).
    with_level: level = u8,
    /// The same with another [`threshold_bytes`](Self::threshold_bytes).
    with_threshold_bytes: threshold_bytes = usize,
    /// The same with another [`client_no_context_takeover`](Self::client_no_context_takeover).
    with_client_no_context_takeover: client_no_context_takeover = bool,
    /// The same with another [`server_no_context_takeover`](Self::server_no_context_takeover).
    with_server_no_context_takeover: server_no_context_takeover = bool,
    /// The same with another [`client_max_window_bits`](Self::client_max_window_bits).
    with_client_max_window_bits: client_max_window_bits = Option<u8>,
    /// The same with another [`server_max_window_bits`](Self::server_max_window_bits).
    with_server_max_window_bits: server_max_window_bits = Option<u8>,
}

/// What both ends agreed on, as one of them sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The largest window that this end may use, 8 to 15.
    pub(crate) own_window_bits: u8,
    /// Whether this end's window outlives its messages.
    pub(crate) own_takeover: bool,
    /// The largest window that the peer uses, 8 to 15.
    pub(crate) peer_window_bits: u8,
    /// Whether the peer's window outlives its messages.
    pub(crate) peer_takeover: bool,
}
