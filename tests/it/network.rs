//! The network goes away and returns: everything that waited goes on at once, on one monitor's word.

use std::time::Duration;

use netcomm::Env;
use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm::http::{Client, Offline};
use netcomm::monitor::{
    DefaultRoute, Interface, InterfaceAddress, InterfaceKind, ManualPaths, Monitor, PathState, Probe,
};
use netcomm::sse::EventStream;
use netcomm::ws::{AcceptOptions, Connection, Socket, State};
use netcomm_core::{AddressFamily, ConnectInfo, Connectivity, Endpoint, Io, Reach};
use netcomm_tests::{LinkControl, LinkProfile, ScriptedDialer, ShapedDialer, TokioClock};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn wired() -> PathState {
    let address = InterfaceAddress::new([192, 0, 2, 7].into(), 24);
    PathState::none()
        .with_interface(Interface::new(2, "eth0", InterfaceKind::Wired).with_address(address))
        .with_default(AddressFamily::V4, Some(DefaultRoute::new(2, None)))
}

/// A world whose hosts `ws.example`, `sse.example` and all others answer as such, while there is a path.
struct World {
    paths: ManualPaths,
    monitor: Monitor,
    env: Env,
    dialer: ScriptedDialer,
    link: LinkControl,
}

impl World {
    /// The path goes away, and what was connected over it is cut.
    async fn lose(&self) {
        self.link.set_refusing(true);
        self.link.cut();
        self.paths.set(PathState::none());
        until(&self.monitor, Reach::Offline).await;
    }

    fn give_back(&self) {
        self.link.set_refusing(false);
        self.paths.set(wired());
    }
}

fn world() -> World {
    let events = || Reply::status(200).header("content-type", "text/event-stream").body("data: hello\n\n");
    let server =
        ScriptedServer::builder().route("/events", events()).handler(|_| Reply::status(200).body("ok")).offline();
    let dialer = ScriptedDialer::new();
    let shaped = ShapedDialer::new(dialer.clone(), LinkProfile::NONE, 1);
    let link = shaped.control().clone();
    let base = Env::new(shaped, TokioClock::new());
    let paths = ManualPaths::new(wired());
    let monitor = Monitor::builder(&base).paths(paths.source()).start();
    let env = monitor.env(&base);
    let far = base;
    dialer.with_all(move |target| {
        let (server, far) = (server.clone(), far.clone());
        async move {
            let (near, end) = tokio::io::duplex(64 * 1024);
            match &target.endpoint {
                Endpoint::Tcp { host, .. } if host.to_string() == "ws.example" => {
                    tokio::spawn(async move {
                        let Ok(mut socket) = Socket::accept(end, &AcceptOptions::new(&far)).await else { return };
                        while let Ok(Some(_)) = socket.recv().await {}
                    });
                }
                _ => drop(tokio::spawn(server.serve(end))),
            }
            Ok(Io::new(near, ConnectInfo::default()))
        }
    });
    World { paths, monitor, env, dialer, link }
}

async fn until(monitor: &Monitor, reach: Reach) {
    let mut seen = monitor.current();
    while seen.reach != reach {
        seen = monitor.changed(seen).await;
    }
}

