//! The system's time, by way of tokio.

use std::time::{Instant, SystemTime};

use netcomm_core::{Clock, Sleep};

/// The system's clock, with tokio's timers.
///
/// It follows tokio's time, so that a test can pause and advance it (`tokio::time::pause`). The
/// civil time is the system's and cannot be paused.
///
/// # Panics
///
/// [`sleep_until`](Clock::sleep_until) panics outside a tokio runtime whose time driver is enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time() {
        let began = SystemClock.now();
        SystemClock.sleep_until(began + Duration::from_secs(3600)).await;
        assert_eq!(SystemClock.now() - began, Duration::from_secs(3600));
        SystemClock.sleep_until(began).await;
        assert_eq!(SystemClock.now() - began, Duration::from_secs(3600));
    }
}
