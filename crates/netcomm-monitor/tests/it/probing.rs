//! What the monitor asks, whom, when, and what it makes of the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netcomm_core::{AddressFamily, ConnectInfo, Endpoint, Error, ErrorKind, Io, Reach};
use netcomm_http::testing::{Gate, ReceivedRequest, Reply, ScriptedServer};
use netcomm_monitor::{Answer, PathState, Probe, ReachConfig, Reason};

use crate::stage::{SECOND, Stage, dual, settle, until};

fn probe() -> Probe {
    Probe::new("http://probe.example/204").expect("a URL")
}

fn honest(request: &ReceivedRequest) -> Reply {
    let reply = Reply::status(204);
    match request.header("x-netcomm-challenge") {
        Some(word) => reply.header("x-netcomm-response", format!("response {word}")),
        None => reply,
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_is_online() {
    for probe in [probe(), probe().with_challenge()] {
        let stage = Stage::new();
        let server = stage.serve(ScriptedServer::builder().handler(honest));
        let monitor = stage.builder().probe(probe).start();
        let mut states = monitor.states();
        let state = until(&mut states, Reach::Online, Reason::Probe).await;
        let report = state.probe.expect("a report");
        assert_eq!((&report.v4, &report.v6), (&Some(Answer::Good), &None), "only paths that are there are tried");
        assert_eq!(server.request_count(), 1);
        assert_eq!(server.requests()[0].header("host"), Some("probe.example"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_portal_is_found_however_it_answers() {
    let to_login = || Reply::status(302).header("location", "http://login.example/?mac=hunter2");
    for (reply, challenge, location) in [
        (to_login(), false, Some("http://login.example/")),
        (Reply::status(200).body("<html>"), false, None),
        (Reply::status(511).body("log in"), false, None),
        (Reply::status(204), true, None),
    ] {
        let stage = Stage::new();
        stage.serve(ScriptedServer::builder().handler(move |_| reply.clone()));
        let probe = if challenge { probe().with_challenge() } else { probe() };
        let monitor = stage.builder().probe(probe).start();
        let state = until(&mut monitor.states(), Reach::Captive, Reason::Portal).await;
        assert_eq!(state.probe.expect("a report").portal(), location);
    }
}

#[tokio::test(start_paused = true)]
async fn a_portal_is_left_within_seconds_of_the_login() {
    let stage = Stage::new();
    let gate = Gate::new();
    let shut = gate.clone();
    stage.serve(ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
        if shut.is_open() { honest(request) } else { Reply::status(200).body("<html>") }
    }));
    let monitor = stage.builder().probe(probe().with_challenge()).start();
    let mut states = monitor.states();
    until(&mut states, Reach::Captive, Reason::Portal).await;
    gate.open();
    let since = tokio::time::Instant::now();
    until(&mut states, Reach::Online, Reason::Probe).await;
    assert!(since.elapsed() <= 5 * SECOND, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn silence_is_offline_in_time_and_its_end_is_seen() {
    let stage = Stage::new();
    stage.dialer.hang_all();
    let monitor = stage.builder().probe(probe()).start();
    let mut states = monitor.states();
    let begun = tokio::time::Instant::now();
    let state = until(&mut states, Reach::Offline, Reason::ProbeFailed).await;
    assert_eq!(begun.elapsed(), 5 * SECOND);
    assert!(matches!(state.probe.expect("a report").v4, Some(Answer::None { is_name: false, .. })));
    assert_eq!(stage.dialer.dials(), 5, "a try each second, since packets get lost");
    stage.serve(ScriptedServer::builder().handler(honest));
    until(&mut states, Reach::Online, Reason::Probe).await;
    assert!(begun.elapsed() <= 11 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_does_not_wait_out_the_time() {
    let stage = Stage::new();
    stage.dialer.fail_all(ErrorKind::Connect);
    let monitor = stage.builder().probe(probe()).start();
    let begun = tokio::time::Instant::now();
    until(&mut monitor.states(), Reach::Offline, Reason::ProbeFailed).await;
    assert_eq!((begun.elapsed(), stage.dialer.dials()), (2 * SECOND, 3));
}

#[tokio::test(start_paused = true)]
async fn a_lost_try_is_no_failed_probe() {
    let stage = Stage::new();
    let server = ScriptedServer::builder().handler(honest).offline();
    stage.dialer.serve_all(move |stream| server.serve(stream));
    stage.dialer.hang_next();
    stage.dialer.fail_next(ErrorKind::Closed);
    stage.dialer.hang_next();
    let monitor = stage.builder().probe(probe()).start();
    let begun = tokio::time::Instant::now();
    until(&mut monitor.states(), Reach::Online, Reason::Probe).await;
    assert_eq!(begun.elapsed(), 3 * SECOND);
}

/// Dials that end as `outcome` says for each family; `None` is a host without such an address.
fn by_family(stage: &Stage, v4: Option<Result<(), ErrorKind>>, v6: Option<Result<(), ErrorKind>>) {
    let server = ScriptedServer::builder().handler(honest).offline();
    stage.dialer.with_all(move |target| {
        let server = server.clone();
        async move {
            let is_address = matches!(&target.endpoint, Endpoint::Tcp { host, .. } if host.ip().is_some());
            let outcome = match target.family {
                _ if is_address => Some(Ok(())),
                Some(AddressFamily::V4) => v4,
                Some(AddressFamily::V6) => v6,
                None => None,
            };
            match outcome {
                Some(Ok(())) => {
                    let (near, far) = tokio::io::duplex(4096);
                    tokio::spawn(server.serve(far));
                    Ok(Io::new(near, ConnectInfo::default()))
                }
                Some(Err(kind)) => Err(Error::new(kind, "dial")),
                None => Err(Error::new(ErrorKind::Dns, "resolve")),
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn families_and_names_are_told_apart() {
    let (good, dead) = (Some(Ok(())), Some(Err(ErrorKind::Connect)));
    for (v4, v6, by_address, reach, reason) in [
        (good, good, false, Reach::Online, Reason::Probe),
        (good, dead, false, Reach::Online, Reason::Probe),
        (dead, good, false, Reach::Limited, Reason::NoIpv4),
        (good, None, false, Reach::Online, Reason::Probe),
        (None, good, false, Reach::Online, Reason::Probe),
        (dead, dead, false, Reach::Offline, Reason::ProbeFailed),
        (None, None, false, Reach::Offline, Reason::ProbeFailed),
        (None, None, true, Reach::Limited, Reason::NoNames),
    ] {
        let stage = Stage::new();
        stage.paths.set(dual());
        by_family(&stage, v4, v6);
        let probe = if by_address { probe().with_address_url("http://192.0.2.1/204").expect("a URL") } else { probe() };
        let monitor = stage.builder().probe(probe).start();
        let mut states = monitor.states();
        let state = until(&mut states, reach, reason).await;
        let report = state.probe.expect("a report");
        assert_eq!(report.v4 == Some(Answer::Good), v4 == good);
        assert_eq!(report.v6 == Some(Answer::Good), v6 == good);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_whom_the_application_has_not_named() {
    let stage = Stage::new();
    stage.serve_all();
    let monitor = stage.builder().start();
    tokio::time::sleep(24 * 3600 * SECOND).await;
    assert_eq!(monitor.probe().await, None);
    assert_eq!(stage.dialer.dials(), 0);

    let monitor = stage.builder().probe(probe()).start();
    monitor.probe().await.expect("a report");
    tokio::time::sleep(3600 * SECOND).await;
    let hosts: std::collections::BTreeSet<_> = stage.dialer.targets().iter().map(ToString::to_string).collect();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), ["probe.example:80"]);
}

#[tokio::test(start_paused = true)]
async fn traffic_that_succeeds_spares_probes() {
    let stage = Stage::new();
    let probes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&probes);
    stage.serve(ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
        if request.path() == "/204" {
            count.fetch_add(1, Ordering::Relaxed);
            return Reply::status(204);
        }
        Reply::status(200)
    }));
    let monitor = stage.builder().probe(probe()).start();
    let client = stage.client(&monitor);
    settle().await;
    for _ in 0..60 {
        client.get("http://a.example/").send().await.expect("a response");
        tokio::time::sleep(30 * SECOND).await;
    }
    assert_eq!(probes.load(Ordering::Relaxed), 1, "the one at the beginning");
    tokio::time::sleep(600 * SECOND).await;
    assert!((9..=11).contains(&probes.load(Ordering::Relaxed)), "then one a minute");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_is_settled_by_a_probe_at_once() {
    let stage = Stage::new();
    let server = stage.serve(ScriptedServer::builder().handler(honest));
    let monitor = stage.builder().probe(probe()).start();
    let client = stage.client(&monitor);
    let mut states = monitor.states();
    until(&mut states, Reach::Online, Reason::Probe).await;
    tokio::time::sleep(10 * SECOND).await;
    let before = server.request_count();
    stage.dialer.fail_next(ErrorKind::Connect);
    client.get("http://a.example/").send().await.expect_err("no connection");
    settle().await;
    assert_eq!(server.request_count(), before + 1);
    assert_eq!(monitor.state().reach, Reach::Online);
}

#[tokio::test(start_paused = true)]
async fn a_report_can_be_asked_for() {
    let stage = Stage::new();
    let server = stage.serve(ScriptedServer::builder().handler(honest));
    let config = ReachConfig::default().with_probe_when_idle(None);
    let monitor = stage.builder().probe(probe()).reach(config).start();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(server.request_count(), 1, "the one at the beginning");
    let report = monitor.probe().await.expect("a report");
    assert_eq!((report.v4.clone(), report.took), (Some(Answer::Good), Duration::ZERO));
    assert_eq!(server.request_count(), 2);
    stage.paths.set(PathState::none());
    until(&mut monitor.states(), Reach::Offline, Reason::NoPath).await;
    assert_eq!(monitor.probe().await, None, "there is no way to send one");
}
