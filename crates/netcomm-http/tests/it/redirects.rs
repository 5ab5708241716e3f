//! Redirects: what is followed, what goes along, and what never does.

use http::{HeaderName, HeaderValue, StatusCode};
use netcomm_core::{Body, ErrorKind, Limits, Policy, Secret};
use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer};
use netcomm_http::{Credentials, Redirects};

use crate::stage::{CANARY, Stage, redirect, shown, stage};

/// `/go` redirects with that status to that place; all else is answered with 200.
fn redirecting(status: u16, location: &'static str) -> Stage {
    stage(
        ScriptedServer::builder()
            .route("/go", redirect(status, location))
            .handler(|_| Reply::status(200).body("arrived")),
    )
}

/// A call with a secret in every place that can hold one.
fn laden(stage: &Stage, url: &str) -> netcomm_http::RequestBuilder {
    let client = stage.builder().secret_header("x-own").build().expect("client");
    let mut marked = HeaderValue::from_static(CANARY);
    marked.set_sensitive(true);
    client
        .get(url)
        .bearer_auth(CANARY)
        .header("cookie", format!("session={CANARY}"))
        .header("x-api-key", CANARY)
        .header("x-auth-token", CANARY)
        .header("proxy-authorization", CANARY)
        .header("referer", format!("http://a.example/{CANARY}"))
        .header("x-own", CANARY)
        .header("x-marked", marked)
        .header("x-plain", "stays")
}

