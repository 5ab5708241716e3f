//! A connection that is ready: what goes out, what comes in, and what else may happen.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use netcomm_core::{Error, Feed, Heard, Result};

use super::{Actor, Served, Unwritten};
use crate::bell::Bell;
use crate::connection::receipt::{Dropped, Slot, Status};
use crate::connection::shared::{Order, Parcel, Shared, TopicChange};
use crate::connection::state::{Delivery, Event, State};
use crate::connection::window::Ack;
use crate::dialect::{Dialect as _, Plain, Reading, Writing};
use crate::message::{Message, Text};
use crate::socket::{Drive, Socket};

/// So many messages come in before others of the same thread have their turn.
const TURNS: usize = 64;

/// What there was to send.
enum Sent {
    Message,
    Nothing,
    /// There is no room on the wire, or it is closed.
    Blocked,
}

/// Where a connection that is served stands between two polls.
struct Serving {
    is_closing: bool,
    /// Whether the desk is to be looked at, news or not: another waker is to lie there.
    is_new: bool,
    /// Whether all that rings [`outside`](Self::outside) was asked and has nothing more to give.
    is_quiet: bool,
    /// Rung by the wire and its timers, by the network, and by listeners that have room again.
    outside: Bell,
    /// What rings it.
    ringing: Waker,
}

impl Serving {
    fn new(task: &Waker) -> Self {
        let outside = Bell::new(task);
        Self { is_closing: false, is_new: true, is_quiet: false, ringing: outside.waker(), outside }
    }
}

impl Actor {
    /// Serves a connection to its end.
    pub(super) async fn serve(&mut self, socket: &mut Socket) -> Served {
        let mut serving = poll_fn(|cx| Poll::Ready(Serving::new(cx.waker()))).await;
        poll_fn(|cx| {
            if !serving.outside.will_wake(cx.waker()) {
                // Everything is asked again.
                serving = Serving { is_closing: serving.is_closing, ..Serving::new(cx.waker()) };
            }
            self.poll_serve(socket, &mut serving, cx)
        })
        .await
    }

