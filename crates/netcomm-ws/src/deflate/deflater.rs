//! What is sent, compressed (RFC 7692 §7.2.1).

use std::fmt;

use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

use super::{Agreed, Deflate, SCRATCH_BYTES, TAIL};

/// The smallest window that zlib compresses with.
///
/// A peer that has only 256 bytes (window bits 8) can read it all the same: zlib keeps the longest match and what it needs
/// to find the next one, 258 + 3 + 1 bytes, free at the window's end, so that no distance passes 512 - 262 = 250.
const MIN_ZLIB_BITS: u8 = 9;

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
            let (level, bits) = (self.level, self.window_bits);
            self.engine.get_or_insert_with(|| Engine::new(level, bits)).flush(payload, out);
            if last {
                debug_assert!(out.ends_with(&TAIL), "what a flush ends with");
                out.truncate(out.len() - TAIL.len());
            }
        }
        if last && !self.takeover {
            self.engine = None;
        }
    }
}

impl Engine {
    fn new(level: Compression, window_bits: u8) -> Self {
        let zlib = Compress::new_with_window_bits(level, false, window_bits);
        Self { zlib, scratch: vec![0; SCRATCH_BYTES] }
    }

    /// Compresses all of `payload`, up to and with the tail.
    fn flush(&mut self, mut payload: &[u8], out: &mut BytesMut) {
        loop {
            let (seen, written) = (self.zlib.total_in(), self.zlib.total_out());
            self.zlib
                .compress(payload, &mut self.scratch, FlushCompress::Sync)
                .expect("a stream that is never finished takes all input");
            payload = &payload[(self.zlib.total_in() - seen) as usize..];
            let written = (self.zlib.total_out() - written) as usize;
            out.extend_from_slice(&self.scratch[..written]);
            // A full scratch may mean that more waits. If not, the flush is repeated: five bytes that mean nothing.
            if payload.is_empty() && written < self.scratch.len() {
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
