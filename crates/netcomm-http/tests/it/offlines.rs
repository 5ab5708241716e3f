//! What becomes of calls while there is no network.

use std::time::Duration;

use netcomm_core::{Backoff, ErrorKind, Event, Jitter, Reach, Stage};
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Client, Offline, Retry};
use netcomm_tests::{ManualConnectivity, TokioClock};

use crate::stage::{Stage as Scene, friendly, soon, timed};

const SECOND: Duration = Duration::from_secs(1);

fn away(stage: &Scene) -> (Client, ManualConnectivity) {
    let network = ManualConnectivity::offline();
    let client = Client::builder(&stage.env.with_connectivity(network.shared())).build().expect("client");
    (client, network)
}

#[tokio::test(start_paused = true)]
async fn a_call_fails_at_once_and_nothing_is_dialled() {
    let stage = friendly();
    let (client, network) = away(&stage);
    let (outcome, took) = timed(client.get("http://a.example/").send()).await;
    let error = outcome.expect_err("no network");
    assert_eq!((error.kind(), error.stage(), took), (ErrorKind::Offline, Some(Stage::Offline), Duration::ZERO));
    assert!(error.is_unsent() && error.is_retryable());
    assert_eq!((error.attempts(), stage.dialer.dials()), (0, 0));
    for reach in [Reach::Online, Reach::Limited, Reach::Captive] {
        network.set_reach(reach);
        soon(client.get("http://a.example/").send()).await.expect("no gate for a network of some reach");
    }
}

