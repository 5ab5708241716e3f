//! The receiving half of the protocol: bytes in, items out (RFC 6455 §5, §6.2, §8.1; RFC 7692 §6.2). Pure.

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};

use crate::close::CloseBody;
use crate::deflate::{Inflated, Inflater};
use crate::frame::{Head, MAX_HEAD_BYTES, Opcode};
use crate::limits::Limits;
use crate::mask;
use crate::message::{Kind, Message, Text};
use crate::role::Role;
use crate::utf8::Utf8;
use crate::violation::Violation;

/// What room is made at once for a payload that is still to come: a head alone makes nobody hold more than this.
const AHEAD_BYTES: usize = 64 * 1024;
/// From here on it pays to read a payload straight to where it belongs.
const DIRECT_BYTES: u64 = 16 * 1024;
/// How much one read brings at most.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// From here on a payload is not copied out of what was read.
const SHARED_BYTES: usize = READ_BYTES / 8;
/// The most of a streamed message that is given out at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A whole message.
    Message(Message),
    /// A part of a message that is being streamed; text is cut between characters.
    Piece {
        kind: Kind,
        data: Bytes,
        last: bool,
    },
    Ping(Bytes),
    Pong(Bytes),
    /// Nothing comes after it.
    Close(CloseBody),
}

/// Reads what a peer sends.
pub(crate) struct Receiver {
    role: Role,
    limits: Limits,
    inflater: Option<Inflater>,
    state: State,
    /// The message of which not all has come.
    open: Option<Open>,
    /// The payload of a control frame of which not all has come.
    control: BytesMut,
    /// Whether the message that comes is given out in pieces.
    streaming: bool,
    /// Whether any ever was: then a head alone does not tell that a message is too large.
    has_streamed: bool,
}

enum State {
    /// Before a frame, or in its head: what has come of that.
    Head { begun: [u8; MAX_HEAD_BYTES], length: usize },
    /// In a payload, after that many bytes of it.
    Payload { head: Head, done: u64 },
    /// After a close frame.
    Closed,
}

const BETWEEN_FRAMES: State = State::Head { begun: [0; MAX_HEAD_BYTES], length: 0 };

struct Open {
    kind: Kind,
    compressed: bool,
    /// Whether a part was given out already: then the rest is given out in pieces as well.
    given: bool,
    data: BytesMut,
    utf8: Utf8,
    /// How much of `data` the check of UTF-8 has seen.
    checked: usize,
    empty_fragments: u32,
}

impl Receiver {
    pub(crate) fn new(role: Role, limits: Limits, inflater: Option<Inflater>) -> Self {
        Self {
            role,
            limits,
            inflater,
            state: BETWEEN_FRAMES,
            open: None,
            control: BytesMut::new(),
            streaming: false,
            has_streamed: false,
        }
    }

    /// Whether the message that comes, up to its end, is given out in pieces; also what is left of one that has begun to
    /// come. Of a message that was given out in part the rest comes in pieces whatever is said here.
    pub(crate) fn set_streaming(&mut self, streaming: bool) {
        self.streaming = streaming;
        self.has_streamed |= streaming;
    }

    /// A piece of what has come already of a message that is streamed only now; ask until there is none.
    pub(crate) fn waiting(&mut self) -> Result<Option<Item>, Violation> {
        if self.in_pieces() { self.look() } else { Ok(None) }
    }

    fn in_pieces(&self) -> bool {
        self.streaming || self.open.as_ref().is_some_and(|open| open.given)
    }

    /// Whatever comes from now on is discarded.
    pub(crate) fn stop(&mut self) {
        (self.state, self.open, self.inflater) = (State::Closed, None, None);
    }

    /// Reads on. Ends with the next item, or with nothing when all of `input` is used up. `input` is in one piece.
    pub(crate) fn feed(&mut self, input: &mut impl Buf) -> Result<Option<Item>, Violation> {
        if let Some((kind, data)) = self.quick(input) {
            return whole(kind, data).map(Some);
        }
        loop {
            match &mut self.state {
                State::Head { begun, length } => match read_head(begun, length, input)? {
                    Some(head) => {
                        self.begin(&head)?;
                        self.state = State::Payload { head, done: 0 };
                    }
                    None => return Ok(None),
                },
                State::Payload { head, done } => {
                    let (head, start) = (*head, *done);
                    let left = usize::try_from(head.payload_bytes - start).unwrap_or(usize::MAX);
                    let count = left.min(input.remaining());
                    let item = if head.opcode.is_control() {
                        let item = self.control(&head, start, &input.chunk()[..count]);
                        input.advance(count);
                        item?
                    } else {
                        self.data(&head, start, input, count)?
                    };
                    if item.is_some() {
                        return Ok(item);
                    }
                    if !input.has_remaining() && matches!(self.state, State::Payload { .. }) {
                        return Ok(None);
                    }
                }
                // RFC 6455 §1.4: what comes after a close frame is discarded.
                State::Closed => {
                    input.advance(input.remaining());
                    return Ok(None);
                }
            }
        }
    }

