//! Paths that come, go and change.

use std::time::Duration;

use netcomm_core::{AddressFamily, Connectivity, Error, ErrorKind, Reach, Result};
use netcomm_monitor::{
    DefaultRoute, Interface, InterfaceAddress, InterfaceKind, Monitor, PathSource, PathState, Reason,
};

use crate::stage::{SECOND, Stage, ip, next, settle, until, wired};

#[tokio::test(start_paused = true)]
async fn a_path_that_goes_and_returns() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    let mut states = monitor.states();
    let here = until(&mut states, Reach::Online, Reason::Path).await;
    assert_eq!(here.paths.as_deref(), Some(&wired()));
    tokio::time::advance(SECOND).await;

    stage.paths.set(PathState::none());
    let gone = until(&mut states, Reach::Offline, Reason::NoPath).await;
    assert_eq!(gone.since.duration_since(here.since), SECOND, "at once");
    assert_eq!(gone.generation, here.generation + 1, "what was connected is not to be trusted");
    tokio::time::advance(SECOND).await;

    stage.paths.set(wired());
    let back = until(&mut states, Reach::Online, Reason::Path).await;
    assert_eq!(back.since.duration_since(gone.since), SECOND, "at once");
    assert_eq!(back.generation, gone.generation, "there was nothing that this could break");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_at_once_whoever_and_however_many() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    stage.paths.set(PathState::none());
    until(&mut monitor.states(), Reach::Offline, Reason::NoPath).await;
    let seen = monitor.current();
    let waits: Vec<_> = (0..1000).map(|_| tokio::spawn(monitor.changed(seen))).collect();
    settle().await;
    tokio::time::advance(3600 * SECOND).await;
    assert!(waits.iter().all(|wait| !wait.is_finished()));
    let returned = tokio::time::Instant::now();
    stage.paths.set(wired());
    for wait in waits {
        assert_eq!(wait.await.expect("no panic").reach, Reach::Online);
    }
    assert_eq!(returned.elapsed(), Duration::ZERO);
    // Who asks with an old view does not wait.
    assert_eq!(monitor.changed(seen).await.reach, Reach::Online);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_changes_is_passed_on_at_a_pace_and_never_starved() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    let mut states = monitor.states();
    until(&mut states, Reach::Online, Reason::Path).await;
    tokio::time::advance(SECOND).await;
    let begun = tokio::time::Instant::now();
    let mut told = Vec::new();
    // Another address each 100 ms, for 8 seconds.
    for turn in 0..80_u32 {
        stage.paths.update(|paths| {
            let cable = Interface::new(2, "eth0", InterfaceKind::Wired)
                .with_address(InterfaceAddress::new(ip("192.0.2.7"), 24))
                .with_address(InterfaceAddress::new(ip(&format!("192.0.2.{}", 100 + turn)), 24));
            paths.with_interface(cable)
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        while !states.is_empty() {
            next(&mut states).await;
            told.push(begun.elapsed());
        }
    }
    assert!((25..=33).contains(&told.len()), "one in 250 ms: {told:?}");
    assert!(told[0] <= Duration::from_millis(100), "the first at once");
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= Duration::from_millis(400)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flap_within_the_pace_ends_in_the_truth() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    let mut states = monitor.states();
    until(&mut states, Reach::Online, Reason::Path).await;
    tokio::time::advance(SECOND).await;
    for _ in 0..10 {
        stage.paths.set(PathState::none());
        tokio::time::sleep(Duration::from_millis(3)).await;
        stage.paths.set(wired());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    stage.paths.set(PathState::none());
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(monitor.current().reach, Reach::Offline);
    stage.paths.set(wired());
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(monitor.current().reach, Reach::Online);
}

#[tokio::test(start_paused = true)]
async fn another_way_out_is_another_network_and_no_break() {
    let stage = Stage::new();
    let monitor = stage.builder().start();
    let mut states = monitor.states();
    let before = until(&mut states, Reach::Online, Reason::Path).await;
    tokio::time::advance(SECOND).await;
    let wlan = Interface::new(3, "wlan0", InterfaceKind::Wifi)
        .with_address(InterfaceAddress::new(ip("198.51.100.7"), 24))
        .with_metered(Some(true));
    stage.paths.update(|paths| {
        let route = DefaultRoute::new(3, Some(ip("198.51.100.1")));
        paths.with_interface(wlan).with_default(AddressFamily::V4, Some(route))
    });
    let after = next(&mut states).await;
    assert_eq!((after.reach, after.generation), (Reach::Online, before.generation + 1));
    assert!(after.metered && !before.metered);
    assert!(monitor.current().metered);
    assert_eq!(after.since, before.since, "it was never away");
}

/// Tells of one path, then fails.
struct Failing(Option<PathState>);

impl PathSource for Failing {
    async fn next(&mut self) -> Result<PathState> {
        self.0.take().ok_or_else(|| Error::new(ErrorKind::Io, "watch paths"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_takes_nothing_down() {
    let stage = Stage::new();
    let monitor = Monitor::builder(&stage.base).paths(Failing(Some(PathState::none()))).start();
    let mut states = monitor.states();
    until(&mut states, Reach::Online, Reason::Presumed).await;
    settle().await;
    assert_eq!(monitor.state().paths, None);
    assert_eq!(monitor.current().reach, Reach::Online);
}

#[tokio::test(start_paused = true)]
async fn without_paths_there_is_one() {
    let stage = Stage::new();
    let monitor = Monitor::builder(&stage.base).without_paths().start();
    settle().await;
    let state = monitor.state();
    assert_eq!((state.reach, state.reason, state.paths), (Reach::Online, Reason::Presumed, None));
}