fn has_secret(seen: &ReceivedRequest) -> bool {
    seen.headers.iter().any(|(_, value)| value.contains(CANARY))
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_another_origin_drops_every_secret() {
    for location in
        ["http://b.example/there", "http://a.example:81/there", "https://a.example/there", "//sub.a.example/there"]
    {
        let stage = redirecting(302, location);
        laden(&stage, "http://a.example/go").send().await.unwrap();
        let seen = stage.server.requests();
        let counted = seen[0].headers.iter().filter(|(_, value)| value.contains(CANARY)).count();
        assert_eq!(counted, 8, "the first hop has them all");
        assert!(!has_secret(&seen[1]), "{location}: {:?}", seen[1].headers);
        assert_eq!(seen[1].header("x-plain"), Some("stays"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_within_an_origin_keeps_what_it_was_given() {
    for location in ["/there", "http://a.example/there", "http://A.EXAMPLE:80/there"] {
        let stage = redirecting(307, location);
        laden(&stage, "http://a.example/go").send().await.unwrap();
        let seen = stage.server.requests();
        assert_eq!(seen[1].header("authorization"), Some("Bearer hunter2"), "{location}");
        assert_eq!(seen[1].header("x-own"), Some(CANARY), "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_is_not_restored_on_the_way_back() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/out", redirect(302, "http://b.example/back"))
            .route("/back", redirect(302, "http://a.example/home"))
            .handler(|_| Reply::status(200)),
    );
    laden(&stage, "http://a.example/out").send().await.unwrap();
    let seen = stage.server.requests();
    assert_eq!(seen[2].header("host"), Some("a.example"));
    assert!(seen[1..].iter().all(|seen| !has_secret(seen)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn secret_defaults_of_the_client_do_not_cross_origins() {
    let stage = redirecting(302, "http://b.example/there");
    let client = stage
        .builder()
        .secret_header("x-own")
        .default_header("authorization", CANARY)
        .default_header("x-api-key", CANARY)
        .default_header("x-own", CANARY)
        .default_header("x-plain", "stays")
        .build()
        .unwrap();
    client.get("http://a.example/go").send().await.unwrap();
    let seen = stage.server.requests();
    assert_eq!(seen[0].header("x-api-key"), Some(CANARY));
    assert!(!has_secret(&seen[1]), "{:?}", seen[1].headers);
    assert_eq!(seen[1].header("x-plain"), Some("stays"));
}

#[tokio::test(start_paused = true)]
async fn a_hand_set_host_does_not_go_along() {
    for location in ["/there", "http://b.example/there"] {
        let stage = redirecting(302, location);
        let call = stage.client().get("http://a.example/go").header("host", "virtual.example");
        call.send().await.unwrap();
        let seen = stage.server.requests();
        assert_eq!(seen[0].header("host"), Some("virtual.example"));
        assert_ne!(seen[1].header("host"), Some("virtual.example"), "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_go_to_their_audience_alone_on_every_hop() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/1", redirect(302, "http://b.example/2"))
            .route("/2", redirect(302, "http://c.example/3"))
            .route("/3", redirect(302, "http://a.example/other/4"))
            .handler(|_| Reply::status(200)),
    );
    let bearer = |token: &str| Credentials::bearer(&Secret::from(token)).expect("credentials");
    let client = stage
        .builder()
        .credentials("http://a.example", bearer("for-a"))
        .credentials("http://b.example", bearer("for-b"))
        .build()
        .unwrap();
    client.get("http://a.example/1").send().await.unwrap();
    let seen = stage.server.take_requests();
    let values: Vec<_> = seen.iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(values, [Some("Bearer for-a"), Some("Bearer for-b"), None, Some("Bearer for-a")]);
    client.get("http://a.example/1").bearer_auth("own").send().await.unwrap();
    let seen = stage.server.requests();
    assert_eq!(seen[0].header_all("authorization"), ["Bearer own"], "a request's own go first");
}

#[tokio::test(start_paused = true)]
async fn a_loop_ends_at_the_limit_with_an_error_that_names_it() {
    for (limit, sent) in [(None, 11), (Some(3), 4), (Some(0), 1)] {
        let stage = redirecting(302, "/go");
        let mut builder = stage.builder();
        if let Some(limit) = limit {
            builder = builder.limits(Limits::default().with_redirects(limit));
        }
        let call = builder.build().unwrap().get("http://a.example/go");
        let error = call.send().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Redirect, Some(StatusCode::FOUND)));
        assert!(error.to_string().contains("limit redirects"), "{error}");
        assert_eq!(stage.server.request_count(), sent);
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_redirects_as_the_limit_are_followed() {
    let builder = ScriptedServer::builder().handler(|seen: &ReceivedRequest| {
        let number: usize = seen.path()[1..].parse().expect("a number");
        if number < 3 { redirect(302, format!("/{}", number + 1)) } else { Reply::status(200) }
    });
    let stage = stage(builder);
    let limits = Limits::default().with_redirects(3);
    let client = stage.builder().limits(limits).build().unwrap();
    let response = client.get("http://a.example/0").send().await.unwrap();
    assert_eq!((response.status(), response.redirects().len()), (StatusCode::OK, 3));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_none_is_an_error_and_never_a_success() {
    for location in [
        "file:///etc/passwd",
        "data:text/plain,hello",
        "javascript:alert(1)",
        "ftp://a.example/",
        "http://",
        "http://[::1",
        "http://a b/",
        "//:80/",
        "http://a.example:99999/",
    ] {
        let stage = redirecting(302, location);
        let error = stage.client().get("http://a.example/go").send().await.expect_err(location);
        assert_eq!(error.kind(), ErrorKind::Redirect, "{location}: {error}");
        assert_eq!(error.status(), Some(StatusCode::FOUND));
        assert_eq!(stage.server.request_count(), 1, "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_location_that_is_no_text_is_an_error() {
    let reply = Reply::raw(&b"HTTP/1.1 302 Found\r\nlocation: /\xff\xfe\r\ncontent-length: 0\r\n\r\n"[..]);
    let stage = stage(ScriptedServer::builder().route("/go", reply));
    let error = stage.client().get("http://a.example/go").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_without_a_place_is_an_answer() {
    let stage = stage(ScriptedServer::builder().route("/go", Reply::status(302).body("where?")));
    let response = stage.client().get("http://a.example/go").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.text().await.unwrap(), "where?");
}

#[tokio::test(start_paused = true)]
async fn user_information_in_a_location_is_dropped() {
    let stage = redirecting(302, "http://evil:hunter2@b.example/there?x");
    let response = stage.client().get("http://a.example/go").send().await.unwrap();
    assert_eq!(response.uri(), "http://b.example/there?x");
    let seen = stage.server.requests();
    assert_eq!(seen[1].header("authorization"), None);
    assert!(!has_secret(&seen[1]) && !seen[1].target.contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn the_method_changes_as_user_agents_do_it() {
    for (status, method, then, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (302, "PUT", "PUT", "body"),
        (303, "POST", "GET", ""),
        (303, "DELETE", "GET", ""),
        (303, "HEAD", "HEAD", ""),
        (307, "POST", "POST", "body"),
        (308, "POST", "POST", "body"),
        (308, "PATCH", "PATCH", "body"),
    ] {
        let stage = redirecting(status, "/there");
        let client = stage.client();
        let mut call = client.request(method.parse().unwrap(), "http://a.example/go");
        if method != "HEAD" {
            call = call.body("body").header("content-type", "text/plain").header("content-language", "en");
        }
        call.send().await.unwrap();
        let seen = stage.server.requests().remove(1);
        assert_eq!((seen.method.as_str(), seen.text().as_str()), (then, body), "{status} {method}");
        if body.is_empty() {
            for name in ["content-type", "content-length", "content-language", "transfer-encoding"] {
                assert_eq!(seen.header(name), None, "{status} {method} {name}");
            }
        } else {
            assert_eq!(seen.header("content-type"), Some("text/plain"), "{status} {method}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_made_again_is_made_again() {
    let stage = redirecting(307, "/there");
    let body = Body::replayable(|| Body::from_reader(&b"streamed"[..], Some(8)));
    stage.client().post("http://a.example/go").body(body).send().await.unwrap();
    let seen = stage.server.requests();
    assert_eq!(seen.iter().map(ReceivedRequest::text).collect::<Vec<_>>(), ["streamed", "streamed"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_can_be_sent_once_is_a_clear_error_at_307_and_none_at_303() {
    let stream = || Body::from_reader(&b"streamed"[..], None);
    let stage = redirecting(307, "/there");
    let call = stage.client().post("http://a.example/go").body(stream());
    let error = call.send().await.unwrap_err();
    assert_eq!((error.kind(), error.status().map(|s| s.as_u16())), (ErrorKind::Redirect, Some(307)));
    assert!(error.to_string().contains("only once"), "{error}");
    assert_eq!(stage.server.request_count(), 1);
    let stage = redirecting(303, "/there");
    let response = stage.client().post("http://a.example/go").body(stream()).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "arrived");
}

#[tokio::test(start_paused = true)]
async fn from_https_to_http_only_where_the_policy_allows_it() {
    let stage = redirecting(302, "http://a.example/there");
    let error = stage.client().get("https://a.example/go").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    assert!(error.to_string().contains("https to http"), "{error}");
    assert_eq!(stage.dialer.dials(), 1);
    let policy = Policy::default().with_allow_downgrade(true);
    let client = stage.builder().policy(policy).build().unwrap();
    let response = client.get("https://a.example/go").bearer_auth(CANARY).send().await.unwrap();
    assert_eq!(response.uri(), "http://a.example/there");
    assert!(!has_secret(&stage.server.requests()[2]));
}

#[tokio::test(start_paused = true)]
async fn in_manual_mode_the_redirect_is_the_answer() {
    let stage = redirecting(302, "http://b.example/there");
    let manual = stage.builder().redirects(Redirects::Manual).build().unwrap();
    let response = manual.get("http://a.example/go").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()["location"], "http://b.example/there");
    assert_eq!(stage.server.request_count(), 1);
    let call = stage.client().get("http://a.example/go").redirects(Redirects::Manual);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::FOUND);
    let call = manual.get("http://a.example/go").redirects(Redirects::Follow);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_error_behind_a_redirect_names_the_place_that_failed() {
    let stage = redirecting(302, "http://b.example/there?token=hunter2");
    let far = stage.server.clone();
    stage.dialer.serve_next(move |stream| far.serve(stream));
    stage.dialer.fail_all(ErrorKind::Connect);
    let error = stage.client().get("http://a.example/go").send().await.unwrap_err();
    assert_eq!((error.kind(), error.url()), (ErrorKind::Connect, Some("http://b.example/there")));
    assert!(!shown(&error).contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_redirect_does_not_hold_up_the_next_hop() {
    // An endless body, and no reader for it.
    let long = Reply::status(302)
        .header("location", "/there")
        .header("content-length", "1000000000")
        .then(netcomm_http::testing::Script::new().generate(|_| Some(vec![b'x'; 1024].into())));
    let stage = stage(ScriptedServer::builder().route("/go", long).handler(|_| Reply::status(200).body("arrived")));
    let response = stage.client().get("http://a.example/go").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "arrived");
}

#[test]
fn names_that_count_as_secret() {
    for name in ["authorization", "cookie", "x-api-key", "x-auth-token", "x-amz-security-token"] {
        assert!(netcomm_core::is_secret_header(&HeaderName::from_static(name)), "{name}");
    }
}

#[cfg(feature = "tls")]
mod over_sockets {
    use std::net::IpAddr;
    use std::sync::Arc;

    use netcomm_core::{Dial, Env, ErrorKind, Host, Io, Policy, PrivateAddresses, Result, Target};
    use netcomm_dial::{Answer, Certificates, Dialer, Proxies, Resolve, SystemClock, Tls};
    use netcomm_http::Client;
    use netcomm_http::testing::{Reply, ScriptedServer};
    use netcomm_tests::{ScriptedDialer, TestCa};

    use crate::stage::redirect;

    /// Every name is this machine.
    struct Here;

    impl Resolve for Here {
        async fn resolve(&self, _: &str) -> Result<Answer> {
            Ok(vec![IpAddr::from([127, 0, 0, 1])].into())
        }
    }

    /// `public.example` is a scripted server; all else goes the real way.
    #[derive(Debug)]
    struct Split {
        scripted: ScriptedDialer,
        real: Dialer,
    }

    impl Dial for Split {
        async fn dial(&self, target: &Target) -> Result<Io> {
            let public = Host::parse("public.example")?;
            match &target.endpoint {
                netcomm_core::Endpoint::Tcp { host, .. } if *host == public => self.scripted.dial(target).await,
                _ => self.real.dial(target).await,
            }
        }
    }

    fn real() -> netcomm_dial::DialerBuilder {
        Dialer::builder().resolver(Here).proxies(Proxies::none())
    }

    #[tokio::test]
    async fn a_redirect_to_a_private_address_is_refused_in_every_spelling() {
        let inside = ScriptedServer::builder().handler(|_| Reply::status(200).body("inside")).start().await.unwrap();
        let port = inside.address().port();
        for (host, reachable) in [
            ("127.0.0.1", true),
            ("2130706433", true),
            ("0x7f.1", true),
            ("017700000001", true),
            ("[::ffff:127.0.0.1]", false),
            ("[64:ff9b::7f00:1]", false),
            ("inside.example", true),
            ("169.254.169.254", false),
            ("[::1]", false),
        ] {
            let location = format!("http://{host}:{port}/there");
            let outside = ScriptedServer::builder().route("/go", redirect(302, location)).offline();
            let scripted = ScriptedDialer::new();
            scripted.serve_all(move |stream| outside.serve(stream));
            let env = Env::new(Split { scripted, real: real().build() }, SystemClock);
            let guarded = Policy::default().with_private_addresses(PrivateAddresses::Deny);
            let client = Client::builder(&env).policy(guarded).build().unwrap();
            let before = inside.connections();
            let error = client.get("http://public.example/go").send().await.expect_err(host);
            assert_eq!(error.kind(), ErrorKind::Denied, "{host}: {error}");
            assert_eq!(inside.connections(), before, "{host}");
            if reachable {
                let client = Client::builder(&env).build().unwrap();
                let response = client.get("http://public.example/go").send().await.expect(host);
                assert_eq!(response.text().await.unwrap(), "inside");
            }
        }
    }

    #[tokio::test]
    async fn over_real_tls_a_redirect_to_http_is_refused() {
        let ca = TestCa::new();
        let identity = Arc::new(ca.server(&["a.example"]));
        let clear = ScriptedServer::builder().handler(|_| Reply::status(200).body("clear")).start().await.unwrap();
        let server = ScriptedServer::builder()
            .route("/go", redirect(302, format!("http://a.example:{}/", clear.address().port())))
            .over("https", move |stream| {
                let identity = Arc::clone(&identity);
                async move { identity.accept(stream, &[b"http/1.1"]).await }
            })
            .start()
            .await
            .unwrap();
        let tls = Tls::new().with_roots(Certificates::from_pem(ca.pem()).unwrap());
        let env = Env::new(real().tls(tls).build(), SystemClock);
        let url = format!("https://a.example:{}/go", server.address().port());
        let client = Client::builder(&env).build().unwrap();
        let error = client.get(&url).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect, "{error}");
        assert_eq!(clear.connections(), 0);
        let policy = Policy::default().with_allow_downgrade(true);
        let client = Client::builder(&env).policy(policy).build().unwrap();
        let response = client.get(&url).send().await.unwrap();
        assert!(response.tls().is_none());
        assert_eq!(response.text().await.unwrap(), "clear");
    }
}
