//! One try: where to, the handshake, the greeting.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use netcomm_core::{Attempt, Clock, Error, Phase, Result};

use super::{Actor, End, Failed};
use crate::connect::Connect;
use crate::connection::session::{AnyGreet, AnyPrepare, Greeting, Link, Resume};
use crate::connection::shared::{Order, Shared};
use crate::connection::state::{Event, State};
use crate::connection::window::{Ack, Seen};
use crate::message::Message;
use crate::socket::Socket;

/// What a try needs; it knows nothing of the rest.
struct Try {
    shared: Arc<Shared>,
    connect: Connect,
    prepare: Option<AnyPrepare>,
    greet: Option<AnyGreet>,
    prepare_timeout: Duration,
    greet_timeout: Duration,
    resume: Resume,
}

/// What a try comes to.
struct Opened {
    socket: Socket,
    greeting: Greeting,
    kept: Vec<Message>,
}

impl Actor {
    /// Tries once, and gets everything ready for messages.
    pub(super) async fn attempt(&mut self, refresh: bool, cause: Option<Error>) -> Result<Socket, Failed> {
        let number = self.schedule.attempt();
        self.shared.counters().attempts.one_more();
        self.shared.set(State::Connecting { attempt: number });
        self.shared.tell(|| Event::Connecting { attempt: number });
        let one = Try {
            shared: Arc::clone(&self.shared),
            connect: self.plan.connect.clone(),
            prepare: self.plan.prepare.clone(),
            greet: self.plan.greet.clone(),
            prepare_timeout: self.plan.prepare_timeout,
            greet_timeout: self.plan.greet_timeout,
            resume: self.resume(),
        };
        // On the heap: it is large, and there only for a moment.
        let mut trying = Box::pin(one.run(Attempt::new(number).with_refresh(refresh).with_cause(cause)));
        let opened = poll_fn(|cx| {
            match self.poll_desk(cx) {
                Poll::Ready(Order::Close(_)) => {
                    return Poll::Ready(Err(Failed::Ordered(End { closed: None, cause: None })));
                }
                // It is being made already.
                Poll::Ready(Order::Start | Order::Renew) => cx.waker().wake_by_ref(),
                Poll::Pending => {}
            }
            trying.as_mut().poll(cx)
        })
        .await?;
        drop(trying);
        let Opened { socket, greeting, kept } = opened;
        self.schedule.opened();
        self.welcome(greeting, kept);
        Ok(socket)
    }

    /// Topics first, then what was not acknowledged, then what waits.
    fn welcome(&mut self, greeting: Greeting, kept: Vec<Message>) {
        let Greeting { session, recovered, acknowledged_up_to, .. } = greeting;
        if session.is_some() {
            self.session = session;
        }
        if !recovered {
            self.seen = Seen::default();
            self.run = self.shared.begin_session();
        }
        if let Some(sequence) = acknowledged_up_to {
            self.acknowledged(Ack::UpTo(sequence));
        }
        let resent = self.window.as_mut().map_or(0, |window| {
            window.rewind();
            window.len()
        });
        let now = self.shared.now();
        self.schedule.ready(now);
        self.shared.counters().connections.one_more();
        self.shared.set(State::Ready);
        // From now on those who come and go are noted, so that none is missed in between.
        let topics = self.shared.topics();
        if let Some(dialect) = &self.plan.dialect {
            self.urgent.extend(topics.iter().filter_map(|topic| dialect.subscribe(topic)));
        }
        self.shared.tell(|| Event::Ready { recovered, resent });
        for message in kept {
            self.deliver(message);
        }
    }
}

impl Try {
    async fn run(mut self, attempt: Attempt) -> Result<Opened, Failed> {
        if let Some(prepare) = self.prepare.take() {
            let prepared = pin!(prepare.prepare(self.connect, attempt));
            let prepared = within(prepared, &**self.shared.clock(), self.prepare_timeout, "prepare").await;
            self.connect = prepared.map_err(|error| Failed::Error { error, is_prepared: false })?;
        }
        self.open().await.map_err(|error| Failed::Error { error, is_prepared: true })
    }

    async fn open(self) -> Result<Opened> {
        let Self { connect, .. } = &self;
        let mut socket = connect.connect().await?;
        let mut kept = Vec::new();
        let Some(greet) = &self.greet else {
            return Ok(Opened { socket, greeting: Greeting::default(), kept });
        };
        self.shared.set(State::Open);
        let greeting = {
            let mut link = Link::new(&mut socket, &mut kept);
            let greeting = pin!(greet.greet(&mut link, &self.resume));
            within(greeting, &**self.shared.clock(), self.greet_timeout, "greet").await?
        };
        Ok(Opened { socket, greeting, kept })
    }
}

/// The owner's part, if it does not take too long.
async fn within<T>(
    mut part: Pin<&mut impl Future<Output = Result<T>>>,
    clock: &dyn Clock,
    timeout: Duration,
    operation: &'static str,
) -> Result<T> {
    // A time that no clock reaches is no limit.
    let mut patience = clock.now().checked_add(timeout).map(|deadline| clock.sleep_until(deadline));
    poll_fn(|cx| {
        if let Poll::Ready(done) = part.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        match &mut patience {
            Some(patience) => patience.as_mut().poll(cx).map(|()| Err(Error::timeout(operation, Phase::Wait))),
            None => Poll::Pending,
        }
    })
    .await
}
