//! The last event id, on its way to where it is kept.

use std::task::{Context, Poll};
use std::time::Duration;

use netcomm_core::{Env, Error, Phase, Result};

use crate::open::{patience, within};
use crate::prepare::{AnyKeep, BoxFuture};

/// Keeps one id at a time, and then the newest.
pub(super) struct Keeper {
    keep: AnyKeep,
    /// What was handed over last.
    known: String,
    saving: Option<BoxFuture<'static, Result<()>>>,
}

impl Keeper {
    pub(super) fn new(keep: AnyKeep) -> Self {
        Self { keep, known: String::new(), saving: None }
    }

    pub(super) fn load(&self, env: &Env, timeout: Duration) -> BoxFuture<'static, Result<Option<String>>> {
        let keep = self.keep.clone();
        let patience = patience(&**env.clock(), timeout);
        Box::pin(async move {
            let too_late = || Err(Error::timeout("load last event id", Phase::Total));
            within(patience, keep.load()).await.unwrap_or_else(too_late)
        })
    }

    pub(super) fn loaded(&mut self, id: &str) {
        id.clone_into(&mut self.known);
    }

    /// Ready once `id` is kept, or could not be.
    pub(super) fn poll(&mut self, id: &str, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(saving) = &mut self.saving {
                let Poll::Ready(saved) = saving.as_mut().poll(cx) else { return Poll::Pending };
                self.saving = None;
                if saved.is_err() {
                    return Poll::Ready(saved);
                }
            }
            if self.known == id {
                return Poll::Ready(Ok(()));
            }
            id.clone_into(&mut self.known);
            let (keep, id) = (self.keep.clone(), id.to_owned());
            self.saving = Some(Box::pin(async move { keep.save(id).await }));
        }
    }
}
