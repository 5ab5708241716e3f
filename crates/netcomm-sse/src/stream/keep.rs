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
    /// What was kept before is known: until then nothing may take its place.
    is_loaded: bool,
    /// What was handed over last could not be kept.
    has_failed: bool,
    saving: Option<BoxFuture<'static, Result<()>>>,
}

impl Keeper {
    pub(super) fn new(keep: AnyKeep) -> Self {
        Self { keep, known: String::new(), is_loaded: false, has_failed: false, saving: None }
    }

    pub(super) fn load(&self, env: &Env, timeout: Duration) -> BoxFuture<'static, Result<Option<String>>> {
        let keep = self.keep.clone();
        let patience = patience(&**env.clock(), timeout);
        Box::pin(async move {
            let too_late = || Err(Error::timeout("load last event id", Phase::Total));
            within(patience, keep.load()).await.unwrap_or_else(too_late)
        })
    }

    /// The source begins behind that one.
    pub(super) fn loaded(&mut self, id: &str) {
        id.clone_into(&mut self.known);
        self.is_loaded = true;
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// The end is near: the last one that could not be kept is tried once more, if it still is the last one.
    pub(super) fn insist(&mut self, id: &str) {
        if std::mem::take(&mut self.has_failed) && self.known == id {
            self.saving = Some(self.save());
        }
    }

    /// Gives up what is being kept.
    pub(super) fn forsake(&mut self) {
        self.saving = None;
        self.has_failed = true;
    }

    fn save(&self) -> BoxFuture<'static, Result<()>> {
        let (keep, id) = (self.keep.clone(), self.known.clone());
        Box::pin(async move { keep.save(id).await })
    }

    /// Ready once `id` is kept, or could not be.
    pub(super) fn poll(&mut self, id: &str, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.is_loaded {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(saving) = &mut self.saving {
                let Poll::Ready(saved) = saving.as_mut().poll(cx) else { return Poll::Pending };
                self.saving = None;
                self.has_failed = saved.is_err();
                if saved.is_err() {
                    return Poll::Ready(saved);
                }
            }
            if self.known == id {
                return Poll::Ready(Ok(()));
            }
            id.clone_into(&mut self.known);
            self.saving = Some(self.save());
        }
    }
}
