//! What drives one connection: reading, writing, timers and goodbyes, all in whatever poll comes along.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use netcomm_core::{
    CallId, Clock, ConnectInfo, Error, ErrorKind, Event, Interest, Io, Observation, Phase, Result, Sleep, Tap,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::close::{CloseBody, Closed, Closer};
use crate::connect::Places;
use crate::heartbeat::{Beat, Pulse, Rtt};
use crate::limits::Limits;
use crate::message::{Kind, Message};
use crate::receive::{Item, READ_BYTES, Receiver};
use crate::role::Role;
use crate::transmit::Transmitter;
use crate::violation::Violation;

/// What one read takes at most, unless the last one took much, or it can go straight to where it belongs. On the stack: a
/// connection that waits holds no buffer.
const SMALL_READ_BYTES: usize = 16 * 1024;
/// How long the end of the connection beneath is waited for once nothing is left to say (RFC 6455 §7.1.1).
const LINGER: Duration = Duration::from_secs(1);
/// What stands for a time that no clock reaches.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// What a message in memory weighs beside its payload.
const MESSAGE_WEIGHT: usize = 64;
/// Room for that many messages is kept while none are there.
const KEPT_ITEMS: usize = 4;

/// What the handshake told.
#[derive(Debug)]
pub(crate) struct Welcome {
    pub(crate) url: String,
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) info: ConnectInfo,
    pub(crate) compressed: bool,
    /// The number of the connection, for observers.
    pub(crate) call: CallId,
    pub(crate) scope: Option<Arc<str>>,
    /// Held as long as the connection lives.
    pub(crate) _places: Places,
}

/// One connection, and where it stands.
pub(crate) struct Drive {
    /// Gone when the connection has ended.
    io: Option<Io>,
    receiver: Receiver,
    transmitter: Transmitter,
    /// Whether the stream beneath may hold back what was written to it.
    unflushed: bool,
    is_server: bool,
    /// Whether our half of the stream beneath was ended.
    hung_up: bool,
    inbox: Inbox,
    read_ahead_bytes: usize,
    /// What was read and not looked at, since the inbox was full. Even where it is empty, the receiver may have more to give.
    kept: Option<Bytes>,
    /// Whether much comes at a time.
    is_bulk: bool,
    /// The rule that was broken behind what lies in the inbox.
    fault: Option<Violation>,
    /// Whether the reader of a message in pieces left before its end.
    skipping: bool,
    pulse: Pulse,
    alarm: Option<Alarm>,
    clock: Arc<dyn Clock>,
    tap: Tap,
    opened: Instant,
    close_timeout: Duration,
    state: State,
    welcome: Welcome,
}

struct Alarm {
    at: Instant,
    sleep: Sleep,
}

enum State {
    Open,
    /// Our goodbye is said or about to be; the peer's is awaited.
    Closing {
        deadline: Instant,
        ours: CloseBody,
    },
    /// Nothing is left but to write what is ready and to see the connection end.
    Ending {
        deadline: Instant,
        closed: Closed,
        error: Option<Error>,
    },
    Ended {
        closed: Closed,
        error: Option<Error>,
    },
}

/// What came and was not asked for yet.
#[derive(Default)]
struct Inbox {
    items: VecDeque<Item>,
    bytes: usize,
}

/// A part of a message in pieces.
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) data: Bytes,
    pub(crate) last: bool,
}

/// How a [`Drive`] is set up.
pub(crate) struct Setup {
    pub(crate) role: Role,
    pub(crate) io: Io,
    pub(crate) receiver: Receiver,
    pub(crate) transmitter: Transmitter,
    pub(crate) limits: Limits,
    pub(crate) pulse: Pulse,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tap: Tap,
    pub(crate) close_timeout: Duration,
    pub(crate) welcome: Welcome,
}

impl Drive {
    /// `rest` is what came behind the handshake.
    pub(crate) fn new(setup: Setup, rest: &[u8]) -> Self {
        let drive = Self {
            io: Some(setup.io),
            receiver: setup.receiver,
            transmitter: setup.transmitter,
            unflushed: false,
            is_server: setup.role == Role::Server,
            hung_up: false,
            inbox: Inbox::default(),
            read_ahead_bytes: setup.limits.read_ahead_bytes,
            // Looked at by the first poll: only that tells whether its messages are wanted whole.
            kept: (!rest.is_empty()).then(|| Bytes::copy_from_slice(rest)),
            is_bulk: false,
            fault: None,
            skipping: false,
            pulse: setup.pulse,
            alarm: None,
            opened: setup.clock.now(),
            clock: setup.clock,
            tap: setup.tap,
            close_timeout: setup.close_timeout,
            state: State::Open,
            welcome: setup.welcome,
        };
        drive.observe(Interest::CONNECTION, |drive| Event::SocketOpened {
            url: drive.welcome.url.clone(),
            subprotocol: drive.welcome.subprotocol.clone(),
            compressed: drive.welcome.compressed,
        });
        drive
    }