    fn poll_serve(&mut self, socket: &mut Socket, serving: &mut Serving, cx: &mut Context<'_>) -> Poll<Served> {
        let rang = serving.outside.rang();
        let is_quiet = !rang && serving.is_quiet && !serving.is_closing;
        if is_quiet && let Some((parcel, has_more)) = self.pop_from_desk(cx) {
            // A wire that is quiet takes one more, whatever it is.
            self.has_queued = has_more;
            self.hand_over(socket.drive(), parcel);
        // Where a message may expire, the task is woken for that as for the desk.
        } else if self.shared.has_news() || serving.is_new || self.expiry.at().is_some() {
            serving.is_new = false;
            match self.poll_desk(cx) {
                Poll::Ready(Order::Close(body)) => {
                    socket.drive().start_close(body);
                    self.shared.set(State::Closing);
                    serving.is_closing = true;
                }
                Poll::Ready(Order::Renew) => return Poll::Ready(Served::Renewed),
                // It was: whatever comes next is asked for by the next poll.
                Poll::Ready(Order::Start) => cx.waker().wake_by_ref(),
                Poll::Pending => {}
            }
        }
        if serving.is_closing {
            return self.poll_goodbye(socket, cx);
        }
        self.look_at_notes();
        let cx = &mut Context::from_waker(&serving.ringing);
        // Most of what a desk has is a message, and goes at once: the others have no news.
        if is_quiet && self.send(socket.drive(), cx) {
            return Poll::Pending;
        }
        serving.is_quiet = false;
        self.poll_ping(cx);
        while self.poll_network(cx).is_ready() {
            // What was sent over the old network may be lost, and nobody would tell.
            socket.drive().probe(self.plan.probe_timeout);
            self.shared.tell(|| Event::NetworkChanged);
        }
        for _ in 0..TURNS {
            if self.has_work() || !self.unwritten.is_empty() {
                self.send(socket.drive(), cx);
            }
            match self.receive(socket, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Served::Lost(error)),
                Poll::Pending => {
                    self.tell_rtt(socket.rtt());
                    serving.is_quiet = self.full.is_empty() && socket.drive().is_quiet();
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next message, where nothing else is to be done: then it is taken with one look at the desk.
    fn pop_from_desk(&self, cx: &Context<'_>) -> Option<(Parcel, bool)> {
        let has_others = self.window.is_some() || !self.urgent.is_empty() || self.expiry.at().is_some();
        if has_others || !self.shared.has_news() { None } else { self.shared.pop_from_desk(cx) }
    }

    /// Hears out the peer, as far as its listeners do.
    fn poll_goodbye(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<Served> {
        let closed = ready!(socket.drive().poll_closed(cx));
        while let Poll::Ready(Some(Ok(message))) = socket.drive().poll_recv(cx) {
            self.deliver(message);
        }
        Poll::Ready(Served::Closed(closed))
    }

    /// Hands over whatever there is, and flushes once. Tells whether all of it has gone, and nothing else is left to do.
    fn send(&mut self, drive: &mut Drive, cx: &mut Context<'_>) -> bool {
        let mut is_blocked = false;
        while self.has_work() {
            match self.send_one(drive, cx) {
                Sent::Message => {}
                Sent::Nothing => break,
                Sent::Blocked => {
                    is_blocked = true;
                    break;
                }
            }
        }
        if !self.unwritten.is_empty() {
            if !matches!(drive.poll_flush(cx), Poll::Ready(Ok(()))) {
                return false;
            }
            self.all_written();
            self.tell_written();
        }
        !is_blocked && drive.is_quiet()
    }

    /// Whether there may be something to hand over.
    fn has_work(&self) -> bool {
        self.has_queued || !self.urgent.is_empty() || self.window.is_some()
    }

    fn send_one(&mut self, drive: &mut Drive, cx: &mut Context<'_>) -> Sent {
        // What ended the connection is told by who reads.
        let Poll::Ready(Ok(())) = drive.poll_ready(cx) else {
            return Sent::Blocked;
        };
        if let Some(message) = self.urgent.pop_front() {
            return start(drive, message);
        }
        if self.window.is_some() { self.send_numbered(drive) } else { self.send_once(drive) }
    }

    /// The next message that waits.
    fn send_once(&mut self, drive: &mut Drive) -> Sent {
        match pop(&self.shared, &mut self.has_queued) {
            Some(parcel) => self.hand_over(drive, parcel),
            None => Sent::Nothing,
        }
    }

    /// Hands over a message that is not numbered.
    fn hand_over(&mut self, drive: &mut Drive, parcel: Parcel) -> Sent {
        let Parcel { id, message, topic, request, slot, .. } = parcel;
        // Noted first: a dialect that panics leaves nobody waiting.
        self.unwritten.push(Unwritten { id, slot, is_kept: false });
        let writing = Writing { request, topic: topic.as_deref(), ..Writing::plain(&message) };
        let written = match &self.plan.dialect {
            Some(dialect) => dialect.write(writing),
            // The message itself, not another handle to it.
            None if writing.is_plain() => Ok(message),
            None => Plain.write(writing),
        };
        match written {
            Ok(message) => {
                self.shared.counters().sent.one_more();
                start(drive, message)
            }
            Err(error) => {
                if let Some(Unwritten { id, slot, .. }) = self.unwritten.pop() {
                    self.refuse(id, request, &slot, error);
                }
                Sent::Message
            }
        }
    }

    /// The next message that was not acknowledged and is not on this connection yet, or else the next that waits.
    fn send_numbered(&mut self, drive: &mut Drive) -> Sent {
        let Some(window) = &mut self.window else {
            return Sent::Nothing;
        };
        if window.turn().is_none() {
            if !window.has_room() {
                return Sent::Nothing;
            }
            let Some(parcel) = pop(&self.shared, &mut self.has_queued) else {
                return Sent::Nothing;
            };
            if parcel.volatile {
                return self.hand_over(drive, parcel);
            }
            window.push(Box::new(parcel));
        }
        let Some(turn) = window.turn() else {
            return Sent::Nothing;
        };
        let parcel = turn.message;
        let writing = Writing {
            sequence: Some(turn.sequence),
            redelivered: turn.redelivered,
            request: parcel.request,
            topic: parcel.topic.as_deref(),
            ..Writing::plain(&parcel.message)
        };
        let redelivered = turn.redelivered;
        let written = match &self.plan.dialect {
            Some(dialect) => dialect.write(writing),
            None => Plain.write(writing),
        };
        match written {
            Ok(message) => {
                self.unwritten.push(Unwritten { id: parcel.id, slot: Arc::clone(&parcel.slot), is_kept: true });
                window.sent();
                self.shared.counters().sent.one_more();
                if redelivered {
                    self.shared.counters().resent.one_more();
                }
                start(drive, message)
            }
            Err(error) => {
                match window.refuse() {
                    // It has words no more, but it had.
                    Some((parcel, true)) => self.unknown(parcel.id, &parcel.slot),
                    Some((parcel, false)) => self.refuse(parcel.id, parcel.request, &parcel.slot, error),
                    None => {}
                }
                Sent::Message
            }
        }
    }

    /// The dialect has no words for a message.
    fn refuse(&self, id: u64, request: Option<u64>, slot: &Slot, error: Error) {
        slot.set(Status::Dropped(Dropped::Refused));
        self.shared.counters().dropped.one_more();
        self.shared.tell(|| Event::Dropped { id, why: Dropped::Refused });
        if let Some(number) = request {
            // Whoever asked may have left.
            let _gone = self.shared.answer(number, Err(error));
        }
        if self.unwritten.is_empty() {
            // No flush will tell that nothing is left to write.
            self.tell_written();
        }
    }

    /// Takes the next message, unless a listener has no room for it.
    fn receive(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.full.is_empty() {
            self.full.retain(|channel| channel.poll_room(cx).is_pending());
        }
        if !self.full.is_empty() {
            // Writing goes on, and so do the peer's pings.
            while socket.drive().poll_hold(cx).is_ready() && socket.closed().is_none() {}
            return Poll::Pending;
        }
        match ready!(socket.drive().poll_recv(cx)) {
            Some(Ok(message)) => {
                self.deliver(message);
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Ready(Err(socket.farewell("receive"))),
        }
    }

    /// Gives a message to whom it is for.
    pub(super) fn deliver(&mut self, message: Message) {
        self.shared.counters().received.one_more();
        let Some(dialect) = &self.plan.dialect else {
            return self.hand_out(message, None, None, false);
        };
        let reading = dialect.read(message.clone()).unwrap_or_else(|cause| {
            self.shared.tell(|| Event::Misread { cause });
            Reading::plain(message)
        });
        let Reading { message, topic, answers, sequence, ack } = reading;
        if let Some(ack) = ack {
            self.acknowledged(ack);
        }
        let duplicate = sequence.is_some_and(|sequence| self.seen.note(sequence));
        if duplicate {
            self.shared.counters().duplicates.one_more();
        }
        if let Some(message) = message {
            match answers {
                Some(number) => {
                    if self.shared.answer(number, Ok(message)).is_err() {
                        self.unclaimed(topic);
                    }
                }
                None => self.hand_out(message, topic, sequence, duplicate),
            }
        }
        if let Some(sequence) = sequence.filter(|_| self.plan.acknowledges) {
            self.urgent.extend(self.plan.dialect.as_ref().and_then(|dialect| dialect.acknowledge(sequence)));
        }
    }

    fn hand_out(&mut self, message: Message, topic: Option<Text>, sequence: Option<u64>, duplicate: bool) {
        let by_topic;
        let listeners = if let Some(topic) = &topic {
            by_topic = self.shared.topic_listeners(topic);
            &by_topic
        } else {
            self.shared.refresh(&mut self.listeners);
            &self.listeners.1
        };
        let Some((last, others)) = listeners.split_last() else {
            return self.unclaimed(topic);
        };
        let bytes = message.len();
        let member = self.plan.membership.as_ref().map(|member| member.name.clone());
        let session = self.run;
        let make = |message, member, topic| Delivery { message, member, topic, sequence, duplicate, session };
        let (mut is_heard, mut has_left) = (false, false);
        let mut note = |channel: &Arc<Feed<Delivery>>, heard| match heard {
            Heard::Gone => has_left = true,
            Heard::Yes => is_heard = true,
            Heard::Full => {
                is_heard = true;
                self.full.push(Arc::clone(channel));
            }
        };
        for channel in others {
            let delivery = make(message.clone(), member.clone(), topic.clone());
            note(channel, channel.push(delivery, bytes));
        }
        // Nearly always there is but one.
        let of = topic.clone();
        note(last, last.push_with(bytes, || make(message, member, of)));
        if has_left {
            self.shared.prune();
        }
        if !is_heard {
            self.unclaimed(topic);
        }
    }

    fn unclaimed(&self, topic: Option<Text>) {
        self.shared.counters().unclaimed.one_more();
        self.shared.tell(|| Event::Unclaimed { topic });
    }

    pub(super) fn acknowledged(&mut self, ack: Ack) {
        let Some(window) = &mut self.window else {
            return;
        };
        for parcel in window.acknowledge(ack) {
            parcel.slot.set(Status::Acknowledged);
        }
        if self.unwritten.is_empty() {
            self.tell_written();
        }
    }

    fn look_at_notes(&mut self) {
        if !std::mem::take(&mut self.has_notes) {
            return;
        }
        let (topics, acks) = self.shared.take_notes();
        let Some(dialect) = &self.plan.dialect else {
            return;
        };
        self.urgent.extend(topics.iter().filter_map(|change| match change {
            TopicChange::Added(topic) => dialect.subscribe(topic),
            TopicChange::Left(topic) => dialect.unsubscribe(topic),
        }));
        self.urgent.extend(acks.into_iter().filter_map(|sequence| dialect.acknowledge(sequence)));
    }

    /// The application's own ping.
    fn poll_ping(&mut self, cx: &mut Context<'_>) {
        let Some(interval) = self.plan.ping_interval else {
            return;
        };
        let clock = Arc::clone(self.shared.clock());
        loop {
            let at = self.ping.at().unwrap_or_else(|| clock.now() + interval);
            if self.ping.poll(Some(at), |at| clock.sleep_until(at), cx).is_pending() {
                return;
            }
            self.urgent.extend(self.plan.dialect.as_ref().and_then(|dialect| dialect.ping()));
        }
    }
}

/// The next message that waits. What comes while this looks wakes the task, and is seen by the next poll.
fn pop(shared: &Shared, has_queued: &mut bool) -> Option<Parcel> {
    if !std::mem::take(has_queued) {
        return None;
    }
    let (parcel, has_more) = shared.pop()?;
    *has_queued = has_more;
    Some(parcel)
}

fn start(drive: &mut Drive, message: Message) -> Sent {
    match drive.start_send(message) {
        Ok(()) => Sent::Message,
        Err(_) => Sent::Blocked,
    }
}