#[tokio::test(start_paused = true)]
async fn everything_that_waits_goes_on_at_once() {
    let world = world();
    let World { monitor, env, dialer, .. } = &world;
    let client = Client::builder(env).offline(Offline::WaitUpTo(24 * 3600 * SECOND)).build().expect("a client");
    let (connection, _messages) = Connection::builder(env, "ws://ws.example/").open().expect("a URL");
    connection.ready().await.expect("open");
    until(monitor, Reach::Online).await;
    tokio::time::advance(SECOND).await;

    world.lose().await;
    let call = tokio::spawn(client.get("http://api.example/").send());
    let mut stream = EventStream::builder(env, "http://sse.example/events").stream().expect("a URL");
    let event = tokio::spawn(async move { stream.next().await });
    tokio::time::sleep(3600 * SECOND).await;
    assert!(!call.is_finished() && !event.is_finished());
    assert!(!matches!(connection.state(), State::Ready), "{:?}", connection.state());
    let dials = dialer.dials();

    let returned = Instant::now();
    world.give_back();
    let body = call.await.expect("no panic").expect("a response").text().await.expect("a body");
    let event = event.await.expect("no panic").expect("an event").expect("no error");
    connection.ready().await.expect("open again");
    assert_eq!((body.as_str(), &*event.data), ("ok", "hello"));
    assert_eq!(returned.elapsed(), Duration::ZERO, "nobody waits out a backoff once the network is back");
    assert_eq!(dialer.dials(), dials + 3, "and nobody dials twice");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_flaps_takes_nothing_with_it_that_did_not_break() {
    let World { paths, monitor, env, .. } = world();
    let (connection, _messages) = Connection::builder(&env, "ws://ws.example/").open().expect("a URL");
    connection.ready().await.expect("open");
    tokio::time::sleep(SECOND).await;
    let before = monitor.current();
    // Another address comes and goes; the way out stays.
    for _ in 0..10 {
        let more = Interface::new(3, "wlan0", InterfaceKind::Wifi);
        paths.set(wired().with_interface(more));
        tokio::time::sleep(SECOND).await;
        paths.set(wired());
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(monitor.current(), before);
    assert!(matches!(connection.state(), State::Ready));
}

/// One packet in five is lost, and for two minutes all of them: away once, back once, and nothing between.
#[tokio::test(start_paused = true)]
async fn a_lossy_link_does_not_flap() {
    for seed in 0..5 {
        let server = ScriptedServer::builder()
            .route("/204", Reply::status(204))
            .handler(|_| Reply::status(200).body("ok"))
            .offline();
        let far = ScriptedDialer::new();
        far.serve_all(move |stream| server.serve(stream));
        let link = ShapedDialer::new(far, LinkProfile::FOUR_G.with_loss(0.2), seed);
        let control = link.control().clone();
        let base = Env::new(link, TokioClock::new());
        let paths = ManualPaths::new(wired());
        let probe = Probe::new("http://probe.example/204").expect("a URL");
        let monitor = Monitor::builder(&base).paths(paths.source()).probe(probe).start();
        let env = monitor.env(&base);
        let client = Client::builder(&env).build().expect("a client");
        let mut states = monitor.states();
        let turns = tokio::spawn(async move {
            let mut turns = Vec::new();
            while let Some(Ok(state)) = states.next().await {
                if turns.last() != Some(&state.reach) {
                    turns.push(state.reach);
                }
            }
            turns
        });
        let start = Instant::now();
        let mut requests = 0_u32;
        while start.elapsed() < 600 * SECOND {
            control.set_black_hole((180..300).contains(&start.elapsed().as_secs()));
            requests += 1;
            let url = format!("http://h{}.example/", requests % 4);
            let call = client.get(url).timeout(5 * SECOND).send();
            // What becomes of it is not the question.
            drop(call.await);
            tokio::time::sleep(SECOND / 5).await;
        }
        drop((client, env, monitor));
        let turns = turns.await.expect("no panic");
        let turns: Vec<_> = turns.into_iter().filter(|reach| matches!(reach, Reach::Online | Reach::Offline)).collect();
        let mut once = turns.clone();
        once.dedup();
        assert_eq!(once, [Reach::Online, Reach::Offline, Reach::Online], "seed {seed}, {requests} requests");
    }
}

#[tokio::test]
async fn kept_calls_are_delivered_when_the_network_is_back() {
    let world = world();
    let env = &world.env;
    let dir = std::env::temp_dir().join(format!("netcomm-network-{}", std::process::id()));
    let outbox = netcomm::http::outbox::Outbox::open(env, &dir).await.expect("an outbox");
    let client = Client::builder(env).outbox(outbox.clone()).offline(Offline::Outbox).build().expect("a client");
    let delivery = outbox.deliver(&client);
    world.lose().await;
    for number in 0..10 {
        let response = client.post("http://api.example/").body(format!("{number}")).send().await.expect("kept");
        assert!(response.queued().is_some());
    }
    assert_eq!(outbox.list().len(), 10);
    world.give_back();
    outbox.drained().await;
    assert_eq!(outbox.list().len(), 0);
    drop((client, delivery));
    outbox.close().await;
    std::fs::remove_dir_all(&dir).expect("nobody holds it");
}
