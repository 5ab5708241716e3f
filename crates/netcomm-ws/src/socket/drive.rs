//! What drives one connection: reading, writing, timers and goodbyes, all in whatever poll comes along.

mod end;
mod inbox;
mod read;
mod write;

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use inbox::Inbox;
use netcomm_core::{
    CallId, Clock, ConnectInfo, Error, ErrorKind, Event, Interest, Io, Observation, Result, Sleep, Tap,
};

use crate::bell::Bell;
use crate::close::{CloseBody, Closed};
use crate::connect::Places;
use crate::heartbeat::{Beat, Pulse, Rtt};
use crate::limits::Limits;
use crate::message::{Kind, Message};
use crate::receive::{Item, Receiver};
use crate::role::Role;
use crate::transmit::Transmitter;
use crate::violation::Violation;

/// How long the end of the connection beneath is waited for once nothing is left to say (RFC 6455 §7.1.1).
const LINGER: Duration = Duration::from_secs(1);
/// What stands for a time that no clock reaches.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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
    /// What was read and not looked at. Even where it is empty, the receiver may have more to give.
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
    /// Rung by the clock: until then there is nothing to ask.
    bell: Bell,
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

    /// Whether there is nothing to write and nothing that was read and not taken: nothing is due but what wakes whoever
    /// polled last.
    pub(crate) fn is_quiet(&self) -> bool {
        self.transmitter.is_silent()
            && !self.unflushed
            && self.inbox.is_empty()
            && self.kept.is_none()
            && matches!(self.state, State::Open)
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
            && let Some(Item::Piece { last, .. }) = self.inbox.front()
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
        self.tell_content(true, &message);
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
        let wrote = if self.has_output() { self.poll_write(cx) } else { Poll::Pending };
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

    fn observe(&self, interest: Interest, event: impl FnOnce(&Self) -> Event) {
        self.tap.emit(interest, || {
            let Welcome { call, scope, .. } = &self.welcome;
            Observation::new(self.clock.now(), event(self)).with_call(*call, scope.clone())
        });
    }

    fn tell_content(&self, is_sent: bool, message: &Message) {
        self.observe(Interest::CONTENT, |_| Event::MessageContent {
            is_sent,
            is_text: message.kind() == Kind::Text,
            data: message.clone().into_bytes(),
        });
    }

    /// Keeps deadlines. Pending if none has passed.
    fn poll_alarm(&mut self, cx: &Context<'_>) -> Poll<()> {
        let due = match &self.state {
            State::Open => self.pulse.next_at(),
            State::Closing { deadline, .. } | State::Ending { deadline, .. } => Some(*deadline),
            State::Ended { .. } => None,
        };
        let Some(at) = due else {
            self.alarm = None;
            return Poll::Pending;
        };
        match &mut self.alarm {
            Some(alarm) if alarm.at == at => {
                if !alarm.bell.will_wake(cx.waker()) {
                    alarm.bell = Bell::new(cx.waker());
                }
            }
            alarm => *alarm = Some(Alarm { at, sleep: self.clock.sleep_until(at), bell: Bell::new(cx.waker()) }),
        }
        if let Some(Alarm { sleep, bell, .. }) = &mut self.alarm {
            if !bell.rang() {
                return Poll::Pending;
            }
            ready!(sleep.as_mut().poll(&mut Context::from_waker(&bell.waker())));
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
            Beat::Ping(payload) => self.transmitter.ping(payload),
            Beat::Dead => self.give_up(),
        }
    }
}
