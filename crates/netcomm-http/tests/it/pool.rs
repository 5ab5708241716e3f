//! What the pool promises: limits, reuse, and that nobody falls over a connection that has gone stale.

use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{Env, ErrorKind, Phase, PrivateAddresses, Scope};
use netcomm_http::testing::{Gate, Reply, Script, ScriptedServer};
use netcomm_http::{Client, PoolLimits, Timeouts};
use netcomm_tests::{ManualConnectivity, ScriptedDialer, TokioClock};

struct World {
    dialer: ScriptedDialer,
    server: ScriptedServer,
    env: Env,
}

/// A server without sockets that every dial reaches, on the paused time of tokio.
fn world(server: ScriptedServer) -> World {
    let dialer = ScriptedDialer::new();
    let far = server.clone();
    dialer.serve_all(move |stream| far.serve(stream));
    let env = Env::new(dialer.clone(), TokioClock::new());
    World { dialer, server, env }
}

fn echo() -> ScriptedServer {
    ScriptedServer::builder().route("/", Reply::status(200).body("ok")).offline()
}

fn limits(change: impl FnOnce(&mut PoolLimits)) -> PoolLimits {
    let mut limits = PoolLimits::default();
    change(&mut limits);
    limits
}

async fn get(client: &Client, url: &str) -> netcomm_core::Result<u64> {
    let response = client.get(url).send().await?;
    let connection = response.connection().expect("an own connection");
    response.bytes().await?;
    Ok(connection)
}

#[tokio::test(start_paused = true)]
async fn calls_in_a_row_share_one_connection() {
    let World { dialer, env, .. } = world(echo());
    let client = Client::builder(&env).build().expect("client");
    for expected_reuse in [false, true, true] {
        let response = client.get("http://a.example/").send().await.expect("response");
        assert_eq!(response.timing().reused, expected_reuse);
        assert_eq!(response.bytes().await.expect("body"), "ok");
    }
    assert_eq!(dialer.dials(), 1);
    let snapshot = client.pool().snapshot();
    assert_eq!((snapshot.open, snapshot.idle, snapshot.waiting), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_small_body_frees_its_connection_before_it_is_read() {
    let World { dialer, env, .. } = world(echo());
    let client = Client::builder(&env).build().expect("client");
    let held = client.get("http://a.example/").send().await.expect("response");
    get(&client, "http://a.example/").await.expect("second call");
    assert_eq!(dialer.dials(), 1);
    assert_eq!(held.bytes().await.expect("body"), "ok");
}

#[tokio::test(start_paused = true)]
async fn no_more_connections_than_the_limit_and_every_call_comes_through() {
    let gate = Gate::new();
    let server = ScriptedServer::builder().route("/", Reply::status(200).body("ok").held_by(&gate)).offline();
    let World { dialer, env, .. } = world(server);
    let client = Client::builder(&env).pool(limits(|limits| limits.per_origin = 3)).build().expect("client");
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { get(&client, "http://a.example/").await })
        })
        .collect();
    while gate.waiting() < 3 {
        tokio::task::yield_now().await;
    }
    let snapshot = client.pool().snapshot();
    assert_eq!((snapshot.open, snapshot.waiting), (3, 17));
    gate.open();
    for call in calls {
        call.await.expect("no panic").expect("response");
    }
    assert_eq!(dialer.dials(), 3);
    assert_eq!(client.pool().snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_total_limit_makes_room_by_closing_what_is_idle() {
    let World { dialer, env, .. } = world(echo());
    let client = Client::builder(&env).pool(limits(|limits| limits.total = 2)).build().expect("client");
    for host in ["a", "b", "c", "d"] {
        get(&client, &format!("http://{host}.example/")).await.expect("response");
        assert!(client.pool().snapshot().open <= 2);
    }
    assert_eq!(dialer.dials(), 4);
    let origins: Vec<_> = client.pool().snapshot().origins.iter().map(|origin| origin.origin.to_string()).collect();
    assert_eq!(origins, ["http://c.example:80", "http://d.example:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_of_one_origin_gets_the_place_that_another_frees() {
    let gate = Gate::new();
    let server = ScriptedServer::builder()
        .route("/held", Reply::status(200).body("ok").held_by(&gate).then_close())
        .route("/", Reply::status(200).body("ok"))
        .offline();
    let World { env, .. } = world(server);
    let client = Client::builder(&env).pool(limits(|limits| limits.total = 1)).build().expect("client");
    let first = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "http://a.example/held").await }
    });
    while gate.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "http://b.example/").await }
    });
    while client.pool().snapshot().waiting == 0 {
        tokio::task::yield_now().await;
    }
    gate.open();
    first.await.expect("no panic").expect("first");
    second.await.expect("no panic").expect("second");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_connection_ends_and_says_so() {
    let server = ScriptedServer::builder().route("/", Script::new().stall()).offline();
    let World { env, .. } = world(server);
    let timeouts = Timeouts::default().with_blocked(Duration::from_secs(15)).with_header(Duration::from_secs(600));
    let client =
        Client::builder(&env).timeouts(timeouts).pool(limits(|limits| limits.per_origin = 1)).build().expect("client");
    let held = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "http://a.example/").await }
    });
    while client.pool().snapshot().open == 0 {
        tokio::task::yield_now().await;
    }
    let begun = tokio::time::Instant::now();
    let error = get(&client, "http://a.example/").await.expect_err("no place");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Blocked)));
    assert!(error.is_unsent());
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(client.pool().snapshot().waiting, 0);
    held.abort();
}

