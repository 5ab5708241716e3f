//! A batch from its first call to its last answer. One task carries it, since it belongs to all of its callers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netcomm_core::{Error, ErrorKind, Phase, Result};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::codec::{Codec, Encoded};
use super::gather::{Answer, Batch, Entered, Entry, Seat};
use super::window::Bounds;
use crate::client::Client;
use crate::request::Request;

/// What the handles of a batcher share.
pub(super) struct Shared<C: Codec> {
    pub(super) client: Client,
    pub(super) codec: C,
    /// The request of every batch, without its body. A body cannot be shared between threads, a lock around it can.
    pub(super) template: Mutex<Request>,
    pub(super) bounds: Bounds,
    pub(super) in_flight: Semaphore,
    /// How long a batch that is due waits for one in flight to end.
    pub(super) blocked: Duration,
    /// The batch that calls join. It stays here while it waits for a place in flight, so that it fills up meanwhile.
    /// This lock is taken before that of a batch.
    pub(super) open: Mutex<Option<Arc<Batch<C>>>>,
}

impl<C: Codec> Shared<C> {
    /// Hands a call in and waits for its answer.
    pub(super) async fn call(self: &Arc<Self>, call: C::Call) -> Result<C::Answer> {
        let bytes = self.codec.size(&call)?;
        let (sender, answer) = oneshot::channel();
        let seat = self.join(Entry { call, bytes, answer: sender })?;
        seat.wait(answer).await
    }

    fn join(self: &Arc<Self>, mut entry: Entry<C>) -> Result<Seat<C>> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Unsupported, "batch").with_detail("it needs a tokio runtime").with_source(error)
        })?;
        let now = self.client.clock().now();
        let (mut left_behind, mut full, mut begun) = (None, None, None);
        let mut open = self.open();
        let seat = loop {
            let batch = open.get_or_insert_with(|| {
                let batch = Batch::open(self.bounds, now);
                begun = Some(Arc::clone(&batch));
                batch
            });
            match batch.enter(entry) {
                Entered::Seated(seat, false) => break seat,
                Entered::Seated(seat, true) => {
                    full = open.take();
                    break seat;
                }
                // An empty batch takes every call, so this happens once.
                Entered::Back(back) => {
                    left_behind = open.take();
                    entry = back;
                }
            }
        };
        drop(open);
        for batch in [left_behind, full].into_iter().flatten() {
            batch.hurry();
        }
        if let Some(batch) = begun {
            runtime.spawn(Carrier { shared: Arc::clone(self), batch }.run());
        }
        Ok(seat)
    }

    /// Closes the batch that is open and has it sent.
    pub(super) fn flush(&self) {
        let batch = self.open().take();
        if let Some(batch) = batch {
            batch.hurry();
        }
    }

    /// Takes out the calls of a batch; nobody joins it after that.
    fn close(&self, batch: &Arc<Batch<C>>) -> Vec<Entry<C>> {
        let mut open = self.open();
        if open.as_ref().is_some_and(|own| Arc::ptr_eq(own, batch)) {
            *open = None;
        }
        batch.take()
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>> {
        if let Ok(permit) = self.in_flight.try_acquire() {
            return Ok(permit);
        }
        let clock = self.client.clock();
        let waiting = clock.sleep_until(clock.now() + self.blocked);
        let limit = self.blocked;
        tokio::select! {
            biased;
            Ok(permit) = self.in_flight.acquire() => Ok(permit),
            () = waiting => Err(Error::timeout("batch", Phase::Blocked).with_detail(
                format!("no batch in flight has ended within {limit:?} (timeout blocked)"))),
        }
    }

    async fn exchange(&self, calls: Vec<C::Call>) -> Result<Vec<Result<C::Answer>>> {
        let template = self.template.lock().unwrap_or_else(PoisonError::into_inner).try_clone();
        let mut request = template.expect("a template has no body");
        let count = calls.len();
        let Encoded { headers, body, sent } = self.codec.encode(calls)?;
        crate::headers::replace(&mut request.headers, headers);
        request.body = body.into();
        let url = request.uri().clone();
        let response = Box::pin(self.client.execute(request)).await?;
        let status = response.status();
        let told = |error: Error| error.with_status(status).with_url(&url.to_string());
        let (mut head, ()) = http::Response::new(()).into_parts();
        (head.status, head.version) = (status, response.version());
        head.headers.clone_from(response.headers());
        let unsuccessful = || told(Error::new(ErrorKind::Status, "call").with_detail(status.to_string()));
        if !self.codec.reads(&head) {
            return Err(unsuccessful());
        }
        let body = Box::pin(response.bytes()).await.map_err(|error| error.with_status(status))?;
        let answers = self.codec.decode(&sent, &head, body).map_err(|error| {
            // A codec that reads errors knows more of one than its status.
            let is_told = status.is_success() || error.kind() == ErrorKind::Status;
            if is_told { told(error) } else { unsuccessful().with_source(error) }
        })?;
        Ok(answers.sized(count).into_results().map(|answer| answer.map_err(told)).collect())
    }

    fn open(&self) -> MutexGuard<'_, Option<Arc<Batch<C>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries one batch. If it is dropped, wherever it is, its callers are told.
struct Carrier<C: Codec> {
    shared: Arc<Shared<C>>,
    batch: Arc<Batch<C>>,
}

impl<C: Codec> Carrier<C> {
    async fn run(self) {
        let (shared, batch) = (&self.shared, &self.batch);
        batch.until_due(&**shared.client.clock()).await;
        let place = shared.place().await;
        let (calls, callers): (Vec<_>, Vec<_>) =
            shared.close(batch).into_iter().map(|entry| (entry.call, entry.answer)).unzip();
        if calls.is_empty() {
            return;
        }
        // What is larger than this task may be is boxed once per batch.
        let exchange = Box::pin(async {
            let _place = place?;
            shared.exchange(calls).await
        });
        tokio::select! {
            biased;
            outcome = exchange => answer::<C>(callers, outcome),
            () = batch.until_deserted() => {}
        }
    }
}

impl<C: Codec> Drop for Carrier<C> {
    fn drop(&mut self) {
        drop(self.shared.close(&self.batch));
    }
}

/// Gives each caller its own.
fn answer<C: Codec>(callers: Vec<Answer<C>>, outcome: Result<Vec<Result<C::Answer>>>) {
    match outcome {
        Ok(answers) => {
            for (caller, answer) in callers.into_iter().zip(answers) {
                // Whoever has left does not want it.
                drop(caller.send(answer));
            }
        }
        Err(error) => {
            for caller in callers {
                drop(caller.send(Err(error.clone())));
            }
        }
    }
}
