//! The places that a connection takes of its scope for as long as it lives.

use std::sync::Arc;

use netcomm_core::{Error, ErrorKind, Phase, Result, Scope, Stage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::patience::Patience;

/// One place of each layer that limits how many there are; nothing where none does. They are free again when it is
/// dropped.
#[derive(Debug, Default)]
pub(crate) struct Places {
    _held: Vec<OwnedSemaphorePermit>,
}

/// The state that this crate keeps of a layer.
struct Seats(Arc<Semaphore>);

impl Places {
    /// Takes them, first come first served.
    ///
    /// # Errors
    ///
    /// `Busy` naming the layer that had no place in time.
    ///
    /// # Cancel safety
    ///
    /// What was taken is given back.
    pub(super) async fn take(scope: &Scope, patience: &Patience<'_>) -> Result<Self> {
        let mut layers: Vec<_> = scope
            .layers()
            .filter_map(|layer| {
                let most = layer.concurrency()?.get().min(Semaphore::MAX_PERMITS);
                let seats = layer.state(|| Arc::new(Seats(Arc::new(Semaphore::new(most)))));
                Some((layer.name(), most, seats))
            })
            .collect();
        // Any order will do as long as it is everybody's: so nobody waits for what one holds that waits for it.
        layers.sort_by_key(|(_, _, seats)| Arc::as_ptr(seats).addr());
        let mut held = Vec::with_capacity(layers.len());
        for (name, most, seats) in layers {
            let busy = || {
                Error::new(ErrorKind::Busy, "connect")
                    .with_phase(Phase::Blocked)
                    .with_stage(Stage::Limit)
                    .with_detail(format!("scope {name:?}: its {most} connections are in use"))
            };
            let place = Arc::clone(&seats.0).acquire_owned();
            held.push(patience.until(place).await.and_then(Result::ok).ok_or_else(busy)?);
        }
        Ok(Self { _held: held })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use netcomm_core::Clock;
    use netcomm_tests::ManualClock;

    use super::*;

    #[tokio::test]
    async fn a_place_is_held_and_given_back() {
        let manual = ManualClock::new();
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let one = Scope::builder("one").allow_all().concurrency(NonZeroUsize::MIN).build();
        let scope = Scope::builder("outer").allow_all().build().narrow(&one);
        let patience = Patience::new(&clock, Duration::from_secs(5));
        let first = Places::take(&scope, &patience).await.expect("a place");
        let waits = async {
            manual.until_sleeping(1).await;
            manual.advance(Duration::from_secs(5));
        };
        let (late, ()) = tokio::join!(Places::take(&one, &patience), waits);
        let error = late.expect_err("the only place is taken");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Busy, Some(Phase::Blocked)));
        assert!(error.to_string().contains("\"one\"") && error.is_unsent(), "{error}");
        drop(first);
        let patience = Patience::new(&clock, Duration::from_secs(5));
        assert!(Places::take(&one, &patience).await.is_ok());
        assert!(Places::take(&Scope::unlimited(), &patience).await.expect("no limit")._held.is_empty());
    }
}
