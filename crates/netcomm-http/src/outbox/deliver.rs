//! Sends what is kept: one task that looks who is next, and one for each call that is being sent.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use netcomm_core::{Body, Error, ErrorKind, Network, Reach, Result};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::Outbox;
use super::event::{OutboxAnswer, OutboxEvent};
use super::kept::{Failure, KeptId};
use super::queue::Failed;
use super::record::{self, MAX_MESSAGE_BYTES, Record};
use super::shared::{Command, Job, Shared, closed};
use super::verdict::{self, Verdict};
use crate::client::Client;
use crate::offline::Offline;
use crate::request::{Options, Request, ResilienceOptions};
use crate::response::Response;
use crate::retry::{Feedback, Retry};

/// The delivery of kept calls, for as long as this lives. Dropped, it sends no more: a call that is being sent is broken off,
/// stays kept, and is sent again by the next delivery with the same idempotency key.
#[derive(Debug)]
#[must_use = "dropping it ends the delivery"]
pub struct Delivery {
    task: JoinHandle<()>,
    /// Dropped to end it.
    stop: oneshot::Sender<()>,
}

impl Delivery {
    pub(super) fn start(outbox: Outbox, client: Client) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { task: tokio::spawn(run(outbox, client, stopped)), stop }
    }

    /// Ends the delivery, and waits until nothing is being sent any more.
    ///
    /// # Cancel safety
    ///
    /// It ends even if the future is dropped.
    pub async fn stop(self) {
        let Self { task, stop } = self;
        drop(stop);
        // It has ended, if need be by the end of the runtime.
        drop(task.await);
    }
}

/// Behind a portal somebody else would answer in the server's name.
fn is_open(network: Network) -> bool {
    !matches!(network.reach, Reach::Offline | Reach::Captive)
}

async fn run(outbox: Outbox, client: Client, mut stopped: oneshot::Receiver<()>) {
    let (shared, partition) = (&outbox.shared, &outbox.partition);
    let connectivity = shared.env.connectivity();
    let mut network = connectivity.current();
    let mut network_change = connectivity.changed(network);
    let mut changes = shared.changes();
    let mut sending = JoinSet::new();
    loop {
        // Before looking, so that what happens meanwhile is not missed.
        changes.mark_unchanged();
        if shared.is_closed() {
            break;
        }
        shared.expire();
        while is_open(network)
            && let Some(job) = shared.next(partition)
        {
            sending.spawn(send(Arc::clone(shared), client.clone(), job));
        }
        let look = shared.next_look(partition, is_open(network));
        let alarm = async {
            match look {
                Some(at) => shared.env.clock().sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = &mut stopped => break,
            _ = changes.changed() => {}
            // Whatever became of it stands in the queue.
            Some(_) = sending.join_next() => {}
            changed = &mut network_change => {
                network = changed;
                network_change = connectivity.changed(network);
                if is_open(network) {
                    shared.network_changed(partition);
                }
            }
            () = alarm => {}
        }
    }
    sending.shutdown().await;
}

/// Gives a call back if its sending ends without an outcome.
struct Sending {
    shared: Arc<Shared>,
    id: KeptId,
    failures_in_a_row: u32,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The user's code around calls: at once again it would be the same.
            self.failed(&Error::new(ErrorKind::User, "send call").with_detail("it panicked"), true, None, false);
        } else {
            self.shared.let_go(self.id);
        }
    }
}

/// Sends a call once, and sees to what becomes of it.
async fn send(shared: Arc<Shared>, client: Client, mut job: Job) {
    let sending = Sending { shared: Arc::clone(&shared), id: job.id, failures_in_a_row: job.failures_in_a_row };
    let attempt = async {
        match load(&shared, job.id).await {
            Err(error) => sending.failed(&error, false, None, false),
            Ok(None) => shared.set_aside(job.id),
            Ok(Some(record)) => match client.execute(request(&client, record)?).await {
                Err(error) => sending.no_answer(&error),
                Ok(response) => sending.answered(&job.conflicts, job.maybe_sent, response).await,
            },
        }
        Ok::<_, Error>(())
    };
    tokio::select! {
        biased;
        // Called off: it is ending.
        _ = &mut job.stop => {}
        sent = attempt => if let Err(error) = sent {
            sending.no_answer(&error);
        },
    }
}

