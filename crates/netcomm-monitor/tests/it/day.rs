//! A whole day of traffic: memory stays where it was.

use std::time::Duration;

use netcomm_core::{CallId, Event, Observation, Observe};
use netcomm_monitor::PathState;

use crate::stage::{SECOND, Stage, settle, wired};

/// What one call tells, on a connection of its own.
fn call(monitor: &impl Observe, number: u64, at: std::time::Instant) {
    let origin = format!("http://h{}.example:80", number % 1000);
    let took = Duration::from_millis(20 + number % 400);
    let tell = |event| monitor.observe(&Observation::new(at, event).with_call(CallId(number + 1), None));
    let method = http::Method::GET;
    tell(Event::CallStarted { method: method.clone(), url: format!("{origin}/x") });
    tell(Event::AttemptStarted { number: 1, origin: origin.clone() });
    for _ in 0..4 {
        tell(Event::BodyReceived { bytes: 16 * 1024 });
    }
    let status = (!number.is_multiple_of(50)).then_some(http::StatusCode::OK);
    let error = status.is_none().then_some(netcomm_core::ErrorKind::Timeout);
    let version = status.map(|_| http::Version::HTTP_11);
    let wait = status.map(|_| took);
    tell(Event::AttemptEnded { number: 1, origin, method, version, status, error, reused: true, wait, took });
    // Some calls never end.
    if !number.is_multiple_of(7) {
        tell(Event::CallEnded { status, error, received_bytes: 64 * 1024, took });
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_keeps_memory_flat() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    // One listener that never looks.
    let _states = monitor.states();
    let _qualities = monitor.qualities();
    settle().await;
    let mut number = 0;
    let mut grew = Vec::new();
    for hour in 0..24_u32 {
        let mut at = tokio::time::Instant::now().into_std();
        let allocated = allocation_counter::measure(|| {
            for _ in 0..3_000 {
                at += Duration::from_millis(1200);
                call(&monitor, number, at);
                number += 1;
            }
            let _ = monitor.quality();
        });
        grew.push(allocated.bytes_current);
        for _ in 0..20 {
            tokio::time::advance(180 * SECOND).await;
            stage.paths.set(if hour % 2 == 0 { PathState::none() } else { wired() });
            settle().await;
            stage.paths.set(wired());
            settle().await;
        }
    }
    let later: i64 = grew[12..].iter().sum();
    // A table may once be made anew with more room; 36 000 calls that left something would leave more.
    assert!(later.abs() < 256 * 1024, "the second half of the day left {later} bytes: {grew:?}");
}
