//! The client's part: a source, in both of its forms.

use std::future::poll_fn;
use std::task::Poll;

use netcomm_core::{Listening, Slow, Subscription};
use netcomm_sse::{Builder, EventSource, EventStream, EventSubscription, Notice, Select};
use tokio::sync::{mpsc, watch};

use crate::told::{Ear, Told};

/// The forms of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// Polled in place, where all that happens has one order.
    Stream,
    /// On a task, where events and all else have listeners of their own.
    Source,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Stream, Self::Source];
}

/// A source at work.
pub(crate) enum Client {
    Stream { told: mpsc::UnboundedReceiver<Told>, orders: mpsc::UnboundedSender<Order>, read: watch::Receiver<u64> },
    Source { source: EventSource, events: Box<EventSubscription>, notices: Subscription<Notice>, ear: Ear },
}

pub(crate) enum Order {
    Restart,
    Close,
}

impl Client {
    pub(crate) fn start(form: Form, builder: Builder) -> Result<Self, String> {
        let failed = |error: netcomm_core::Error| error.to_string();
        match form {
            Form::Stream => {
                let stream = builder.stream().map_err(failed)?;
                let (tell, told) = mpsc::unbounded_channel();
                let (orders, ordered) = mpsc::unbounded_channel();
                let (reading, read) = watch::channel(0);
                drop(tokio::spawn(drive(stream, tell, ordered, reading)));
                Ok(Self::Stream { told, orders, read })
            }
            Form::Source => {
                let source = builder.open().map_err(failed)?;
                let all =
                    Listening::default().with_items(1024).with_slow(Slow::DropOldest).with_bytes(64 * 1024 * 1024);
                let notices = source.notices(all);
                let events = Box::new(source.subscribe(Select::all(), all));
                Ok(Self::Source { source, events, notices, ear: Ear::default() })
            }
        }
    }

    /// The next thing it tells of that kind; of any kind where there is one order.
    pub(crate) async fn next(&mut self, like: &Told) -> Result<Option<Told>, String> {
        match self {
            Self::Stream { told, .. } => Ok(told.recv().await),
            Self::Source { events, notices, ear, .. } => match like {
                Told::Event(_) => match events.next().await {
                    Some(Ok(event)) => Ok(Some(Told::Event(event))),
                    Some(Err(lagged)) => Err(lagged.to_string()),
                    None => Ok(None),
                },
                _ => loop {
                    match notices.next().await {
                        Some(Ok(notice)) => {
                            if let Some(told) = ear.hear(notice) {
                                return Ok(Some(told));
                            }
                        }
                        Some(Err(lagged)) => return Err(lagged.to_string()),
                        None => return Ok(None),
                    }
                },
            },
        }
    }

    /// Waits until so many bytes of streams were read, where that can be known: the next chunk is then one of its own.
    pub(crate) async fn has_read(&mut self, bytes: u64) {
        if let Self::Stream { read, .. } = self {
            // One that is over reads no more.
            let _over = read.wait_for(|read| *read >= bytes).await;
        }
    }

    pub(crate) fn restart(&self) {
        match self {
            Self::Stream { orders, .. } => drop(orders.send(Order::Restart)),
            Self::Source { source, .. } => source.restart(),
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::Stream { orders, .. } => drop(orders.send(Order::Close)),
            Self::Source { source, .. } => source.close(),
        }
    }

    /// All that it tells until nothing more comes.
    pub(crate) async fn rest(mut self) -> Result<Vec<Told>, String> {
        let mut rest = Vec::new();
        // Of each kind, where there are two orders.
        for like in [crate::told::message(""), Told::Lost] {
            while let Some(told) = self.next(&like).await? {
                rest.push(told);
            }
        }
        match &self {
            Self::Source { source, .. } if !source.state().is_closed() => Err(format!("then {:?}", source.state())),
            _ => Ok(rest),
        }
    }
}

/// Polls a stream until it is over. What came is told before an order is heeded.
async fn drive(
    mut stream: EventStream,
    tell: mpsc::UnboundedSender<Told>,
    mut ordered: mpsc::UnboundedReceiver<Order>,
    reading: watch::Sender<u64>,
) {
    let mut ear = Ear::default();
    loop {
        let order = poll_fn(|cx| {
            while let Poll::Ready(notice) = stream.poll_notice(cx) {
                let Some(notice) = notice else { return Poll::Ready(None) };
                // Without a listener the case is over.
                let _over = ear.hear(notice).is_some_and(|told| tell.send(told).is_err());
            }
            reading.send_replace(stream.counts().bytes);
            ordered.poll_recv(cx)
        })
        .await;
        match order {
            Some(Order::Restart) => stream.restart(),
            Some(Order::Close) => stream.close(),
            None => return,
        }
    }
}