/// The call as it was kept; `None` if it cannot be read.
async fn load(shared: &Shared, id: KeptId) -> Result<Option<Record>> {
    let (done, wait) = oneshot::channel();
    shared.send(Command::Load { id, done });
    let bytes = wait.await.map_err(|_| closed())??;
    Ok(bytes.and_then(|bytes| record::decode(id, &bytes)))
}

/// The request as it was kept; all else is the client's.
fn request(client: &Client, record: Record) -> Result<Request> {
    let Record { method, uri, headers, body, .. } = record;
    // It has its place here, whatever it waits for: not in the client's gate for calls without network, nor in its retries,
    // where it would hold up others and its tries would not be counted.
    let (retry, offline) = (Some(Retry::never()), Some(Offline::Fail));
    let resilience = ResilienceOptions { retry, offline, ..ResilienceOptions::default() };
    let options = Options { resilience: Some(Box::new(resilience)), ..Options::default() };
    Ok(Request { method, address: client.resolve(uri)?, headers, body: Body::from(body), options })
}

impl Sending {
    fn failure(&self, error: &Error) -> Failure {
        let mut message = error.to_string();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        Failure { at: self.shared.wall(), status: error.status(), message: message.into() }
    }

    /// There is to be another attempt: after the wait that the server asked for, or by chance within a bound that grows.
    fn failed(&self, error: &Error, maybe_sent: bool, asked: Option<std::time::Duration>, is_conflict: bool) {
        let settings = &self.shared.settings;
        let wait = match asked {
            Some(asked) => asked.min(settings.max_retry_after),
            None => settings.backoff.wait(self.failures_in_a_row.saturating_add(1), self.shared.env.random()),
        };
        self.shared.failed(
            self.id,
            Failed {
                failure: self.failure(error),
                until: self.shared.now() + wait,
                is_asked: asked.is_some(),
                maybe_sent,
                is_conflict,
            },
        );
    }

    fn no_answer(&self, error: &Error) {
        match verdict::of_error(error) {
            Verdict::Refused => {
                let event = OutboxEvent::Refused { id: self.id, failure: self.failure(error), answer: None };
                self.shared.refused(self.id, error.status(), event);
            }
            Verdict::Delivered | Verdict::Again => {
                let asked = error.retry_at().map(|at| at.saturating_duration_since(self.shared.now()));
                self.failed(error, verdict::maybe_sent(error), asked, false);
            }
        }
    }

    async fn answered(&self, conflicts: &u32, maybe_sent: bool, mut response: Response) {
        let status = response.status();
        let verdict = verdict::of_status(status, maybe_sent.then_some(*conflicts));
        // Also of a failed attempt, so that its connection can be used again.
        let (body, is_whole) = beginning(&mut response, self.shared.settings.answer_bytes).await;
        let answer = || {
            let headers = response.headers().clone();
            Arc::new(OutboxAnswer { status, headers, body: body.clone(), is_whole })
        };
        let error = || Error::new(ErrorKind::Status, "send call").with_detail(status.to_string()).with_status(status);
        match verdict {
            Verdict::Delivered => {
                self.shared.delivered(self.id, OutboxEvent::Delivered { id: self.id, answer: answer() });
            }
            Verdict::Refused => {
                let failure = self.failure(&error());
                let event = OutboxEvent::Refused { id: self.id, failure, answer: Some(answer()) };
                self.shared.refused(self.id, Some(status), event);
            }
            Verdict::Again => {
                let asked = Feedback::of(status, response.headers(), || self.shared.wall()).wait();
                self.failed(&error(), true, asked, status == http::StatusCode::CONFLICT);
            }
        }
    }
}

/// At most so much of a body, and whether that is all. That a body breaks off changes nothing about the answer.
async fn beginning(response: &mut Response, most: usize) -> (Bytes, bool) {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(None) => return (body.freeze(), true),
            Err(_) => return (body.freeze(), false),
            Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                body.extend_from_slice(&chunk[..most - body.len()]);
                return (body.freeze(), false);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
        }
    }
}