    pub(crate) fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub(crate) fn rtt(&self) -> Option<Rtt> {
        self.pulse.rtt()
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        match &self.state {
            State::Ended { closed, .. } => Some(closed),
            _ => None,
        }
    }

    /// Asks for a sign of life at once, and gives the connection up if none comes within `patience`.
    pub(crate) fn probe(&mut self, patience: Duration) {
        if matches!(self.state, State::Open) {
            let beat = self.pulse.probe(self.clock.now(), patience);
            self.beat(beat);
        }
    }

    /// The next whole message.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message>>> {
        loop {
            let item = if self.inbox.is_empty() {
                if self.is_over() {
                    return Poll::Ready(self.take_error().map(Err));
                }
                self.receiver.set_streaming(false);
                ready!(self.poll_more(cx))
            } else {
                self.inbox.pop()
            };
            // A piece is of a message whose reader was leaked.
            if let Some(Item::Message(message)) = item {
                self.answer(cx);
                return Poll::Ready(Some(Ok(message)));
            }
        }
    }

    /// The next piece of a message, or a whole one as its only piece.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece>>> {
        loop {
            let item = if self.inbox.is_empty() {
                if self.is_over() {
                    return Poll::Ready(self.take_error().map(Err));
                }
                self.receiver.set_streaming(true);
                // What was collected before anybody streamed.
                match self.receiver.waiting() {
                    Ok(Some(item)) => self.accept(item),
                    Ok(None) => {
                        let more = self.poll_more(cx);
                        if more.is_pending() {
                            // What comes while nobody streams is collected.
                            self.receiver.set_streaming(false);
                        }
                        ready!(more)
                    }
                    Err(violation) => {
                        self.fail(violation);
                        None
                    }
                }
            } else {
                self.inbox.pop()
            };
            let piece = match item {
                Some(Item::Message(message)) => {
                    let kind = message.kind();
                    Piece { kind, data: message.into_bytes(), last: true }
                }
                Some(Item::Piece { kind, data, last }) => Piece { kind, data, last },
                _ => continue,
            };
            self.answer(cx);
            return Poll::Ready(Some(Ok(piece)));
        }
    }

    /// The reader of a message in pieces leaves before its end: what there is of it goes, and so does the rest when it comes.
    pub(crate) fn skip(&mut self) {
        self.skipping = true;
        while self.skipping
            && let Some(Item::Piece { last, .. }) = self.inbox.items.front()
        {
            self.skipping = !last;
            self.inbox.pop();
        }
    }

    /// Waits until a message can be taken.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            self.check_open()?;
            if self.transmitter.is_ready() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_sent(cx));
        }
    }

    /// Takes a message. Unless [`poll_ready`](Self::poll_ready) said so there may be no room for it: then it is refused.
    pub(crate) fn start_send(&mut self, message: Message) -> Result<()> {
        self.check_open()?;
        self.transmitter.check_no_stream()?;
        if !self.transmitter.can_take() {
            return Err(Error::new(ErrorKind::Invalid, "send").with_detail("without poll_ready"));
        }
        self.observe(Interest::MESSAGE, |_| Event::MessageSent {
            is_text: message.kind() == Kind::Text,
            bytes: message.len(),
        });
        self.transmitter.message(message);
        Ok(())
    }

    pub(crate) fn begin(&mut self, kind: Kind) -> Result<()> {
        self.check_open()?;
        self.transmitter.begin(kind)
    }

    pub(crate) fn piece(&mut self, piece: Bytes, last: bool) -> Result<()> {
        self.check_open()?;
        self.transmitter.piece(piece, last);
        Ok(())
    }

    /// Waits until all that was taken is with the operating system.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            // Even if no more can be taken: what was taken has gone.
            let is_done = self.transmitter.is_silent() && !self.unflushed;
            if is_done && !matches!(self.state, State::Ending { error: Some(_), .. }) {
                return Poll::Ready(Ok(()));
            }
            self.check_open()?;
            ready!(self.poll_sent(cx));
        }
    }

    /// Begins to say goodbye; on a connection that is about to end it changes nothing.
    pub(crate) fn start_close(&mut self, body: CloseBody) {
        if matches!(self.state, State::Open) {
            self.transmitter.close(body.clone());
            let now = self.clock.now();
            let deadline = now.checked_add(self.close_timeout).unwrap_or_else(|| now + FOREVER);
            self.state = State::Closing { deadline, ours: body };
        }
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        loop {
            self.is_over();
            if let State::Ended { closed, .. } = &self.state {
                return Poll::Ready(closed.clone());
            }
            if !self.inbox.has_room(self.read_ahead_bytes) {
                self.inbox.drop_last();
            }
            self.receiver.set_streaming(false);
            let read = self.poll_read(cx);
            if self.poll_rest(cx).is_pending() && read.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Reads, and does the rest where nothing comes. Pending if nothing happened.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let read = self.poll_take(cx);
        if read.is_ready() && matches!(self.state, State::Open) {
            self.answer(cx);
            return read;
        }
        // Who goes on sending after the end was said does not put off the deadline of that.
        let rest = self.poll_rest(cx);
        if read.is_ready() { read } else { rest.map(|()| None) }
    }

    /// Writes what is ready; where that is not possible, reads on meanwhile and keeps deadlines. Ready when there may be
    /// something new to see.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_write(cx).is_ready() {
            return Poll::Ready(());
        }
        self.receiver.set_streaming(false);
        while self.inbox.has_room(self.read_ahead_bytes) && self.poll_read(cx).is_ready() {}
        if self.has_ended() {
            return Poll::Ready(());
        }
        let rest = self.poll_rest(cx);
        // Nothing more will be taken: that need not wait for the wire.
        if matches!(self.state, State::Open) { rest } else { Poll::Ready(()) }
    }

    /// What is to be done beside reading: writes what is ready, keeps deadlines. Ready if something was done.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wrote = self.poll_write(cx);
        if self.poll_alarm(cx).is_pending() { wrote } else { Poll::Ready(()) }
    }

    /// Does what is to be done while nobody takes messages: reads ahead as far as may be, writes, keeps deadlines.
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.receiver.set_streaming(self.skipping);
        while self.inbox.has_room(self.read_ahead_bytes) && self.poll_read(cx).is_ready() {}
        self.poll_rest(cx)
    }

    /// Sends what a peer waits for on its own account, if that can be done at once.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if self.transmitter.is_urgent() {
            // A wire that is full is written to by the next poll.
            let _ = self.poll_write(cx);
        }
    }

    /// One read, and what it brings, into the inbox. Pending if nothing came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(item) = ready!(self.poll_take(cx)) {
            self.inbox.push(item);
        }
        Poll::Ready(())
    }

    /// The next message or piece out of what was read, or out of one more read; `None` if that brought something else. Pending if
    /// nothing came.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
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
            ready!(io.poll_read(cx, &mut buffer)).map(|()| {
                let mut input = buffer.filled();
                let count = input.len();
                self.pulse.heard();
                self.is_bulk = count > SMALL_READ_BYTES / 2;
                let item = self.parse(&mut input);
                if !input.is_empty() || matches!(item, Some(Item::Piece { .. })) {
                    self.keep(item.as_ref(), Bytes::copy_from_slice(input));
                }
                (count, item)
            })
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
    fn parse(&mut self, input: &mut impl Buf) -> Option<Item> {
        loop {
            match self.receiver.feed(input) {
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
    fn keep(&mut self, item: Option<&Item>, rest: Bytes) {
        if !rest.is_empty() || matches!(item, Some(Item::Piece { .. })) {
            self.kept = Some(rest);
        }
    }

    /// Does what an item asks for; gives it back if it is for a reader.
    fn accept(&mut self, item: Item) -> Option<Item> {
        match item {
            Item::Message(message) => {
                self.observe(Interest::MESSAGE, |_| Event::MessageReceived {
                    is_text: message.kind() == Kind::Text,
                    bytes: message.len(),
                });
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

    /// The peer says goodbye.
    fn goodbye(&mut self, theirs: CloseBody) {
        let closed = match &self.state {
            State::Closing { ours, .. } => ours.clone().closed(Closer::Us, true),
            // A write that failed may have hidden it.
            State::Open | State::Ending { closed: Closed { by: Closer::Nobody, .. }, .. } => {
                // RFC 6455 §5.5.1: the code is echoed.
                self.transmitter.close(theirs.without_reason());
                theirs.closed(Closer::Peer, true)
            }
            State::Ending { .. } | State::Ended { .. } => return,
        };
        self.state = State::Ending { deadline: self.clock.now() + LINGER, closed, error: None };
    }

    /// The peer broke a rule. What came before that is good: its reader has it first, and may still answer.
    fn found(&mut self, violation: Violation) {
        self.receiver.stop();
        if self.inbox.is_empty() {
            self.fail(violation);
        } else {
            self.fault = Some(violation);
        }
    }

    /// Whether nothing more will come; told when all that came has been taken.
    fn is_over(&mut self) -> bool {
        if let Some(violation) = self.fault.take() {
            self.fail(violation);
        }
        self.has_ended()
    }

    /// The peer broke a rule: it is told, and nothing more is read from it (RFC 6455 §7.1.7).
    fn fail(&mut self, violation: Violation) {
        if !matches!(self.state, State::Open | State::Closing { .. }) {
            return;
        }
        let body = CloseBody::code_alone(violation.close_code());
        self.transmitter.fail(body.clone());
        let error = violation.into_error("receive").with_url(&self.welcome.url);
        let closed = body.closed(Closer::Us, false);
        self.state = State::Ending { deadline: self.clock.now() + LINGER, closed, error: Some(error) };
    }

    /// The connection beneath has ended.
    fn end(&mut self, cause: Option<io::Error>) {
        self.doubt();
        let before = std::mem::replace(&mut self.state, State::Ended { closed: Closed::abnormal(), error: None });
        let (closed, error) = match before {
            State::Open => {
                let error = Error::new(ErrorKind::Closed, "receive").with_url(&self.welcome.url);
                let error = match cause {
                    Some(cause) => error.with_source(cause),
                    None => error.with_detail("without a close frame").with_source(Closed::abnormal()),
                };
                (Closed::abnormal(), Some(error))
            }
            State::Closing { ours, .. } => (ours.closed(Closer::Us, false), None),
            State::Ending { closed, error, .. } | State::Ended { closed, error } => (closed, error),
        };
        self.ended(closed, error);
    }

    fn ended(&mut self, closed: Closed, error: Option<Error>) {
        self.let_go();
        self.observe(Interest::CONNECTION, |drive| Event::SocketClosed {
            code: closed.code.get(),
            clean: closed.clean,
            error: error.as_ref().map(Error::kind),
            took: drive.clock.now().saturating_duration_since(drive.opened),
        });
        self.state = State::Ended { closed, error };
    }

    fn observe(&self, interest: Interest, event: impl FnOnce(&Self) -> Event) {
        self.tap.emit(interest, || {
            let Welcome { call, scope, .. } = &self.welcome;
            Observation::new(self.clock.now(), event(self)).with_call(*call, scope.clone())
        });
    }

    /// The peer gave no sign of life.
    fn give_up(&mut self) {
        let error = Error::timeout("receive", Phase::Receive)
            .with_detail("no sign of life from the peer")
            .with_url(&self.welcome.url)
            .with_source(Closed::abnormal());
        self.ended(Closed::abnormal(), Some(error));
    }

    /// Nothing that served the connection is of use any more.
    fn let_go(&mut self) {
        (self.io, self.alarm, self.kept) = (None, None, None);
        self.receiver.stop();
        self.transmitter.stop();
    }

    /// RFC 6455 §7.1.4: a goodbye of ours that did not get out makes no clean end.
    fn doubt(&mut self) {
        if let State::Ending { closed, .. } = &mut self.state
            && !self.transmitter.is_silent()
        {
            closed.clean = false;
        }
    }

    /// Writes what is ready. Ready if something went, or was flushed, or the wire broke; pending if nothing could be done, or there was nothing
    /// to do.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut wrote = false;
        let outcome = loop {
            let hangs_up = self.hangs_up_next();
            let Some(io) = &mut self.io else {
                break Ok(());
            };
            let chunk = self.transmitter.chunk();
            let step = if !chunk.is_empty() {
                Pin::new(io).poll_write(cx, chunk)
            } else if self.unflushed {
                Pin::new(io).poll_flush(cx).map_ok(|()| 0)
            } else if hangs_up {
                let end = Pin::new(io).poll_shutdown(cx);
                self.hung_up = end.is_ready();
                end.map_ok(|()| 0)
            } else {
                break Ok(());
            };
            match step {
                Poll::Pending => break Ok(()),
                Poll::Ready(Err(error)) => break Err(error),
                // That is news for whoever waits for it, though no byte went.
                Poll::Ready(Ok(0)) if chunk.is_empty() => (wrote, self.unflushed) = (true, false),
                Poll::Ready(Ok(0)) => break Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    if self.transmitter.advance(count) {
                        self.pulse.ping_written(self.clock.now());
                    }
                    self.pulse.wrote(count);
                    (wrote, self.unflushed) = (true, true);
                }
            }
        };
        if let Err(error) = outcome {
            self.broken(error);
            return Poll::Ready(());
        }
        if wrote { Poll::Ready(()) } else { Poll::Pending }
    }

    /// RFC 6455 §7.1.1: the server ends the connection beneath, the client waits for that.
    fn hangs_up_next(&self) -> bool {
        self.is_server && !self.hung_up && matches!(self.state, State::Ending { .. })
    }

    /// Nothing can be written any more. What the peer said last may still be there to read.
    fn broken(&mut self, cause: io::Error) {
        self.unflushed = false;
        if matches!(self.state, State::Ending { .. }) && self.transmitter.is_silent() {
            // All was said before.
            return;
        }
        self.doubt();
        self.transmitter.stop();
        if matches!(self.state, State::Open) {
            let error = Error::new(ErrorKind::Closed, "send").with_url(&self.welcome.url).with_source(cause);
            let deadline = self.clock.now() + LINGER;
            self.state = State::Ending { deadline, closed: Closed::abnormal(), error: Some(error) };
        }
    }

    /// Keeps deadlines. Pending if none has passed.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = match &self.state {
            State::Open => self.pulse.next_at(),
            State::Closing { deadline, .. } | State::Ending { deadline, .. } => Some(*deadline),
            State::Ended { .. } => None,
        };
        let Some(at) = due else {
            self.alarm = None;
            return Poll::Pending;
        };
        if self.alarm.as_ref().is_none_or(|alarm| alarm.at != at) {
            self.alarm = Some(Alarm { at, sleep: self.clock.sleep_until(at) });
        }
        if let Some(alarm) = &mut self.alarm {
            ready!(alarm.sleep.as_mut().poll(cx));
        }
        self.alarm = None;
        if !matches!(self.state, State::Open) {
            self.end(None);
            return Poll::Ready(());
        }
        if self.kept.is_some() || !self.inbox.has_room(self.read_ahead_bytes) {
            // Who does not read cannot hear: the silence is our own.
            self.pulse.heard();
        }
        let beat = self.pulse.tick(self.clock.now());
        self.beat(beat);
        Poll::Ready(())
    }

    fn beat(&mut self, beat: Beat) {
        match beat {
            Beat::Nothing => {}
            Beat::Ping(payload) => self.transmitter.ping(Bytes::copy_from_slice(&payload)),
            Beat::Dead => self.give_up(),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    #[inline]
    fn check_open(&self) -> Result<()> {
        if matches!(self.state, State::Open) { Ok(()) } else { self.refuse() }
    }

    #[cold]
    fn refuse(&self) -> Result<()> {
        let closed = match &self.state {
            State::Open => return Ok(()),
            State::Ending { error: Some(error), .. } | State::Ended { error: Some(error), .. } => {
                return Err(error.clone());
            }
            State::Closing { ours, .. } => ours.clone().closed(Closer::Us, false),
            State::Ending { closed, .. } | State::Ended { closed, .. } => closed.clone(),
        };
        Err(Error::new(ErrorKind::Closed, "send").with_url(&self.welcome.url).with_source(closed))
    }

    /// What ended the connection, told once.
    fn take_error(&mut self) -> Option<Error> {
        match &mut self.state {
            State::Ended { error, .. } => error.take(),
            _ => None,
        }
    }
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn push(&mut self, item: Item) {
        self.bytes += weight(&item);
        self.items.push_back(item);
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= weight(&item);
        if self.items.is_empty() && self.items.capacity() > KEPT_ITEMS {
            self.items = VecDeque::new();
        }
        Some(item)
    }

    fn drop_last(&mut self) {
        if let Some(item) = self.items.pop_back() {
            self.bytes -= weight(&item);
        }
    }

    fn has_room(&self, most: usize) -> bool {
        self.bytes <= most
    }
}

fn weight(item: &Item) -> usize {
    MESSAGE_WEIGHT
        + match item {
            Item::Message(message) => message.len(),
            Item::Piece { data, .. } => data.len(),
            Item::Ping(_) | Item::Pong(_) | Item::Close(_) => 0,
        }
}
