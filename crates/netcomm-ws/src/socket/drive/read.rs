//! Reading: from the stream beneath to messages.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use netcomm_core::{Event, Interest};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::Drive;
use crate::message::{Kind, Message};
use crate::receive::{Item, READ_BYTES};

/// What one read takes at most, unless the last one took much, or it can go straight to where it belongs. On the stack: a
/// connection that waits holds no buffer.
const SMALL_READ_BYTES: usize = 16 * 1024;

impl Drive {
    /// One read, and what it brings, into the inbox. Pending if nothing came.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(item) = ready!(self.poll_take(cx)) {
            self.inbox.push(item);
        }
        Poll::Ready(())
    }

    /// The next message or piece out of what was read, or out of one more read; `None` if that brought something else. Pending if
    /// nothing came.
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if let Some(mut kept) = self.kept.take() {
            let item = self.parse(&mut kept);
            self.keep(item.as_ref(), kept);
            return Poll::Ready(item);
        }
        let Some(io) = &mut self.io else {
            return Poll::Pending;
        };
        let mut io = Pin::new(io);
        let read = if let Some((data, room)) = self.receiver.direct() {
            ready!(poll_read_buf(io, cx, &mut data.limit(room))).map(|count| {
                self.pulse.heard();
                match self.receiver.filled(count) {
                    Ok(item) => (count, item.and_then(|item| self.accept(item))),
                    Err(violation) => {
                        self.found(violation);
                        (count, None)
                    }
                }
            })
        } else if self.is_bulk {
            let mut buffer = BytesMut::with_capacity(READ_BYTES);
            let count = poll_read_buf(io.as_mut(), cx, &mut buffer);
            // The buffer is there only while much comes.
            self.is_bulk = matches!(count, Poll::Ready(Ok(count)) if count > SMALL_READ_BYTES / 2);
            ready!(count).map(|count| {
                self.pulse.heard();
                let mut input = buffer.freeze();
                let item = self.parse(&mut input);
                self.keep(item.as_ref(), input);
                (count, item)
            })
        } else {
            let mut space = [const { MaybeUninit::uninit() }; SMALL_READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(io.poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    let mut input = buffer.filled();
                    self.pulse.heard();
                    self.is_bulk = input.len() > SMALL_READ_BYTES / 2;
                    let item = self.parse(&mut input);
                    if !input.is_empty() || matches!(item, Some(Item::Piece { .. })) {
                        self.keep(item.as_ref(), Bytes::copy_from_slice(input));
                    }
                    return Poll::Ready(item);
                }
                end => end.map(|()| (0, None)),
            }
        };
        match read {
            Ok((0, _)) => self.end(None),
            Ok((_, item)) => return Poll::Ready(item),
            Err(error) => self.end(Some(error)),
        }
        Poll::Ready(None)
    }

    /// Looks at what was read, up to the next message or piece. What lies behind that waits: only its reader knows how the next
    /// one is wanted.
    pub(super) fn parse(&mut self, input: &mut impl Buf) -> Option<Item> {
        loop {
            match self.receiver.feed(input) {
                Ok(Some(Item::Message(message))) => {
                    self.tell_received(&message);
                    return Some(Item::Message(message));
                }
                Ok(Some(item)) => {
                    let item = self.accept(item);
                    if item.is_some() {
                        return item;
                    }
                }
                Ok(None) => return None,
                Err(violation) => {
                    input.advance(input.remaining());
                    self.found(violation);
                    return None;
                }
            }
        }
    }

    /// Keeps what was not looked at. After a piece there may be more of its message even where nothing is left.
    pub(super) fn keep(&mut self, item: Option<&Item>, rest: Bytes) {
        if !rest.is_empty() || matches!(item, Some(Item::Piece { .. })) {
            self.kept = Some(rest);
        }
    }

    #[inline]
    fn tell_received(&self, message: &Message) {
        self.observe(Interest::MESSAGE, |_| Event::MessageReceived {
            is_text: message.kind() == Kind::Text,
            bytes: message.len(),
        });
        self.tell_content(false, message);
    }

    /// Does what an item asks for; gives it back if it is for a reader.
    pub(super) fn accept(&mut self, item: Item) -> Option<Item> {
        match item {
            Item::Message(message) => {
                self.tell_received(&message);
                return Some(Item::Message(message));
            }
            Item::Piece { last, .. } if self.skipping => self.skipping = !last,
            piece @ Item::Piece { .. } => return Some(piece),
            Item::Ping(payload) => self.transmitter.pong(payload),
            Item::Pong(payload) => {
                if let Some(took) = self.pulse.pong(&payload, self.clock.now()) {
                    self.observe(Interest::CONNECTION, |_| Event::RoundTrip { took });
                }
            }
            Item::Close(body) => self.goodbye(body),
        }
        None
    }
}
