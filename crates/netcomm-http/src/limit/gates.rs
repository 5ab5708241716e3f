//! All the gates that a call passes: those of its scope's layers, and that of the origin.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use netcomm_core::{Clock, Result, Scope, ScopeLayer};

use super::Verdict;
use super::concurrency::Concurrency;
use super::gate::{Gate, Permit};

/// The gates of a scope's layers. Where no layer has limits there are none, and that costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Gates {
    list: Option<Arc<[Arc<Gate>]>>,
}

impl Gates {
    /// The gates of the scope, made now where nobody has made them. A gate that is there goes by the clock with which it
    /// was made.
    pub(crate) fn of(scope: &Scope, clock: &Arc<dyn Clock>) -> Self {
        let gate = |layer: ScopeLayer<'_>| {
            let (rate, concurrency) = (layer.rate(), layer.concurrency().map(Concurrency::fixed));
            let is_limited = rate.is_some() || concurrency.is_some();
            is_limited.then(|| layer.state(|| Gate::of_scope(layer.name(), rate, concurrency, clock)))
        };
        let mut list: Vec<_> = scope.layers().filter_map(gate).collect();
        // Any order will do as long as it is everybody's: of two calls that carry the same two layers, none waits for the
        // other with what that one wants in its hands.
        list.sort_by_key(|gate| Arc::as_ptr(gate).addr());
        Self { list: (!list.is_empty()).then(|| list.into()) }
    }

    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_none()
    }

    /// Passes all of them, and that of the origin last. Nothing is spent if one of them is hopeless from the start. With
    /// nothing to wait for it is done at the first poll.
    ///
    /// # Errors
    ///
    /// As [`Gate::pass`].
    ///
    /// # Cancel safety
    ///
    /// As [`Gate::pass`]; what was passed already is given back, but for shares of rates.
    pub(crate) async fn pass(&self, origin: Option<&Arc<Gate>>, now: Instant, until: Instant) -> Result<Permits> {
        let mut permits = Permits::default();
        let scope = self.list.as_deref().unwrap_or_default();
        if !scope.is_empty() {
            scope.iter().chain(origin).try_for_each(|gate| gate.check(now, until))?;
            permits.scope.reserve_exact(scope.len());
        }
        for gate in scope {
            permits.scope.push(one(gate, now, until).await?);
        }
        if let Some(gate) = origin {
            permits.origin = Some(one(gate, now, until).await?);
        }
        Ok(permits)
    }
}

/// Whoever has to wait can afford to put that on the heap, and the others need not carry it.
async fn one(gate: &Arc<Gate>, now: Instant, until: Instant) -> Result<Permit> {
    match gate.try_pass(now) {
        Some(permit) => Ok(permit),
        None => Box::pin(gate.pass(until)).await,
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.as_deref().unwrap_or_default()).finish()
    }
}

/// What one attempt has passed, to be kept to the end of the response's body. Dropping it says nothing about how it went.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    origin: Option<Permit>,
    scope: Vec<Permit>,
}

impl Permits {
    /// The same, to say how it went when they are dropped.
    pub(crate) fn judged(mut self, verdict: Verdict) -> Self {
        self.origin.iter_mut().chain(&mut self.scope).for_each(|permit| permit.judge(verdict));
        self
    }
}

#[cfg(test)]
mod tests {
    use netcomm_tests::ManualClock;
    use nonzero_ext::nonzero;

    use super::*;

    #[test]
    fn two_that_carry_the_same_layers_pass_them_in_the_same_order() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let scopes: Vec<_> = (0..8)
            .map(|at| Scope::builder(format!("{at}")).allow_all().concurrency(nonzero!(1_usize)).build())
            .collect();
        let all = |scope: Scope, other: &Scope| scope.narrow(other);
        let order = |scope: &Scope| -> Vec<_> {
            Gates::of(scope, &clock).list.iter().flat_map(|list| list.iter()).map(Arc::as_ptr).collect()
        };
        let forth = order(&scopes.iter().fold(Scope::unlimited(), all));
        let back = order(&scopes.iter().rev().fold(Scope::unlimited(), all));
        assert_eq!((forth.len(), forth), (8, back));
    }
}