    /// Most messages: one frame from a server, and all of it is here. What is not as it must be is left to the long way.
    fn quick(&self, input: &mut impl Buf) -> Option<(Kind, Bytes)> {
        let chunk = input.chunk();
        let (kind, second) = match *chunk {
            [0x81, second, ..] => (Kind::Text, second),
            [0x82, second, ..] => (Kind::Binary, second),
            _ => return None,
        };
        let (head, length) = match second {
            0..126 => (2, usize::from(second)),
            126 => match chunk {
                [_, _, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
                _ => return None,
            },
            _ => return None,
        };
        let is_usual = matches!(self.state, State::Head { length: 0, .. })
            && self.open.is_none()
            && !self.streaming
            && self.role == Role::Client
            && (second < 126 || length >= 126);
        let is_small = length <= self.limits.message_bytes && length as u64 <= self.limits.frame_bytes;
        if !is_usual || !is_small || chunk.len() - head < length {
            return None;
        }
        input.advance(head);
        Some((kind, take(input, length)))
    }

    /// Where to read the next bytes to, and how many at most, if they can go straight there. What came is then told to
    /// [`filled`](Self::filled).
    pub(crate) fn direct(&mut self) -> Option<(&mut BytesMut, usize)> {
        let State::Payload { head, done } = &self.state else {
            return None;
        };
        let left = head.payload_bytes - done;
        if head.opcode.is_control() || left < DIRECT_BYTES {
            return None;
        }
        let streaming = self.in_pieces();
        let data = &mut self.open.as_mut().filter(|open| !open.compressed)?.data;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let room = if streaming { left.min(PIECE_BYTES.saturating_sub(data.len()).max(1)) } else { left };
        make_room(data, room);
        let room = room.min(data.capacity() - data.len());
        Some((data, room))
    }

    /// That many bytes were read to where [`direct`](Self::direct) said.
    pub(crate) fn filled(&mut self, count: usize) -> Result<Option<Item>, Violation> {
        let State::Payload { head, done } = &self.state else {
            return Ok(None);
        };
        let (head, start) = (*head, *done);
        if let Some(open) = &mut self.open {
            let tail = open.data.len() - count;
            unmask(&head, start, &mut open.data[tail..]);
        }
        self.advance(&head, start, count)
    }

    /// Checks what the head of a frame says before any of its payload is taken.
    fn begin(&mut self, head: &Head) -> Result<(), Violation> {
        match (self.role, head.mask) {
            (Role::Client, Some(_)) => return Err(Violation::Masked),
            (Role::Server, None) => return Err(Violation::Unmasked),
            _ => {}
        }
        let begins = matches!(head.opcode, Opcode::Text | Opcode::Binary);
        if head.rsv1 && !(begins && self.inflater.is_some()) {
            return Err(Violation::ReservedBits);
        }
        if head.opcode.is_control() {
            return Ok(());
        }
        if head.payload_bytes > self.limits.frame_bytes {
            return Err(Violation::FrameTooLarge(self.limits.frame_bytes));
        }
        let open = match (&mut self.open, begins) {
            (Some(_), true) => return Err(Violation::Interleaved),
            (None, false) => return Err(Violation::StrayContinuation),
            (Some(open), false) => open,
            (open @ None, true) => {
                let kind = if head.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
                open.insert(Open {
                    kind,
                    compressed: head.rsv1,
                    given: false,
                    data: BytesMut::new(),
                    utf8: Utf8::default(),
                    checked: 0,
                    empty_fragments: 0,
                })
            }
        };
        if head.payload_bytes == 0 && !(begins && head.fin) {
            open.empty_fragments += 1;
            if open.empty_fragments > self.limits.empty_fragments {
                return Err(Violation::EmptyFragments(self.limits.empty_fragments));
            }
        }
        let bytes = head.payload_bytes.saturating_add(open.data.len() as u64);
        let too_large = bytes > u64::try_from(self.limits.message_bytes).unwrap_or(u64::MAX);
        if too_large && !open.compressed && !self.has_streamed {
            return Err(Violation::MessageTooLarge(self.limits.message_bytes));
        }
        Ok(())
    }

    fn control(&mut self, head: &Head, start: u64, chunk: &[u8]) -> Result<Option<Item>, Violation> {
        let done = start + chunk.len() as u64;
        let whole = start == 0 && done == head.payload_bytes;
        let mut payload = if whole { BytesMut::from(chunk) } else { std::mem::take(&mut self.control) };
        if !whole {
            payload.extend_from_slice(chunk);
            if done < head.payload_bytes {
                self.control = payload;
                self.state = State::Payload { head: *head, done };
                return Ok(None);
            }
        }
        unmask(head, 0, &mut payload);
        self.state = BETWEEN_FRAMES;
        Ok(Some(match head.opcode {
            Opcode::Ping => Item::Ping(payload.freeze()),
            Opcode::Pong => Item::Pong(payload.freeze()),
            _ => {
                self.state = State::Closed;
                Item::Close(CloseBody::parse(&payload)?)
            }
        }))
    }

    /// Takes what it can of `count` bytes of a data frame's payload; all of it, unless an item comes.
    fn data(&mut self, head: &Head, start: u64, input: &mut impl Buf, count: usize) -> Result<Option<Item>, Violation> {
        let in_pieces = self.in_pieces();
        let Some(open) = &mut self.open else {
            unreachable!("a data frame has a message, `begin` sees to that");
        };
        if open.compressed {
            let mut chunk = &input.chunk()[..count];
            let item = self.inflate(head, start, &mut chunk);
            let used = count - chunk.len();
            input.advance(used);
            return item;
        }
        let is_whole = start == 0 && head.fin && count as u64 == head.payload_bytes && open.data.is_empty();
        if is_whole && head.mask.is_none() && !in_pieces {
            // Its head said nothing about that if it might have been streamed.
            if count > self.limits.message_bytes {
                return Err(Violation::MessageTooLarge(self.limits.message_bytes));
            }
            let data = take(input, count);
            self.state = BETWEEN_FRAMES;
            return self.close_message(data);
        }
        let ahead = head.payload_bytes - start;
        make_room(&mut open.data, usize::try_from(ahead).unwrap_or(usize::MAX));
        let tail = open.data.len();
        open.data.extend_from_slice(&input.chunk()[..count]);
        input.advance(count);
        unmask(head, start, &mut open.data[tail..]);
        self.advance(head, start, count)
    }

    /// That much more of the payload is in the message's data.
    fn advance(&mut self, head: &Head, start: u64, count: usize) -> Result<Option<Item>, Violation> {
        let done = start + count as u64;
        let ended = done == head.payload_bytes;
        self.state = if ended { BETWEEN_FRAMES } else { State::Payload { head: *head, done } };
        if ended && head.fin { self.end_message() } else { self.look() }
    }

    /// Takes a chunk of a compressed frame; not all of it where a piece is full before that.
    fn inflate(&mut self, head: &Head, start: u64, chunk: &mut &[u8]) -> Result<Option<Item>, Violation> {
        let in_pieces = self.in_pieces();
        let (Some(open), Some(inflater)) = (&mut self.open, &mut self.inflater) else {
            unreachable!("`begin` lets no compressed message in without an inflater");
        };
        let plain;
        let mut input = *chunk;
        if head.mask.is_some() {
            let mut copy = BytesMut::from(input);
            unmask(head, start, &mut copy);
            plain = copy;
            input = &plain;
        }
        let count = input.len();
        let last = head.fin && start + count as u64 == head.payload_bytes;
        let most = if in_pieces { PIECE_BYTES } else { self.limits.message_bytes };
        let limit = most.saturating_sub(open.data.len()).max(usize::from(in_pieces));
        let inflated = inflater.inflate(&mut input, last, &mut open.data, limit)?;
        let used = count - input.len();
        *chunk = &chunk[used..];
        match inflated {
            Inflated::Full if in_pieces => {
                // All of the frame may be used up, and more is to come of it nevertheless.
                self.state = State::Payload { head: *head, done: start + used as u64 };
                self.look()
            }
            Inflated::Full => Err(Violation::MessageTooLarge(self.limits.message_bytes)),
            Inflated::Done => self.advance(head, start, used),
        }
    }

    /// In the middle of a message: checks what has come, and gives it out where it is streamed.
    fn look(&mut self) -> Result<Option<Item>, Violation> {
        let in_pieces = self.in_pieces();
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        open.check()?;
        if !in_pieces {
            return open.check_size(&self.limits).map(|()| None);
        }
        let data = open.split();
        open.checked = open.data.len();
        if data.is_empty() {
            return Ok(None);
        }
        open.given = true;
        Ok(Some(Item::Piece { kind: open.kind, data, last: false }))
    }

    fn end_message(&mut self) -> Result<Option<Item>, Violation> {
        let in_pieces = self.in_pieces();
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        if !in_pieces {
            open.check_size(&self.limits)?;
        }
        if in_pieces || open.checked > 0 {
            open.check()?;
            if open.utf8.incomplete() > 0 {
                return Err(Violation::Utf8);
            }
        }
        let data = std::mem::take(&mut open.data).freeze();
        self.close_message(data)
    }

    fn close_message(&mut self, data: Bytes) -> Result<Option<Item>, Violation> {
        let Some(Open { kind, given, .. }) = self.open.take() else {
            return Ok(None);
        };
        if std::mem::take(&mut self.streaming) || given {
            return Ok(Some(Item::Piece { kind, data, last: true }));
        }
        whole(kind, data).map(Some)
    }
}

fn whole(kind: Kind, data: Bytes) -> Result<Item, Violation> {
    Ok(Item::Message(match kind {
        Kind::Text => Message::Text(Text::try_from(data).map_err(|_| Violation::Utf8)?),
        Kind::Binary => Message::Binary(data),
    }))
}

/// Takes a payload out of what was read. A large one keeps all of that in memory, a small one is copied: nobody holds more
/// than eight times what is his.
fn take(input: &mut impl Buf, count: usize) -> Bytes {
    if count >= SHARED_BYTES {
        return input.copy_to_bytes(count);
    }
    let data = Bytes::copy_from_slice(&input.chunk()[..count]);
    input.advance(count);
    data
}

impl Open {
    /// What can be given out of what is there and checked: no more than one piece, and no part of a character.
    fn split(&mut self) -> Bytes {
        let mut end = self.data.len() - self.utf8.incomplete();
        if end > PIECE_BYTES {
            end = PIECE_BYTES;
            while self.kind == Kind::Text && self.data[end] & 0xc0 == 0x80 {
                end -= 1;
            }
        }
        self.data.split_to(end).freeze()
    }

