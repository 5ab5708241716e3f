//! How a monitor begins and ends, and how it is put into an environment.

use std::time::Duration;

use netcomm_core::{Connectivity, Event, Reach};
use netcomm_monitor::{Monitor, SleepClock, SleepWatch};
use netcomm_tests::CollectingObserver;

use crate::stage::{SECOND, Stage, settle};

#[tokio::test(start_paused = true)]
async fn its_task_ends_with_the_last_handle() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    let env = monitor.env(&stage.base);
    let mut states = monitor.states();
    settle().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks(), 1);
    drop(monitor);
    settle().await;
    assert_eq!(tasks(), 1, "an environment is a handle too");
    drop(env);
    settle().await;
    assert_eq!(tasks(), 0);
    while let Some(state) = states.next().await {
        state.expect("no state is missing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_keeps_it_alive() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    settle().await;
    let seen = monitor.current();
    let wait = tokio::spawn(monitor.changed(seen));
    drop(monitor);
    settle().await;
    stage.paths.set(netcomm_monitor::PathState::none());
    assert_eq!(wait.await.expect("no panic").reach, Reach::Offline);
}

#[tokio::test(start_paused = true)]
async fn observers_that_were_there_go_on_observing() {
    let mut stage = Stage::new();
    stage.serve_all();
    let seen = CollectingObserver::new();
    stage.base = stage.base.with_tap(seen.tap());
    let monitor = stage.builder().start();
    stage.client(&monitor).get("http://a.example/").send().await.expect("a response").bytes().await.expect("a body");
    assert_eq!(seen.count(|event| matches!(event, Event::CallEnded { .. })), 1);
    assert!(monitor.quality().samples > 0, "and the monitor sees it too");
}

/// A machine that sleeps when the test says so.
#[derive(Clone, Debug, Default)]
struct Lid(std::sync::Arc<std::sync::Mutex<Duration>>);

impl SleepClock for Lid {
    fn awake(&mut self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn elapsed(&mut self) -> Option<Duration> {
        Some(*self.0.lock().expect("no panic"))
    }
}

#[tokio::test(start_paused = true)]
async fn sleep_is_another_network() {
    let stage = Stage::new();
    let lid = Lid::default();
    let monitor = stage.builder().sleep_watch(SleepWatch::new(lid.clone())).start();
    settle().await;
    let before = monitor.current();
    *lid.0.lock().expect("no panic") = 3600 * SECOND;
    let changed = tokio::time::timeout(16 * SECOND, monitor.changed(before)).await.expect("noticed within 15 s");
    assert_eq!(changed.generation, before.generation + 1);
    assert_eq!(changed.reach, Reach::Online);
}

#[test]
fn handles_can_be_sent_and_shared() {
    fn is_handle<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    is_handle::<Monitor>();
}