#[tokio::test(start_paused = true)]
async fn idle_connections_go_when_their_time_is_over_without_any_traffic() {
    let World { dialer, env, .. } = world(echo());
    let client = Client::builder(&env).build().expect("client");
    get(&client, "http://a.example/").await.expect("response");
    tokio::time::advance(Duration::from_secs(59)).await;
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(dialer.dials(), 1);
    let begun = tokio::time::Instant::now();
    while dialer.open_connections() > 0 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert!((59..=65).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(client.pool().snapshot().open, 0);
}

#[tokio::test(start_paused = true)]
async fn the_peers_keep_alive_timeout_is_honoured() {
    let server = ScriptedServer::builder()
        .route("/", Reply::status(200).header("keep-alive", "timeout=5, max=100").body("ok"))
        .offline();
    let World { dialer, env, .. } = world(server);
    let client = Client::builder(&env).build().expect("client");
    get(&client, "http://a.example/").await.expect("response");
    tokio::time::advance(Duration::from_millis(3900)).await;
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(dialer.dials(), 1);
    tokio::time::advance(Duration::from_millis(4100)).await;
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(dialer.dials(), 2, "a second before the peer closes it, the connection is not used any more");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_too_old_takes_no_more_requests() {
    let World { dialer, env, .. } = world(echo());
    let limits = limits(|limits| limits.max_age = Duration::from_secs(100));
    let client = Client::builder(&env).pool(limits).build().expect("client");
    for _ in 0..4 {
        get(&client, "http://a.example/").await.expect("response");
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    assert_eq!(dialer.dials(), 1);
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(dialer.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_network_closes_what_was_idle() {
    let World { dialer, env, .. } = world(echo());
    let connectivity = ManualConnectivity::online();
    let client = Client::builder(&env.with_connectivity(connectivity.shared())).build().expect("client");
    get(&client, "http://a.example/").await.expect("response");
    connectivity.roam();
    while dialer.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(dialer.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_connection_never_fails_an_idempotent_request() {
    // Each connection answers once, and hangs up on the second request as a server does whose idle time has run out.
    let server = ScriptedServer::builder()
        .on_connect((0..10).map(|_| Script::new().request().reply(Reply::status(200).body("ok")).request().close()))
        .offline();
    let World { dialer, server, env } = world(server);
    let client = Client::builder(&env).build().expect("client");
    get(&client, "http://a.example/").await.expect("first");
    let response = client.get("http://a.example/").send().await.expect("comes through");
    assert_eq!((response.attempts().len(), dialer.dials()), (2, 2));
    drop(response);
    let error = client.post("http://a.example/").body("once").send().await.expect_err("may have been processed");
    assert!(error.is_closed() && !error.is_unsent(), "{error:?}");
    let posts = server.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 1, "sent once and not again");
}

#[tokio::test(start_paused = true)]
async fn several_stale_connections_in_a_row_are_no_obstacle_either() {
    let gate = Gate::new();
    let held = Reply::status(200).body("ok").held_by(&gate);
    let server = ScriptedServer::builder()
        .on_connect(
            (0..5)
                .map(|_| Script::new().request().reply(held.clone()).request().close())
                .chain([Script::new().request().reply(Reply::status(200).body("fresh"))]),
        )
        .offline();
    let World { env, .. } = world(server);
    let client = Client::builder(&env).build().expect("client");
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { get(&client, "http://a.example/").await })
        })
        .collect();
    while gate.waiting() < 5 {
        tokio::task::yield_now().await;
    }
    gate.open();
    for call in calls {
        call.await.expect("no panic").expect("response");
    }
    assert_eq!(client.pool().snapshot().idle, 5);
    let response = client.get("http://a.example/").send().await.expect("comes through");
    assert_eq!(response.bytes().await.expect("body"), "fresh");
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_while_idle_is_seen_before_anything_is_sent() {
    let server = ScriptedServer::builder()
        .on_connect([Script::new().request().reply(Reply::status(200).body("ok")).close()])
        .offline();
    let World { dialer, server, env } = world(server);
    let client = Client::builder(&env).build().expect("client");
    get(&client, "http://a.example/").await.expect("first");
    while server.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    let response = client.post("http://a.example/").body("once").send().await.expect("goes over a new connection");
    assert_eq!((response.attempts().len(), dialer.dials()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_nobody_asked_for_end_the_connection_and_answer_nobody() {
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    for pause in [Duration::ZERO, Duration::from_millis(10)] {
        let server = ScriptedServer::builder()
            .on_connect([
                Script::new()
                    .request()
                    .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .pause(pause)
                    .send(forged)
                    .stall(),
                Script::new().request().reply(Reply::status(200).body("true")),
            ])
            .offline();
        let World { dialer, env, .. } = world(server);
        let client = Client::builder(&env).build().expect("client");
        get(&client, "http://a.example/").await.expect("first");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let response = client.get("http://a.example/").send().await.expect("second");
        assert_eq!(response.bytes().await.expect("body"), "true");
        assert_eq!(dialer.dials(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_served_by_whichever_connection_is_there_first() {
    let gate = Gate::new();
    let server = ScriptedServer::builder().route("/", Reply::status(200).body("ok").held_by(&gate)).offline();
    let dialer = ScriptedDialer::new();
    let far = server.clone();
    dialer.serve_next(move |stream| far.serve(stream));
    dialer.hang_all();
    let client = Client::builder(&Env::new(dialer.clone(), TokioClock::new())).build().expect("client");
    let calls = [0, 1].map(|_| {
        let client = client.clone();
        tokio::spawn(async move { get(&client, "http://a.example/").await })
    });
    while dialer.dials() < 2 || gate.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("response"), 1, "both over the first connection");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_takes_nothing_with_it() {
    let World { dialer, env, .. } = world(echo());
    let slow = ScriptedDialer::new();
    let far = dialer.clone();
    slow.with_all(move |target| {
        let far = far.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            netcomm_core::Dial::dial(&far, &target).await
        }
    });
    let client = Client::builder(&env.with_dialer(slow)).build().expect("client");
    let given_up = tokio::time::timeout(Duration::from_millis(500), get(&client, "http://a.example/")).await;
    assert!(given_up.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(client.pool().snapshot().idle, 1, "the connection was finished and is at hand");
    let begun = tokio::time::Instant::now();
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_closes_its_connection() {
    let big = vec![b'x'; 1 << 20];
    let server = ScriptedServer::builder().route("/", Reply::status(200).body(big)).offline();
    let World { dialer, env, .. } = world(server);
    let client = Client::builder(&env).build().expect("client");
    let mut response = client.get("http://a.example/").send().await.expect("response");
    response.chunk().await.expect("some").expect("bytes");
    drop(response);
    assert_eq!(client.pool().snapshot().open, 0);
    while dialer.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn eviction_spares_what_is_in_use_and_keeps_nothing_after_it() {
    let gate = Gate::new();
    let server = ScriptedServer::builder()
        .route("/", Reply::status(200).body("ok"))
        .route("/held", Reply::status(200).body("ok").held_by(&gate))
        .offline();
    let World { env, .. } = world(server);
    let client = Client::builder(&env).build().expect("client");
    let held = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "http://a.example/held").await }
    });
    while gate.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    get(&client, "http://a.example/").await.expect("response");
    assert_eq!(client.pool().snapshot().open, 2);
    client.pool().evict_all();
    assert_eq!(client.pool().snapshot().open, 1);
    gate.open();
    held.await.expect("no panic").expect("undisturbed");
    assert_eq!(client.pool().snapshot().open, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_dialled_without_the_guard_serves_no_call_that_wants_it() {
    let World { dialer, env, .. } = world(echo());
    let client = Client::builder(&env).build().expect("client");
    get(&client, "http://a.example/").await.expect("response");
    let guarded = client.scoped(Scope::builder("plugin").allow_all().deny_private_addresses().build());
    get(&guarded, "http://a.example/").await.expect("response");
    let guards: Vec<_> = dialer.targets().iter().map(|target| target.private_addresses).collect();
    assert_eq!(guards, [PrivateAddresses::Allow, PrivateAddresses::Deny]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_fails_its_own_call_and_no_other() {
    let gate = Gate::new();
    let server = ScriptedServer::builder().route("/", Reply::status(200).body("ok").held_by(&gate)).offline();
    let dialer = ScriptedDialer::new();
    let far = server.clone();
    dialer.serve_next(move |stream| far.serve(stream));
    dialer.fail_next(ErrorKind::Connect);
    let client = Client::builder(&Env::new(dialer.clone(), TokioClock::new())).build().expect("client");
    let first = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "http://a.example/").await }
    });
    while gate.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let error = get(&client, "http://a.example/").await.expect_err("the second dial fails");
    assert_eq!(error.kind(), ErrorKind::Connect);
    gate.open();
    first.await.expect("no panic").expect("undisturbed");
    assert_eq!(client.pool().snapshot().open, 1);
}

#[test]
fn a_client_outlives_its_runtime() {
    let server = Arc::new(std::sync::Mutex::new(None));
    let client = {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("runtime");
        runtime.block_on(async {
            let World { env, server: own, .. } = world(echo());
            *server.lock().expect("lock") = Some(own);
            let client = Client::builder(&env).build().expect("client");
            get(&client, "http://a.example/").await.expect("response");
            client
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let snapshot = client.pool().snapshot();
    assert_eq!(snapshot.waiting, 0);
    runtime.block_on(async { drop(client) });
}