#[tokio::test(start_paused = true)]
async fn this_machine_itself_needs_no_network() {
    let stage = friendly();
    let (client, _network) = away(&stage);
    for url in ["http://localhost/", "http://127.0.0.1:81/", "http://[::1]/", "http://x.localhost/"] {
        soon(client.get(url).send()).await.expect("local");
    }
    let network = ManualConnectivity::offline();
    let env = stage.env.with_connectivity(network.shared());
    let client = Client::builder(&env).unix_socket("/run/x").build().expect("client");
    soon(client.get("http://a.example/").send()).await.expect("a socket of this machine");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_network_and_goes_on_at_once() {
    let stage = friendly();
    let (client, network) = away(&stage);
    let request = client.post("http://a.example/").body("x").offline(Offline::WaitUpTo(60 * SECOND));
    let call = tokio::spawn(async move { timed(request.send()).await });
    tokio::time::sleep(7 * SECOND).await;
    // What changes without bringing it back wakes nobody for good.
    network.set_metered(true);
    tokio::time::sleep(SECOND).await;
    assert_eq!(stage.dialer.dials(), 0);
    network.set_reach(Reach::Online);
    let (response, took) = soon(call).await.expect("no panic");
    assert_eq!((response.expect("a response").status().as_u16(), took), (200, 8 * SECOND));
    let held: Vec<_> = stage
        .seen
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Held { stage, took, passed } => Some((stage, took.as_secs(), passed)),
            _ => None,
        })
        .collect();
    assert_eq!(held, [(Stage::Offline, 8, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_time_or_the_deadline_of_the_call() {
    for (wait, deadline, expected, kind) in
        [(5, None, 5, ErrorKind::Offline), (60, Some(5), 5, ErrorKind::Offline), (0, None, 0, ErrorKind::Offline)]
    {
        let stage = friendly();
        let (client, _network) = away(&stage);
        let mut request = client.get("http://a.example/").offline(Offline::WaitUpTo(wait * SECOND));
        if let Some(deadline) = deadline {
            request = request.timeout(deadline * SECOND);
        }
        let (outcome, took) = timed(request.send()).await;
        let error = outcome.expect_err("no network");
        assert_eq!((error.kind(), took), (kind, expected * SECOND), "{error}");
        assert_eq!(stage.dialer.dials(), 0);
    }
    let stage = friendly();
    let (client, _network) = away(&stage);
    let request = client.get("http://a.example/").offline(Offline::WaitUpTo(Duration::MAX)).timeout(3 * SECOND);
    assert_eq!(timed(request.send()).await.1, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_wait_for_ever_waits() {
    let stage = friendly();
    let (client, network) = away(&stage);
    let request = client.get("http://a.example/").offline(Offline::WaitUpTo(Duration::MAX));
    let call = tokio::spawn(async move { timed(request.send()).await });
    tokio::time::sleep(7 * SECOND).await;
    network.set_reach(Reach::Online);
    let (response, took) = soon(call).await.expect("no panic");
    assert_eq!((response.expect("a response").status().as_u16(), took), (200, 7 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_clients_choice_holds_for_all_its_calls() {
    let stage = friendly();
    let network = ManualConnectivity::offline();
    let env = stage.env.with_connectivity(network.shared()).with_clock(TokioClock::new());
    let client = Client::builder(&env).offline(Offline::WaitUpTo(5 * SECOND)).build().expect("client");
    assert_eq!(timed(client.get("http://a.example/").send()).await.1, 5 * SECOND);
    let request = client.get("http://a.example/").offline(Offline::Fail);
    assert_eq!(timed(request.send()).await.1, Duration::ZERO);
}

#[cfg(feature = "cache")]
#[tokio::test(start_paused = true)]
async fn what_is_stored_answers_however_old_it_is_if_the_call_says_so() {
    let reply = Reply::status(200).header("cache-control", "max-age=1, must-revalidate").body("old");
    let stage = crate::stage::stage(ScriptedServer::builder().route("/", reply));
    let network = ManualConnectivity::online();
    let env = stage.env.with_connectivity(network.shared());
    let client = Client::builder(&env).cache(netcomm_http::cache::Cache::memory(1 << 20)).build().expect("client");
    soon(client.get("http://a.example/").send()).await.expect("a response").text().await.expect("stored");
    tokio::time::sleep(30 * 24 * 3600 * SECOND).await;
    network.set_reach(Reach::Offline);
    let error = soon(client.get("http://a.example/").send()).await.expect_err("it must not be used stale");
    assert_eq!(error.kind(), ErrorKind::Offline);
    let request = client.get("http://a.example/").offline(Offline::ServeStale);
    let response = soon(request.send()).await.expect("what is stored");
    assert!(response.cache_status().is_some_and(|status| status.hit));
    assert_eq!(response.text().await.expect("a body"), "old");
    let error = soon(client.get("http://a.example/other").offline(Offline::ServeStale).send()).await;
    assert_eq!(error.expect_err("nothing is stored").kind(), ErrorKind::Offline);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_tried_again_looks_for_the_network_each_time() {
    for (policy, dials) in [(Offline::Fail, 1), (Offline::WaitUpTo(60 * SECOND), 2)] {
        let stage = friendly();
        let network = ManualConnectivity::online();
        let env = stage.env.with_connectivity(network.shared());
        let retry = Retry::default().backoff(Backoff::new(SECOND, SECOND).with_jitter(Jitter::None));
        let client = Client::builder(&env).retry(retry).offline(policy).build().expect("client");
        let gone = network.clone();
        stage.dialer.with_next(move |_| {
            gone.set_reach(Reach::Offline);
            async { Err(netcomm_core::Error::new(ErrorKind::Connect, "dial")) }
        });
        let call = tokio::spawn(client.get("http://a.example/").send());
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!(stage.dialer.dials(), 1, "nobody dials without a network");
        network.set_reach(Reach::Online);
        let outcome = soon(call).await.expect("no panic");
        assert_eq!(stage.dialer.dials(), dials);
        match policy {
            Offline::Fail => {
                let error = outcome.expect_err("no network");
                assert_eq!((error.kind(), error.attempts()), (ErrorKind::Offline, 1));
            }
            _ => assert_eq!(outcome.expect("the network is back").status().as_u16(), 200),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_one_that_may_have_been_sent_does_not_say_that_nothing_was() {
    let server = ScriptedServer::builder().route("/", netcomm_http::testing::Script::new().reset());
    let stage = crate::stage::stage(server);
    let network = ManualConnectivity::online();
    let env = stage.env.with_connectivity(network.shared());
    let retry = Retry::default().attempts(2).backoff(Backoff::new(SECOND, SECOND).with_jitter(Jitter::None));
    let client = Client::builder(&env).retry(retry).build().expect("client");
    let call = tokio::spawn(client.put("http://a.example/").body("x").send());
    stage.server.until_requests(1).await;
    network.set_reach(Reach::Offline);
    let error = soon(call).await.expect("no panic").expect_err("no network");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Offline, false));
}
