//! What a client at work comes to in numbers.

use netcomm_core::{Env, Tap};
use netcomm_http::Client;
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_monitor::Stats;
use netcomm_tests::{ScriptedDialer, TokioClock};

#[tokio::test(start_paused = true)]
async fn calls_and_connections_of_a_client_are_counted() {
    let server = ScriptedServer::builder()
        .route("/ok", Reply::status(200).body("hello"))
        .route("/go", Reply::status(302).header("location", "/ok"))
        .offline();
    let (dialer, stats) = (ScriptedDialer::new(), Stats::new());
    dialer.serve_all(move |stream| server.serve(stream));
    let env = Env::new(dialer, TokioClock::new()).with_tap(Tap::new(stats.clone()));
    let client = Client::builder(&env).build().unwrap();
    client.get("http://a.example/go").send().await.unwrap().text().await.unwrap();

    let seen = stats.snapshot();
    assert_eq!((seen.calls.started, seen.calls.active, seen.calls.redirects), (1, 0, 1));
    assert_eq!((seen.calls.received_bytes, seen.calls.received.sum), (5, 5.0));
    assert_eq!((seen.attempts.started, seen.attempts.ended, seen.attempts.reused), (2, 2, 1));
    let origin = &seen.origins[0];
    assert_eq!((origin.origin.as_deref(), origin.open()), (Some("http://a.example:80"), 1));
    let mut statuses: Vec<_> = origin.requests.iter().map(|it| it.status).collect();
    statuses.sort();
    assert_eq!(statuses, [Some(200), Some(302)]);

    let response = client.get("http://a.example/ok").send().await.unwrap();
    drop((response, client));
    let seen = stats.snapshot();
    assert_eq!((seen.calls.started, seen.calls.active), (2, 0), "who drops a call ends it");
    assert_eq!((seen.connections.opened, seen.connections.open), (1, 0));
}
