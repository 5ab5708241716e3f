//! The other fixtures keep their word.

use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{
    Clock, ConnectInfo, Connectivity, Dial, Error, ErrorKind, Event, Host, Interest, Io, Network, Observation, Phase,
    Reach, Target,
};
use netcomm_tests::{CollectingObserver, ManualClock, ManualConnectivity, ScriptedDialer, TestCa};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

fn target() -> Target {
    Target::tcp(Host::parse("example.com").expect("a host"), 80)
}

#[tokio::test]
async fn dials_take_the_queue_first_and_then_the_rest() {
    let dialer = ScriptedDialer::new();
    let refused = dialer.dial(&target()).await.expect_err("nothing is scripted");
    assert_eq!(refused.kind(), ErrorKind::Connect);

    dialer.fail_next(ErrorKind::Tls);
    dialer
        .with_next(|target| async move { Err(Error::new(ErrorKind::Denied, "dial").with_detail(target.to_string())) });
    dialer.serve_all(|mut stream| async move {
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&[byte[0] + 1]).await.expect("the client reads");
        }
    });
    assert_eq!(dialer.left(), 2);
    assert!(dialer.dial(&target()).await.expect_err("scripted").is_tls());
    let denied = dialer.dial(&target()).await.expect_err("scripted");
    assert_eq!(denied.detail(), Some("example.com:80"));

    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut io = dialer.dial(&target()).await.expect("served");
        io.write_all(b"a").await.expect("served");
        assert_eq!(io.read_u8().await.expect("served"), b'b');
        connections.push(io);
    }
    assert_eq!((dialer.dials(), dialer.opened_connections(), dialer.open_connections()), (6, 3, 3));
    drop(connections);
    dialer.until_open(0).await;
    dialer.finish().await;
    assert!(dialer.targets().iter().all(|target| target.to_string() == "example.com:80"));
}

#[tokio::test]
async fn a_dial_that_hangs_ends_with_its_time() {
    let clock = ManualClock::new();
    let dialer = ScriptedDialer::new().with_clock(clock.clone());
    dialer.hang_all();
    let dial = tokio::spawn({
        let dialer = dialer.clone();
        async move { dialer.dial(&target().with_timeout(Duration::from_secs(3))).await }
    });
    dialer.until_dials(1).await;
    clock.run_for(Duration::from_secs(3)).await;
    let error = dial.await.expect("no panic").expect_err("hangs");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Connect)));
}

#[tokio::test]
async fn connections_know_what_they_are_told() {
    let dialer = ScriptedDialer::new();
    dialer.set_alpn(b"h2");
    dialer.serve_next(|_| async {});
    let io = dialer.dial(&target()).await.expect("served");
    assert_eq!(io.info().alpn.as_deref(), Some(&b"h2"[..]));

    let (near, mut far) = tokio::io::duplex(16);
    dialer.with_next(move |_| async move { Ok(Io::new(near, ConnectInfo::default())) });
    let io = dialer.dial(&target()).await.expect("given");
    assert_eq!((io.info().alpn.as_ref(), dialer.open_connections()), (None, 2));
    drop(io);
    assert_eq!(far.read(&mut [0; 1]).await.expect("closed"), 0);
}

#[tokio::test]
#[should_panic(expected = "the handler's own words")]
async fn a_handler_that_panics_fails_the_test() {
    let dialer = ScriptedDialer::new();
    dialer.serve_next(|stream| async move {
        drop(stream);
        panic!("the handler's own words");
    });
    let mut io = dialer.dial(&target()).await.expect("served");
    assert_eq!(io.read(&mut [0; 1]).await.expect("closed"), 0);
}

#[tokio::test]
async fn observers_keep_what_they_asked_for() {
    let observer = CollectingObserver::with_interest(Interest::CALL | Interest::DECISION);
    let tap = observer.tap();
    let waiting = tokio::spawn({
        let observer = observer.clone();
        async move { observer.until(2, |event| matches!(event, Event::TokenRefreshed { .. })).await }
    });
    tokio::task::yield_now().await;
    let now = ManualClock::new().now();
    tap.emit(Interest::CONNECTION, || unreachable!("nobody asked for it"));
    for ok in [true, false] {
        tap.emit(Interest::DECISION, || Observation::new(now, Event::TokenRefreshed { ok }));
    }
    waiting.await.expect("no panic");
    assert_eq!(observer.events().len(), 2);
    assert_eq!(observer.count(|event| matches!(event, Event::TokenRefreshed { ok: true })), 1);
    assert!(observer.debug_text().contains("TokenRefreshed"));
    assert_eq!(observer.take().len(), 2);
    assert!(observer.observations().is_empty());
}

#[tokio::test]
async fn watchers_wake_only_for_a_change() {
    let network = ManualConnectivity::offline();
    let seen = network.current();
    let change = tokio::spawn(network.changed(seen));
    tokio::task::yield_now().await;
    assert_eq!(network.watchers(), 1);
    network.set(seen);
    tokio::task::yield_now().await;
    assert!(!change.is_finished());
    network.set_reach(Reach::Online);
    assert_eq!(change.await.expect("no panic"), Network::new(Reach::Online));
    assert_eq!(network.watchers(), 0);

    let shared: Arc<dyn Connectivity> = network.shared();
    network.roam();
    network.set_metered(true);
    let now = shared.changed(Network::new(Reach::Online)).await;
    assert_eq!((now.generation, now.metered), (1, true));
}

#[tokio::test]
async fn certificates_are_trusted_for_their_names_alone() {
    let ca = TestCa::new();
    let cases = [
        ("example.com", ca.server(&["example.com", "127.0.0.1"]), true),
        ("127.0.0.1", ca.server(&["example.com", "127.0.0.1"]), true),
        ("example.com", ca.intermediate().server(&["example.com"]), true),
        ("example.com", ca.server(&["other.example"]), false),
        ("example.com", ca.expired_server(&["example.com"]), false),
        ("example.com", TestCa::new().server(&["example.com"]), false),
    ];
    for (name, identity, trusted) in cases {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let server = tokio::spawn(async move { identity.accept(far, &[b"h2", b"http/1.1"]).await.map(drop) });
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let client = TlsConnector::from(ca.client_config(&[b"http/1.1"])).connect(name.clone(), near).await;
        assert_eq!(client.is_ok(), trusted, "{name:?}: {:?}", client.err());
        if let Ok(stream) = client {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            server.await.expect("no panic").expect("trusted");
        }
    }
}

#[tokio::test]
async fn servers_can_ask_for_certificates() {
    let (servers, clients) = (TestCa::new(), TestCa::new());
    let config = servers.server(&["example.com"]).server_config_for(&clients, &[]);
    let (near, far) = tokio::io::duplex(16 * 1024);
    let server = tokio::spawn(tokio_rustls::TlsAcceptor::from(config).accept(far));
    let name = ServerName::try_from("example.com").expect("a name");
    let client = TlsConnector::from(servers.client_config(&[])).connect(name, near).await;
    drop(client);
    assert!(server.await.expect("no panic").is_err(), "a client without certificate");
    let client = clients.client("me");
    assert!(client.key_pem().contains("PRIVATE KEY") && client.pem().contains("CERTIFICATE"));
    assert!(!client.der().is_empty() && !client.key_der().is_empty() && client.chain().len() == 1);
    assert!(servers.pem().contains("CERTIFICATE") && !servers.der().is_empty());
}
