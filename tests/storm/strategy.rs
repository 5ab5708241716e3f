//! The ways to try again that are compared.

use std::time::Duration;

use netcomm_core::{Backoff, Budget, Jitter};
use netcomm_http::{Breaker, ClientBuilder, Retry};

/// One of them.
pub(crate) struct Strategy {
    pub(crate) name: &'static str,
    pub(crate) apply: fn(ClientBuilder) -> ClientBuilder,
}

/// All of them. The second and the third are what loops in applications and most middleware do.
pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy { name: "no retry", apply: |builder| builder },
    Strategy { name: "exponential", apply: |builder| builder.retry(unbounded(Jitter::None)).budget(limitless()) },
    Strategy { name: "with jitter", apply: |builder| builder.retry(unbounded(Jitter::Full)).budget(limitless()) },
    Strategy { name: "netcomm", apply: |builder| builder.retry(Retry::default()).breaker(Breaker::default()) },
];

fn unbounded(jitter: Jitter) -> Retry {
    Retry::default().backoff(Backoff::new(Duration::from_millis(200), Duration::from_secs(20)).with_jitter(jitter))
}

fn limitless() -> Budget {
    Budget::default().with_reserve(1_000_000).with_percent(1000)
}
