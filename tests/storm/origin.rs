//! An origin that can do so much and no more, and freezes for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use netcomm_core::{Body, HttpTransport, Result};
use tokio::time::{Instant, sleep_until};

use crate::crowd::Setting;

/// What it costs to turn somebody away, of what an answer costs.
const REFUSAL: f64 = 0.1;

/// One worker with a queue before it. It does not notice who has gone meanwhile: what was asked for is done.
#[derive(Clone)]
pub(crate) struct Origin {
    state: Arc<Mutex<State>>,
}

struct State {
    service: Duration,
    queue: u32,
    freezes: Instant,
    thaws: Instant,
    /// When it will have done all that it was given.
    free_at: Instant,
    sends: u64,
}

impl Origin {
    pub(crate) fn new(setting: &Setting, start: Instant) -> Self {
        let state = State {
            service: Duration::from_secs_f64(1.0 / setting.capacity),
            queue: setting.queue,
            freezes: start + setting.before,
            thaws: start + setting.before + setting.outage,
            free_at: start,
            sends: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many requests it has got.
    pub(crate) fn sends(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).sends
    }

    /// When the answer to a request that comes now is ready; with `false` if it is a refusal.
    fn accept(&self) -> (Instant, bool) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sends += 1;
        let mut begins = state.free_at.max(now);
        if begins >= state.freezes && begins < state.thaws {
            begins = state.thaws;
        }
        // Those that wait are counted by the work that they are.
        let works_from = if now >= state.freezes && now < state.thaws { state.thaws } else { now };
        let waiting = begins.saturating_duration_since(works_from);
        let (service, most) = (state.service, state.queue);
        if waiting > service * most {
            state.free_at += service.mul_f64(REFUSAL);
            return (now + Duration::from_millis(1), false);
        }
        state.free_at = begins + state.service;
        (state.free_at, true)
    }
}

impl HttpTransport for Origin {
    async fn send(&self, _: Request<Body>) -> Result<Response<Body>> {
        let (ready_at, is_done) = self.accept();
        sleep_until(ready_at).await;
        let mut response = Response::new(Body::empty());
        if !is_done {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    }
}