    fn check_size(&self, limits: &Limits) -> Result<(), Violation> {
        if self.data.len() > limits.message_bytes {
            return Err(Violation::MessageTooLarge(limits.message_bytes));
        }
        Ok(())
    }

    /// Checks the part of the text that no check has seen.
    fn check(&mut self) -> Result<(), Violation> {
        if self.kind == Kind::Text {
            self.utf8.push(&self.data[self.checked..]).map_err(|_| Violation::Utf8)?;
        }
        self.checked = self.data.len();
        Ok(())
    }
}

/// Completes the head that was begun, if all of it is there; else keeps what there is.
fn read_head(
    begun: &mut [u8; MAX_HEAD_BYTES],
    length: &mut usize,
    input: &mut impl Buf,
) -> Result<Option<Head>, Violation> {
    let chunk = input.chunk();
    if *length == 0
        && let Some((head, used)) = Head::parse(chunk)?
    {
        input.advance(used);
        return Ok(Some(head));
    }
    let more = chunk.len().min(MAX_HEAD_BYTES - *length);
    begun[*length..*length + more].copy_from_slice(&chunk[..more]);
    if let Some((head, used)) = Head::parse(&begun[..*length + more])? {
        input.advance(used - *length);
        return Ok(Some(head));
    }
    // A head that is not complete is shorter than the longest one: all of the input is in it.
    *length += more;
    input.advance(more);
    Ok(None)
}

/// Makes room for what is to come: all of it if that is little, else as much again as there is already.
fn make_room(data: &mut BytesMut, ahead: usize) {
    if data.capacity() - data.len() < ahead.min(DIRECT_BYTES as usize) {
        data.reserve(ahead.min(data.len().max(AHEAD_BYTES)));
    }
}

fn unmask(head: &Head, start: u64, data: &mut [u8]) {
    if let Some(key) = head.mask {
        mask::apply(key, (start % 4) as usize, data);
    }
}
