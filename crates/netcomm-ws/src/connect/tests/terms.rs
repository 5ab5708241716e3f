//! What is said before a connection is dialled: targets, fields, scopes, observers.

use std::num::NonZeroUsize;
use std::time::Duration;

use netcomm_core::{Endpoint, Error, ErrorKind, Event, Policy, PrivateAddresses, Scope, Stage, Target, Timeouts};
use netcomm_tests::CollectingObserver;

use super::{GOOD, World, reply, value};
use crate::connect::Connect;
use crate::handshake::no_extensions;

fn serve(world: &World) {
    world.dialer.serve_all(|stream| async move { drop(reply(stream, GOOD).await) });
}

#[tokio::test]
async fn where_it_dials() {
    let world = World::new();
    serve(&world);
    for url in ["ws://a.example/", "wss://a.example/", "https://[::1]:8443/"] {
        Connect::new(&world.env, url).open(no_extensions).await.expect(url);
    }
    let local = Connect::new(&world.env, "wss://a.example/").unix_socket("/run/x.sock");
    local.open(no_extensions).await.expect("open");
    let shown: Vec<_> = world.dialer.targets().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["a.example:80", "a.example:443", "[::1]:8443", "unix:/run/x.sock"]);
    let targets = world.dialer.targets();
    let tls = |target: &Target| target.tls.clone().map(|tls| (tls.server_name, tls.alpn));
    assert_eq!(tls(&targets[0]), None);
    assert_eq!(tls(&targets[1]), Some((None, vec![b"http/1.1".to_vec()])));
    assert_eq!(tls(&targets[3]), Some((Some("a.example".into()), vec![b"http/1.1".to_vec()])));
    assert!(matches!(targets[3].endpoint, Endpoint::Unix { .. }));
    assert!(targets.iter().all(|target| !target.forward_proxy && target.private_addresses == PrivateAddresses::Allow));
}

#[tokio::test]
async fn what_is_wrong_is_told_before_anything_is_dialled() {
    let world = World::new();
    let connect = || world.connect();
    let mut two_hosts = http::HeaderMap::new();
    two_hosts.append("host", http::HeaderValue::from_static("a"));
    two_hosts.append("host", http::HeaderValue::from_static("b"));
    for (connect, why) in [
        (Connect::new(&world.env, "ws://a.example/#x"), "fragment"),
        (Connect::new(&world.env, "ftp://a.example/"), "scheme"),
        (connect().header("upgrade", "x"), "upgrade"),
        (connect().header("Sec-WebSocket-Protocol", "x"), "sec-websocket-protocol"),
        (connect().header("a b", "x"), "name of a header field"),
        (connect().header("a", "x\r\ny: z"), "value of a header field"),
        (connect().header("a", "x\r\ny: z").header("b", "c"), "value of a header field"),
        (connect().headers(two_hosts), "host"),
        (connect().subprotocols(["a", "b", "a"]), "\"a\" stands there twice"),
        (connect().subprotocols(["a, b"]), "is no token"),
    ] {
        let error = connect.open(no_extensions).await.expect_err(why);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    assert_eq!(world.dialer.dials(), 0);
}

#[tokio::test]
async fn user_information_becomes_credentials_unless_the_caller_has_some() {
    let world = World::new();
    for expected in ["Basic dTpw", "Bearer t"] {
        world.dialer.serve_next(move |stream| async move {
            let (lines, _stream) = reply(stream, GOOD).await;
            assert_eq!((lines[0].as_str(), value(&lines, "Authorization")), ("GET /x?y HTTP/1.1", Some(expected)));
        });
    }
    let connect = Connect::new(&world.env, "ws://u:p@a.example/x?y");
    let opened = connect.open(no_extensions).await.expect("open");
    assert_eq!(opened.uri, "ws://a.example/x?y");
    connect.header("authorization", "Bearer t").open(no_extensions).await.expect("open");
    world.dialer.finish().await;
}

#[tokio::test]
async fn a_scope_says_where_and_how_often_and_how_many() {
    let world = World::new();
    serve(&world);
    let scope = Scope::builder("plugin")
        .allow("ws://a.example/chat")
        .expect("pattern")
        .concurrency(NonZeroUsize::MIN)
        .max_requests(3)
        .deny_private_addresses()
        .timeout(Duration::from_secs(2))
        .build();
    let connect = world.connect().scope(&scope);
    let opened = connect.open(no_extensions).await.expect("open");
    let target = &world.dialer.targets()[0];
    assert_eq!((target.private_addresses, target.timeout), (PrivateAddresses::Deny, Duration::from_secs(2)));
    let waits = async {
        world.clock.until_sleeping(1).await;
        world.clock.advance(Duration::from_secs(2));
    };
    let (second, ()) = tokio::join!(connect.open(no_extensions), waits);
    assert_eq!(second.expect_err("one at a time").kind(), ErrorKind::Busy);
    drop(opened);
    for _ in 0..2 {
        connect.open(no_extensions).await.expect("open");
    }
    let kind = |outcome: Result<_, Error>| outcome.map(|_| ()).expect_err("refused").kind();
    assert_eq!(kind(connect.open(no_extensions).await), ErrorKind::Busy, "its requests are used up");
    let elsewhere = Connect::new(&world.env, "ws://a.example/other").scope(&scope);
    let error = elsewhere.open(no_extensions).await.expect_err("another path");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Denied, Some(Stage::Policy)));
    scope.revoke();
    assert_eq!(kind(connect.open(no_extensions).await), ErrorKind::Canceled);
    assert_eq!(world.dialer.dials(), 3);
}

