//! Redirects of handshakes.

use netcomm_core::{ErrorKind, Policy, Scope, Stage};

use super::{GOOD, World, refusal, reply, value};
use crate::connect::Connect;
use crate::handshake::no_extensions;

fn to(location: &str) -> String {
    format!("HTTP/1.1 307 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn none_is_followed_unless_said() {
    let world = World::new();
    let error = world.answered(to("/b")).await.expect_err("refused");
    assert_eq!((error.kind(), refusal(&error).status.as_u16()), (ErrorKind::Status, 307));
    assert_eq!(world.dialer.dials(), 1);
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let world = World::new();
    for location in ["/b", "http://b.example:81/c", "//a.example/d"] {
        let (answer, is_first) = (to(location), location == "/b");
        world.dialer.serve_next(move |stream| async move {
            let (lines, _stream) = reply(stream, &answer).await;
            assert_eq!(value(&lines, "Host").is_some_and(|host| host == "inner"), is_first, "{lines:?}");
        });
    }
    world.dialer.serve_next(|stream| async move {
        let (lines, _stream) = reply(stream, GOOD).await;
        assert_eq!((lines[0].as_str(), value(&lines, "Host")), ("GET /d HTTP/1.1", Some("a.example")));
        assert_eq!((value(&lines, "Authorization"), value(&lines, "X-Api-Key")), (None, None));
        assert_eq!((value(&lines, "Cookie"), value(&lines, "X-Own")), (None, Some("1")));
    });
    let connect = Connect::new(&world.env, "ws://u:p@a.example/a")
        .header("host", "inner")
        .header("x-api-key", "k")
        .header("cookie", "a=b")
        .header("x-own", "1")
        .redirects(3);
    let opened = connect.open(no_extensions).await.expect("open");
    assert_eq!(opened.uri, "ws://a.example/d");
    let targets: Vec<_> = world.dialer.targets().iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["a.example:80", "a.example:80", "b.example:81", "a.example:80"]);
    assert_eq!(world.dialer.open_connections(), 1);
    world.dialer.finish().await;
}

#[tokio::test]
async fn each_hop_is_asked_of_the_scope() {
    let world = World::new();
    let scope = Scope::builder("plugin").allow("ws://a.example").expect("pattern").build();
    let answer = to("ws://b.example/");
    world.dialer.serve_all(move |stream| {
        let answer = answer.clone();
        async move { drop(reply(stream, &answer).await) }
    });
    let connect = world.connect().redirects(5);
    let error = connect.clone().scope(&scope).open(no_extensions).await.expect_err("denied");
    assert_eq!((error.kind(), error.stage(), world.dialer.dials()), (ErrorKind::Denied, Some(Stage::Policy), 1));
    let error = connect.open(no_extensions).await.expect_err("a loop");
    assert_eq!((error.kind(), error.stage(), world.dialer.dials()), (ErrorKind::Redirect, Some(Stage::Redirect), 7));
    assert!(error.to_string().contains("more than 5"), "{error}");
}

#[tokio::test]
async fn no_redirect_leads_out_of_tls_unless_the_policy_says_so() {
    let world = World::new();
    let answer = to("ws://a.example/");
    let serve = |world: &World| {
        let answer = answer.clone();
        world.dialer.serve_next(|stream| async move { drop(reply(stream, &answer).await) });
        world.dialer.serve_next(|stream| async move { drop(reply(stream, GOOD).await) });
    };
    serve(&world);
    let connect = |env| Connect::new(env, "wss://a.example/").redirects(1);
    let error = connect(&world.env).open(no_extensions).await.expect_err("downgrade");
    assert_eq!((error.kind(), world.dialer.left()), (ErrorKind::Redirect, 1));
    let world = World::new();
    serve(&world);
    let env = world.env.with_policy(Policy::default().with_allow_downgrade(true));
    assert_eq!(connect(&env).open(no_extensions).await.expect("open").uri, "ws://a.example/");
}
