//! What is received, inflated (RFC 7692 §7.2.2): in steps that its caller bounds.

use std::fmt;

use bytes::{BufMut, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};

use super::{Agreed, MAX_WINDOW_BITS, SCRATCH_BYTES};
use crate::violation::Violation;

/// The tail that every message has lost on its way, and one more empty block.
///
/// Neither yields a byte after a message that is whole. One that was cut inside a block takes the tail for data; the block
/// after it makes that show here, and not in the middle of the next message. Only a cut inside the head of a block, before
/// any data, can still wait for that.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff];

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Inflated {
    /// The limit was reached, and at least one byte more is certain to come: call again with what is left of the input.
    Full,
    /// The input is used up, and nothing waits; if it was the last, the message is whole.
    Done,
}

/// The receiving direction of a connection. It holds no memory until its first message, nor after a message where the
/// window is not taken over to the next.
pub(crate) struct Inflater {
    takeover: bool,
    engine: Option<Engine>,
    /// A byte that came out beyond the limit.
    ahead: Option<u8>,
    /// Nothing was read since the message began, or since a block that said it was the last: no tail is missing.
    fresh: bool,
}

struct Engine {
    zlib: Decompress,
    scratch: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new(agreed: &Agreed) -> Self {
        Self { takeover: agreed.peer_takeover, engine: None, ahead: None, fresh: true }
    }

    /// Inflates more of a message: takes from `input` and appends to `out`, at most `limit` bytes in this call.
    ///
    /// `last` says that the message ends with `input`. Whoever wants a message whole passes what is left of its limit, and
    /// [`Inflated::Full`] means that it is too large. Whoever wants it in pieces passes the size of a piece, never 0.
    ///
    /// # Errors
    ///
    /// [`Violation::Deflate`] for what cannot be inflated, or does not end with `last`: the connection has to fail, as
    /// nothing that follows can be read.
    pub(crate) fn inflate(
        &mut self,
        input: &mut &[u8],
        last: bool,
        out: &mut BytesMut,
        limit: usize,
    ) -> Result<Inflated, Violation> {
        let mut room = limit;
        if let Some(byte) = self.ahead {
            if room == 0 {
                return Ok(Inflated::Full);
            }
            out.put_u8(byte);
            room -= 1;
            self.ahead = None;
        }
        // Even without input there may be output that had no room in the last step.
        if !(input.is_empty() && self.fresh) {
            let engine = self.engine.get_or_insert_with(Engine::new);
            loop {
                // Without room a single byte tells whether all is said.
                let want = room.clamp(1, SCRATCH_BYTES);
                let step = engine.step(input, want)?;
                *input = &input[step.read..];
                self.fresh = step.ended;
                if step.written > room {
                    self.ahead = engine.scratch.first().copied();
                    return Ok(Inflated::Full);
                }
                out.extend_from_slice(&engine.scratch[..step.written]);
                room -= step.written;
                if input.is_empty() && (step.ended || step.written < want) {
                    break;
                }
                // There is room and input, so zlib moves; if it ever did not, this loop would never end.
                if step.read == 0 && step.written == 0 {
                    return Err(Violation::Deflate);
                }
            }
        }
        if last {
            self.end()?;
        }
        Ok(Inflated::Done)
    }

    fn end(&mut self) -> Result<(), Violation> {
        if let (Some(engine), false) = (&mut self.engine, self.fresh) {
            let step = engine.step(&END, SCRATCH_BYTES)?;
            if step.read != END.len() || step.written != 0 || step.ended {
                return Err(Violation::Deflate);
            }
        }
        self.fresh = true;
        if !self.takeover {
            self.engine = None;
        }
        Ok(())
    }
}

/// What one call of zlib did.
struct Step {
    read: usize,
    written: usize,
    /// The block that ended said it was the last; all that was in it is written.
    ended: bool,
}

impl Engine {
    fn new() -> Self {
        // A smaller window would cost the same memory, and more time to start afresh with.
        let zlib = Decompress::new_with_window_bits(false, MAX_WINDOW_BITS);
        Self { zlib, scratch: vec![0; SCRATCH_BYTES] }
    }

    fn step(&mut self, input: &[u8], want: usize) -> Result<Step, Violation> {
        let (read, written) = (self.zlib.total_in(), self.zlib.total_out());
        let status = self.zlib.decompress(input, &mut self.scratch[..want], FlushDecompress::Sync);
        let status = status.map_err(|_| Violation::Deflate)?;
        let (read, written) = ((self.zlib.total_in() - read) as usize, (self.zlib.total_out() - written) as usize);
        let ended = status == Status::StreamEnd;
        if ended {
            // A block may call itself the last inside a message (RFC 7692 §7.2.3.4). Who sends such starts its compressor
            // afresh, so nothing that follows looks back past it; what does all the same is an error, never wrong data.
            self.zlib.reset(false);
        }
        Ok(Step { read, written, ended })
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = self.engine.is_some();
        f.debug_struct("Inflater").field("takeover", &self.takeover).field("holds", &holds).finish_non_exhaustive()
    }
}
