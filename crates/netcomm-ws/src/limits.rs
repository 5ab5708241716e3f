//! How much one connection may hold.

/// How large and how many. Passing a limit ends the connection with an error of kind
/// [`TooLarge`](netcomm_core::ErrorKind::TooLarge) that names it.
///
/// Memory follows what has arrived, never what a header promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message, after inflating. Default 16 MiB. Streamed messages are bounded by their reader alone.
    pub message_bytes: usize,
    /// Bytes of one frame, as they come from the wire. Default 16 MiB.
    pub frame_bytes: u64,
    /// Bytes of one frame that is sent: longer messages go in fragments, so that pings and pongs come through in between.
    /// Default 1 MiB; 0 is read as 1.
    pub fragment_bytes: usize,
    /// Fragments without any byte in one message. Default 1000.
    pub empty_fragments: u32,
    /// Bytes of messages that are read while their reader is busy sending. Default 64 KiB; one message more may follow.
    pub read_ahead_bytes: usize,
    /// Bytes ready for the wire before a sender has to wait. Default 64 KiB.
    pub write_buffer_bytes: usize,
    /// Bytes of the head of the handshake's answer. Default 64 KiB.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 * 1024 * 1024,
            frame_bytes: 16 * 1024 * 1024,
            fragment_bytes: 1024 * 1024,
            empty_fragments: 1000,
            read_ahead_bytes: 64 * 1024,
            write_buffer_bytes: 64 * 1024,
            header_bytes: 64 * 1024,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $setter:ident: $field:ident = $kind:ty),+ $(,)?) => {
        impl Limits {
            $($(#[$doc])*
            #[must_use]
            pub const fn $setter(self, $field: $kind) -> Self {
                Self { $field, ..self }
            })+
        }
    };
}

setters! {
    /// The same with another [`message_bytes`](Self::message_bytes).
    with_message_bytes: message_bytes = usize,
    /// The same with another [`frame_bytes`](Self::frame_bytes).
    with_frame_bytes: frame_bytes = u64,
    /// The same with another [`fragment_bytes`](Self::fragment_bytes).
    with_fragment_bytes: fragment_bytes = usize,
    /// The same with another [`empty_fragments`](Self::empty_fragments).
    with_empty_fragments: empty_fragments = u32,
    /// The same with another [`read_ahead_bytes`](Self::read_ahead_bytes).
    with_read_ahead_bytes: read_ahead_bytes = usize,
    /// The same with another [`write_buffer_bytes`](Self::write_buffer_bytes).
    with_write_buffer_bytes: write_buffer_bytes = usize,
    /// The same with another [`header_bytes`](Self::header_bytes).
    with_header_bytes: header_bytes = usize,
}
