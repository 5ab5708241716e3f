//! What happens to kept calls, as it is told to whoever watches.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use netcomm_core::Redacted;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::kept::{Failure, KeptId};

/// What happened to a call. What ends one is told once it is on disk that it has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OutboxEvent {
    /// It is on disk.
    Kept {
        /// The call.
        id: KeptId,
    },
    /// It is being sent.
    Sending {
        /// The call.
        id: KeptId,
        /// Which attempt it is, counted from 1.
        attempt: u32,
    },
    /// It was answered with success, or with a redirect that is not followed. It is kept no more.
    Delivered {
        /// The call.
        id: KeptId,
        /// What the server said.
        answer: Arc<OutboxAnswer>,
    },
    /// It was refused for good. It is kept no more; see [`Outbox::ended`](super::Outbox::ended).
    Refused {
        /// The call.
        id: KeptId,
        /// Why.
        failure: Failure,
        /// What the server said; `None` if the call could not be sent at all.
        answer: Option<Arc<OutboxAnswer>>,
    },
    /// An attempt failed; there will be another one.
    Failed {
        /// The call.
        id: KeptId,
        /// Why.
        failure: Failure,
        /// When it is sent again, if the network does not change before.
        again_at: SystemTime,
    },
    /// Its time was over. It is kept no more; see [`Outbox::ended`](super::Outbox::ended).
    Expired {
        /// The call.
        id: KeptId,
    },
    /// It was called off. It is kept no more.
    Canceled {
        /// The call.
        id: KeptId,
        /// Whether it may have reached the server all the same.
        maybe_sent: bool,
    },
    /// It could not be read back from disk and was moved aside.
    Damaged {
        /// The call.
        id: KeptId,
    },
    /// This many events were missed, of any part of the outbox, because they were not taken in time. What is kept stands in
    /// [`Outbox::list`](super::Outbox::list).
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// The answer that ended a call.
#[derive(Clone)]
#[non_exhaustive]
pub struct OutboxAnswer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The beginning of the body: at most [`max_answer_bytes`](super::OutboxBuilder::max_answer_bytes).
    pub body: Bytes,
    /// Whether that is all of the body.
    pub is_whole: bool,
}

impl std::fmt::Debug for OutboxAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxAnswer")
            .field("status", &self.status)
            .field("headers", &Redacted(&self.headers))
            .field("body_bytes", &self.body.len())
            .field("is_whole", &self.is_whole)
            .finish()
    }
}

/// An event, and the partition whose call it is about.
pub(super) type Told = (Arc<str>, OutboxEvent);

/// The events of an outbox, from the moment this was asked for. See [`Outbox::watch`](super::Outbox::watch).
#[derive(Debug)]
pub struct Watch {
    partition: Arc<str>,
    events: broadcast::Receiver<Told>,
}

impl Watch {
    pub(super) fn new(partition: Arc<str>, events: broadcast::Receiver<Told>) -> Self {
        Self { partition, events }
    }

    /// The next event; `None` once the outbox is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<OutboxEvent> {
        loop {
            match self.events.recv().await {
                Ok((partition, event)) if partition == self.partition => return Some(event),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => return Some(OutboxEvent::Lagged { missed }),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
