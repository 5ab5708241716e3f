//! While a stream of changes is there: all that came together is one step for readers.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use http::StatusCode;
use netcomm_core::{Error, Verdict};
use serde::de::DeserializeOwned;

use super::{Lack, Need, Task};
use crate::live::document::Outcome;
use crate::live::follow::{Following, News};
use crate::live::snapshot::LiveState;
use crate::state::End;

/// News that are taken before readers see what came of them, and others of the runtime get their turn.
const BATCH: usize = 256;

/// What came together.
#[derive(Debug, Default)]
struct Batch {
    news: usize,
    is_changed: bool,
    /// Something that shows the document to be in step.
    is_heard: bool,
    /// The stream was lost, and has not come back.
    lost: Option<Error>,
    lack: Option<Lack>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Task<T> {
    /// Follows the changes for as long as they lead on.
    pub(super) async fn follow(&mut self) -> Lack {
        let mut following = self.plan.follow.follow(self.document.reached());
        loop {
            let batch = poll_fn(|cx| self.poll_batch(&mut following, cx)).await;
            let is_full = batch.news == BATCH;
            if let Some(lack) = self.take(batch) {
                return lack;
            }
            if is_full {
                tokio::task::yield_now().await;
            }
        }
    }

    fn poll_batch(&mut self, following: &mut Following, cx: &mut Context<'_>) -> Poll<Batch> {
        let mut batch = Batch::default();
        if let Poll::Ready(Some(())) = self.refresh.poll_recv(cx) {
            batch.lack = Some(Lack::Asked);
            return Poll::Ready(batch);
        }
        while batch.news < BATCH && batch.lack.is_none() {
            match Pin::new(&mut *following).poll_next(cx) {
                Poll::Ready(Some(Ok(news))) => {
                    batch.news += 1;
                    self.hear(news, &mut batch);
                }
                Poll::Ready(Some(Err(error))) => batch.lack = Some(self.gave_up(error)),
                Poll::Ready(None) => batch.lack = Some(Lack::Over(End::NoContent)),
                Poll::Pending if batch.news == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(batch)
    }

    fn hear(&mut self, news: News, batch: &mut Batch) {
        match news {
            News::Open { after } => {
                self.document.opened(after);
                self.schedule.ready(self.now());
                self.is_open = true;
                batch.lost = None;
                batch.is_heard = true;
            }
            News::Change(change) => match self.document.apply(change) {
                Outcome::Applied => {
                    batch.is_changed = true;
                    batch.is_heard = true;
                }
                Outcome::Old => batch.is_heard = true,
                Outcome::Gap(error) | Outcome::Anew(error) | Outcome::Broken(error) => {
                    batch.lack = Some(Lack::out_of_step(error));
                }
            },
            News::Alive => batch.is_heard = true,
            News::Lost(error) => {
                self.document.lost();
                self.schedule.lost(self.now());
                self.is_open = false;
                batch.lost = Some(error);
            }
            News::Unreadable(error) => batch.lack = Some(Lack::out_of_step(error)),
        }
    }

    /// The stream has ended and will not come back by itself.
    fn gave_up(&self, error: Error) -> Lack {
        // What the server would have to go on from is gone: there is a document to begin with again.
        if error.status() == Some(StatusCode::GONE) {
            return Lack::out_of_step(error);
        }
        let judged = if error.gave_up().is_some() { Verdict::Fatal } else { self.judge(&error) };
        Lack::Failed { error, judged, need: Need::Follow }
    }

    /// Shows what came of it, and says why it does not go on, if so.
    fn take(&mut self, batch: Batch) -> Option<Lack> {
        if batch.is_heard {
            self.heard();
        }
        let was_readable = self.unreadable.is_none();
        if batch.is_changed
            && self.document.is_whole()
            && let Err(error) = self.show()
            && batch.lack.is_none()
            && was_readable
        {
            // Perhaps the copy is wrong. If the server's own document is no better, each change is looked at and none is
            // worth another fetch.
            return Some(Lack::out_of_step(error));
        }
        if batch.lack.is_some() {
            return batch.lack;
        }
        if let Some(error) = batch.lost {
            self.stand(LiveState::Behind(error));
        } else if self.is_open {
            self.stand(self.unreadable.clone().map_or(LiveState::InStep, LiveState::Behind));
        }
        None
    }
}
