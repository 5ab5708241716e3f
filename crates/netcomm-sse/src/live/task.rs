//! The story of a live document, on its task: fetch it, follow its changes, and fetch it again where they do not lead on.

mod batch;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use netcomm_core::{
    Attempt, Env, Error, ErrorKind, Event as Observed, Interest, Next, Observation, Reach, Reconnect, Schedule, Verdict,
};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::document::Document;
use super::fetch::{Fetch, Fetched};
use super::follow::AnyFollow;
use super::limits::LiveLimits;
use super::snapshot::{LiveState, Shown, View};
use crate::state::End;

/// What a document was set up to be.
pub(super) struct Plan {
    pub(super) env: Env,
    pub(super) fetch: Fetch,
    pub(super) follow: AnyFollow,
    /// The document is on this machine, which needs no network.
    pub(super) is_local: bool,
    pub(super) reconnect: Reconnect,
    pub(super) limits: LiveLimits,
}

/// What the owner can ask for. One of each is as good as many.
pub(super) struct Orders {
    /// Anything, or the end of all handles, is the end.
    pub(super) close: mpsc::Receiver<()>,
    pub(super) refresh: mpsc::Receiver<()>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
enum Need {
    Fetch,
    Follow,
}

/// Why it does not go on.
#[derive(Debug)]
enum Lack {
    /// This came in between; after a wait there is need of that.
    Failed {
        error: Error,
        judged: Verdict,
        need: Need,
    },
    /// The owner wants it fetched.
    Asked,
    Over(End),
}

impl Lack {
    /// The copy is not that of the server.
    fn out_of_step(error: Error) -> Self {
        Self::Failed { error, judged: Verdict::Retry, need: Need::Fetch }
    }
}

pub(super) struct Task<T> {
    plan: Plan,
    document: Document,
    schedule: Schedule,
    view: watch::Sender<View<T>>,
    refresh: mpsc::Receiver<()>,
    /// What ended the last try, for the next one.
    cause: Option<Error>,
    /// The last one was refused for its credentials.
    is_refused: bool,
    /// The document of now cannot be read as a `T`, for this reason.
    unreadable: Option<Error>,
    /// The stream of changes is open.
    is_open: bool,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Task<T> {
    pub(super) async fn run(plan: Plan, view: watch::Sender<View<T>>, orders: Orders) {
        let Orders { mut close, refresh } = orders;
        let mut task = Self {
            document: Document::new(plan.limits),
            schedule: Schedule::new(plan.reconnect.clone()),
            plan,
            view,
            refresh,
            cause: None,
            is_refused: false,
            unreadable: None,
            is_open: false,
        };
        let end = first(close.recv(), Box::pin(task.live())).await.unwrap_or(End::Owner);
        task.stand(LiveState::Closed(end));
    }

    async fn live(&mut self) -> End {
        let mut need = Need::Fetch;
        loop {
            self.until_online().await;
            self.schedule.trying();
            let lack = match need {
                Need::Fetch => match self.fetch().await {
                    Ok(()) => self.follow().await,
                    Err(lack) => lack,
                },
                Need::Follow => self.follow().await,
            };
            self.is_open = false;
            self.document.lost();
            need = match lack {
                Lack::Over(end) => return end,
                Lack::Asked => {
                    self.stand(LiveState::Connecting);
                    Need::Fetch
                }
                Lack::Failed { error, judged, need } => match self.wait(error, judged, need).await {
                    Ok(need) => need,
                    Err(end) => return end,
                },
            };
        }
    }

    /// Waits as long as the failure asks for, and says what comes then.
    async fn wait(&mut self, error: Error, judged: Verdict, need: Need) -> Result<Need, End> {
        let now = self.now();
        let verdict = self.plan.reconnect.verdict(&error, |_| judged);
        let at = match self.schedule.failed(now, verdict, self.plan.env.random()) {
            Next::GiveUp(why) => return Err(End::Failed(error.with_gave_up(why))),
            Next::At(at) => at,
            Next::RefreshThenAt(at) => {
                self.is_refused = true;
                at
            }
        };
        let (tries, wait) = (self.schedule.attempt().saturating_sub(1), at.saturating_duration_since(now));
        self.plan.env.tap().emit(Interest::DECISION, || Observation::new(now, Observed::Retrying { tries, wait }));
        self.cause = Some(error.clone());
        self.stand(LiveState::Behind(error));
        Ok(if self.pause(at).await { Need::Fetch } else { need })
    }

    /// Until then, or until the network changes; `true` if the owner does not want to wait.
    async fn pause(&mut self, at: Instant) -> bool {
        let env = self.plan.env.clone();
        let mut sleep = env.clock().sleep_until(at);
        let mut network = env.connectivity().current();
        let mut change = env.connectivity().changed(network);
        poll_fn(|cx| {
            if let Poll::Ready(Some(())) = self.refresh.poll_recv(cx) {
                return Poll::Ready(true);
            }
            while let Poll::Ready(now) = change.as_mut().poll(cx) {
                network = now;
                change = env.connectivity().changed(network);
                if let Some(sooner) = self.schedule.network_changed(env.clock().now(), env.random()) {
                    sleep = env.clock().sleep_until(sooner);
                }
            }
            sleep.as_mut().poll(cx).map(|()| false)
        })
        .await
    }

    async fn until_online(&self) {
        let connectivity = self.plan.env.connectivity();
        let mut network = connectivity.current();
        while network.reach == Reach::Offline && !self.plan.is_local {
            let cause = self.cause.clone().unwrap_or_else(|| Error::new(ErrorKind::Offline, super::fetch::OPERATION));
            self.stand(LiveState::Behind(cause));
            network = connectivity.changed(network).await;
        }
    }

    async fn fetch(&mut self) -> Result<(), Lack> {
        let attempt = Attempt::new(self.schedule.attempt())
            .with_refresh(std::mem::take(&mut self.is_refused))
            .with_cause(self.cause.take());
        let etag = self.document.etag().cloned();
        let fetched = self.plan.fetch.run(attempt, etag).await;
        let is_same = matches!(fetched, Ok(Fetched::Same { .. }));
        match fetched {
            Ok(Fetched::Whole { value, sequence, etag }) => self.document.fetched(value, sequence, etag),
            Ok(Fetched::Same { sequence }) => self.document.confirmed(sequence),
            Err(error) => {
                let judged = self.judge_fetch(&error);
                return Err(Lack::Failed { error, judged, need: Need::Fetch });
            }
        }
        self.heard();
        if is_same && self.unreadable.is_none() {
            // Readers have it already, and keep what they share.
            let sequence = self.document.reached();
            self.view.send_if_modified(|view| view.renumber(sequence));
            return Ok(());
        }
        match self.show() {
            Ok(()) => Ok(()),
            // Nothing was ever right: that is more likely the type's fault than the document's.
            Err(error) if self.is_first() => Err(Lack::Failed { error, judged: Verdict::Fatal, need: Need::Fetch }),
            // What a change has spoiled another one may mend: there is nothing better to be had.
            Err(error) => {
                self.stand(LiveState::Behind(error));
                Ok(())
            }
        }
    }

    fn judge_fetch(&self, error: &Error) -> Verdict {
        match error.kind() {
            // What once was a document will be one again: somebody serves a page for people meanwhile.
            ErrorKind::Decode | ErrorKind::Protocol | ErrorKind::TooLarge if !self.is_first() => Verdict::Retry,
            _ => self.judge(error),
        }
    }

    fn judge(&self, error: &Error) -> Verdict {
        match Verdict::of(error, self.now()) {
            Verdict::RefreshCredentials if self.plan.fetch.prepare.is_none() => Verdict::Fatal,
            verdict => verdict,
        }
    }

    /// No document could be read so far.
    fn is_first(&self) -> bool {
        self.view.borrow().shown.is_none()
    }

    /// Shows the document of now to all readers.
    fn show(&mut self) -> Result<(), Error> {
        let value = match self.document.read::<T>() {
            Ok(value) => value,
            Err(error) => {
                self.unreadable = Some(error.clone());
                return Err(error);
            }
        };
        self.unreadable = None;
        let etag = self.document.etag().cloned();
        let shown = Shown { value: Arc::new(value), sequence: self.document.reached(), etag };
        let mut before = None;
        self.view.send_modify(|view| before = view.shown.replace(shown));
        // Outside of the lock: it may be the last of its kind, and dropping it is the owner's code.
        drop(before);
        Ok(())
    }

    /// Shows where the copy stands.
    fn stand(&self, state: LiveState) {
        self.view.send_if_modified(|view| {
            let is_same = view.state.is_in_step() && state.is_in_step();
            view.state = state;
            !is_same
        });
    }

    /// Something came that shows the document to be in step.
    fn heard(&self) {
        let now = self.now();
        self.view.send_if_modified(|view| {
            view.heard = Some(now);
            false
        });
    }

    fn now(&self) -> Instant {
        self.plan.env.clock().now()
    }
}

/// What the second comes to, unless the first is there before.
async fn first<A, B: Future + Unpin>(before: impl Future<Output = A>, mut made: B) -> Option<B::Output> {
    let mut before = pin!(before);
    poll_fn(|cx| match before.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => Pin::new(&mut made).poll(cx).map(Some),
    })
    .await
}
