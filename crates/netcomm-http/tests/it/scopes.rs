//! What a handle that was narrowed can reach, and what it cannot.

use std::time::Duration;

use http::HeaderMap;
use netcomm_core::{Body, ErrorKind, Event, Phase, Policy, Scope, Secret};
use netcomm_http::Credentials;
use netcomm_http::testing::{Gate, Reply, ScriptedServer};

use crate::stage::{CANARY, assert_timeout, friendly, redirect, stage, timed};

fn scope(change: impl FnOnce(netcomm_core::ScopeBuilder) -> netcomm_core::ScopeBuilder) -> Scope {
    change(Scope::builder("plugin")).build()
}

#[tokio::test(start_paused = true)]
async fn only_what_is_allowed_is_reached() {
    let stage = friendly();
    let rules = scope(|scope| {
        let scope = scope.allow("http://a.example/api/").unwrap().allow("https://*.b.example").unwrap();
        scope.deny("https://secret.b.example").unwrap().methods(["GET", "HEAD"]).unwrap()
    });
    let client = stage.client().scoped(rules);
    for url in ["http://a.example/api/x", "https://www.b.example/"] {
        client.get(url).send().await.expect(url);
    }
    let sent = stage.server.request_count();
    for call in [
        client.get("http://a.example/other"),
        client.get("http://a.example/api/../other"),
        client.get("https://a.example/api/x"),
        client.get("http://a.example:81/api/x"),
        client.get("https://b.example/"),
        client.get("https://secret.b.example/"),
        client.get("http://127.0.0.1/"),
        client.post("http://a.example/api/x"),
    ] {
        let text = format!("{call:?}");
        let error = call.send().await.expect_err(&text);
        assert_eq!(error.kind(), ErrorKind::Denied, "{text}");
        assert!(error.to_string().contains("plugin"), "the scope names itself: {error}");
        assert!(error.is_unsent());
    }
    assert_eq!(stage.server.request_count(), sent);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_does_not_lead_out() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/go", redirect(302, "http://b.example/"))
            .route("/down", redirect(302, "/other"))
            .handler(|_| Reply::status(200)),
    );
    let rules = scope(|scope| scope.allow("http://a.example/go").unwrap().allow("http://a.example/down").unwrap());
    let client = stage.client().scoped(rules);
    for (from, to) in [("go", "http://b.example/"), ("down", "http://a.example/other")] {
        let error = client.get(format!("http://a.example/{from}")).send().await.unwrap_err();
        assert_eq!((error.kind(), error.url()), (ErrorKind::Denied, Some(to)));
    }
    assert_eq!(stage.server.request_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_scope_of_the_policy_binds_the_client_itself() {
    let stage = friendly();
    let policy = Policy::default().with_scope(scope(|scope| scope.allow("http://a.example").unwrap()));
    let client = stage.builder().policy(policy).build().unwrap();
    assert!(client.get("http://a.example/").send().await.is_ok());
    assert!(client.get("http://b.example/").send().await.unwrap_err().is_denied());
    let wider = client.scoped(scope(|scope| scope.allow_all()));
    assert!(wider.get("http://b.example/").send().await.unwrap_err().is_denied());
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_every_request_sent_redirects_too() {
    let stage = stage(ScriptedServer::builder().route("/go", redirect(302, "/there")).handler(|_| Reply::status(200)));
    let client = stage.client().scoped(scope(|scope| scope.allow_all().max_requests(3)));
    client.get("http://a.example/go").send().await.unwrap();
    let error = client.clone().get("http://a.example/go").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("3 requests"), "{error}");
    assert_eq!(stage.server.request_count(), 3);
    stage.client().get("http://a.example/").send().await.expect("others have their own");
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_both_ways() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/small", Reply::status(200).body(vec![b'x'; 1000]))
            .route("/large", Reply::status(200).body(vec![b'x'; 1001]))
            .route("/chunks", Reply::status(200).chunked(vec![vec![b'x'; 100]; 11])),
    );
    let rules = scope(|scope| scope.allow_all().max_request_bytes(10).max_response_bytes(1000));
    let client = stage.client().scoped(rules);
    let get = async |path: &str| client.get(format!("http://a.example/{path}")).send().await.expect(path).bytes().await;
    assert_eq!(get("small").await.unwrap().len(), 1000);
    assert_eq!(get("large").await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(get("chunks").await.unwrap_err().kind(), ErrorKind::TooLarge);
    let post = |body: Body| client.post("http://a.example/small").body(body).send();
    post(Body::from("0123456789")).await.expect("as much as is allowed");
    let sent = stage.server.request_count();
    let error = post(Body::from("0123456789a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("max_request_bytes"), "{error}");
    assert_eq!(stage.server.request_count(), sent, "what is known to be too long is not begun");
    let error = post(Body::from_reader(&b"0123456789a"[..], None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    post(Body::from_reader(&b"0123456789"[..], None)).await.expect("as much as is allowed");
}

#[tokio::test(start_paused = true)]
async fn the_shortest_time_limit_holds() {
    let gate = Gate::new();
    let stage = stage(ScriptedServer::builder().handler(move |_| Reply::status(200).held_by(&gate)));
    let seconds = Duration::from_secs;
    let client = stage
        .client()
        .scoped(scope(|scope| scope.allow_all().timeout(seconds(2))))
        .scoped(scope(|scope| scope.allow_all().timeout(seconds(9))));
    for own in [1, 5] {
        let call = client.get("http://a.example/").timeout(seconds(own));
        let (outcome, took) = timed(call.send()).await;
        assert_timeout(&outcome.unwrap_err(), Phase::Total, "total");
        assert_eq!(took, seconds(own.min(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn revocation_ends_a_handle_all_its_clones_and_its_children() {
    let stage = friendly();
    let rules = scope(|scope| scope.allow_all());
    let client = stage.client().scoped(rules.clone());
    let child = client.scoped(Scope::builder("child").allow_all().build());
    let clone = client.clone();
    clone.get("http://a.example/").send().await.unwrap();
    rules.revoke();
    for client in [&client, &clone, &child] {
        let error = client.get("http://a.example/").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Canceled);
        assert!(error.to_string().contains("revoked"), "{error}");
    }
    assert_eq!(stage.server.request_count(), 1);
    stage.client().get("http://a.example/").send().await.expect("the others go on");
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_goes_no_further_hop_after_revocation() {
    let gate = Gate::new();
    let stage = stage(
        ScriptedServer::builder().route("/go", redirect(302, "/there").held_by(&gate)).handler(|_| Reply::status(200)),
    );
    let rules = scope(|scope| scope.allow_all());
    let client = stage.client().scoped(rules.clone());
    let call = tokio::spawn(client.get("http://a.example/go").send());
    stage.server.until_requests(1).await;
    rules.revoke();
    gate.open();
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Canceled);
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_child_reaches_only_what_its_parent_does() {
    let stage = friendly();
    let parent = stage
        .client()
        .scoped(scope(|scope| scope.allow("http://a.example").unwrap().methods(["GET"]).unwrap().max_requests(2)));
    let child = parent.scoped(Scope::builder("child").allow_all().max_requests(100).build());
    assert!(child.get("http://b.example/").send().await.unwrap_err().is_denied());
    assert!(child.post("http://a.example/").send().await.unwrap_err().is_denied());
    for _ in 0..2 {
        child.get("http://a.example/").send().await.unwrap();
    }
    assert_eq!(parent.get("http://a.example/").send().await.unwrap_err().kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_inherited() {
    let stage = friendly();
    let client = stage
        .builder()
        .secret_header("x-own")
        .default_header("x-own", CANARY)
        .default_header("x-api-key", CANARY)
        .default_header("authorization", CANARY)
        .default_header("cookie", CANARY)
        .default_header("x-plain", "stays")
        .credentials("http://a.example", Credentials::bearer(&Secret::from(CANARY)).unwrap())
        .build()
        .unwrap();
    let scoped = client.scoped(scope(|scope| scope.allow_all()));
    scoped.get("http://a.example/").send().await.unwrap();
    let seen = stage.server.take_requests().remove(0);
    assert!(seen.headers.iter().all(|(_, value)| !value.contains(CANARY)), "{:?}", seen.headers);
    assert_eq!(seen.header("x-plain"), Some("stays"));
    let mut own = HeaderMap::new();
    own.insert("x-plain", "own".parse().unwrap());
    let bearer = Credentials::bearer(&Secret::from("own")).unwrap();
    let scoped = scoped.with_headers(own).with_credentials("http://a.example", bearer).unwrap();
    scoped.get("http://a.example/").send().await.unwrap();
    let seen = stage.server.take_requests().remove(0);
    assert_eq!((seen.header("x-plain"), seen.header("authorization")), (Some("own"), Some("Bearer own")));
    client.get("http://a.example/").send().await.unwrap();
    let seen = stage.server.take_requests().remove(0);
    assert_eq!(seen.header("x-plain"), Some("stays"), "the parent is as it was");
}

#[tokio::test(start_paused = true)]
async fn the_guard_of_a_scope_does_not_borrow_connections_made_without_it() {
    let stage = friendly();
    let client = stage.client();
    client.get("http://a.example/").send().await.unwrap();
    let guarded = client.scoped(scope(|scope| scope.allow_all().deny_private_addresses()));
    guarded.get("http://a.example/").send().await.unwrap();
    let guards: Vec<_> = stage.dialer.targets().iter().map(|target| target.private_addresses).collect();
    use netcomm_core::PrivateAddresses::{Allow, Deny};
    assert_eq!(guards, [Allow, Deny]);
}

#[tokio::test(start_paused = true)]
async fn every_observation_of_a_call_names_its_scope() {
    let stage = friendly();
    let client = stage.client().scoped(scope(|scope| scope.allow_all()));
    let call = client.get("http://a.example/").send().await.unwrap().call();
    let of_call: Vec<_> = stage.seen.observations().into_iter().filter(|seen| seen.call == call).collect();
    assert!(of_call.len() >= 4, "{of_call:?}");
    assert!(of_call.iter().all(|seen| seen.scope.as_deref() == Some("plugin")), "{of_call:?}");
    let error = client.get("http://a.example/").body(Body::empty()).timeout(Duration::ZERO);
    drop(error.send().await);
    let ends = stage.seen.count(|event| matches!(event, Event::CallEnded { .. }));
    assert_eq!(ends, 2);
}