#[tokio::test]
async fn the_policy_of_the_environment_holds_too() {
    let world = World::new();
    serve(&world);
    let only = Scope::builder("app").allow("wss://b.example").expect("pattern").build();
    let env = world.env.with_policy(Policy::default().with_scope(only));
    let error = Connect::new(&env, "ws://a.example/").open(no_extensions).await.expect_err("denied");
    assert!(error.is_denied());
    let policy = Policy::default()
        .with_private_addresses(PrivateAddresses::Deny)
        .with_timeouts(Timeouts::default().with_connect(Duration::from_secs(4)));
    let env = world.env.with_policy(policy);
    Connect::new(&env, "ws://a.example/").open(no_extensions).await.expect("open");
    let target = &world.dialer.targets()[0];
    assert_eq!((target.private_addresses, target.timeout), (PrivateAddresses::Deny, Duration::from_secs(4)));
}

#[tokio::test]
async fn observers_see_connections_come_and_go() {
    let world = World::new();
    let observer = CollectingObserver::new();
    let env = world.env.with_tap(observer.tap());
    let connect = Connect::new(&env, "wss://u:hidden@a.example/?token=hidden").redirects(1);
    world.dialer.fail_next(ErrorKind::Tls);
    drop(connect.open(no_extensions).await.expect_err("no connection"));
    let away = "HTTP/1.1 302 x\r\nLocation: wss://b.example/?key=hidden\r\nContent-Length: 0\r\n\r\n";
    world.dialer.serve_next(move |stream| async move { drop(reply(stream, away).await) });
    world.dialer.serve_next(|stream| async move { drop(reply(stream, "HTTP/1.1 101 x\r\n\r\n").await) });
    drop(connect.open(no_extensions).await.expect_err("no upgrade"));
    let seen: Vec<_> = observer
        .observations()
        .iter()
        .map(|observation| match &observation.event {
            Event::Connected { origin, .. } => format!("connected {origin}"),
            Event::ConnectFailed { origin, error } => format!("failed {origin} {error:?}"),
            Event::Disconnected { origin, reason } => format!("disconnected {origin} {reason}"),
            Event::Redirected { to, crossed_origin, .. } => format!("redirected {to} {crossed_origin}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        seen,
        [
            "failed wss://a.example:443 Tls",
            "connected wss://a.example:443",
            "disconnected wss://a.example:443 refused",
            "redirected wss://b.example/ true",
            "connected wss://b.example:443",
            "disconnected wss://b.example:443 handshake failed",
        ]
    );
}
