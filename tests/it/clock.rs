//! The clocks of the fixtures keep their word.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use netcomm_core::Clock;
use netcomm_tests::{ManualClock, TokioClock};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn sleeps_end_in_the_order_of_their_deadlines() {
    let clock = ManualClock::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut sleepers = Vec::new();
    for seconds in [3, 1, 2, 1] {
        let (sleep, order) = (clock.sleep_until(clock.now() + seconds * SECOND), Arc::clone(&order));
        sleepers.push(tokio::spawn(async move {
            sleep.await;
            order.lock().expect("no panic").push(seconds);
        }));
    }
    clock.until_sleeping(4).await;
    assert_eq!(clock.next_sleep(), Some(SECOND));
    clock.advance(10 * SECOND);
    for sleeper in sleepers {
        sleeper.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("no panic"), [1, 1, 2, 3]);
}

#[tokio::test]
async fn a_sleep_ends_at_its_deadline_and_not_before() {
    let clock = ManualClock::new();
    let sleeper = tokio::spawn(clock.sleep_until(clock.now() + SECOND));
    clock.run_for(SECOND - Duration::from_nanos(1)).await;
    assert!(!sleeper.is_finished());
    clock.run_for(Duration::from_nanos(1)).await;
    assert!(sleeper.is_finished());
    clock.sleep_until(clock.now()).await;
    clock.sleep_until(clock.now() - SECOND).await;
}

#[tokio::test]
async fn running_stops_at_sleeps_that_begin_on_the_way() {
    let clock = ManualClock::new();
    let start = clock.now();
    let times = tokio::spawn({
        let clock = clock.clone();
        async move {
            let mut times = Vec::new();
            for seconds in [1, 2, 4] {
                clock.sleep_until(clock.now() + seconds * SECOND).await;
                times.push(clock.now() - start);
            }
            times
        }
    });
    clock.run_for(100 * SECOND).await;
    assert_eq!(times.await.expect("no panic"), [SECOND, 3 * SECOND, 7 * SECOND]);
    assert_eq!(clock.elapsed(), 100 * SECOND);
}

#[tokio::test]
async fn a_dropped_sleep_is_forgotten() {
    let clock = ManualClock::new();
    let sleeper = tokio::spawn(clock.sleep_until(clock.now() + SECOND));
    clock.until_sleeping(1).await;
    sleeper.abort();
    assert!(sleeper.await.expect_err("aborted").is_cancelled());
    assert_eq!((clock.pending_sleeps(), clock.next_sleep()), (0, None));
}

#[tokio::test]
async fn the_civil_time_moves_along_and_can_be_set() {
    let clock = ManualClock::new();
    let start = clock.wall();
    clock.advance(SECOND);
    assert_eq!(clock.wall(), start + SECOND);
    let before = clock.now();
    clock.set_wall(SystemTime::UNIX_EPOCH);
    clock.advance(SECOND);
    assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + SECOND);
    assert_eq!(clock.now(), before + SECOND);
}

#[tokio::test(start_paused = true)]
async fn tokios_clock_leaps_when_time_is_paused() {
    let clock = TokioClock::new();
    let (start, wall) = (clock.now(), clock.wall());
    clock.sleep_until(start + 3600 * SECOND).await;
    assert_eq!(clock.now() - start, 3600 * SECOND);
    assert_eq!(clock.wall(), wall + 3600 * SECOND);
}
