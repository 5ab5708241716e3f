//! The sending half of the protocol: messages in, bytes out (RFC 6455 §5, §6.1; RFC 7692 §6.1). Pure.

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use netcomm_core::{Error, ErrorKind, Result};

use crate::close::CloseBody;
use crate::deflate::Deflater;
use crate::frame::{Head, MAX_HEAD_BYTES, Opcode};
use crate::limits::Limits;
use crate::mask::{self, Keys};
use crate::message::{Kind, Message};
use crate::role::Role;

/// Buffers up to this size are kept while nothing is to be sent.
const KEPT_BYTES: usize = 512;

/// Makes what a peer is sent.
pub(crate) struct Transmitter {
    role: Role,
    keys: Keys,
    /// With the size from which on a message is compressed.
    deflater: Option<(Deflater, usize)>,
    most_bytes: usize,
    fragment_bytes: usize,
    /// Ready for the wire.
    out: BytesMut,
    /// The most that was in `out` since it was empty: what it holds on to when it is again.
    most_out: usize,
    /// What is left of the payload of a frame whose head is in `out`.
    body: Option<Body>,
    /// What is left of a message that goes in fragments.
    cut: Option<Cut>,
    /// The kind of a message that its sender gives in pieces; whether its first frame is out.
    streamed: Option<Streamed>,
    /// Only the last ping needs an answer (RFC 6455 §5.5.3).
    pong: Option<Bytes>,
    ping: Option<[u8; 8]>,
    /// How much of `out` there is up to the end of the last ping in it.
    ping_end: Option<usize>,
    close: Option<CloseBody>,
    closed: bool,
    /// Whether the wire takes nothing any more.
    broken: bool,
    /// Whether the peer waits for something in `out`: a pong or the goodbye.
    urgent: bool,
}

struct Body {
    payload: Bytes,
    mask: Option<[u8; 4]>,
    offset: usize,
}

struct Cut {
    opcode: Opcode,
    rsv1: bool,
    fin: bool,
    payload: Bytes,
}

struct Streamed {
    kind: Kind,
    begun: bool,
}

impl Transmitter {
    pub(crate) fn new(role: Role, limits: &Limits, keys: Keys, deflater: Option<(Deflater, usize)>) -> Self {
        Self {
            role,
            keys,
            deflater,
            most_bytes: limits.write_buffer_bytes,
            fragment_bytes: limits.fragment_bytes.max(1),
            out: BytesMut::new(),
            most_out: 0,
            body: None,
            cut: None,
            streamed: None,
            pong: None,
            ping: None,
            ping_end: None,
            close: None,
            closed: false,
            broken: false,
            urgent: false,
        }
    }

    /// Whether there is room for another message.
    pub(crate) fn is_ready(&self) -> bool {
        self.body.is_none() && self.cut.is_none() && self.out.len() < self.most_bytes.max(1)
    }

    /// Whether a message can be taken, with room for it or without.
    pub(crate) fn can_take(&self) -> bool {
        self.cut.is_none()
    }

    /// Whether all that was taken is on the wire.
    pub(crate) fn is_silent(&self) -> bool {
        !self.broken && self.out.is_empty() && self.body.is_none() && self.cut.is_none() && self.close.is_none()
    }

