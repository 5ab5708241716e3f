//! What the monitor makes of the application's own traffic.

use std::time::Duration;

use netcomm_core::{ErrorKind, Reach};
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_monitor::Reason;

use crate::stage::{SECOND, Stage, settle, until};

#[tokio::test(start_paused = true)]
async fn a_network_that_leads_nowhere_is_noticed_and_its_return_too() {
    let stage = Stage::new();
    let server = stage.serve_all();
    let monitor = stage.builder().start();
    let client = stage.client(&monitor);
    let mut states = monitor.states();
    let get = |host: &str| client.get(format!("http://{host}.example/")).send();
    get("a").await.expect("a response").bytes().await.expect("a body");
    until(&mut states, Reach::Online, Reason::Traffic).await;

    tokio::time::advance(10 * SECOND).await;
    stage.dialer.fail_all(ErrorKind::Connect);
    for host in ["b", "b", "c"] {
        get(host).await.expect_err("no connection");
        assert_eq!(monitor.state().reach, Reach::Online, "two hosts are those hosts' trouble");
    }
    get("d").await.expect_err("no connection");
    until(&mut states, Reach::Offline, Reason::TrafficFailed).await;
    assert_eq!(get("a").await.expect_err("nothing is sent now").kind(), ErrorKind::Offline);

    // Nobody is offline for ever: after a while the application may try.
    let far = server.clone();
    stage.dialer.serve_all(move |stream| far.serve(stream));
    until(&mut states, Reach::Limited, Reason::Retrying).await;
    get("e").await.expect("a response");
    until(&mut states, Reach::Online, Reason::Traffic).await;
}

#[tokio::test(start_paused = true)]
async fn hosts_of_the_own_network_say_nothing_of_the_rest() {
    for (counts, expected) in [(false, Reach::Online), (true, Reach::Offline)] {
        let stage = Stage::new();
        stage.dialer.fail_all(ErrorKind::Connect);
        let monitor = stage.builder().private_hosts(counts).start();
        let client = stage.client(&monitor);
        settle().await;
        for host in ["10.0.0.1", "192.168.0.1", "127.0.0.1", "localhost"] {
            client.get(format!("http://{host}/")).send().await.expect_err("no connection");
        }
        assert_eq!(monitor.state().reach, expected, "{counts}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_answers_with_an_error_is_there() {
    let stage = Stage::new();
    stage.serve(ScriptedServer::builder().handler(|_| Reply::status(503)));
    let monitor = stage.builder().start();
    let client = stage.client(&monitor);
    for number in 0..10 {
        client.get(format!("http://h{number}.example/")).send().await.expect("a response");
    }
    assert_eq!(monitor.state().reach, Reach::Online);
}

#[tokio::test(start_paused = true)]
async fn quality_comes_from_traffic_and_is_told_when_it_changes() {
    let stage = Stage::new();
    let server = stage.serve(
        ScriptedServer::builder()
            .route("/quick", Reply::status(200).body("x").delayed(Duration::from_millis(100)))
            .route("/slow", Reply::status(200).body("x").delayed(Duration::from_millis(900))),
    );
    let monitor = stage.builder().start();
    let client = stage.client(&monitor);
    let mut told = monitor.qualities();
    for _ in 0..20 {
        client.get("http://a.example/quick").send().await.expect("a response").bytes().await.expect("a body");
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    let quick = monitor.quality();
    assert_eq!(quick.http_rtt, Some(Duration::from_millis(100)));
    for _ in 0..200 {
        client.get("http://a.example/slow").send().await.expect("a response").bytes().await.expect("a body");
    }
    let slow = monitor.quality();
    assert_eq!(slow.http_rtt, Some(Duration::from_millis(900)));
    assert!(slow.score < quick.score && slow.effective < quick.effective, "{quick:?} {slow:?}");
    settle().await;
    assert!((2..=20).contains(&told.len()), "not each sample, but each change: {}", told.len());
    let mut rtts = Vec::new();
    while !told.is_empty() {
        rtts.push(told.next().await.expect("it lives").expect("none is missing").http_rtt);
    }
    assert!(
        rtts.contains(&Some(Duration::from_millis(100))) && rtts.contains(&Some(Duration::from_millis(900))),
        "{rtts:?}"
    );
    assert_eq!(server.request_count(), 220);
}
