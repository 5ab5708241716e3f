//! What is sent, compressed (RFC 7692 §7.2.1).

use std::fmt;

use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

use super::{Agreed, Deflate, SCRATCH_BYTES, TAIL};

/// The smallest window that zlib compresses with.
///
/// A peer that has only 256 bytes (window bits 8) can read it all the same: zlib looks back by its window without the
/// [`ZLIB_LOOKAHEAD`], so that no distance passes 512 - 262 = 250.
const MIN_ZLIB_BITS: u8 = 9;

/// What zlib keeps free in its window, in bytes: the longest match, and the shortest one after it, and one more.
const ZLIB_LOOKAHEAD: usize = 258 + 3 + 1;

/// The sending direction of a connection. It holds no memory until its first message, nor after a message where the window
/// is not taken over to the next.
pub(crate) struct Deflater {
    level: Compression,
    window_bits: u8,
    takeover: bool,
    engine: Option<Engine>,
}

struct Engine {
    zlib: Compress,
    scratch: Vec<u8>,
}

impl Deflater {
    pub(crate) fn new(settings: &Deflate, agreed: &Agreed) -> Self {
        Self {
            level: Compression::new(settings.level.min(9).into()),
            window_bits: agreed.own_window_bits.max(MIN_ZLIB_BITS),
            takeover: agreed.own_takeover,
            engine: None,
        }
    }

    /// Appends one fragment of a message to `out`, compressed; `last` ends the message.
    ///
    /// Each fragment can be inflated in full when it arrives. An empty one that is not the last appends nothing.
    pub(crate) fn compress(&mut self, payload: &[u8], last: bool, out: &mut BytesMut) {
        if payload.is_empty() {
            // The last fragment ended on a whole byte, and zlib does not flush twice: this is the head of an empty block,
            // whose rest is the tail that does not travel (RFC 7692 §7.2.3.6).
            if last {
                out.put_u8(0);
            }
        } else {
            let bits = if last && !self.takeover { self.bits_for(payload.len()) } else { self.window_bits };
            self.engine.get_or_insert_with(|| Engine::new(self.level, bits)).flush(payload, out);
            if last {
                debug_assert!(out.ends_with(&TAIL), "what a flush ends with");
                out.truncate(out.len() - TAIL.len());
            }
        }
        if last && !self.takeover {
            self.engine = None;
        }
    }

    /// The window for a message that is alone in it: no larger than what there is to look back to, as it has to be cleared.
    fn bits_for(&self, len: usize) -> u8 {
        let bits = len.saturating_add(ZLIB_LOOKAHEAD).next_power_of_two().trailing_zeros();
        u8::try_from(bits).map_or(self.window_bits, |bits| bits.clamp(MIN_ZLIB_BITS, self.window_bits))
    }
}

impl Engine {
    fn new(level: Compression, window_bits: u8) -> Self {
        let zlib = Compress::new_with_window_bits(level, false, window_bits);
        Self { zlib, scratch: Vec::with_capacity(SCRATCH_BYTES) }
    }

    /// Compresses all of `payload`, up to and with the tail.
    fn flush(&mut self, mut payload: &[u8], out: &mut BytesMut) {
        loop {
            let seen = self.zlib.total_in();
            self.scratch.clear();
            self.zlib
                .compress_vec(payload, &mut self.scratch, FlushCompress::Sync)
                .expect("a stream that is never finished takes all input");
            payload = &payload[(self.zlib.total_in() - seen) as usize..];
            out.extend_from_slice(&self.scratch);
            // A full scratch may mean that more waits. If not, the flush is repeated: five bytes that mean nothing.
            if payload.is_empty() && self.scratch.len() < self.scratch.capacity() {
                return;
            }
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = self.engine.is_some();
        f.debug_struct("Deflater").field("takeover", &self.takeover).field("holds", &holds).finish_non_exhaustive()
    }
}