    /// What goes to the wire next; empty if nothing does.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.out
    }

    /// That much of the [chunk](Self::chunk) is on the wire. Whether a ping went with it to its end.
    pub(crate) fn advance(&mut self, count: usize) -> bool {
        if count == self.out.len() {
            // The room is as it was, from its start.
            self.out.clear();
        } else {
            self.out.advance(count);
        }
        let pinged = self.ping_end.is_some_and(|end| end <= count);
        self.ping_end = self.ping_end.filter(|_| !pinged).map(|end| end - count);
        if !self.is_free() {
            self.pump();
        }
        if self.out.is_empty() {
            self.urgent = false;
            if std::mem::take(&mut self.most_out) > KEPT_BYTES {
                self.out = BytesMut::new();
            }
        }
        pinged
    }

    /// Whether the peer waits for something that is ready.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// Nothing can be sent any more.
    pub(crate) fn stop(&mut self) {
        (self.out, self.body, self.cut, self.streamed) = (BytesMut::new(), None, None, None);
        (self.pong, self.ping, self.ping_end, self.close) = (None, None, None, None);
        (self.closed, self.broken, self.urgent, self.deflater) = (true, true, false, None);
    }

    /// Takes a message.
    pub(crate) fn message(&mut self, message: Message) {
        let opcode = opcode(message.kind());
        let payload = message.into_bytes();
        if let Some((deflater, threshold_bytes)) = &mut self.deflater
            && payload.len() >= *threshold_bytes
        {
            let mut compressed = BytesMut::new();
            deflater.compress(&payload, true, &mut compressed);
            self.put(Cut { opcode, rsv1: true, fin: true, payload: compressed.freeze() });
        } else if payload.len() <= self.fragment_bytes.min(self.most_bytes) && self.is_free() {
            // Most messages: nothing is before them, and they go in one frame.
            self.frame(opcode, &payload);
            self.most_out = self.most_out.max(self.out.len());
        } else {
            self.put(Cut { opcode, rsv1: false, fin: true, payload });
        }
    }

    /// Whether the next frame can go out at once.
    fn is_free(&self) -> bool {
        self.is_ready() && !self.closed && self.close.is_none() && self.pong.is_none() && self.ping.is_none()
    }

    /// Begins a message that comes in pieces.
    pub(crate) fn begin(&mut self, kind: Kind) -> Result<()> {
        self.check_no_stream()?;
        self.streamed = Some(Streamed { kind, begun: false });
        Ok(())
    }

    /// Takes a piece of the message begun.
    pub(crate) fn piece(&mut self, piece: Bytes, last: bool) {
        let Some(Streamed { kind, begun }) = &mut self.streamed else {
            return;
        };
        let first = !std::mem::replace(begun, true);
        let opcode = if first { opcode(*kind) } else { Opcode::Continuation };
        if last {
            self.streamed = None;
        }
        if let Some((deflater, _)) = &mut self.deflater {
            let mut compressed = BytesMut::new();
            deflater.compress(&piece, last, &mut compressed);
            self.put(Cut { opcode, rsv1: first, fin: last, payload: compressed.freeze() });
        } else {
            self.put(Cut { opcode, rsv1: false, fin: last, payload: piece });
        }
    }

    pub(crate) fn check_no_stream(&self) -> Result<()> {
        if self.streamed.is_some() {
            let detail = "a message that is sent in pieces has not ended";
            return Err(Error::new(ErrorKind::Invalid, "send").with_detail(detail));
        }
        Ok(())
    }

    /// Answers a ping.
    pub(crate) fn pong(&mut self, payload: Bytes) {
        self.pong = Some(payload);
        self.pump();
    }

    /// Asks for a sign of life.
    pub(crate) fn ping(&mut self, payload: [u8; 8]) {
        self.ping = Some(payload);
        self.pump();
    }

    /// Says goodbye after all that was taken so far; the first word counts.
    pub(crate) fn close(&mut self, body: CloseBody) {
        if !self.closed && self.close.is_none() {
            self.close = Some(body);
            self.pump();
        }
    }

    /// Says goodbye as soon as a frame may begin: nobody waits for the rest of the messages.
    pub(crate) fn fail(&mut self, body: CloseBody) {
        self.cut = None;
        self.streamed = None;
        self.close(body);
    }

    fn put(&mut self, cut: Cut) {
        if self.closed || self.close.is_some() {
            return;
        }
        self.cut = Some(cut);
        self.pump();
    }

    /// Makes ready for the wire what there is room for.
    fn pump(&mut self) {
        self.fill();
        self.most_out = self.most_out.max(self.out.len());
    }

    fn fill(&mut self) {
        loop {
            if let Some(body) = &mut self.body {
                let room = self.most_bytes.max(1).saturating_sub(self.out.len());
                if room == 0 {
                    return;
                }
                let part = body.payload.split_to(room.min(body.payload.len()));
                append(&mut self.out, &part, body.mask, body.offset);
                body.offset += part.len();
                if body.payload.is_empty() {
                    self.body = None;
                }
                continue;
            }
            if self.out.len() >= self.most_bytes.max(1) || self.closed {
                return;
            }
            if let Some(payload) = self.pong.take() {
                self.control(Opcode::Pong, &payload);
            } else if let Some(payload) = self.ping.take() {
                self.control(Opcode::Ping, &payload);
                self.ping_end = Some(self.out.len());
            } else if let Some(cut) = self.cut.take() {
                self.fragment(cut);
            } else if let Some(body) = self.close.take() {
                self.control(Opcode::Close, &body.to_payload());
                self.closed = true;
            } else {
                return;
            }
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        self.urgent |= opcode != Opcode::Ping;
        self.frame(opcode, payload);
    }

    /// Puts a frame in front of the wire that is whole and has no more to it.
    #[inline]
    fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let mask = self.mask();
        let head = Head { fin: true, rsv1: false, opcode, payload_bytes: payload.len() as u64, mask };
        self.out.reserve(MAX_HEAD_BYTES + payload.len());
        head.write(&mut self.out);
        append(&mut self.out, payload, mask, 0);
    }

    /// Puts the first fragment in front of the wire, and keeps the rest.
    fn fragment(&mut self, mut cut: Cut) {
        let mask = self.mask();
        let payload = if cut.payload.len() <= self.fragment_bytes {
            std::mem::take(&mut cut.payload)
        } else {
            cut.payload.split_to(self.fragment_bytes)
        };
        let last = cut.payload.is_empty();
        let head = Head {
            fin: cut.fin && last,
            rsv1: cut.rsv1,
            opcode: cut.opcode,
            payload_bytes: payload.len() as u64,
            mask,
        };
        if !last {
            self.cut = Some(Cut { opcode: Opcode::Continuation, rsv1: false, ..cut });
        }
        let small = payload.len() <= self.most_bytes;
        self.out.reserve(MAX_HEAD_BYTES + payload.len().min(self.most_bytes));
        head.write(&mut self.out);
        if small {
            append(&mut self.out, &payload, mask, 0);
        } else {
            self.body = Some(Body { payload, mask, offset: 0 });
        }
    }

    fn mask(&mut self) -> Option<[u8; 4]> {
        match self.role {
            Role::Client => Some(self.keys.next()),
            Role::Server => None,
        }
    }
}

fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

fn append(out: &mut BytesMut, payload: &[u8], key: Option<[u8; 4]>, offset: usize) {
    match key {
        Some(key) => mask::append(key, offset, payload, out),
        None => out.extend_from_slice(payload),
    }
}
